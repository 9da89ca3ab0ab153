"""A graph in a few lines of Python, and the same graph as the editor's JSON with a tidy layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SLOT, WIDGET, TITLE = 20, 24, 30  # heights the editor gives a socket, a widget, a title bar
GAP_X, GAP_Y, EDGE = 60, 60, 24  # between columns, between nodes, inside a group
TEXT_HEIGHT = 90
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
NOTE_COLOUR = {"color": "#432", "bgcolor": "#653"}


@dataclass(frozen=True)
class Socket:
    """An output of a node: what links start from."""

    node: int
    slot: int
    type: str


@dataclass
class _Node:
    id: int
    kind: str
    title: str | None
    links: dict[str, Socket]
    values: dict[str, Any]
    width: int
    preview: int
    text_height: int
    note: str | None = None
    models: list[dict[str, str]] = field(default_factory=list)


@dataclass
class _Group:
    title: str
    columns: list[list[_Node]] = field(default_factory=lambda: [[]])


class Graph:
    """Groups stand side by side, a group's columns too, and a column's nodes under one another."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._groups: list[_Group] = []
        self._count = 0
        self.shown: list[int] = []  # the nodes whose pictures say what the graph does

    def group(self, title: str) -> None:
        self._groups.append(_Group(title))

    def column(self) -> None:
        self._groups[-1].columns.append([])

    def note(self, text: str, wide: int = 340, height: int = 140) -> None:
        self._place(_Node(self._next(), "MarkdownNote", None, {}, {}, wide, 0, height, text))

    def node(
        self,
        kind: str,
        title: str | None = None,
        wide: int = 340,
        preview: int = 0,
        text_height: int = TEXT_HEIGHT,
        shown: bool = False,
        models: Sequence[dict[str, str]] = (),
        **inputs: Any,
    ) -> dict[str, Socket]:
        """Place a node; the outputs by name. `preview` is the room for a picture below it,
        `models` the files that the editor may offer to download."""
        definition = self._definitions[kind]
        known = specs(definition)
        unknown = set(inputs) - set(known)
        if unknown:
            raise ValueError(f"{kind} has no input {sorted(unknown)}; it has {sorted(known)}.")
        links = {name: value for name, value in inputs.items() if isinstance(value, Socket)}
        values = {name: value for name, value in inputs.items() if name not in links}
        node = _Node(self._next(), kind, title, links, values, wide, preview, text_height)
        node.models = list(models)
        if shown:
            self.shown.append(node.id)
        self._place(node)
        outputs = zip(definition["output_name"], definition["output"], strict=True)
        return {name: Socket(node.id, i, type_of(kind)) for i, (name, kind) in enumerate(outputs)}

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _place(self, node: _Node) -> None:
        self._groups[-1].columns[-1].append(node)

    def to_json(self) -> str:
        """The editor's own format, version 0.4."""
        nodes, links, groups = [], [], []
        outgoing: dict[tuple[int, int], list[int]] = {}
        targets = [node for group in self._groups for column in group.columns for node in column]
        for node in sorted(targets, key=lambda node: node.id):
            for name, socket in node.links.items():
                number = len(links) + 1
                slot = [entry["name"] for entry in self._inputs(node)].index(name)
                links.append([number, socket.node, socket.slot, node.id, slot, socket.type])
                outgoing.setdefault((socket.node, socket.slot), []).append(number)
        incoming = {(link[3], link[4]): link[0] for link in links}
        x, bottom = 0, 0
        for group in self._groups:
            left = x
            for column in group.columns:
                y = 0
                for node in column:
                    height = self._height(node)
                    nodes.append(self._entry(node, [x, y], height, incoming, outgoing))
                    bottom = max(bottom, y + height)
                    y += height + TITLE + GAP_Y
                x += max((node.width for node in column), default=0) + GAP_X
            groups.append(_frame(group.title, len(groups) + 1, left, x - GAP_X))
            x += EDGE
        for frame in groups:
            frame["bounding"][3] += bottom
        graph = {
            "last_node_id": self._count,
            "last_link_id": len(links),
            "nodes": sorted(nodes, key=lambda entry: entry["id"]),
            "links": links,
            "groups": groups,
            "config": {},
            "extra": {"ds": {"scale": 0.6, "offset": [80, 160]}},
            "version": 0.4,
        }
        return json.dumps(graph, indent=1, ensure_ascii=False) + "\n"

    def _inputs(self, node: _Node) -> list[dict[str, Any]]:
        """Sockets first, then the widgets, which may be linked too."""
        if node.note is not None:
            return []
        known = specs(self._definitions[node.kind])
        sockets = [
            {"name": name, "type": type_of(spec[0])}
            for name, spec in known.items()
            if not is_widget(spec)
        ]
        widgets = [
            {"name": name, "type": type_of(spec[0]), "widget": {"name": name}}
            for name, spec in known.items()
            if is_widget(spec)
        ]
        return sockets + widgets

    def _entry(self, node, position, height, incoming, outgoing) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "id": node.id,
            "type": node.kind,
            "pos": position,
            "size": [node.width, height],
            "flags": {},
            "order": node.id - 1,
            "mode": 0,
            "inputs": [
                {**each, "link": incoming.get((node.id, slot))}
                for slot, each in enumerate(self._inputs(node))
            ],
            "outputs": [],
            "properties": {},
            "widgets_values": [node.note] if node.note is not None else [],
        }
        if node.note is not None:
            return entry | NOTE_COLOUR
        definition = self._definitions[node.kind]
        entry["properties"] = {"Node name for S&R": node.kind}
        if node.models:
            entry["properties"]["models"] = node.models
        entry["outputs"] = [
            {"name": name, "type": type_of(kind), "links": outgoing.get((node.id, slot))}
            for slot, (name, kind) in enumerate(
                zip(definition["output_name"], definition["output"], strict=True)
            )
        ]
        for name, spec in specs(definition).items():
            if not is_widget(spec):
                continue
            entry["widgets_values"].append(node.values.get(name, default_of(spec)))
            entry["widgets_values"] += companions(spec)
        if node.title:
            entry["title"] = node.title
        return entry

    def _height(self, node: _Node) -> int:
        if node.note is not None:
            return node.text_height
        definition = self._definitions[node.kind]
        known = specs(definition)
        sockets = sum(not is_widget(spec) for spec in known.values())
        widgets = [spec for spec in known.values() if is_widget(spec)]
        height = SLOT * max(sockets, len(definition["output"])) + 6
        for spec in widgets:
            height += node.text_height if options_of(spec).get("multiline") else WIDGET
            height += WIDGET * len(companions(spec))
        return height + (8 if widgets else 0) + node.preview


def _frame(title: str, number: int, left: int, right: int) -> dict[str, Any]:
    """A group around its columns; how far down it reaches is added when all are placed."""
    above = TITLE + 2 * EDGE + 10
    return {
        "id": number,
        "title": title,
        "bounding": [left - EDGE, -above, right - left + 2 * EDGE, above + EDGE],
        "color": "#3f789e",
        "font_size": 24,
        "flags": {},
    }


def specs(definition: dict[str, Any]) -> dict[str, list]:
    """A node's inputs as /object_info tells them, in order."""
    order = definition["input_order"]
    return {
        name: definition["input"][kind][name]
        for kind in ("required", "optional")
        for name in order.get(kind, [])
    }


def options_of(spec: list) -> dict[str, Any]:
    return spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}


def type_of(kind: Any) -> str:
    if isinstance(kind, list):
        return "COMBO"
    return "*" if kind == "COMFY_MATCHTYPE_V3" else kind


def is_widget(spec: list) -> bool:
    return type_of(spec[0]) in WIDGET_TYPES and not options_of(spec).get("forceInput")


def default_of(spec: list) -> Any:
    options = options_of(spec)
    if "default" in options:
        return options["default"]
    if type_of(spec[0]) == "COMBO":
        choices = spec[0] if isinstance(spec[0], list) else options.get("options", [])
        return choices[0] if choices else ""
    return {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}[spec[0]]


def companions(spec: list) -> list[Any]:
    """The values of the extra widgets that the editor puts behind some."""
    options = options_of(spec)
    if options.get("control_after_generate"):
        return ["fixed"]
    return ["image"] if options.get("image_upload") else []
