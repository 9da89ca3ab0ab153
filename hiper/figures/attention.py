"""Whole figures of attention maps: every token of a prompt, tokens over time, prompts compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from ..attention.maps import Token
from ..attention.tokens import PAD, TAIL
from .heat import colour_bar, tile
from .lettering import lettering
from .page import GAP, MARGIN, Heading, page_of, shortened, text_width, write
from .palette import ACCENT, GREY, INK, PAGE, RULE

COLUMNS = 11
TILE, TALLEST, SMALL = 100, 170, 45
PAGE_WIDTH = 2 * MARGIN + COLUMNS * (TILE + GAP) - GAP
BAR = 78  # height of a colour bar with its words


@dataclass(frozen=True)
class Named:
    """The maps `(K, H, W)` of one conditioning's tokens, and what to call it."""

    title: str
    tokens: list[Token]
    maps: Tensor


def tile_size(maps: Tensor, width: int = TILE) -> tuple[int, int]:
    """Width and height of a tile in the maps' own shape."""
    height, across = maps.shape[-2:]
    scale = min(width / across, width * TALLEST / TILE / height)
    return max(8, round(across * scale)), max(8, round(height * scale))


def token_grid(shown: Named, scale: float, heading: Heading) -> Image.Image:
    """Every token of one conditioning (Figure 3): words, the tail (each token and all together),
    then small the padding."""
    values = shown.maps.detach().float().cpu().numpy()
    rows = list(zip(shown.tokens, values, strict=True))
    tails = [row for row in rows if row[0].kind == TAIL]
    pads = [row for row in rows if row[0].kind == PAD]
    words = [row for row in rows if row[0].kind not in (TAIL, PAD)]
    labelled = any(token.text and token.kind != TAIL for token in shown.tokens)
    learned = f"HiPer tail  ·  {len(tails)} learned token{'s' if len(tails) > 1 else ''}"
    sections = [
        (
            f"{'Prompt' if labelled else 'Tokens'}  ·  {len(words)}",
            words,
            TILE if labelled or not tails else SMALL,
        ),
        (learned, tails + whole_tails(tails), TILE),
        (f"Padding  ·  {len(pads)}", pads, SMALL),
    ]
    parts = [
        _section(title, section, shown.maps, scale, width)
        for title, section, width in sections
        if section
    ]
    return page_of(heading, parts, [_bar(scale, len(rows)), _above(rows, scale)])


def whole_tails(rows: Sequence[tuple[Token, np.ndarray]]) -> list[tuple[Token, np.ndarray]]:
    """The maps of each tail's tokens added up: how likely a cell looks at the tail at all."""
    tails: dict[str, list[tuple[Token, np.ndarray]]] = {}
    for token, values in rows:
        tails.setdefault(token.label.rpartition("-")[0], []).append((token, values))
    return [
        (
            replace(tail[0][0], label=f"{name} · all" if name else f"all {len(tail)}"),
            np.sum([values for _, values in tail], axis=0),
        )
        for name, tail in tails.items()
        if len(tail) > 1
    ]


def _section(
    title: str, rows: Sequence[tuple[Token, np.ndarray]], maps: Tensor, scale: float, width: int
) -> Image.Image:
    across, down = tile_size(maps, width)
    small = width == SMALL
    # two small tiles take exactly the room of one large one
    columns = 2 * COLUMNS if small else COLUMNS
    text, gap = (10, 0) if small else (15, 0)
    step = (TILE + GAP) // 2 if small else TILE + GAP
    line = down + text + (10 if small else 16)
    height = 34 + -(-len(rows) // columns) * line
    part = Image.new("RGB", (PAGE_WIDTH, height), PAGE)
    draw = ImageDraw.Draw(part)
    learned = rows[0][0].kind == TAIL
    write(draw, (MARGIN, 4), title, 15, ACCENT if learned else GREY)
    draw.line([MARGIN, 26, PAGE_WIDTH - MARGIN, 26], ACCENT if learned else RULE)
    for place, (token, values) in enumerate(rows):
        row, column = divmod(place, columns)
        x = MARGIN + column * step + (width - across) // 2
        y = 34 + row * line + gap
        part.paste(tile(values, scale, (across, down)), (x, y))
        if learned:
            draw.rectangle([x - 2, y - 2, x + across + 1, y + down + 1], outline=ACCENT, width=2)
        if values.max() > scale * 1.0001 and not small:
            _badge(draw, (x + across, y), f"max {values.max():.2f}")
        label = shortened(token.label, text, width + GAP - 4)
        colour = ACCENT if learned else GREY if small or token.kind == "special" else INK
        write(draw, (x + across / 2, y + down + 4), label, text, colour, "ma")
    return part


def _badge(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str) -> None:
    """In the tile's upper right corner: what it reaches beyond the scale."""
    drawable, font = lettering(text, 11)
    width = font.getlength(drawable) + 8
    x, y = corner
    draw.rectangle([x - width, y, x - 1, y + 16], "#0b0c1e")
    draw.text((x - 4, y + 2), drawable, "#ffffff", font, anchor="ra")


def _bar(scale: float, tokens: int) -> Image.Image:
    part = Image.new("RGB", (PAGE_WIDTH // 2, BAR), PAGE)
    label = f"attention probability, one scale for all {tokens} tokens"
    colour_bar(part, (MARGIN, 6), 380, (0.0, scale), label)
    return part


def _above(rows: Sequence[tuple[Token, np.ndarray]], scale: float) -> Image.Image:
    """Which tokens the scale's end cuts, in words."""
    part = Image.new("RGB", (PAGE_WIDTH - PAGE_WIDTH // 2, BAR), PAGE)
    over = [(t, float(v.max())) for t, v in rows if float(v.max()) > scale * 1.0001]
    if over:
        draw = ImageDraw.Draw(part)
        over.sort(key=lambda pair: -pair[1])
        listed = ", ".join(f"{token.label} (up to {most:.2f})" for token, most in over[:3])
        more = f" and {len(over) - 3} more" if len(over) > 3 else ""
        write(draw, (0, 6), "brighter than the scale's end:", 14, INK)
        write(draw, (0, 26), shortened(listed + more, 14, PAGE_WIDTH // 2 - 2 * MARGIN), 14, GREY)
    return part


def strip_over_time(
    rows: Sequence[tuple[str, bool, Sequence[np.ndarray]]],
    moments: Sequence[str],
    scale: float,
    heading: Heading,
) -> Image.Image:
    """A row for each token (its label, whether it is learned, its maps), a column for each step."""
    example = rows[0][2][0]
    ratio = example.shape[0] / example.shape[1]
    width = TILE
    height = max(8, round(width * ratio))
    if height > TALLEST:
        width, height = max(8, round(TALLEST / ratio)), TALLEST
    step = max(width, 64) + GAP
    beside = max(text_width(label, 15) for label, _, _ in rows) + 2 * GAP
    page_width = max(2 * MARGIN + beside + len(moments) * step - GAP, 560)
    part = Image.new("RGB", (page_width, 42 + len(rows) * (height + GAP)), PAGE)
    draw = ImageDraw.Draw(part)
    left = MARGIN + beside
    for column, moment in enumerate(moments):
        for line, text in enumerate(moment.split("\n")):
            place = left + column * step + width / 2
            write(draw, (place, 4 + 16 * line), text, 12, GREY if line else INK, "ma")
    for row, (label, learned, maps) in enumerate(rows):
        y = 42 + row * (height + GAP)
        colour = ACCENT if learned else INK
        write(draw, (left - GAP, y + height / 2), label, 15, colour, "rm")
        for column, values in enumerate(maps):
            x = left + column * step
            part.paste(tile(values, scale, (width, height)), (x, y))
            if learned:
                box = [x - 2, y - 2, x + width + 1, y + height + 1]
                draw.rectangle(box, outline=ACCENT, width=2)
    bar = Image.new("RGB", (page_width, BAR), PAGE)
    colour_bar(bar, (MARGIN, 6), 380, (0.0, scale), "attention probability, one scale throughout")
    return page_of(heading, [part], [bar])
