"""Pieces of HTML out of text: escaped here and nowhere else."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.report.wording import clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A coloured part of a bar."""

    share: float
    """Of the longest bar, 0 to 1."""
    colour: str
    """A class of the page's style sheet."""
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A row of a list of bars."""

    name: str
    pieces: tuple[Piece, ...]
    value: str
    title: str = ""


def escaped(text: str) -> str:
    """Return text as HTML, without control characters."""
    return html.escape(clean(text))


def section(title: str, *content: str) -> str:
    """Return something under a heading; `content` is HTML."""
    return f"<section><h3>{escaped(title)}</h3>{''.join(content)}</section>"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows of text under headings: the first column names, the others are figures."""
    head = "".join(f"<th>{escaped(header)}</th>" for header in headers)
    body = "".join(f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def bars(rows: Iterable[Bar]) -> str:
    """Return a list of bars, one a row."""
    return f'<div class="bars">{"".join(map(_bar, rows))}</div>'


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """Return what colours (first) mean."""
    return "".join(f'<span class="key"><i class="{colour}"></i>{escaped(text)}</span>' for colour, text in entries)


def percent(share: float) -> str:
    """Return a share as CSS wants it."""
    return f"{100 * share:.3f}%"


def _bar(row: Bar) -> str:
    pieces = "".join(
        f'<i class="{piece.colour}" style="width:{percent(piece.share)}" title="{escaped(piece.title)}"></i>'
        for piece in row.pieces
    )
    return (
        f'<span class="name" title="{escaped(row.title or row.name)}">{escaped(row.name)}</span>'
        f'<span class="bar">{pieces}</span><span class="value">{escaped(row.value)}</span>'
    )
