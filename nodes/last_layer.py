"""Which of CLIP's layers a prompt was encoded with: a tail fits that layer and no other."""

from __future__ import annotations

import logging
from typing import Any

from ..hiper.embedding import EmbeddingDetails
from .words import Graph, is_link, kind_of, upstream

SETS_IT = "CLIPSetLastLayer"
UNKNOWN = 0  # layers are counted from the end, from -1


def last_layer(graph: Graph | None, node_id: str | None, own: int, clip: Any = None) -> int:
    """The layer of the prompt at a node's conditioning, the family's `own` where nothing sets it.

    The graph is asked first: the CLIP that counts tokens may be another.
    """
    if own == UNKNOWN:
        return UNKNOWN
    found = set()
    if graph and node_id in graph:
        for name in upstream(graph, node_id, ("conditioning",), ("CONDITIONING", "*")):
            inputs = graph[name].get("inputs", {})
            if is_link(inputs.get("clip")):
                found.add(_set_behind(graph, inputs["clip"], own))
            elif not any(
                is_link(v) and "CONDITIONING" in kind_of(graph, v) for v in inputs.values()
            ):
                found.add(UNKNOWN)
    if len(found) == 1 and UNKNOWN not in found:
        return found.pop()
    if clip is None or len(found - {UNKNOWN}) > 1:
        return UNKNOWN
    layer = getattr(clip, "layer_idx", None)
    return layer if isinstance(layer, int) else own


def _set_behind(graph: Graph, link: Any, own: int) -> int:
    """What a wire's CLIP was set to last, followed up to its loader."""
    seen = set()
    while is_link(link) and link[0] in graph and link[0] not in seen:
        seen.add(link[0])
        node = graph[link[0]]
        inputs = node.get("inputs", {})
        if node.get("class_type") == SETS_IT:
            layer = inputs.get("stop_at_clip_layer")
            return layer if isinstance(layer, int) else UNKNOWN
        clips = [v for v in inputs.values() if is_link(v) and kind_of(graph, v) == "CLIP"]
        if not clips:
            return own
        link = clips[0]
    return UNKNOWN


def warn_of_another(details: EmbeddingDetails, layer: int) -> None:
    """Another layer's vectors are of another size and mean something else."""
    if UNKNOWN not in (details.clip_layer, layer) and details.clip_layer != layer:
        logging.warning(
            "HiPer: this embedding was learned behind CLIP's layer %d, but this prompt was encoded "
            "with its layer %d: set CLIP Set Last Layer to %d to have the subject as it was "
            "learned.",
            details.clip_layer,
            layer,
            details.clip_layer,
        )
