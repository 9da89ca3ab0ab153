"""A labelled grid of pictures, laid out like a figure of a paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw

from .lettering import Font, lettering
from .palette import FRAME, INK, PAGE

LARGEST_SIDE = 16384  # pixels; beyond it most programs refuse a picture
LABEL_LINES = 3


@dataclass(frozen=True)
class Labels:
    """What is written around a grid; rows and columns may stay without. As many column labels as
    there are pictures are captions, one above each."""

    title: str = ""
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    source: str = "source"


def shape_of(
    count: int,
    labels: Labels,
    batches: Sequence[int],
    columns: int = 0,
    by_column: bool = False,
) -> tuple[int, int]:
    """How many rows and columns `count` pictures stand in; 0 columns lets the labels decide.

    Without labels, equal batches are rows (columns, by column); else the grid is about square.
    """
    equal = len(batches) > 1 and len(set(batches)) == 1 and batches[0] > 1
    if columns == 0:
        if labels.columns:
            columns = len(labels.columns)
        elif labels.rows:
            columns = -(-count // len(labels.rows))
        elif equal:
            columns = len(batches) if by_column else batches[0]
        else:
            columns = min(range(1, count + 1), key=lambda n: (abs(n - count / n), -n))
    rows = -(-count // columns)
    if len(labels.columns) == count and not by_column:  # captions
        labels = replace(labels, columns=())
    for name, there, wanted in (
        ("column", len(labels.columns), columns),
        ("row", len(labels.rows), rows),
    ):
        if there and there != wanted:
            raise ValueError(
                f"{count} pictures stand in {rows} rows of {columns}, but there are {there} "
                f"{name} labels: give {wanted}, or none."
            )
    return rows, columns


def by_rows(pictures: Sequence[Image.Image], shape: tuple[int, int]) -> list[Image.Image]:
    """Pictures that were given column by column, row by row; only a full grid can be turned."""
    rows, columns = shape
    if len(pictures) != rows * columns:
        raise ValueError(
            f"{len(pictures)} pictures don't fill {rows} rows of {columns}: choose the order "
            "'row by row', or give as many pictures as there are places."
        )
    return [pictures[column * rows + row] for row in range(rows) for column in range(columns)]


def picture_grid(
    pictures: Sequence[Image.Image],
    shape: tuple[int, int],
    labels: Labels,
    cell: int = 256,
    source: Image.Image | None = None,
) -> Image.Image:
    """Pictures row by row, labels above and to the left, the source picture before them all."""
    page = _Page(pictures, shape, labels, cell, source)
    return page.drawn()


class _Page:
    """Measures first, then draws: every size below is in pixels of the finished page."""

    def __init__(
        self,
        pictures: Sequence[Image.Image],
        shape: tuple[int, int],
        labels: Labels,
        cell: int,
        source: Image.Image | None,
    ) -> None:
        self.rows, self.columns = shape
        self.labels, self.source = labels, source
        ratio = max(picture.height / picture.width for picture in pictures)
        self.width, self.height = cell, max(1, round(cell * ratio))
        self.pictures = [fitted(picture, self.width, self.height) for picture in pictures]
        self.text = max(11, round(cell * 0.062))
        self.line = line_of(self.text)
        self.title_text = round(self.text * 1.4)
        self.gap = max(2, cell // 42)
        self.margin = max(10, cell // 14)

        self.above = [wrapped(text, self.text, self.width) for text in labels.columns]
        self.beside = [wrapped(text, self.text, round(self.width * 0.8)) for text in labels.rows]
        lines = max((len(text) for text in self.above), default=0)
        self.captioned = len(self.above) not in (0, self.columns)
        self.caption = lines * self.line + self.gap if self.captioned else 0
        if source is not None and labels.source:
            lines = max(lines, 1)
        self.source_width = self.width + 6 * self.gap if source is not None else 0
        widest = max(
            (measured(line, self.text) for text in self.beside for line in text), default=0
        )
        self.left = self.margin + self.source_width + (widest + 2 * self.gap if widest else 0)
        right = self.left + self.columns * (self.width + self.gap) - self.gap + self.margin
        self.title = wrapped(labels.title, self.title_text, right - 2 * self.margin)
        more = (len(self.title) - 1) * line_of(self.title_text)  # than one line
        self.top = self.margin + (round(self.text * 2.4) + more if self.title else 0)
        self.top += lines * self.line + self.gap if lines and not self.captioned else 0
        bottom = self._row(self.rows - 1) + self.height + self.margin
        self.size = right, bottom
        if max(self.size) > LARGEST_SIDE:
            raise ValueError(
                f"The grid would be {right}×{bottom} pixels; at most {LARGEST_SIDE} a side: "
                f"choose a cell below {cell}, or fewer pictures."
            )

    def drawn(self) -> Image.Image:
        page = Image.new("RGB", self.size, PAGE)
        draw = ImageDraw.Draw(page)
        self._lines(draw, self.title, self.margin, self.margin, "lt", self.title_text)
        for place, lines in enumerate(self.above):
            row, column = divmod(place, self.columns)
            x = self.left + column * (self.width + self.gap) + self.width // 2
            self._lines(draw, lines, x, self._row(row) - self.gap - len(lines) * self.line, "ma")
        for row, lines in enumerate(self.beside):
            y = self._row(row) + (self.height - len(lines) * self.line) // 2
            self._lines(draw, lines, self.left - 2 * self.gap, y, "ra")
        for place, picture in enumerate(self.pictures):
            row, column = divmod(place, self.columns)
            page.paste(picture, (self.left + column * (self.width + self.gap), self._row(row)))
        if self.source is not None:
            self._draw_source(page, draw)
        return page

    def _row(self, row: int) -> int:
        return self.top + self.caption + row * (self.height + self.gap + self.caption)

    def _draw_source(self, page: Image.Image, draw: ImageDraw.ImageDraw) -> None:
        """The source in the middle of the rows' height, a hairline between it and the grid."""
        middle = (self._row(0) + self._row(self.rows - 1) + self.height) // 2
        picture = fitted(self.source, self.width, self.height)
        y = middle - self.height // 2
        page.paste(picture, (self.margin, y))
        if self.labels.source:
            x = self.margin + self.width // 2
            self._lines(draw, [self.labels.source], x, y - self.gap - self.line, "ma")
        x = self.margin + self.width + 3 * self.gap
        draw.line([x, self._row(0), x, self._row(self.rows - 1) + self.height - 1], FRAME, 1)

    def _lines(
        self,
        draw: ImageDraw.ImageDraw,
        lines: Sequence[str],
        x: int,
        y: int,
        anchor: str,
        size: int | None = None,
    ) -> None:
        size = size or self.text
        for number, line in enumerate(lines):
            text, font = lettering(line, size)
            draw.text((x, y + number * line_of(size)), text, INK, font, anchor=anchor)


def line_of(size: int) -> int:
    """Height in pixels of a line of this lettering."""
    return round(size * 1.3)


def fitted(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The whole picture, as large as it fits, in the middle of a white cell."""
    scale = min(width / picture.width, height / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    resized = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    if size == (width, height):
        return resized
    cell = Image.new("RGB", (width, height), PAGE)
    cell.paste(resized, ((width - size[0]) // 2, (height - size[1]) // 2))
    return cell


def measured(text: str, size: int) -> int:
    """Width in pixels."""
    drawable, font = lettering(text, size)
    return round(font.getlength(drawable))


def wrapped(text: str, size: int, width: int, most: int = LABEL_LINES) -> list[str]:
    """The text in lines that fit, broken between words; what is too long ends in an ellipsis."""
    drawable, font = lettering(" ".join(text.split()), size)
    lines: list[str] = []
    for word in drawable.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines += _broken(word, font, width)
    if len(lines) > most:
        lines = lines[:most]
        lines[-1] += "…"
    while lines and font.getlength(lines[-1]) > width and len(lines[-1]) > 1:
        lines[-1] = lines[-1].rstrip("…")[:-1].rstrip() + "…"
    return [line for line in lines if line]


def _broken(word: str, font: Font, width: int) -> list[str]:
    """A word that is wider than a line, in pieces: some languages write without spaces."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and font.getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces
