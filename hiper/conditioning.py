"""Putting tails behind prompts (eq. 6), in ComfyUI's form of one: `[[embedding, options], …]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .embedding import HiperEmbedding, join

TAILS = "hiper_tails"  # the option that tells the viewer which columns are learned

# the widths of text that ComfyUI's families of models are known to read
FAMILY_OF_WIDTH = {
    768: "SD 1.x",
    1024: "SD 2.x",
    2048: "SDXL",
    4096: "SD3, Flux and other T5 models",
}


@dataclass(frozen=True)
class TailMark:
    """Columns `start … start + tokens − 1` of an embedding `(B, T, C)` are one learned tail."""

    start: int
    tokens: int
    strength: float = 1.0

    @property
    def columns(self) -> range:
        return range(self.start, self.start + self.tokens)


def tail_marks(options: dict[str, Any]) -> tuple[TailMark, ...]:
    """The tails that Compose has put into an entry, left to right."""
    return tuple(options.get(TAILS, ()))


def check_conditioning(conditioning: list) -> None:
    """One sentence when there is no text to put a tail behind."""
    if not conditioning:
        raise ValueError(
            "The conditioning is empty: connect the output of CLIP Text Encode or the like."
        )
    for embedding, _ in conditioning:
        if not isinstance(embedding, Tensor) or embedding.ndim != 3 or 0 in embedding.shape:
            shape = tuple(embedding.shape) if isinstance(embedding, Tensor) else None
            raise ValueError(
                f"A conditioning entry holds {'no text' if shape is None else f'text of {shape}'}; "
                "wanted token vectors (batch, tokens, width): HiPer needs a model with a text "
                "encoder."
            )


def place_tail(
    embedding: Tensor, options: dict[str, Any], tail: Tensor, placement: str, strength: float = 1.0
) -> tuple[Tensor, dict[str, Any]]:
    """One entry with the tail `(N, C)` behind its prompt `(B, T, C)`; the entry itself is left be.

    "replace" drops as many padding tokens as the tail has, before any tail already there;
    "append" makes the sequence longer, and every mask that goes with it.
    """
    marks = tail_marks(options)
    tokens = len(tail)
    options = dict(options)
    tail = tail.to(embedding) if not tail.requires_grad else tail
    if placement == "append":
        mark = TailMark(embedding.shape[1], tokens, strength)
        mask = options.get("attention_mask")
        if isinstance(mask, Tensor):
            grown = mask.new_ones(*mask.shape[:-1], tokens)
            options["attention_mask"] = torch.cat([mask, grown], dim=-1)
        options[TAILS] = (*marks, mark)
        return join(embedding, tail), options

    end = min((mark.start for mark in marks), default=embedding.shape[1])
    if tokens >= end:
        raise ValueError(
            f"The tail has {tokens} tokens, but only {end} of the prompt's "
            f"{embedding.shape[1]} are left to replace: use fewer tokens or fewer tails."
        )
    mark = TailMark(end - tokens, tokens, strength)
    options[TAILS] = (mark, *marks)
    mask = options.get("attention_mask")
    if isinstance(mask, Tensor) and mask.shape[-1] == embedding.shape[1]:
        mask = mask.clone()
        mask[..., mark.start : end] = 1
        options["attention_mask"] = mask
    head = join(embedding[:, : mark.start], tail)
    return torch.cat([head, embedding[:, end:]], dim=1), options


def compose(conditioning: list, embedding: HiperEmbedding, strength: float) -> list:
    """Equation 6: `e_cmp = [e'_tgt, α · tail]` in every entry; nothing that came in is changed."""
    check_conditioning(conditioning)
    vectors = embedding.vectors() * strength
    placement = embedding.details.placement
    composed = []
    for prompt, options in conditioning:
        check_width(embedding, prompt)
        composed.append(list(place_tail(prompt, options, vectors, placement, strength)))
    return composed


def check_width(embedding: HiperEmbedding, prompt: Tensor) -> None:
    """A tail means something only to the family of models it was learned on."""
    found, wanted = prompt.shape[-1], embedding.context_width
    if found != wanted:
        learned_on = embedding.details.architecture
        if learned_on == "unknown":
            learned_on = FAMILY_OF_WIDTH.get(wanted, "another model")
        raise ValueError(
            f"This embedding was learned on {learned_on} (width {wanted}), but the prompt was "
            f"encoded for {FAMILY_OF_WIDTH.get(found, 'another model')} (width {found}): "
            "load a matching checkpoint, or learn the subject again on this one."
        )
