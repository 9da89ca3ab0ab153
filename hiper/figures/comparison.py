"""Figure 3's comparison: the same noise under two or three conditionings, and what they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ..attention.maps import Token
from ..attention.tokens import TAIL, WORD, may_be_padding
from .attention import BAR, COLUMNS, TILE, Named, tile_size
from .heat import colour_bar, signed_tile, tile
from .page import GAP, MARGIN, Heading, page_of, shortened, text_width, write
from .palette import ACCENT, BLANK, GREY, INK, PAGE, RULE, SIGNED

BAR_WIDTH = 280
BETWEEN_BARS = 60
UNDER = 24  # room for a token's label below its tile
APART = 14  # between the maps and their differences


@dataclass(frozen=True)
class _Row:
    """One line of tiles: maps `(K, h, w)` with their tokens, or the difference of two."""

    name: str
    tokens: Sequence[Token]
    values: np.ndarray
    difference: bool = False


def comparison(
    compared: Sequence[Named], heading: Heading, everything: bool = False
) -> Image.Image:
    """Conditionings below each other, token by token, then what each adds to the first: a block for
    the words and one for the tail, each on a scale of its own."""
    count = min(len(named.tokens) for named in compared)
    shown = [
        index
        for index in range(count)
        if everything or any(not may_be_padding(named.tokens[index]) for named in compared)
    ] or list(range(count))
    rows = _rows(compared, count)
    size = tile_size(compared[0].maps)
    beside = min(max(text_width(row.name, 15) for row in rows), 220) + 2 * GAP
    blocks = in_blocks(shown, _first_learned(compared, shown), COLUMNS)
    columns = max(len(block) for block in blocks)
    tiles = columns * (TILE + GAP) - GAP
    width = 2 * MARGIN + beside + max(tiles, 2 * BAR_WIDTH + BETWEEN_BARS)
    parts = [_block(rows, indices, size, beside, width) for indices in blocks]
    return page_of(heading, parts, [])


def in_blocks(shown: Sequence[int], learned: int, columns: int) -> list[Sequence[int]]:
    """Tokens in lines of so many; the tail begins a line of its own."""
    parts = [shown[:learned], shown[learned:]]
    return [
        part[first : first + columns] for part in parts for first in range(0, len(part), columns)
    ]


def _first_learned(compared: Sequence[Named], shown: Sequence[int]) -> int:
    """Where in `shown` the first tail of any conditioning begins; its end if there is none."""
    for place, index in enumerate(shown):
        if any(named.tokens[index].kind == TAIL for named in compared):
            return place
    return len(shown)


def _rows(compared: Sequence[Named], count: int) -> list[_Row]:
    """Every line of the figure."""
    values = [named.maps.detach().float().cpu().numpy()[:count] for named in compared]
    rows = [
        _Row(f"({letter}) {named.title}", named.tokens, maps)
        for letter, named, maps in zip("abc", compared, values, strict=False)
    ]
    return rows + [
        _Row(f"({letter}) − (a)", named.tokens, other - values[0], True)
        for letter, named, other in zip("bc", compared[1:], values[1:], strict=False)
    ]


def _scale(rows: Sequence[_Row], indices: Sequence[int], difference: bool) -> float:
    """The highest value of a block, the start of the sequence left out: it takes most of the
    attention, and on its scale nothing else would show."""
    judged = [index for index in indices if index > 0] or list(indices)
    found = [np.abs(row.values[judged]).max() for row in rows if row.difference == difference]
    return max([float(highest) for highest in found] + [1e-6])


def _block(
    rows: Sequence[_Row], indices: Sequence[int], size: tuple[int, int], beside: int, width: int
) -> Image.Image:
    """As many tokens as fit side by side, all their lines below each other, and their scales."""
    across, down = size
    scales = {difference: _scale(rows, indices, difference) for difference in (False, True)}
    heights = [down + (GAP if row.difference else UNDER) for row in rows]
    part = Image.new("RGB", (width, sum(heights) + 2 * APART + BAR), PAGE)
    draw = ImageDraw.Draw(part)
    y = 0
    for number, row in enumerate(rows):
        if row.difference and not rows[number - 1].difference:
            y += APART
        name = shortened(row.name, 15, beside - GAP)
        write(draw, (MARGIN, y + down / 2), name, 15, GREY if row.difference else INK, "lm")
        for column, index in enumerate(indices):
            x = MARGIN + beside + column * (TILE + GAP) + (TILE - across) // 2
            token = row.tokens[index]
            part.paste(_tile(row, index, scales[row.difference], size), (x, y))
            learned = token.kind == TAIL
            if row.difference or index == 0:
                draw.rectangle([x, y, x + across - 1, y + down - 1], outline=RULE)
            if learned:
                box = [x - 2, y - 2, x + across + 1, y + down + 1]
                draw.rectangle(box, outline=ACCENT, width=2)
            if not row.difference:
                label = shortened(token.label, 14, TILE + GAP - 4)
                colour = ACCENT if learned else INK if token.kind == WORD else GREY
                write(draw, (x + across / 2, y + down + 4), label, 14, colour, "ma")
        y += heights[number]
    y += APART
    left = MARGIN + beside
    whose = "these tokens" if indices[0] else "all but the start"
    colour_bar(part, (left, y), BAR_WIDTH, (0.0, scales[False]), f"probability, of {whose}")
    if any(row.difference for row in rows):
        ends = (-scales[True], scales[True])
        place = (left + BAR_WIDTH + BETWEEN_BARS, y)
        colour_bar(part, place, BAR_WIDTH, ends, "difference to (a)", SIGNED)
    return part


def _tile(row: _Row, index: int, scale: float, size: tuple[int, int]) -> Image.Image:
    """A map in the block's colours; the start's, which is far above them, as a number."""
    values = row.values[index]
    if index > 0:
        return (signed_tile if row.difference else tile)(values, scale, size)
    plain = Image.new("RGB", size, BLANK)
    mean = float(values.mean())
    said = f"{mean:+.3f}" if row.difference else f"{mean:.2f}"
    write(ImageDraw.Draw(plain), (size[0] / 2, size[1] / 2), said, 15, GREY, "mm")
    return plain
