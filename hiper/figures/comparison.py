"""Figure 3's comparison: the same noise under two or three conditionings, and what they change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ..attention.maps import Token
from ..attention.tokens import TAIL, WORD, may_be_padding
from .attention import BAR, COLUMNS, TILE, Named, tile_size
from .heat import colour_bar, signed_tile, tile
from .page import GAP, MARGIN, Heading, page_of, shortened, text_width, write
from .palette import ACCENT, GREY, INK, PAGE, RULE, SIGNED

NARROWEST = 940
UNDER = 24  # room for a token's label below its tile
APART = 14  # between the maps and their differences


@dataclass(frozen=True)
class _Row:
    """One line of tiles: maps `(K, h, w)` with their tokens, or the difference of two."""

    name: str
    tokens: Sequence[Token]
    values: np.ndarray
    draw: Callable[[np.ndarray, tuple[int, int]], Image.Image]
    difference: bool = False


def comparison(
    compared: Sequence[Named], scale: float, heading: Heading, everything: bool = False
) -> Image.Image:
    """Conditionings below each other, token by token, then what each adds to the first."""
    count = min(len(named.tokens) for named in compared)
    shown = [
        index
        for index in range(count)
        if everything or any(not may_be_padding(named.tokens[index]) for named in compared)
    ] or list(range(count))
    rows, signed = _rows(compared, shown, count, scale)
    size = tile_size(compared[0].maps)
    beside = min(max(text_width(row.name, 15) for row in rows), 220) + 2 * GAP
    columns = min(COLUMNS, len(shown))
    width = max(2 * MARGIN + beside + columns * (TILE + GAP) - GAP, NARROWEST)
    parts = [
        _block(rows, indices, size, beside, width)
        for indices in in_blocks(shown, _first_learned(compared, shown), columns)
    ]
    bars = Image.new("RGB", (width, BAR), PAGE)
    colour_bar(bars, (MARGIN, 6), 360, (0.0, scale), "attention probability, one scale for all")
    label = "difference to (a), one scale for all"
    colour_bar(bars, (MARGIN + 420, 6), 360, (-signed, signed), label, SIGNED)
    return page_of(heading, parts, [bars])


def in_blocks(shown: Sequence[int], learned: int, columns: int) -> list[Sequence[int]]:
    """Tokens in lines of so many; where they need several, the tail begins a line of its own."""
    if len(shown) <= columns:
        return [shown]
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


def _rows(
    compared: Sequence[Named], shown: Sequence[int], count: int, scale: float
) -> tuple[list[_Row], float]:
    """Every line of the figure, and the largest difference, which ends the second scale."""
    values = [named.maps.detach().float().cpu().numpy()[:count] for named in compared]
    differences = [other - values[0] for other in values[1:]]
    # the first token takes most of the attention: on its scale no other difference would show
    judged = [index for index in shown if compared[0].tokens[index].index > 0] or list(shown)
    signed = max([float(np.abs(d[judged]).max()) for d in differences] + [1e-6])
    rows = [
        _Row(
            f"({letter}) {named.title}",
            named.tokens,
            maps,
            lambda map_, size: tile(map_, scale, size),
        )
        for letter, named, maps in zip("abc", compared, values, strict=False)
    ]
    rows += [
        _Row(
            f"({letter}) − (a)",
            named.tokens,
            difference,
            lambda map_, size: signed_tile(map_, signed, size),
            True,
        )
        for letter, named, difference in zip("bc", compared[1:], differences, strict=False)
    ]
    return rows, signed


def _block(
    rows: Sequence[_Row], indices: Sequence[int], size: tuple[int, int], beside: int, width: int
) -> Image.Image:
    """As many tokens as fit side by side, all their lines below each other."""
    across, down = size
    heights = [down + (GAP if row.difference else UNDER) for row in rows]
    part = Image.new("RGB", (width, sum(heights) + 2 * APART), PAGE)
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
            learned = token.kind == TAIL
            part.paste(row.draw(row.values[index], size), (x, y))
            if row.difference:
                draw.rectangle([x, y, x + across - 1, y + down - 1], outline=RULE)
            if learned:
                box = [x - 2, y - 2, x + across + 1, y + down + 1]
                draw.rectangle(box, outline=ACCENT, width=2)
            if not row.difference:
                label = shortened(token.label, 14, TILE + GAP - 4)
                colour = ACCENT if learned else INK if token.kind == WORD else GREY
                write(draw, (x + across / 2, y + down + 4), label, 14, colour, "ma")
        y += heights[number]
    return part
