"""A table as a picture: names to the left, numbers under their headings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from .page import MARGIN, Heading, page_of, shortened, text_width, write
from .palette import GREY, INK, PAGE, RULE

LINE, APART = 34, 34
LETTERS, SMALL = 17, 14
WIDEST_NAME = 320
NONE = "–"


@dataclass(frozen=True)
class Row:
    """A name and a number a column, None where there is none."""

    name: str
    values: Sequence[float | None]


def table(
    heading: Heading, columns: Sequence[str], rows: Sequence[Row], notes: Sequence[str] = ()
) -> Image.Image:
    """Rows under their headings, and what is to be said of them below."""
    names = min(max([text_width(row.name, LETTERS) for row in rows] + [80]), WIDEST_NAME)
    widths = [max(text_width(column, LETTERS), text_width("0.000", LETTERS)) for column in columns]
    inner = names + sum(width + APART for width in widths)
    inner = max(inner, text_width(heading.title, 22), 420)
    page = Image.new("RGB", (inner + 2 * MARGIN, LINE * (len(rows) + 1) + 12), PAGE)
    draw = ImageDraw.Draw(page)
    right = MARGIN + names
    for column, width in zip(columns, widths, strict=True):
        right += width + APART
        write(draw, (right, 4), column, LETTERS, GREY, "ra")
    draw.line((MARGIN, LINE - 2, page.width - MARGIN, LINE - 2), RULE, 1)
    for number, row in enumerate(rows, start=1):
        y, right = LINE * number + 6, MARGIN + names
        write(draw, (MARGIN, y), shortened(row.name, LETTERS, names), LETTERS)
        for value, width in zip(row.values, widths, strict=True):
            right += width + APART
            told = NONE if value is None else in_places(value)
            write(draw, (right, y), told, LETTERS, GREY if value is None else INK, "ra")
    bottom = LINE * (len(rows) + 1) + 6
    draw.line((MARGIN, bottom, page.width - MARGIN, bottom), RULE, 1)
    return page_of(heading, [page, *_notes(notes, page.width)], [])


def in_places(value: float) -> str:
    """Three places, and no minus before nothing."""
    return f"{round(value, 3) + 0.0:.3f}"


def _notes(notes: Sequence[str], width: int) -> list[Image.Image]:
    lines = [line for note in notes for line in _lines(note, width - 2 * MARGIN)]
    if not lines:
        return []
    page = Image.new("RGB", (width, 20 * len(lines) + 8), PAGE)
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        write(draw, (MARGIN, 20 * number), line, SMALL, GREY)
    return [page]


def _lines(text: str, width: int) -> list[str]:
    """The text in lines that fit."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, SMALL) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
