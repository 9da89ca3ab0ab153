"""A graph in a few lines of Python, and the same graph as the editor's JSON with a tidy layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .definition import companions, default_of, is_widget, specs, type_of, unused_growth
from .layout import TEXT_HEIGHT, TITLE, Group, arranged, node_height, note_height

WIDE = 300
OPENED_AT = [135, 170]  # clear of the editor's bars at its left and its top
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
    width: int
    height: int  # 0 where only the title is in view
    links: dict[str, Socket] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    note: str | None = None
    collapsed: bool = False
    models: list[dict[str, str]] = field(default_factory=list)


class Graph:
    """Groups stand side by side or below each other, a group's columns side by side, and a column's
    nodes under one another."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._stacks: list[list[Group]] = []
        self._count = 0
        self.wide = WIDE  # of nodes that don't say otherwise
        self.shown: list[int] = []  # the nodes whose pictures say what the graph does

    def group(self, title: str, below: bool = False) -> None:
        """A new group, right of the others or below the last one."""
        if below:
            self._stacks[-1].append(Group(title))
        else:
            self._stacks.append([Group(title)])

    def column(self) -> None:
        self._stacks[-1][-1].columns.append([])

    def note(self, title: str, text: str, wide: int | None = None) -> None:
        wide = wide or self.wide
        height = note_height(text, wide)
        node = _Node(self._next(), "MarkdownNote", title, wide, height, note=text)
        self._place(node)

    def node(
        self,
        kind: str,
        title: str | None = None,
        wide: int | None = None,
        preview: int = 0,
        text_height: int = TEXT_HEIGHT,
        shown: bool = False,
        collapsed: bool = False,
        column: int = -1,
        models: Sequence[dict[str, str]] = (),
        **inputs: Any,
    ) -> dict[str, Socket]:
        """Place a node; the outputs by name. `preview` is the room for a picture below it,
        `column` one of its group's, `models` the files that the editor may offer to download."""
        definition = self._definitions[kind]
        known = specs(definition)
        unknown = set(inputs) - set(known)
        if unknown:
            raise ValueError(f"{kind} has no input {sorted(unknown)}; it has {sorted(known)}.")
        wide = wide or self.wide
        height = node_height(definition, preview, text_height)
        node = _Node(self._next(), kind, title, wide, 0 if collapsed else height)
        node.links = {name: value for name, value in inputs.items() if isinstance(value, Socket)}
        node.values = {name: v for name, v in inputs.items() if name not in node.links}
        node.collapsed, node.models = collapsed, list(models)
        if shown:
            self.shown.append(node.id)
        self._stacks[-1][-1].columns[column].append(node)
        outputs = zip(definition["output_name"], definition["output"], strict=True)
        return {name: Socket(node.id, i, type_of(kind)) for i, (name, kind) in enumerate(outputs)}

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _place(self, node: _Node) -> None:
        self._stacks[-1][-1].columns[-1].append(node)

    def to_json(self) -> str:
        """The editor's own format, version 0.4."""
        nodes, links, frames = self.wired()
        graph = {
            "last_node_id": self._count,
            "last_link_id": len(links),
            "nodes": nodes,
            "links": links,
            "groups": frames,
            "config": {},
            "extra": {"ds": {"scale": 0.6, "offset": OPENED_AT}},
            "version": 0.4,
        }
        return json.dumps(graph, indent=1, ensure_ascii=False) + "\n"

    def wired(self) -> tuple[list[dict[str, Any]], list[list[Any]], list[dict[str, Any]]]:
        """Nodes in their places, the links between them, and the frames around them."""
        places, frames = arranged(self._stacks)
        places.sort(key=lambda place: place[0].id)
        links: list[list[Any]] = []
        outgoing: dict[tuple[int, int], list[int]] = {}
        for node, _ in places:
            for name, socket in node.links.items():
                number = len(links) + 1
                slot = [entry["name"] for entry in self._inputs(node)].index(name)
                links.append([number, socket.node, socket.slot, node.id, slot, socket.type])
                outgoing.setdefault((socket.node, socket.slot), []).append(number)
        incoming = {(link[3], link[4]): link[0] for link in links}
        nodes = [self._entry(node, place, incoming, outgoing) for node, place in places]
        return nodes, links, frames

    def _inputs(self, node: _Node) -> list[dict[str, Any]]:
        """Sockets first, then the widgets, which may be linked too."""
        if node.note is not None:
            return []
        known = specs(self._definitions[node.kind])
        hidden = unused_growth(list(known), node.links)
        sockets = [
            {"name": name, "type": type_of(spec[0])}
            for name, spec in known.items()
            if not is_widget(spec) and name not in hidden
        ]
        widgets = [
            {"name": name, "type": type_of(spec[0]), "widget": {"name": name}}
            for name, spec in known.items()
            if is_widget(spec)
        ]
        return sockets + widgets

    def _entry(self, node: _Node, place, incoming, outgoing) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "id": node.id,
            "type": node.kind,
            "pos": place,
            "size": [node.width, node.height or TITLE],  # opened, it takes what it needs
            "flags": {"collapsed": True} if node.collapsed else {},
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
        if node.title:
            entry["title"] = node.title
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
            entry["widgets_values"] += companions(name, spec)
        return entry
