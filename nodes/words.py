"""The words of a prompt: where the graph says them, and how many tokens they leave free."""

from __future__ import annotations

from typing import Any

TEXT_INPUTS = ("text", "prompt", "text_g", "text_l", "t5xxl", "clip_l")
TAIL_INPUT = "embedding"  # behind it stands the prompt that the tail was learned with
LONGEST_SEARCH = 200


def prompt_text(graph: dict[str, Any] | None, node_id: str | None, socket: str) -> str | None:
    """The one literal text upstream of a node's conditioning, or None where it can't be known."""
    if not graph or node_id not in graph:
        return None
    texts: list[str] = []
    waiting, seen = [graph[node_id].get("inputs", {}).get(socket)], set()
    while waiting and len(seen) < LONGEST_SEARCH:
        link = waiting.pop()
        if not (isinstance(link, list) and len(link) == 2) or link[0] in seen:
            continue
        seen.add(link[0])
        inputs = graph.get(link[0], {}).get("inputs", {})
        if isinstance(inputs.get("clip"), list):
            spoken = [inputs[name] for name in TEXT_INPUTS if name in inputs]
            if not all(isinstance(text, str) for text in spoken):
                return None
            texts += spoken
        else:
            waiting += [value for name, value in inputs.items() if name != TAIL_INPUT]
    different = list(dict.fromkeys(texts))
    return different[0] if len(different) == 1 else None


def sampler_text(graph: dict[str, Any] | None, node_id: str | None, role: str) -> str | None:
    """The text behind the sampler whose latent a node is given, or None where it can't be known."""
    if not graph or node_id not in graph:
        return None
    waiting, seen = [graph[node_id].get("inputs", {}).get("latent")], set()
    while waiting:
        link = waiting.pop(0)
        if not (isinstance(link, list) and len(link) == 2) or link[0] in seen:
            continue
        seen.add(link[0])
        inputs = graph.get(link[0], {}).get("inputs", {})
        for socket in (role, "conditioning") if role == "positive" else (role,):
            if isinstance(inputs.get(socket), list):
                return prompt_text(graph, link[0], socket)
        waiting += [value for value in inputs.values() if isinstance(value, list)]
    return None
