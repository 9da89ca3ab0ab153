"""A graph in one node: what ComfyUI offers as a blueprint, with its inputs, outputs and face."""

from __future__ import annotations

import json
import uuid
from typing import Any

from .definition import WIDGET_TYPES
from .graph import Graph, Socket

INPUTS, OUTPUTS = -10, -20  # what the editor calls the two ends of a subgraph
SPACE = uuid.UUID("8f8b6f0e-52f1-4c0e-9b55-6a0f3d6c7a21")
SLOT = 20


class Blueprint(Graph):
    """Its inputs are sockets, or widgets on its face; the view of a viewer inside may join them."""

    def __init__(self, definitions: dict[str, Any], title: str, description: str) -> None:
        super().__init__(definitions)
        self.title, self.description = title, description
        self._given: list[tuple[str, str]] = []
        self._gives: list[tuple[str, Socket]] = []
        self._properties: dict[str, Any] = {}

    def given(self, name: str, kind: str) -> Socket:
        self._given.append((name, kind))
        return Socket(INPUTS, len(self._given) - 1, kind)

    def gives(self, name: str, socket: Socket) -> None:
        self._gives.append((name, socket))

    def shows_viewer(self) -> None:
        """Put the view of the viewer inside on the face."""
        self._properties["hiper_viewer_on_face"] = True

    def to_json(self) -> str:
        nodes, links, frames = self.wired()
        by_id = {node["id"]: node for node in nodes}
        ends = []
        for slot, (_, socket) in enumerate(self._gives):
            number = len(links) + 1
            links.append([number, socket.node, socket.slot, OUTPUTS, slot, socket.type])
            output = by_id[socket.node]["outputs"][socket.slot]
            output["links"] = [*(output["links"] or []), number]
            ends.append(number)
        own = self._named(self.title)
        inside = {
            "id": own,
            "version": 1,
            "state": {
                "lastGroupId": len(frames),
                "lastNodeId": max(by_id),
                "lastLinkId": len(links),
                "lastRerouteId": 0,
            },
            "revision": 0,
            "config": {},
            "name": self.title,
            "category": "hiper",
            "description": self.description,
            "inputNode": {"id": INPUTS, "bounding": [-260, 60, 140, SLOT * len(self._given) + 40]},
            "outputNode": self._right_of(frames),
            "inputs": self._inlets(links),
            "outputs": [
                {
                    "id": self._named(f"out {name}"),
                    "name": name,
                    "type": socket.type,
                    "linkIds": [number],
                }
                for (name, socket), number in zip(self._gives, ends, strict=True)
            ],
            "widgets": [],
            "nodes": nodes,
            "groups": frames,
            "links": [
                dict(
                    zip(
                        ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type"),
                        link,
                        strict=True,
                    )
                )
                for link in links
            ],
            "extra": {},
        }
        graph = {
            "revision": 0,
            "last_node_id": 1,
            "last_link_id": 0,
            "nodes": [self._outside(own, links, by_id)],
            "links": [],
            "version": 0.4,
            "definitions": {"subgraphs": [inside]},
            "extra": {},
        }
        return json.dumps(graph, indent=1, ensure_ascii=False) + "\n"

    def _named(self, what: str) -> str:
        """The same id each time: a graph that holds the blueprint stays that of its file."""
        return str(uuid.uuid5(SPACE, f"{self.title}/{what}"))

    def _right_of(self, frames: list[dict[str, Any]]) -> dict[str, Any]:
        right = max(frame["bounding"][0] + frame["bounding"][2] for frame in frames)
        height = SLOT * len(self._gives) + 40
        return {"id": OUTPUTS, "bounding": [right + 120, 60, 140, height]}

    def _inlets(self, links: list[list[Any]]) -> list[dict[str, Any]]:
        return [
            {
                "id": self._named(f"in {name}"),
                "name": name,
                "type": kind,
                "linkIds": [link[0] for link in links if link[1:3] == [INPUTS, slot]],
            }
            for slot, (name, kind) in enumerate(self._given)
        ]

    def _outside(
        self, own: str, links: list[list[Any]], by_id: dict[int, dict[str, Any]]
    ) -> dict[str, Any]:
        """The one node that a person sees."""
        inputs, face = [], []
        for slot, (name, kind) in enumerate(self._given):
            entry: dict[str, Any] = {"name": name, "type": kind, "link": None}
            if kind in WIDGET_TYPES:
                entry["widget"] = {"name": name}
                target = next(link for link in links if link[1:3] == [INPUTS, slot])
                face.append([str(target[3]), by_id[target[3]]["inputs"][target[4]]["name"]])
            inputs.append(entry)
        return {
            "id": 1,
            "type": own,
            "title": self.title,
            "pos": [0, 0],
            "size": [400, 200],
            "flags": {},
            "order": 0,
            "mode": 0,
            "inputs": inputs,
            "outputs": [
                {"name": name, "type": socket.type, "links": []} for name, socket in self._gives
            ],
            "properties": {"proxyWidgets": face} | self._properties,
            "widgets_values": [],
        }
