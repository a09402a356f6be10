"""The operating system, the C and C++ libraries, the CPU and the memory of this machine."""

from __future__ import annotations

import mmap
import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

_X86_LEVELS = (
    ("x86-64-v2", "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3"),
    ("x86-64-v3", "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"),
    ("x86-64-v4", "avx512bw avx512cd avx512dq avx512f avx512vl"),
)
"""The x86-64 psABI's levels in the words of /proc/cpuinfo (`abm` stands for lzcnt, `xsave` for osxsave)."""
_UNLIMITED = 1 << 60


def describe_system() -> dict[str, Any]:
    """Return the document of the model's `System`."""
    kernel = os.uname()
    cpuinfo = _text(os.environ.get("DSDEPLOY_CPUINFO", "/proc/cpuinfo"))  # lets a test host play another CPU
    memory_bytes, available_bytes = memory()
    return {
        "hostname": kernel.nodename,
        "os": os_name(_text("/etc/os-release") or _text("/usr/lib/os-release")) or kernel.sysname,
        "machine": kernel.machine,
        "kernel": kernel.release,
        "glibc": _glibc(),
        "glibcxx": _glibcxx(kernel.machine),
        "cpu_model": cpu_model(cpuinfo) or kernel.machine,
        "cpu_level": cpu_level(kernel.machine, cpuinfo),
        "cpu_cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory_bytes,
        "memory_available_bytes": available_bytes,
    }


def os_name(os_release: str) -> str | None:
    """Return the pretty name in the text of os-release(5)."""
    found = re.search(r"""^PRETTY_NAME=["']?([^"'\n]*)""", os_release, re.MULTILINE)
    return found.group(1) if found else None


def cpu_model(cpuinfo: str) -> str | None:
    """Return the CPU's name in the text of /proc/cpuinfo; aarch64 kernels give numbers instead."""
    named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    if named:
        return named.group(1).strip()
    numbers = [re.search(rf"^CPU {word}\s*:\s*(\S+)", cpuinfo, re.MULTILINE) for word in ("implementer", "part")]
    implementer, part = (found.group(1) if found else None for found in numbers)
    return f"implementer {implementer} part {part}" if implementer and part else None


def cpu_level(machine: str, cpuinfo: str) -> str:
    """Return the instruction level that every CPU in the text of /proc/cpuinfo has, as a value of `CpuLevel`."""
    lists = re.findall(r"^(?:flags|Features)\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    flags = frozenset.intersection(*map(frozenset, map(str.split, lists))) if lists else frozenset()
    if machine == "x86_64":
        return _x86_level(flags)
    if machine == "aarch64":
        return "armv8-a+sve" if "sve" in flags else "armv8-a"
    return "other"


def _x86_level(flags: frozenset[str]) -> str:
    reached = "x86-64"
    for level, needed in _X86_LEVELS:
        if not flags.issuperset(needed.split()):
            break
        reached = level
    return reached


def highest_glibcxx(library: Any) -> str | None:  # noqa: ANN401 - bytes, or a mapped file
    """Return the highest GLIBCXX version named in the bytes of a libstdc++."""
    minors = [int(minor) for minor in re.findall(rb"GLIBCXX_3\.4\.(\d+)", library)]
    return f"3.4.{max(minors)}" if minors else None


def _glibc() -> str | None:
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (OSError, ValueError):  # musl
        return None
    return version if name == "glibc" else None


def _glibcxx(machine: str) -> str | None:
    folders = (f"/usr/lib/{machine}-linux-gnu", "/usr/lib64", "/usr/lib", f"/lib/{machine}-linux-gnu", "/lib64", "/lib")
    for folder in folders:
        try:
            with open(os.path.join(folder, "libstdc++.so.6"), "rb") as stream:
                return highest_glibcxx(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError):
            continue
    return None


def memory() -> tuple[int, int]:
    """Return the bytes that this session may use at all and now: the machine's, or less where a cgroup limits it."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    meminfo = {name: int(kib) * 1024 for name, kib in lines}
    total, available = meminfo["MemTotal"], meminfo.get("MemAvailable", meminfo["MemFree"])
    for limit, used in _memory_limits(_text("/proc/self/cgroup")):
        total, available = min(total, limit), min(available, max(limit - used, 0))
    return total, available


def _memory_limits(cgroups: str) -> Iterator[tuple[int, int]]:
    for line in cgroups.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folder, limit, used = "/sys/fs/cgroup", "memory.max", "memory.current"
        elif controllers == "memory":
            folder, limit, used = "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        for place in _and_above(path):
            limit_bytes = _number(os.path.join(folder, place, limit))
            if limit_bytes is not None and limit_bytes < _UNLIMITED:
                yield limit_bytes, _number(os.path.join(folder, place, used)) or 0


def _and_above(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part]
    return ["/".join(parts[:length]) for length in range(len(parts), -1, -1)]


def _number(path: str) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
