"""α, how strong a tail stands behind a prompt: a person's own, or what its recipe does best at."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..hiper.embedding import HiperEmbedding

OWN = -1.0


def strength_input(tooltip: str) -> io.Float.Input:
    return io.Float.Input("strength", default=OWN, min=OWN, max=2.0, step=0.05, tooltip=tooltip)


def strength_of(embedding: HiperEmbedding, strength: float) -> float:
    """What is asked for; -1 is the embedding's own."""
    if strength == OWN:
        return embedding.details.strength
    if strength < 0:
        raise ValueError(
            f"The strength is {strength:g}; wanted 0 or more, or -1 for the embedding's own, "
            f"which is {embedding.details.strength:g}."
        )
    return strength
