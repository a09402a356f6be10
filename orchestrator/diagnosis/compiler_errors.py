"""Find the first error of a compiler or linker in a log, and the source file that it was about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LONGEST_LINE = 4000
"""Compiler command lines may be longer; what tells an error is not."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ERROR = r"(?:fatal error|error|致命错误|错误|[Ss]chwerwiegender Fehler|Fehler|erreur fatale|erreur) ?[:：] ?"  # noqa: RUF001 - as gcc writes it
_ERRORS = (
    # gcc and clang: `csrc/adam/cpu_adam.cpp:12:5: fatal error: x.h: No such file or directory`
    re.compile(rf"^(?P<file>[^\s:()]+):(?P<line>\d+):(?:\d+:)? {_ERROR}(?P<text>.+)"),
    # gcc, of a file that an option of its command line names (`-include`)
    re.compile(r"^<command-line>: (?:fatal )?error: (?P<text>.+)"),
    # nvcc's front end: `csrc/x.cu(12): error: identifier "y" is undefined`
    re.compile(r"^(?P<file>[^\s:()]+)\((?P<line>\d+)\): (?:catastrophic )?error(?: #[\w-]+)?: (?P<text>.+)"),
    # MSVC: `C:\\x\\y.cpp(12): error C2039: 'z': is not a member of 'std'`, `LINK : fatal error LNK1104: …`
    re.compile(r"^(?P<file>(?:[A-Za-z]:)?[^:()]+)\((?P<line>\d+)\): (?:fatal )?error (?P<text>C\d+: .+)"),
    re.compile(r"^LINK : fatal error (?P<text>LNK\d+: .+)"),
    # a linker: `/usr/bin/ld: cannot find -laio: …`, `x.cpp:(.text+0x1): undefined reference to …`
    re.compile(
        r"^\S*\bld(?:\.\w+)?: (?!warning)(?P<text>cannot .+|.*undefined reference.+|.*not recognized.*|.*truncated.*)"
    ),
    re.compile(r"^(?P<file>[^\s:]+):\(\.text\S*\): (?P<text>undefined reference.+)"),
    # a tool itself: `g++: fatal error: Killed signal …`, `nvcc fatal   : Unsupported …`, `ptxas error   : …`
    re.compile(
        r"^\S*\b(?:cc1plus|[\w-]*g\+\+|[\w-]*gcc|c\+\+|clang\S*|nvcc|nvlink|ptxas|cicc|cudafe\+\+)(?:-[\d.]+)?:? "
        r"(?:fatal error|fatal|error)\s*: (?P<text>.+)"
    ),
)
_INCLUDED_FROM = re.compile(r"^(?:In file included| +)\s*from (?P<file>[^\s:]+):\d+(?::\d+)?(?P<end>[:,])$")
_SOURCE_SUFFIXES = (".c", ".cc", ".cpp", ".cxx", ".cu")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerError:
    """What a compiler or linker complained of."""

    text: str
    file: str | None = None
    """Where the error is: often a header. None: the tool named no file."""
    line: int | None = None
    """Line in `file`."""
    source: str | None = None
    """The source file that was being compiled, when the log tells."""
    log_line: int
    """Line of the log, from 1."""


def first_error(lines: Iterable[str]) -> CompilerError | None:
    """Return the first error of a compiler or linker; reads no further and keeps no lines."""
    includer: str | None = None
    for number, line in enumerate(plain_lines(lines), start=1):
        chain = _INCLUDED_FROM.match(line)
        if chain:
            # gcc ends the outermost file, the source, with a colon and the ones between with commas.
            includer = chain["file"] if chain["end"] == ":" else None
        match = match_error(line)
        if match:
            groups = match.groupdict()
            file, at = groups.get("file"), groups.get("line")
            is_source = file is not None and file.endswith(_SOURCE_SUFFIXES)
            return CompilerError(
                text=match["text"],
                file=file,
                line=int(at) if at else None,
                source=file if is_source else includer,
                log_line=number,
            )
    return None


def match_error(line: str) -> re.Match[str] | None:
    """Return the match of a line that is a compiler's or linker's error: groups `text`, perhaps `file` and `line`."""
    return next((match for match in (pattern.match(line) for pattern in _ERRORS) if match), None)


def plain_lines(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines without colours and line ends, cut to 4000 characters."""
    for line in lines:
        yield _COLOURS.sub("", line[:_LONGEST_LINE]).rstrip("\r\n")
