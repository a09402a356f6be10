"""Racks out of ClusterShell's topology.conf: hosts behind the same gateways are in one.

The grammar is that of `TopologyParser` (ClusterShell 1.10.1, lib/ClusterShell/Topology.py): the section `[routes]`, or
`[Main]` where there is none, holds lines `GATEWAYS: HOSTS` (or `=`), which indented lines continue; `#` and `;` begin
comments. Both sides are node sets: `rio[10-13,20],login`. Node groups (`@rack1`) are not read, since they are
another file's, nor operators other than the comma, nor steps (`[0-8/2]`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from orchestrator.config.faults import Faults
from orchestrator.config.names import quoted
from orchestrator.config.ranges import MAX_NAMES, expand_names
from orchestrator.config.suggestion import listed
from orchestrator.config.text_files import read_text

_COMMENT = re.compile(r"(?:^|\s)[#;].*", re.DOTALL)
_SECTION = re.compile(r"\[(.+)\]")
_ROUTE = re.compile(r"([^:=]+)[:=](.*)")
_COMMA = re.compile(r",(?![0-9,/\s-]*\])")
"""One between names, not between the numbers in brackets."""
_SPACE_IN_BRACKETS = re.compile(r"\s(?=[0-9,/\s-]*\])")
_MORE_THAN_NAMES = frozenset("@*?!&^")

_HINT = "ClusterShell's topology.conf is meant, not Slurm's: [routes], and lines like `gateway-[0-1]: worker-[0-31]`"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    line: int
    indent: int
    gateways: str
    hosts: str


def load_racks(path: Path) -> Mapping[str, str]:
    """Return host → its rack, as a topology file says; racks are named by their gateways, as written.

    Raises UsageError when the file is missing or cannot be read, ConfigError with all faults of its text.
    """
    return parse_racks(read_text(path, kind="topology file", hint=_HINT), source=str(path))


def parse_racks(text: str, *, source: str) -> Mapping[str, str]:
    """Return host → its rack, as a topology file's text says; `source` is the file's name for messages.

    A gateway that hosts are behind is in their rack itself, not in that of the gateways before it.
    Raises ConfigError with every fault of the text and its line.
    """
    faults = Faults(source)
    sections = _read_sections(io.StringIO(text, newline=None), faults)
    routes = sections.get("routes", sections.get("Main"))
    if routes is None and not faults:
        faults.add(None, "has no section [routes]")
    racks = _name_racks(routes or (), faults)
    faults.raise_any(hint=_HINT if routes is None else None)
    return racks


def _read_sections(lines: Iterable[str], faults: Faults) -> dict[str, list[_Route]]:
    sections: dict[str, list[_Route]] = {}
    routes: list[_Route] | None = None
    for line, raw in enumerate(lines, start=1):
        uncommented = _COMMENT.sub("", raw).rstrip()
        content = uncommented.lstrip()
        indent = len(uncommented) - len(content)
        if not content:
            continue
        if routes and indent > routes[-1].indent:
            routes[-1] = replace(routes[-1], hosts=f"{routes[-1].hosts} {content}")
        elif section := _SECTION.match(content):
            if section[1] in sections:
                faults.add(line, f"[{section[1]}] is there twice")
            routes = sections[section[1]] = []
        elif routes is not None and (route := _ROUTE.fullmatch(content)):
            routes.append(_Route(line=line, indent=indent, gateways=route[1].strip(), hosts=route[2].strip()))
        else:
            expected = "[routes]" if routes is None else "`GATEWAYS: HOSTS`"
            faults.add(line, f"expected {expected}, found {quoted(content)}")
    return sections


def _name_racks(routes: Iterable[_Route], faults: Faults) -> dict[str, str]:
    names: dict[frozenset[str], str] = {}
    behind: dict[str, str] = {}
    before: dict[str, str] = {}
    for route in routes:
        complain = partial(faults.add, route.line)
        gateways = _expand(route.gateways, complain)
        hosts = _expand(route.hosts, complain)
        rack = names.setdefault(frozenset(gateways), route.gateways)
        elsewhere = [host for host in hosts if behind.get(host, rack) != rack]
        if elsewhere:
            complain(f"{listed(elsewhere)}: behind {behind[elsewhere[0]]} already")
        behind.update(dict.fromkeys(hosts, rack))
        before.update((gateway, rack) for gateway in gateways if gateway not in before)
        if len(behind) > MAX_NAMES:
            complain(f"more than {MAX_NAMES} hosts")
            break
    return behind | before


def _expand(node_set: str, complain: Callable[[str], None]) -> tuple[str, ...]:
    patterns = _COMMA.split(_SPACE_IN_BRACKETS.sub("", node_set)) if node_set else ()
    return tuple(name for pattern in patterns for name in _expand_pattern(pattern.strip(), complain))


def _expand_pattern(pattern: str, complain: Callable[[str], None]) -> tuple[str, ...]:
    if _MORE_THAN_NAMES & set(pattern):
        complain(f"{quoted(pattern)}: node groups, wildcards and operators are not read; write the hosts' names")
        return ()
    return expand_names(pattern, complain)
