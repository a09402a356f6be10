"""The floors of the house: who may import what."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "orchestrator"

FLOOR = {
    "errors": 0,
    "model": 1,
    "agent": 1,
    "ports": 2,
    "config": 3,
    "planning": 3,
    "diagnosis": 3,
    "build": 4,
    "fanout": 4,
    "index": 4,
    "journal": 4,
    "remote": 4,
    "store": 4,
    "audit": 4,
    "report": 4,
    "stages": 5,
    "cli": 6,
}

MAY_IMPORT = {
    "fabric": {"remote"},
    "paramiko": {"remote"},
    "invoke": {"remote"},
    "cryptography": {"fanout"},
    "yaml": {"config", "diagnosis"},
    "typer": {"cli"},
    "click": {"cli"},
    "rich": {"report", "cli"},
    "wheel": {"model", "build", "audit", "store"},
    "packaging": {"model", "config", "planning", "build", "index", "audit", "store"},
    "elftools": {"audit"},
}

FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """The floor's room: the first folder or file name under the package."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def names_in(path: Path) -> set[str]:
    return set(imported_names(ast.parse(path.read_text(encoding="utf-8"))))


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(path) for path in FILES} - {"__init__"}
    assert rooms <= set(FLOOR), f"no floor for: {sorted(rooms - set(FLOOR))}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_floors_below(path: Path) -> None:
    room = room_of(path)
    for name in names_in(path):
        words = name.split(".")
        if words[0] != "orchestrator" or len(words) < 2 or words[1] not in FLOOR or words[1] == room:
            continue
        is_below = FLOOR[words[1]] < FLOOR[room]
        # The agent travels to hosts as text: remote packs it, nobody else touches it.
        assert room != "agent", f"{path} imports {name}: the agent imports nothing of ours"
        assert is_below, f"{path} (floor {FLOOR[room]}) imports {name} (floor {FLOOR[words[1]]})"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_third_parties_stay_in_their_rooms(path: Path) -> None:
    room = room_of(path)
    for name in names_in(path):
        top = name.split(".")[0]
        if top == "orchestrator" or top in sys.stdlib_module_names or top == "__future__":
            continue
        assert top in MAY_IMPORT, f"{path} imports {top}, which no floor may"
        assert room in MAY_IMPORT[top], f"{path} imports {top}: only {sorted(MAY_IMPORT[top])} may"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_grows_past_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_no_file_name_says_nothing() -> None:
    empty_words = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handler", "data", "info"}
    assert not [path for path in FILES if path.stem in empty_words]
