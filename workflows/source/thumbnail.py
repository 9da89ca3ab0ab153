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
FINER = 3  # a graph is drawn so much larger first, so that its links are smooth
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
    width, height = (FINER * side for side in SIZE)
    page = Image.new("RGB", (width, height), GROUND)
    pen, margin = ImageDraw.Draw(page), FINER * MARGIN
    fitting = shortened(title, FINER * 26, width - 2 * margin)
    write(pen, (margin, margin), fitting, FINER * 26, TEXT)
    write(pen, (margin, margin + FINER * 38), NEEDS, FINER * 17, PALE)
    top, boxes = margin + FINER * 90, [group["bounding"] for group in graph["groups"]]
    right, bottom = max(x + w for x, _, w, _ in boxes), max(y + h for _, y, _, h in boxes)
    scale = min((width - 2 * margin) / right, (height - margin - top) / bottom)
    left = (width - right * scale) / 2

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * scale, top + y * scale

    for group in graph["groups"]:
        x, y, wide, high = group["bounding"]
        pen.rectangle([at(x, y), at(x + wide, y + high)], FRAME, HEAD, FINER)
    ends = {node["id"]: (node["pos"], node["size"]) for node in graph["nodes"]}
    for _, source, _, target, *_ in graph["links"]:
        (x, y), (wide, _) = ends[source]
        pen.line([at(x + wide, y + 10), at(*ends[target][0])], LINE, FINER)
    for node in graph["nodes"]:
        (x, y), (wide, high) = node["pos"], node["size"]
        high = 0 if node["flags"] else high
        colour = NOTE if node["type"] == "MarkdownNote" else NODE
        pen.rectangle([at(x, y - TITLE), at(x + wide, y + high)], colour)
        pen.rectangle([at(x, y - TITLE), at(x + wide, y)], BAR if colour == NODE else NOTE)
    for group in graph["groups"]:  # last, and above the group: nodes would hide its number
        x, y, wide, _ = group["bounding"]
        number = group["title"].partition(" ")[0]
        if text_width(number, FINER * 13) < wide * scale:
            write(pen, (at(x, y)[0], at(x, y)[1] - FINER * 18), number, FINER * 13, PALE)
    return page.resize(SIZE, Image.Resampling.LANCZOS)
