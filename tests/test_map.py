"""orchestrator/README.md is the map of the house: a line for each module, and none for one that is gone."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "orchestrator"


def modules_on_the_map() -> list[str]:
    room, found = "", []
    for line in (PACKAGE / "README.md").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"\*\*(\w+/)\*\*", line):
            room = heading[1]
        elif line.startswith("## "):
            room = ""
        elif entry := re.match(r"- `([\w/]+\.py)`: \S", line):
            found.append(room + entry[1])
    return found


def test_every_module_has_one_line_on_the_map() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    assert sorted(modules_on_the_map()) == sorted(str(path.relative_to(PACKAGE)) for path in files)
