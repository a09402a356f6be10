"""Hostfile text into hosts: DeepSpeed's grammar, our words after it, and ranges.

The grammar is that of `_parse_hostfile` (deepspeed/launcher/runner.py, DeepSpeed 0.19.8): blank lines and lines that
begin with `#` are skipped; every other one is `HOST slots=N`, and what follows the digits is ignored there
(`slots=4 # rack 2`, `slots=4 fast`, even `slots=4x`); a host named twice, or no host at all, is refused.
Texts without our own words are accepted and refused alike, save for names that ssh itself refuses. Ours are:

- `python=PATH`, `user=NAME`, `port=NUMBER` after `slots=N`, before any `#`; any other word with a `=` is refused;
- brackets in a name are a range: `worker-[0-63] slots=8`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from orchestrator.config.faults import Faults
from orchestrator.config.names import fault_of_python, fault_of_user, quoted
from orchestrator.config.ranges import MAX_NAMES, expand_names
from orchestrator.config.suggestion import did_you_mean, listed
from orchestrator.config.text_files import read_text
from orchestrator.model.hosts import Host

MAX_SLOTS = 4096
"""More GPUs than any host has."""

_ENTRY = re.compile(r"(\S+)\s+slots=(\d+)")
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_COMMENT = re.compile(r"(?:^|\s)#.*", re.DOTALL)

Complain = Callable[[str], None]


def load_hostfile(path: Path) -> tuple[Host, ...]:
    """Return the hosts of a hostfile, in its order.

    Raises UsageError when the file is missing or cannot be read, ConfigError with all faults of its text.
    """
    hint = "name one with --hostfile or in $DSDEPLOY_HOSTFILE; a hostfile holds lines like `worker-0 slots=8`"
    return parse_hostfile(read_text(path, kind="hostfile", hint=hint), source=str(path))


def parse_hostfile(text: str, *, source: str) -> tuple[Host, ...]:
    """Return the hosts of a hostfile's text, in its order; `source` is the file's name for messages.

    Raises ConfigError with every fault of the text and its line.
    """
    faults = Faults(source)
    lines: dict[str, int] = {}
    hosts: list[Host] = []
    for line, entry in _entries(text):
        complain = partial(faults.add, line)
        found = _parse_entry(entry, complain)
        known = [host.name for host in found if host.name in lines]
        if known:
            complain(f"{listed(known)}: named before, on line {lines[known[0]]}")
        lines.update((host.name, line) for host in found if host.name not in lines)
        hosts.extend(found)
        if len(hosts) > MAX_NAMES:
            complain(f"more than {MAX_NAMES} hosts")
            break
    if not hosts and not faults:
        faults.add(None, "names no host; a line like `worker-0 slots=8` does")
    faults.raise_any()
    return tuple(hosts)


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and content of the lines that must name hosts; lines end as in a file opened as text."""
    for line, raw in enumerate(_LINE_ENDS.split(text), start=1):
        content = raw.strip()
        if content and not content.startswith("#"):
            yield line, content


def _parse_entry(entry: str, complain: Complain) -> tuple[Host, ...]:
    match = _ENTRY.match(entry)
    if match is None:
        complain(f"expected `HOST slots=N`, found {quoted(entry)}")
        return ()
    slots = _parse_slots(match[2], complain)
    words = _parse_words(entry[match.end() :], complain)
    names = expand_names(match[1], complain)
    user, port, python = (words.get(key) for key in ("user", "port", "python"))
    if user and "@" in match[1]:
        complain(f"{quoted(match[1])} names a user already: leave out user={user}")
    return tuple(
        Host(name=name, slots=slots, user=user, port=int(port) if port else None, python=python) for name in names
    )


def _parse_slots(digits: str, complain: Complain) -> tuple[int, ...]:
    significant = digits.lstrip("0") or "0"
    if len(significant) > len(str(MAX_SLOTS)) or int(significant) > MAX_SLOTS:
        complain(f"slots={digits[:20]}: a host has at most {MAX_SLOTS}")
        return ()
    return tuple(range(int(significant)))


def _parse_words(rest: str, complain: Complain) -> dict[str, str]:
    """Return our words with good values; `rest` is the entry from the end of the slots' digits."""
    words: dict[str, str] = {}
    uncommented = _COMMENT.sub("", rest)
    first_is_glued = not uncommented[:1].isspace()
    for position, word in enumerate(uncommented.split()):
        key, equals, value = word.partition("=")
        is_glued = first_is_glued and position == 0
        fault = _fault_of_word(key, value, is_glued=is_glued) if equals else None
        if fault:
            complain(fault)
        elif equals and key in words:
            complain(f"{key}= is there twice")
        elif equals and not is_glued:
            words[key] = value
    return words


def _fault_of_word(key: str, value: str, *, is_glued: bool) -> str | None:
    if is_glued:
        return f"a space is missing before {key}=" if key in _FAULT_OF_VALUE else None
    if key not in _FAULT_OF_VALUE:
        known = listed(f"{name}=" for name in _FAULT_OF_VALUE)
        return f"unknown word {quoted(key + '=')}: after slots=N come {known}{did_you_mean(key, _FAULT_OF_VALUE)}"
    return _FAULT_OF_VALUE[key](value)


def _fault_of_port(value: str) -> str | None:
    is_port = value.isascii() and value.isdecimal() and len(value) <= 5 and 1 <= int(value) <= 65535
    return None if is_port else f"port={value[:20]}: a number from 1 to 65535 is meant"


_FAULT_OF_VALUE = {"python": fault_of_python, "user": fault_of_user, "port": _fault_of_port}
