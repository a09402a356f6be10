"""Draws who takes from whom: a tree whose chains take one line, however long they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.tree import Tree

from orchestrator.model.fanout import Topology
from orchestrator.planning.folding import fold_hosts
from orchestrator.report.page import line

_NUMBERS = re.compile(r"([0-9]+)")

Children = Mapping[str | None, Sequence[str]]


def draw_topology(topology: Topology) -> RenderableType:
    """Return a tree under the controller and one under each seed; every host is in it once."""
    children = topology.children
    trees: list[Tree] = []
    for root in children:
        if root is None or root not in topology.parents:
            trees.append(Tree(line(root or "controller", " holds it already" if root else "")))
            _grow(trees[-1], root, children)
    return Group(*trees)


def _grow(tree: Tree, root: str | None, children: Children) -> None:
    waiting = [(tree, root)]
    while waiting:
        branch, parent = waiting.pop()
        leaves = [host for host in children[parent] if host not in children]
        if len(leaves) > 1:
            branch.add(line(_in_order(leaves), " side by side"))
        for first in children[parent]:
            if len(leaves) > 1 and first not in children:
                continue
            chain = _chain(first, children)
            twig = branch.add(line(_in_order(chain), " one after another" if len(chain) > 1 else ""))
            if chain[-1] in children:
                waiting.append((twig, chain[-1]))


def _chain(first: str, children: Children) -> list[str]:
    """Return the hosts from `first` on that serve one other each, and the one after them."""
    chain = [first]
    while len(following := children.get(chain[-1], ())) == 1:
        chain.append(following[0])
    return chain


def _in_order(hosts: Sequence[str]) -> str:
    """Fold names without changing their order: `worker-[8-9], worker-[0-3]`."""
    return ", ".join(map(fold_hosts, _stretches(hosts)))


def _stretches(hosts: Sequence[str]) -> Iterator[list[str]]:
    stretch = [hosts[0]]
    for host in hosts[1:]:
        if not _follows(stretch[-1], host):
            yield stretch
            stretch = []
        stretch.append(host)
    yield stretch


def _follows(before: str, after: str) -> bool:
    """Tell whether the names differ in one number, which is higher by one."""
    pieces = zip(_NUMBERS.split(before), _NUMBERS.split(after), strict=False)
    different = [(old, new) for old, new in pieces if old != new]
    if len(different) != 1:
        return False
    ((old, new),) = different
    return old.isdecimal() and new.isdecimal() and int(new) == int(old) + 1
