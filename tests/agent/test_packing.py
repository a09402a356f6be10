"""What is sent of the agent: the same program, with less text."""

from __future__ import annotations

import ast
import json
import zlib
from pathlib import Path

import pytest

from orchestrator.agent.packing import pack, without_docstrings

SOURCES = sorted((Path(__file__).parents[2] / "orchestrator" / "agent").glob("*.py"))


def statements(source: str) -> str:
    """The program with its line numbers; strings that are statements of their own say nothing."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(value="", lineno=0, col_offset=0)
            node.end_lineno = node.end_col_offset = None
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.end_lineno = node.end_col_offset = None  # a docstring may be its last line
    return ast.dump(tree, include_attributes=True)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_only_docstrings_are_taken_out_and_no_line_moves(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    short = without_docstrings(source)
    assert len(short) < len(source)
    assert statements(short) == statements(source)


def test_a_string_that_is_no_docstring_stays() -> None:
    source = 'A = """one\ntwo\n"""\n\n\ndef f():\n    """Say\n    it."""\n'
    assert without_docstrings(source) == 'A = """one\ntwo\n"""\n\n\ndef f():\n    ""\n\n'


def test_the_whole_agent_is_packed_but_for_what_starts_it() -> None:
    names = set(json.loads(zlib.decompress(pack().content)))
    assert names == {path.name for path in SOURCES} - {"bootstrap.py", "packing.py"}
