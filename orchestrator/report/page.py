"""What a page offers, and drawings that suit themselves to it when they are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from orchestrator.report.wording import clean

GOOD = "green"
BAD = "bold red"
FAINT = "dim"
STRONG = "bold"

Words = str | tuple[str, str]
"""Text, or text with a style. Colour never says anything that the text does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The signs that stand before words."""

    good: str
    bad: str
    note: str
    dot: str
    full: str
    empty: str
    spinner: str


UNICODE = Marks(good="✓", bad="✗", note="!", dot="·", full="█", empty="░", spinner="⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
ASCII = Marks(good="ok", bad="FAIL", note="!", dot="-", full="#", empty=".", spinner="|/-\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Where something is drawn: how wide, in cells, and with which marks."""

    width: int
    marks: Marks


class Drawing:
    """Something that is drawn when its page is known; rich prints it.

    On a page without Unicode every character that it cannot show becomes `?`.
    """

    def __init__(self, draw: Callable[[Page], RenderableType]) -> None:
        self._draw = draw

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        page = Page(width=options.max_width, marks=ASCII if options.ascii_only else UNICODE)
        for segment in console.render(self._draw(page), options):
            yield _in_ascii(segment) if options.ascii_only else segment


def line(*words: Words) -> Text:
    """Return one text of words, cleaned of what could move the cursor; no markup is read from it."""
    text = Text()
    for word in words:
        content, style = word if isinstance(word, tuple) else (word, "")
        text.append(clean(content), style)
    return text


def said(mark: Words, text: str, hint: str | None = None) -> Text:
    """Return a message behind its mark, its further lines and its hint indented."""
    first, *others = text.split("\n")
    told = line(mark, f" {first}", *(f"\n  {other}" for other in others))
    if hint:
        told.append_text(line("\n  ", ("hint: ", STRONG), hint.replace("\n", "\n  ")))
    return told


def stacked(*parts: RenderableType | None) -> Group:
    """Return the parts that are there, an empty line between each two."""
    there = [part for part in parts if part is not None]
    return Group(*(each for index, part in enumerate(there) for each in ((line(), part) if index else (part,))))


def titled(title: str, *content: RenderableType) -> Group:
    """Return something under a heading."""
    return Group(line((title, STRONG)), *content)


def make_table(headers: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Return rows under headings, without lines; cells wrap and hide nothing, a column without content is left out."""
    texts = [[line(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=STRONG)
    shown = [index for index in range(len(headers)) if any(row[index] for row in texts)]
    for index in shown:
        table.add_column(line(headers[index]), overflow="fold")
    for row in texts:
        table.add_row(*(row[index] for index in shown))
    return table


def make_details(rows: Iterable[tuple[str, RenderableType]], *, indent: int = 2) -> Table:
    """Return names and values, one pair a row, the values in one column."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style=FAINT)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(line(" " * indent, name), line(value) if isinstance(value, str) else value)
    return table


def _in_ascii(segment: Segment) -> Segment:
    return segment._replace(text=segment.text.encode("ascii", "replace").decode("ascii"))
