"""What a wheel's files show, and what it is to each host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.text import Text

from orchestrator.model.audit import FitVerdict, Misfit, SharedObject, WheelContents
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.page import BAD, GOOD, Drawing, Page, line, make_details, make_table, said, stacked, titled
from orchestrator.report.wording import count, size

_REQUIRES_TORCH = re.compile(r"torch(?![\w.-])")
_HEADERS = ("LIBRARY", "SIZE", "CPU", "GPU CODE", "TORCH SYMBOLS", "NOTES")


def wheel_contents(contents: WheelContents, verdicts: Mapping[str, FitVerdict]) -> RenderableType:
    """Draw all of a wheel, and one verdict for all hosts that it is the same for."""
    return Drawing(lambda page: _contents(contents, verdicts, page))


def _contents(contents: WheelContents, verdicts: Mapping[str, FitVerdict], page: Page) -> RenderableType:
    libraries = contents.shared_objects
    table = make_table(_HEADERS, (_row(path, library) for path, library in libraries.items())) if libraries else None
    return stacked(
        titled(f"{contents.filename}  {size(contents.size_bytes)}", make_details(_wheel_rows(contents))),
        table,
        titled("on the hosts", *_verdicts(verdicts, page)) if verdicts else None,
    )


def _wheel_rows(contents: WheelContents) -> Iterator[tuple[str, str]]:
    libraries = contents.shared_objects.values()
    yield "for", ", ".join(contents.tags)
    if contents.installed_ops:
        yield "ops", _words(op for op, is_built in contents.installed_ops.items() if is_built)
        yield "without", _words(op for op, is_built in contents.installed_ops.items() if not is_built)
    yield (
        "manifest",
        f"of recipe {contents.manifest.recipe}" if contents.manifest else "none: dsdeploy did not build it",
    )
    yield "torch", _torch(contents)
    yield "symbols", _floors(contents) or "no versioned symbol of glibc or libstdc++"
    yield "libraries", _words(sorted(_from_elsewhere(contents)))
    yield "searched", _words(sorted({folder for library in libraries for folder in library.search_path if folder}))


def _torch(contents: WheelContents) -> str:
    abis = {library.cxx11_abi for library in contents.shared_objects.values()} - {None}
    words = [requirement for requirement in contents.requires if _REQUIRES_TORCH.match(requirement)]
    if contents.manifest:
        words = [contents.manifest.signature.torch_version]
    elif contents.torch.get("version"):
        words = [contents.torch["version"]]
    words += [f"C++11 ABI {'on' if abi else 'off'}" for abi in sorted(abis, key=bool)]
    if contents.torch_symbols:
        words.append(count(len(contents.torch_symbols), "symbol"))
    return ", ".join(words) or "not used"


def _floors(contents: WheelContents) -> str:
    floors = (("GLIBC", contents.glibc), ("GLIBCXX", contents.glibcxx), ("CXXABI", contents.cxxabi))
    return ", ".join(f"{name} {version}" for name, version in floors if version)


def _from_elsewhere(contents: WheelContents) -> set[str]:
    brought = {path.rpartition("/")[2] for path in contents.shared_objects}
    return {name for library in contents.shared_objects.values() for name in library.needed} - brought


def _words(words: Iterable[str]) -> str:
    return " ".join(words) or "none"


def _row(path: str, library: SharedObject) -> Sequence[str]:
    return (
        path.partition(".cpython-")[0],
        size(library.size_bytes),
        library.cpu_level.value if library.cpu_level else library.machine,
        _gpu_code(library),
        str(len(library.torch_symbols) or ""),
        ", ".join(_notes(library)),
    )


def _gpu_code(library: SharedObject) -> str:
    ptx = f"PTX {' '.join(library.ptx_archs)}" if library.ptx_archs else ""
    words = " + ".join(part for part in (" ".join(library.gpu_archs), ptx) if part)
    return words or ("of an unknown kind" if library.has_device_code else "")


def _notes(library: SharedObject) -> Iterator[str]:
    if library.has_debug_sections:
        yield "debug sections"
    if library.asks_the_cpu:
        yield "asks the CPU"
    if not library.is_stripped:
        yield "not stripped"


def _verdicts(verdicts: Mapping[str, FitVerdict], page: Page) -> Iterator[RenderableType]:
    """Yield a block for each verdict, with all hosts that have it."""
    for verdict in dict.fromkeys(verdicts.values()):
        hosts = fold_hosts(host for host, each in verdicts.items() if each == verdict)
        mark = (page.marks.good, GOOD) if verdict.fits else (page.marks.bad, BAD)
        yield said(mark, f"{hosts}: {'it fits' if verdict.fits else 'it cannot work'}")
        yield from _reasons(page.marks.bad, verdict.misfits)
        yield from _reasons(page.marks.note, verdict.warnings)


def _reasons(mark: str, misfits: Iterable[Misfit]) -> Iterator[Text]:
    return (line("  ", mark, " ", misfit.evidence) for misfit in misfits)
