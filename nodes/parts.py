"""Exchange Parts: a tail with some of its stages, its keys or its values from another."""

from __future__ import annotations

import re

from comfy_api.v0_0_2 import io

from ..hiper.embedding import HiperEmbedding, exchanged
from .types import CATEGORY, HiperEmbeddingSocket

ROLES = {"keys and values": (0, 1), "keys": (0,), "values": (1,)}


class ExchangeParts(io.ComfyNode):
    """SeFi-IDE's Figure 4: another's vectors in the place of a stage's or a role's."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerExchangeParts",
            display_name="Exchange HiPer Parts",
            category=CATEGORY,
            description="Take some stages of a learned subject, its keys or its values, from "
            "another embedding: to see what each carries, or to give one subject's shape to "
            "another.",
            search_aliases=["hiper", "sefi", "stages", "keys", "values", "mix embeddings"],
            inputs=[
                HiperEmbeddingSocket.Input("embedding", tooltip="What most is kept of."),
                HiperEmbeddingSocket.Input("other", tooltip="What the parts are taken from."),
                io.String.Input(
                    "stages",
                    default="all",
                    tooltip="Which stages, from 1, the noisiest first: all, 1, 2-4 or 1, 5.",
                ),
                io.Combo.Input(
                    "roles",
                    options=list(ROLES),
                    default="keys and values",
                    tooltip="Keys say where the tail looks, values what it brings.",
                ),
            ],
            outputs=[
                HiperEmbeddingSocket.Output(
                    display_name="embedding", tooltip="The embedding, those parts exchanged."
                )
            ],
        )

    @classmethod
    def execute(
        cls, embedding: HiperEmbedding, other: HiperEmbedding, stages: str, roles: str
    ) -> io.NodeOutput:
        many = max(embedding.stages, other.stages)
        return io.NodeOutput(exchanged(embedding, other, numbers(stages, many), ROLES[roles]))


def numbers(written: str, many: int) -> tuple[int, ...]:
    """The stages that are meant, from 0; "2-4" is three of them."""
    if written.strip().casefold() == "all":
        return tuple(range(many))
    found: set[int] = set()
    for part in written.split(","):
        match = re.fullmatch(r"\s*(\d{1,4})\s*(?:-\s*(\d{1,4})\s*)?", part)
        first, last = (0, 0) if match is None else (int(match[1]), int(match[2] or match[1]))
        if not 1 <= first <= last <= many:
            raise ValueError(
                f"stages is {written!r}, but the embeddings have {many}: write all, or numbers "
                f"from 1 to {many} such as 1, 2-4."
            )
        found |= set(range(first - 1, last))
    return tuple(sorted(found))
