"""How much room a node takes once it has run, in whichever renderer it takes more; and where the
groups and their columns stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .definition import companions, is_widget, options_of, specs

TITLE = 30  # a node's title bar
GAP_X, GAP_Y, EDGE = 34, 20, 16  # between columns, between nodes, inside a group
CLOSE = 8  # between nodes of which only the title is in view
GROUP_TITLE = 32
APART = 12  # between groups
TEXT_HEIGHT = 58  # of a widget of several lines
# the picture that a node shows while it works is kept below its widgets, in both renderers
LIVE_PREVIEW = 250
SPOKEN = 46  # what Learn says of its run, between them
TEXT_SHOWN = 110  # the least that Nodes 2.0 gives a shown text
PICTURE = 234  # the least that Nodes 2.0 gives a picture
LIVE = ("HiPerLearnEmbedding", "KSampler", "HiPerEditPicture")
PICTURED = ("PreviewImage", "SaveImage", "LoadImage", "HiPerDrawDemoAnimal", "HiPerPictureGrid")
LETTERS = 6.4  # width of a letter of a note, on average; a line, and what is around the text
LINE, AROUND = 19, 34


class Sized(Protocol):
    """What stands in a column; the height is without the title bar."""

    width: int
    height: int


def node_height(definition: dict[str, Any], preview: int, text_height: int) -> int:
    """Without its title bar."""
    known = specs(definition)
    widgets = {name: spec for name, spec in known.items() if is_widget(spec)}
    slots = max(len(known) - len(widgets), len(definition["output"]))
    classic = 20 * slots + 6 + (8 if widgets else 0)
    modern = 22 * slots + 10 + (8 if widgets else 0)
    for name, spec in widgets.items():
        tall = text_height if options_of(spec).get("multiline") else 0
        classic += (tall or 24) + 24 * len(companions(name, spec))
        modern += 0 if options_of(spec).get("advanced") else tall or 26
    badged = definition.get("experimental") or definition.get("deprecated")
    if badged or definition["python_module"].startswith("custom_nodes"):
        modern += 23  # BETA, or the pack's name
    if any(options_of(spec).get("advanced") for spec in widgets.values()):
        modern += 28  # Show advanced inputs
    name = definition["name"]
    least = PICTURE if name in PICTURED else LIVE_PREVIEW if name in LIVE else 0
    least += SPOKEN if name == "HiPerLearnEmbedding" else 0
    least = TEXT_SHOWN if name == "PreviewAny" else least
    return max(classic, modern) + max(preview, least)


def note_height(text: str, width: int) -> int:
    across = int((width - 40) / LETTERS)
    lines = sum(-(-len(part) // across) for part in text.split("\n\n"))
    return AROUND + LINE * lines + 12 * text.count("\n\n")


@dataclass
class Group:
    """Columns side by side, the nodes of each under one another."""

    title: str
    columns: list[list[Sized]] = field(default_factory=lambda: [[]])

    @property
    def width(self) -> int:
        inside = sum(max((n.width for n in column), default=0) for column in self.columns)
        return inside + GAP_X * (len(self.columns) - 1) + 2 * EDGE

    @property
    def height(self) -> int:
        tallest = max(bottoms[-1] if (bottoms := _bottoms(c)) else 0 for c in self.columns)
        return GROUP_TITLE + 8 + tallest + EDGE

    def places(self, left: int, top: int) -> list[tuple[Sized, list[int]]]:
        """Every node with the corner below its title bar."""
        found, x = [], left + EDGE
        for column in self.columns:
            above = top + GROUP_TITLE + 8
            for node, bottom in zip(column, _bottoms(column), strict=True):
                found.append((node, [x, above + bottom - node.height]))
            x += max((node.width for node in column), default=0) + GAP_X
        return found


def _bottoms(column: Sequence[Sized]) -> list[int]:
    """Where each node of a column ends, from the column's upper end."""
    found: list[int] = []
    for node, before in zip(column, [None, *column], strict=False):
        gap = 0 if before is None else GAP_Y if before.height or node.height else CLOSE
        found.append((found[-1] if found else 0) + gap + TITLE + node.height)
    return found


def arranged(
    stacks: Sequence[Sequence[Group]],
) -> tuple[list[tuple[Sized, list[int]]], list[dict[str, Any]]]:
    """Stacks of groups side by side, all as tall as the tallest: nodes with their places, and the
    frames around them."""
    places: list[tuple[Sized, list[int]]] = []
    frames: list[dict[str, Any]] = []
    tallest = max(_height(stack) for stack in stacks)
    left = 0
    for stack in stacks:
        width, top = max(group.width for group in stack), 0
        for group in stack:
            height = tallest - top if group is stack[-1] else group.height
            places += group.places(left, top)
            frames.append(_frame(group.title, len(frames) + 1, [left, top, width, height]))
            top += height + APART
        left += width + APART
    return places, frames


def _height(stack: Sequence[Group]) -> int:
    return sum(group.height for group in stack) + APART * (len(stack) - 1)


def _frame(title: str, number: int, bounding: list[int]) -> dict[str, Any]:
    return {
        "id": number,
        "title": title,
        "bounding": bounding,
        "color": "#3f789e",
        "font_size": 24,
        "flags": {},
    }
