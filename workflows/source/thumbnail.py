"""The pictures of the template browser: what a graph shows, or the graph itself where nothing could
be run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw

from hiper.figures.page import shortened, text_width, write

from .layout import TITLE

SIZE = (640, 480)
MARGIN = 16
GROUND, FRAME, HEAD, NODE, BAR, NOTE, LINE, TEXT, PALE = (
    *("#1b1d22", "#233440", "#2f4d61", "#3a3d45", "#4a4e58", "#665533", "#8fa3b5"),
    *("#f2f4f7", "#b9c2cc"),
)
NEEDS = "needs a Stable Diffusion 1.5 checkpoint"


def side_by_side(pictures: Sequence[Image.Image]) -> Image.Image:
    """The pictures on white."""
    page = Image.new("RGB", SIZE, "white")
    width = (SIZE[0] - MARGIN * (len(pictures) + 1)) // len(pictures)
    for index, picture in enumerate(pictures):
        scale = min(width / picture.width, (SIZE[1] - 2 * MARGIN) / picture.height)
        size = round(picture.width * scale), round(picture.height * scale)
        x = MARGIN + index * (width + MARGIN) + (width - size[0]) // 2
        resized = picture.resize(size, Image.Resampling.LANCZOS)
        page.paste(resized, (x, (SIZE[1] - size[1]) // 2))
    return page


def of_graph(graph: dict[str, Any], title: str) -> Image.Image:
    """Groups, nodes and links, and what it takes to run them."""
    page = Image.new("RGB", SIZE, GROUND)
    pen = ImageDraw.Draw(page)
    write(pen, (MARGIN, MARGIN), shortened(title, 26, SIZE[0] - 2 * MARGIN), 26, TEXT)
    write(pen, (MARGIN, MARGIN + 38), NEEDS, 17, PALE)
    top, boxes = MARGIN + 76, [group["bounding"] for group in graph["groups"]]
    right, bottom = max(x + w for x, _, w, _ in boxes), max(y + h for _, y, _, h in boxes)
    scale = min((SIZE[0] - 2 * MARGIN) / right, (SIZE[1] - MARGIN - top) / bottom)
    left = (SIZE[0] - right * scale) / 2

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * scale, top + y * scale

    for group in graph["groups"]:
        x, y, width, height = group["bounding"]
        pen.rectangle([at(x, y), at(x + width, y + height)], FRAME, HEAD)
        number = group["title"].partition(" ")[0]
        if text_width(number, 13) < width * scale:
            write(pen, at(x + 14, y + 6), number, 13, PALE)
    ends = {node["id"]: (node["pos"], node["size"]) for node in graph["nodes"]}
    for _, source, _, target, *_ in graph["links"]:
        (x, y), (width, _) = ends[source]
        pen.line([at(x + width, y + 10), at(*ends[target][0])], LINE)
    for node in graph["nodes"]:
        (x, y), (width, height) = node["pos"], node["size"]
        height = 0 if node["flags"] else height
        colour = NOTE if node["type"] == "MarkdownNote" else NODE
        pen.rectangle([at(x, y - TITLE), at(x + width, y + height)], colour)
        pen.rectangle([at(x, y - TITLE), at(x + width, y)], BAR if colour == NODE else NOTE)
    return page
