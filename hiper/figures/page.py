"""A figure as a page: letters that fit, a heading, parts below each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from .lettering import lettering
from .palette import GREY, INK, PAGE

MARGIN, GAP = 28, 10


@dataclass(frozen=True)
class Heading:
    """What stands above a figure, and how many of the conditioning's tokens it could show."""

    title: str
    subtitle: str = ""


def page_of(
    heading: Heading, parts: Sequence[Image.Image], footer: Sequence[Image.Image]
) -> Image.Image:
    """Heading, parts below each other, footer side by side."""
    width = max([part.width for part in parts] + [sum(part.width for part in footer)])
    top = MARGIN + 30 + (26 if heading.subtitle else 0)
    height = top + sum(part.height + GAP for part in parts)
    height += max((part.height for part in footer), default=0) + MARGIN // 2
    page = Image.new("RGB", (width, height), PAGE)
    draw = ImageDraw.Draw(page)
    room = width - 2 * MARGIN
    write(draw, (MARGIN, MARGIN - 6), shortened(heading.title, 22, room), 22)
    if heading.subtitle:
        write(draw, (MARGIN, MARGIN + 24), shortened(heading.subtitle, 14, room), 14, GREY)
    y = top
    for part in parts:
        page.paste(part, (0, y))
        y += part.height + GAP
    x = 0
    for part in footer:
        page.paste(part, (x, y))
        x += part.width
    return page


def below_each_other(pictures: Sequence[Image.Image]) -> Image.Image:
    width = max(picture.width for picture in pictures)
    page = Image.new("RGB", (width, sum(picture.height for picture in pictures)), PAGE)
    y = 0
    for picture in pictures:
        page.paste(picture, (0, y))
        y += picture.height
    return page


def text_width(text: str, size: int) -> int:
    drawable, font = lettering(text, size)
    return round(font.getlength(drawable))


def write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    colour: str = INK,
    anchor: str = "la",
) -> None:
    drawable, font = lettering(text, size)
    draw.text(at, drawable, colour, font, anchor=anchor)


def shortened(text: str, size: int, width: int) -> str:
    """As much of the text as fits, with an ellipsis where some is missing."""
    drawable, font = lettering(text, size)
    if font.getlength(drawable) <= width:
        return drawable
    while len(drawable) > 1 and font.getlength(drawable + "…") > width:
        drawable = drawable[:-1]
    return drawable + "…"


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between low and high, about that many."""
    span = max(high - low, 1e-12)
    step = 10 ** math.floor(math.log10(span / about))
    step *= min((1, 2, 5, 10), key=lambda factor: abs(span / (step * factor) - about))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]
