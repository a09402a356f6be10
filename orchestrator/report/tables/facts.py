"""The facts of hosts as rows: hosts that read alike share one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from rich.table import Table

from orchestrator.model.facts import Facts, Gpu, Interpreter, System, Tool
from orchestrator.planning.archs import arch_of
from orchestrator.planning.folding import fold_hosts
from orchestrator.report import wording
from orchestrator.report.page import make_table

_CPU_NOISE = re.compile(r"\((?:R|TM)\)|\bCPU\b|\b\d+-Core\b|\bProcessor\b|@.*", re.IGNORECASE)

Cells = tuple[str, ...]


def facts_table(facts: Mapping[str, Facts]) -> Table:
    """Return a row for hosts that differ in free disk, memory and paths only; those are told as a range."""
    rows: dict[Cells, list[str]] = {}
    for host, found in facts.items():
        rows.setdefault(_cells(found), []).append(host)
    return make_table(
        ("HOSTS", "SYSTEM", "HARDWARE", "PYTHON", "TOOLS"),
        _spaced([_row(cells, hosts, [facts[host] for host in hosts]) for cells, hosts in rows.items()]),
    )


def _spaced(rows: Sequence[Cells]) -> Iterator[Cells]:
    """Put an empty row between each two: these rows are several lines tall."""
    for index, row in enumerate(rows):
        if index:
            yield ("",) * len(row)
        yield row


def _row(cells: Cells, hosts: Sequence[str], members: Sequence[Facts]) -> Cells:
    system, hardware, python, tools = cells
    return _names(hosts), f"{system}\n{_room(members)}", hardware, _with_place(python, members), tools


def _cells(facts: Facts) -> Cells:
    """Return what must read alike for hosts to share a row: system, hardware, Python, tools."""
    hardware = [*_cpu_words(facts.system), *_gpu_words(facts.gpus)]
    python = _python_words(facts.interpreter) if facts.interpreter else ["no interpreter"]
    return tuple("\n".join(words) for words in (_system_words(facts.system), hardware, python, _tool_words(facts)))


def _names(hosts: Sequence[str]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{fold_hosts(hosts)}\n{wording.count(len(hosts), 'host')}"


def _room(members: Sequence[Facts]) -> str:
    words = [f"{wording.memory_range(facts.system.memory_bytes for facts in members)} memory"]
    tightest = [min(disk.free_bytes for disk in facts.disks) for facts in members if facts.disks]
    if tightest:
        words.append(f"{wording.size_range(tightest)} free")
    return "\n".join(words)


def _with_place(python: str, members: Sequence[Facts]) -> str:
    """Add where the interpreter lies, when it is the same place on all hosts of the row."""
    places = {facts.interpreter.executable for facts in members if facts.interpreter}
    return "\n".join([python, *places]) if len(places) == 1 else python


def _system_words(system: System) -> list[str]:
    glibc = f"glibc {system.glibc}" if system.glibc else "no glibc"
    return [system.os, glibc, *([f"GLIBCXX {system.glibcxx}"] if system.glibcxx else [])]


def _cpu_words(system: System) -> list[str]:
    model = " ".join(_CPU_NOISE.sub(" ", system.cpu_model).split())
    return [model or system.machine, f"{system.cpu_level.value}, {wording.count(system.cpu_cores, 'core')}"]


def _gpu_words(gpus: Sequence[Gpu]) -> list[str]:
    kinds = Counter((gpu.name, _arch(gpu)) for gpu in gpus)
    drivers = sorted({gpu.driver for gpu in gpus if gpu.driver})
    words = [" ".join(word for word in (f"{number} x", name, arch) if word) for (name, arch), number in kinds.items()]
    return [*(words or ["no GPU"]), *(f"driver {driver}" for driver in drivers)]


def _arch(gpu: Gpu) -> str:
    capability = gpu.compute_capability
    return arch_of(capability) if capability else gpu.gfx or ""


def _python_words(interpreter: Interpreter) -> list[str]:
    torch, deepspeed = interpreter.torch, interpreter.deepspeed
    return [
        f"{interpreter.version} {interpreter.abi_tag}",
        f"torch {torch.version}" if torch else "no torch",
        f"DeepSpeed {deepspeed.version}" if deepspeed else "no DeepSpeed",
        *([wording.count(sum(deepspeed.installed_ops.values()), "prebuilt op")] if deepspeed else []),
    ]


def _tool_words(facts: Facts) -> list[str]:
    compiler = next((tool for tool in facts.compilers if tool.is_working), None)
    return [
        _tool_word("C++ compiler", compiler or next(iter(facts.compilers), None)),
        _tool_word("nvcc", facts.nvcc),
        _tool_word("ninja", facts.ninja),
        "libaio" if facts.has_libaio else "no libaio",
    ]


def _tool_word(role: str, tool: Tool | None) -> str:
    """Write `g++ 12.2.0`; a tool that is there and does not run says how it failed."""
    if tool is None:
        return f"no {role}"
    return f"{PurePosixPath(tool.path).name} {tool.version or f'fails: {tool.error}'}"
