"""A graph of the editor as the prompt that ComfyUI's server runs."""

from __future__ import annotations

from typing import Any

from .definition import companions, is_widget, specs

NOTES = ("Note", "MarkdownNote")
MUTED = (2, 4)  # never runs, is passed by


def to_prompt(graph: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """What the editor would send: every node with its links and its widgets' values by name."""
    origins = {link[0]: [str(link[1]), link[2]] for link in graph["links"]}
    prompt = {}
    for node in graph["nodes"]:
        if node["type"] in NOTES or node.get("mode", 0) in MUTED:
            continue
        if node["type"] not in definitions:
            raise ValueError(f"Node {node['id']} is a {node['type']}, which the server lacks.")
        inputs = widget_values(node, definitions[node["type"]])
        for entry in node["inputs"]:
            if entry.get("link") is not None:
                inputs[entry["name"]] = origins[entry["link"]]
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def widget_values(node: dict[str, Any], definition: dict[str, Any]) -> dict[str, Any]:
    """The saved values are a bare list: which is whose follows from the node's definition."""
    values, position = {}, 0
    for name, spec in specs(definition).items():
        if not is_widget(spec):
            continue
        if position >= len(node["widgets_values"]):
            raise ValueError(f"Node {node['id']} ({node['type']}) has no value for {name!r}.")
        values[name] = node["widgets_values"][position]
        position += 1 + len(companions(name, spec))
    if position != len(node["widgets_values"]):
        raise ValueError(
            f"Node {node['id']} ({node['type']}) has {len(node['widgets_values'])} values; its "
            f"widgets take {position}: make the graph again."
        )
    return values
