"""What a wheel's files need of a host's operating system and CPU."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator

from packaging.tags import Tag, compatible_tags, cpython_tags, parse_tag

from orchestrator.audit.shared_objects import version_order
from orchestrator.model.audit import Aspect, Misfit, SharedObject, WheelContents
from orchestrator.model.facts import Facts
from orchestrator.model.signature import CpuLevel
from orchestrator.planning.cpu import runs_code_of

_OLDEST_GLIBC = 5
"""Of manylinux1: 2.5 (PEP 513)."""
_OLD_NAMES = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
"""Minor version of glibc → what PEP 600 calls `manylinux_2_17` today."""
_CHOOSES_BY_ITSELF = "deepspeed_shm_comm"
"""Has AVX-512 at every level (`target("avx512bw")` in csrc/cpu/comm/x86_64/shm.h), for CPUs that have it."""


def check_tags(contents: WheelContents, facts: Facts) -> Iterator[Misfit]:
    """Compare the file's name with what pip takes there."""
    if facts.interpreter is None:
        reason = facts.interpreter_error or "none was found"
        yield Misfit(aspect=Aspect.PYTHON, evidence=f"the host has no interpreter: {reason}")
        return
    tags = {tag for text in contents.tags for tag in parse_tag(text)}
    accepted = _accepted_tags(facts.interpreter.abi_tag, facts.system.machine, facts.system.glibc)
    if tags.isdisjoint(accepted):
        is_python = {_python_of(tag) for tag in tags}.isdisjoint(map(_python_of, accepted))
        has = f"{facts.interpreter.abi_tag}, {facts.system.machine}, glibc {facts.system.glibc or 'none'}"
        yield Misfit(
            aspect=Aspect.PYTHON if is_python else Aspect.PLATFORM,
            evidence=f"is for {', '.join(contents.tags)}, the host has {has}",
        )


def check_machine(contents: WheelContents, facts: Facts) -> Iterator[Misfit]:
    """Compare the files' machine with the host's, whatever the wheel's name says."""
    for machine in sorted({library.machine for library in contents.shared_objects.values()} - {facts.system.machine}):
        who = who_has(contents, lambda library: library.machine, machine)
        yield Misfit(aspect=Aspect.MACHINE, evidence=f"{who} is for {machine}, the host is {facts.system.machine}")


def check_symbol_versions(contents: WheelContents, facts: Facts) -> Iterator[Misfit]:
    """Compare the versions of symbols with those that the host's system libraries have."""
    glibc = who_has(contents, lambda library: library.glibc, contents.glibc)
    glibcxx = who_has(contents, lambda library: library.glibcxx, contents.glibcxx)
    yield from _check_floor(Aspect.GLIBC, glibc, contents.glibc, facts.system.glibc)
    yield from _check_floor(Aspect.GLIBCXX, glibcxx, contents.glibcxx, facts.system.glibcxx)


def check_instructions(contents: WheelContents, facts: Facts) -> Iterator[Misfit]:
    """Compare the instructions that were found with the host's CPU."""
    has = facts.system.cpu_level
    for path, library in contents.shared_objects.items():
        needs = library.cpu_level or CpuLevel.X86_64_V1  # which every CPU of that machine has
        if needs is not CpuLevel.X86_64_V1 and has.machine in ("", needs.machine) and not runs_code_of(has, needs):
            chooses = library.asks_the_cpu or _CHOOSES_BY_ITSELF in path
            how = ", and chooses them by what the CPU says" if chooses else ""
            evidence = f"{short_name(path)} has {needs.value} instructions{how}, the host has {has.value}"
            yield Misfit(aspect=Aspect.CPU, evidence=f"{evidence} ({facts.system.cpu_model})", is_warning=chooses)


def short_name(path: str) -> str:
    """Return what people call a library: `deepspeed/ops/adam/cpu_adam_op.cpython-311….so` → `cpu_adam_op`."""
    return path.rpartition("/")[2].partition(".")[0]


def who_has(contents: WheelContents, read: Callable[[SharedObject], object], value: object) -> str:
    """Return the names of the libraries of which this value is read."""
    return ", ".join(short_name(path) for path, library in contents.shared_objects.items() if read(library) == value)


def _check_floor(aspect: Aspect, who: str, needs: str | None, has: str | None) -> Iterator[Misfit]:
    if needs and (has is None or version_order(has) < version_order(needs)):
        prefix = aspect.value.upper()
        yield Misfit(aspect=aspect, evidence=f"{who} needs {prefix}_{needs}, the host has {has or 'none'}")


def _python_of(tag: Tag) -> tuple[str, str]:
    return tag.interpreter, tag.abi


@functools.cache
def _accepted_tags(abi: str, machine: str, glibc: str | None) -> frozenset[Tag]:
    """Return the tags that pip takes there: equal hosts share them, because there are a thousand."""
    match = re.match(r"cp(\d)(\d+)", abi)
    if match is None:
        return frozenset()
    version = int(match[1]), int(match[2])
    platforms = tuple(_accepted_platforms(machine, glibc))
    of_python = cpython_tags(version, [abi], platforms)
    return frozenset((*of_python, *compatible_tags(version, f"cp{match[1]}{match[2]}", platforms)))


def _accepted_platforms(machine: str, glibc: str | None) -> Iterator[str]:
    yield f"linux_{machine}"
    for minor in range(_OLDEST_GLIBC, version_order(glibc)[1] + 1) if glibc else ():
        yield f"manylinux_2_{minor}_{machine}"
        if minor in _OLD_NAMES:
            yield f"{_OLD_NAMES[minor]}_{machine}"
