"""The demo's contact sheet: source, plain prompts, HiPer at several α, and attention maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from ..figures.heat import laid_over
from ..figures.lettering import lettering
from ..figures.palette import ACCENT, GREY, INK, PAGE

TILE, GAP, MARGIN, LABELS, SMALL = 176, 10, 28, 118, 104


@dataclass(frozen=True)
class Row:
    """One line of pictures, all sampled alike."""

    label: str
    pictures: list[Image.Image]


@dataclass(frozen=True)
class TokenMaps:
    """Where one picture's tokens look: a label and a map `(H, W)` each; tails are marked."""

    picture: Image.Image
    title: str
    maps: list[tuple[str, Tensor, bool]]


def contact_sheet(
    source: Image.Image,
    caption: str,
    tokens: int,
    prompts: list[str],
    rows: list[Row],
    token_maps: TokenMaps,
) -> Image.Image:
    width = 2 * MARGIN + TILE + 44 + LABELS + len(prompts) * (TILE + GAP)
    top = 96
    grid = len(rows) * (TILE + GAP)
    height = top + 34 + grid + 62 + SMALL + 30 + MARGIN
    sheet = Image.new("RGB", (width, height), PAGE)
    pen = ImageDraw.Draw(sheet)
    vectors = "one learned vector" if tokens == 1 else f"{tokens} learned vectors"
    _write(pen, (MARGIN, 24), f"HiPer: one picture, one sentence, {vectors}", 26, INK)
    line = "Everything on this page but the source was drawn by the embedded demo model."
    _write(pen, (MARGIN, 60), line, 15, GREY)

    first = top + 34
    _write(pen, (MARGIN, top + 8), "source", 17, INK)
    sheet.paste(_enlarged(source, TILE), (MARGIN, first))
    for number, part in enumerate(_wrapped(f'learned from "{caption}"', 15, TILE)):
        _write(pen, (MARGIN, first + TILE + 10 + 20 * number), part, 15, GREY)

    left = MARGIN + TILE + 44 + LABELS
    for column, prompt in enumerate(prompts):
        x = left + column * (TILE + GAP)
        _write(pen, (x + TILE / 2, first - 8), prompt, 14, INK, "ms")
        for index, row in enumerate(rows):
            y = first + index * (TILE + GAP)
            sheet.paste(_enlarged(row.pictures[column], TILE), (x, y))
    for index, row in enumerate(rows):
        middle = first + index * (TILE + GAP) + TILE / 2
        colour = INK if index else GREY
        _write(pen, (left - 14, middle), row.label, 17, colour, "rm")

    below = first + grid + 20
    _write(pen, (MARGIN, below), token_maps.title, 17, INK)
    for column, (label, values, tail) in enumerate([("", None, False), *token_maps.maps]):
        x, y = MARGIN + column * (SMALL + GAP), below + 32
        tile = _enlarged(token_maps.picture, SMALL)
        if values is not None:
            tile = laid_over(tile, _relative(values, token_maps.maps), 0.85)
        sheet.paste(tile, (x, y))
        colour = ACCENT if tail else INK
        _write(pen, (x + SMALL / 2, y + SMALL + 20), label or "picture", 14, colour, "ms")
    return sheet


def _relative(values: Tensor, maps: list[tuple[str, Tensor, bool]]) -> np.ndarray:
    """The map on the one scale that all maps of the page share."""
    highest = max(float(one.max()) for _, one, _ in maps)
    return np.asarray(values / max(highest, 1e-9), dtype=np.float32)


def _enlarged(picture: Image.Image, size: int) -> Image.Image:
    return picture.resize((size, size), Image.Resampling.LANCZOS)


def _write(pen: ImageDraw.ImageDraw, at, text: str, size: int, colour: str, anchor: str = "la"):
    text, font = lettering(text, size)
    pen.text(at, text, colour, font, anchor=anchor)


def _wrapped(text: str, size: int, width: int) -> list[str]:
    """The text in lines no wider than `width` pixels."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        shown, font = lettering(longer, size)
        if lines and font.getlength(shown) <= width:
            lines[-1] = longer
        elif not lines:
            lines = [word]
        else:
            lines.append(word)
    return lines
