"""The words of a prompt, as the graph says them: for each entry of a conditioning its own.

A prompt's vectors don't say which words they were made of, so the graph is asked: from a node's
socket upstream to the text encoders, through whatever joins prompts on the way.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any

from ..hiper.demo.captions import prompt as animals_prompt
from ..hiper.host.graph import outputs_of, text_of
from ..hiper.host.tokenizer import check_free_tokens
from .grid import listed

TEXT_INPUTS = ("text", "prompt", "text_g", "text_l", "t5xxl", "clip_l", "clip_g")
APART = re.compile(r"(?:^|\s)---(?=\s|$)")  # between the prompts of a combined conditioning
DEEPEST = 200

Graph = dict[str, Any]
# the texts that some columns may be of: one where it is known, several where the graph can't tell
# which (an average of two, a list of prompts), none where nothing is known
Texts = tuple[str, ...]
UNKNOWN: Texts = ()


@dataclass(frozen=True)
class Spoken:
    """One entry's words: the texts whose columns stand one behind the other."""

    parts: tuple[Texts, ...] = (UNKNOWN,)

    @property
    def known(self) -> bool:
        """Whether it is known which text each part is of."""
        return all(len(texts) == 1 for texts in self.parts)

    @property
    def texts(self) -> list[str]:
        return [texts[0] for texts in self.parts] if self.known else []

    @property
    def last(self) -> Texts:
        """What stands at the end, where a tail goes."""
        return self.parts[-1]


def spoken(
    graph: Graph | None, node_id: str | None, socket: str, entries: int, given: str = ""
) -> list[Spoken]:
    """The words of each entry of the conditioning at a node's socket: those that a person gives
    as a text, else those that the graph says."""
    if given.strip():
        texts = given_texts(given)
        return [Spoken(((texts[min(n, len(texts) - 1)],),)) for n in range(entries)]
    if not graph or node_id not in graph:
        return [Spoken()] * entries
    found = _Search(graph).conditioning(graph[node_id].get("inputs", {}).get(socket))
    return fitted(found, entries)


def fitted(found: list[Spoken], entries: int) -> list[Spoken]:
    """As many as there are entries; one text may have become several, else it can't be told."""
    if len(found) == entries:
        return found
    return (found if len(set(found)) == 1 else [Spoken()])[:1] * entries


def given_texts(given: str) -> list[str]:
    """What a person wrote, one prompt an entry with --- between, on a line of its own or not."""
    return [part.strip() for part in APART.split(given)]


def sampler_spoken(graph: Graph | None, sampler: str | None, role: str) -> list[Spoken]:
    """The words that a sampler's node samples from, its own or its guider's."""
    if not graph or sampler not in graph:
        return [Spoken()]
    for found in (sampler, *upstream(graph, sampler, ("guider",))):
        inputs = graph[found].get("inputs", {})
        for socket in (role, "conditioning") if role == "positive" else (role,):
            if is_link(inputs.get(socket)):
                return _Search(graph).conditioning(inputs[socket])
    return [Spoken()]


def samplers_before(graph: Graph | None, node_id: str | None) -> list[str]:
    """The nodes that lead up to a node's latent and use the model of the recording at its maps."""
    if not graph or node_id not in graph:
        return []
    record = graph[node_id].get("inputs", {}).get("maps")
    if not is_link(record):
        return []
    pictures = upstream(graph, node_id, ("latent",), ("LATENT", "IMAGE", "*"))
    return [node for node in pictures if record[0] in upstream(graph, node, ("model", "guider"))]


def upstream(
    graph: Graph, node_id: str, sockets: tuple[str, ...], kinds: tuple[str, ...] = ()
) -> list[str]:
    """The nodes that some of a node's sockets are fed by, the nearest first; of all wires behind
    them those of some kinds, where these are named."""
    inputs = graph[node_id].get("inputs", {})
    waiting, seen = [inputs.get(socket) for socket in sockets], []
    while waiting:
        link = waiting.pop(0)
        if not is_link(link) or link[0] in seen or link[0] not in graph:
            continue
        if kinds and kind_of(graph, link) not in kinds:
            continue
        seen.append(link[0])
        waiting += graph[link[0]].get("inputs", {}).values()
    return seen


def kind_of(graph: Graph, link: list) -> str:
    """What comes over a link, "*" where that can't be told."""
    kinds = outputs_of(graph[link[0]].get("class_type", ""))
    kind = kinds[link[1]] if isinstance(link[1], int) and link[1] < len(kinds) else "*"
    return "*" if kind == "COMFY_MATCHTYPE_V3" else kind


def check_room(
    said: Spoken, tokens: int, length: int, clip: Any, encoder: str = "", taken: int = 0
) -> None:
    """One sentence where a tail would cut words of a prompt of `length`, whose last `taken` tokens
    are other tails; a CLIP is there to count, so that it must be known what."""
    if not said.last:
        unknown = (
            "The words of this conditioning can't be found in the graph, so that it can't be "
            f"counted whether {tokens} tokens cut some of them"
        )
        if clip is not None:
            raise ValueError(f"{unknown}: write the prompt into text, or take clip off.")
        logging.warning("HiPer: %s: connect clip and write the prompt into text.", unknown)
    room = length // len(said.parts) if clip is None else length
    for text in said.last:
        check_free_tokens(tokens, room, clip, text, encoder, taken)


def is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


class _Search:
    """One look through a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.depth = 0

    def conditioning(self, link: Any) -> list[Spoken]:
        """The entries that come over a link."""
        if not is_link(link) or link[0] not in self.graph or self.depth > DEEPEST:
            return [Spoken()]
        self.depth += 1
        try:
            return self._made_by(self.graph[link[0]], link[1])
        finally:
            self.depth -= 1

    def _made_by(self, node: dict[str, Any], slot: int) -> list[Spoken]:
        kind, inputs = node.get("class_type", ""), node.get("inputs", {})
        sources = {name: inputs[name] for name in sorted(inputs, key=_natural)}
        sources = {name: link for name, link in sources.items() if self._may_be(link)}
        if not sources:
            if not isinstance(inputs.get("clip"), list) and "text" not in inputs:
                return [Spoken()]
            return [Spoken((self._encoded(inputs),))]
        if "conditioning_to" in sources and "conditioning_from" in sources:
            return self._joined(inputs)
        chosen = _of_output(sources, outputs_of(kind), slot)
        found = [self.conditioning(link) for link in chosen]
        if kind == "ConditioningZeroOut":
            return [Spoken((("",),) * len(entry.parts)) for entry in found[0]]
        if inputs.get("operation") == "concat":
            first, *others = found
            for other in others:
                first = [Spoken(entry.parts + other[0].parts) for entry in first]
            return first
        return [entry for entries in found for entry in entries] or [Spoken()]

    def _may_be(self, link: Any) -> bool:
        """Whether a conditioning may come over a link."""
        if not is_link(link) or link[0] not in self.graph:
            return False
        kind = kind_of(self.graph, link)
        return "CONDITIONING" in kind or kind == "*"

    def _joined(self, inputs: dict[str, Any]) -> list[Spoken]:
        """Core's Concat and Average: the first of the one side with each of the other."""
        to = self.conditioning(inputs["conditioning_to"])
        other = self.conditioning(inputs["conditioning_from"])[0]
        share = inputs.get("conditioning_to_strength")
        if "conditioning_to_strength" not in inputs:
            return [Spoken(entry.parts + other.parts) for entry in to]
        if share in (0.0, 1.0):
            return to if share else [other] * len(to)
        return [Spoken(_mixed(entry.parts, other.parts)) for entry in to]

    def _encoded(self, inputs: dict[str, Any]) -> Texts:
        """The one text that an encoder is given, however many inputs it has for it."""
        names = [name for name in TEXT_INPUTS if name in inputs]
        if "t5xxl" in names and "clip_g" not in names:
            names = ["t5xxl"]  # of Flux's two, the one whose vectors are the prompt
        said = {self.text(inputs[name]) for name in names}
        return said.pop() if len(said) == 1 else UNKNOWN

    def text(self, value: Any) -> Texts:
        """A widget's own text, or what a node gives out that has nothing but texts to go by."""
        if isinstance(value, str):
            return (value,)
        if not is_link(value) or value[0] not in self.graph or self.depth > DEEPEST:
            return UNKNOWN
        self.depth += 1
        try:
            return self._said_by(self.graph[value[0]], value[1])
        finally:
            self.depth -= 1

    def _said_by(self, node: dict[str, Any], slot: int) -> Texts:
        kind, inputs = node.get("class_type", ""), dict(node.get("inputs", {}))
        for name, value in inputs.items():
            if is_link(value):
                texts = self.text(value)
                if len(texts) != 1:
                    return UNKNOWN
                inputs[name] = texts[0]
        if kind == "HiPerDrawDemoAnimal":
            return (animals_prompt(inputs["animal"], inputs["pose"], inputs["ground"]),)
        if kind == "HiPerGridValues":
            return tuple(listed(str(inputs.get("values", ""))))
        given = text_of(kind, inputs)
        value = given[slot] if given and slot < len(given) else None
        return (value,) if isinstance(value, str) else UNKNOWN


def _natural(name: str) -> list[Any]:
    """conditioning_2 before conditioning_10, cond before cond_NEW."""
    return [(part.isdigit(), int(part) if part.isdigit() else part) for part in _cut(name)]


def _cut(name: str) -> list[str]:
    return [part for part in re.split(r"(\d+)", name) if part]


def _of_output(sources: dict[str, Any], outputs: tuple[str, ...], slot: int) -> list[Any]:
    """The links that an output is made of; of a pair's two, those of its own side."""
    given = [place for place, kind in enumerate(outputs) if kind == "CONDITIONING"]
    if len(given) < 2 or slot not in given:
        return list(sources.values())
    if len(sources) == len(given):
        sides = ("positive", "negative")
        named = [sources[name] for name in sides if name in sources]
        return [(named if len(named) == len(given) else list(sources.values()))[given.index(slot)]]
    side = ("positive", "negative")[given.index(slot)] if len(given) == 2 else ""
    own = [link for name, link in sources.items() if side and name.startswith(side)]
    return own or list(sources.values())


def _mixed(one: tuple[Texts, ...], other: tuple[Texts, ...]) -> tuple[Texts, ...]:
    """Columns that are partly of the one text and partly of the other."""
    if one == other:
        return one
    if len(one) != 1 or len(other) != 1 or not one[0] or not other[0]:
        return (UNKNOWN,)
    return (tuple(dict.fromkeys(one[0] + other[0])),)
