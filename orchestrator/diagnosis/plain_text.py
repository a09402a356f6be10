"""Make lines of logs comparable: what terminals, launchers, containers and quotation add to them is taken away."""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"(?:\x1b|\\x1b|\\033|\\u001b|\^\[)\[[0-9;?]*[A-Za-z]"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\[\d{1,3}(?:;\d{1,3})*m(?!\w*\])"  # colours whose escape character was lost on the way
    r"|\x1b."
)
_BACKSPACES = re.compile(r"[^\x08]\x08")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ufeff\u200b]")
_MOJIBAKE = re.compile("\u00e2\u20ac[\u02dc\u2122\u0153\u009d\u0098\u0099\u201d]?|\u00e2\u0080[\u0098-\u009d]")
"""UTF-8 quotation marks that were read as cp1252 or latin-1."""
_MOJIBAKE_BOXES = re.compile("\u00e2[\u201d\u2022\u2013\u0094-\u0096][\u0080-\uffff]|\u00c3[\u2014\u0097]")
_QUOTES = str.maketrans(
    {**dict.fromkeys("\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u00b4`\u00ab\u00bb\u300c\u300d", "'")}
)
_BOXES = re.compile("[\u2500-\u259f\u25b6\u00d7\u2570\u276f\u2717\u2718\u274c]+|^\\s*(?:\\|->|`->|'->|x(?= ))")
_SPACES = re.compile(r"\s+")
_PREFIX = re.compile(
    r"""(?x)
    \#\d+\ (?:\d+\.\d+\ )?                                               # docker build
    | \d+\.\d{1,3}\ +                                                    # its seconds
    | \d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?[ ,|]+  # timestamps of CI and containers
    | \[(?:\d{4}-\d\d-\d\d\ |\d\d:)\d\d:\d\d[^\]]*\]\ *
    | [IWE]\d{4}\ \d\d:\d\d:\d\d\.\d+\ +\d+\ +                           # glog
    | (?!\[\d+/\d+\])\[(?:rank|default|pod/|\d+,)?[\w./-]*\d\](?:<std(?:err|out)>)?:?\ *  # torch, mpirun, kubectl
    | \d+:\ +                                                            # srun --label
    | \([\w.]+\ pid=\d+(?:,\ ip=[\d.]+)?\)\ *                            # ray
    | (?!(?:ld|gcc|cc|clang|nvcc)-?[\d.]*:)[A-Za-z][A-Za-z0-9.-]*\d:\ +  # pdsh, the DeepSpeed launcher
    | \{"log":"                                                             # docker's json-file
    | \[?std(?:err|out)\]?:?\ +
    | (?:>\ ?)+ | E\ {2,}                                                # mail, pytest
    """
)


def shown(line: bytes) -> str:
    """Return a line as people may see it: no escapes or control characters, without the space around it."""
    text = _BACKSPACES.sub("", _ESCAPES.sub("", _decoded(line)))
    return _CONTROLS.sub("", text.rstrip("\r\n").rpartition("\r")[2]).strip()


def loose(line: bytes) -> str:
    """Return what a line says, to compare: one kind of quotation marks and space, no boxes, no prefixes."""
    text = _MOJIBAKE.sub("'", _MOJIBAKE_BOXES.sub(" ", shown(line))).translate(_QUOTES)
    text = _SPACES.sub(" ", _BOXES.sub(" ", text)).strip()
    for _ in range(6):
        match = _PREFIX.match(text)
        if match is None or not match.end():
            break
        text = text[match.end() :].lstrip()
    return text


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")
