"""Turns what a command printed (standard input, with its colours) into an SVG: picture.py FILE TITLE."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

WIDTH = 100
_FONT_FACE = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)
"""A picture fetches nothing: without the face the browser takes its own monospace."""


def main() -> None:
    """Draw the text as a terminal window and pass it on to standard output."""
    file, title = sys.argv[1:]
    said = []
    for line in sys.stdin:
        sys.stdout.write(line)
        sys.stdout.flush()
        said.append(line)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "bold green"), (title, "bold")))
    console.print(Text.from_ansi("".join(said).rstrip()))
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    drawn = console.export_svg(title=title, theme=MONOKAI)
    Path(file).write_text(_FONT_FACE.sub("", drawn), encoding="utf-8")


if __name__ == "__main__":
    main()
