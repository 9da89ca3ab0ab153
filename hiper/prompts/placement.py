"""Putting tails behind prompts (eq. 6), in ComfyUI's form of one: `[[embedding, options], …]`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..embedding import HiperEmbedding, join, split
from .families import (
    APPEND,
    REPLACE,
    Family,
    families_of_text,
    family_named,
    names_of_width,
)
from .tails import PLACED, STAGE, TAILS, TailMark, holds, tail_marks, tails_in

# given an entry's number, it `[embedding, options]` with the tail in it, the tail's place there and
# its vectors `(roles, N, C)`
Bring = Callable[[int, list, TailMark, Tensor], None]


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


def initial_tail(prompt: Tensor, tokens: int, placement: str) -> Tensor:
    """The tail `(1, 1, N, C)` to start from: the last N vectors of a prompt `(B, T, C)` (eq. 3).

    An appended tail costs the prompt nothing, so a shorter prompt lends its first vector again.
    """
    if placement == REPLACE:
        return split(prompt, tokens)[1][:1][None]
    last = torch.arange(-tokens, 0, device=prompt.device).clamp(min=-prompt.shape[1])
    return prompt[:1, last][None]


def place_tail(
    embedding: Tensor,
    options: dict[str, Any],
    tail: Tensor,
    placement: str,
    strength: float = 1.0,
    there: tuple[TailMark, ...] | None = None,
) -> tuple[Tensor, dict[str, Any]]:
    """One entry with the tail `(N, C)`, or `(B, N, C)` of one a sample, behind its prompt
    `(B, T, C)`; the entry itself is left be.

    "replace" drops as many padding tokens as the tail has, before the tails that the prompt ends
    with; "append" makes the sequence longer, and every mask that goes with it. `there` are the
    tails that it holds, those of its options if unsaid.
    """
    marks = tail_marks(options) if there is None else there
    tokens, length = tail.shape[-2], embedding.shape[1]
    options = dict(options)
    tail = tail.to(embedding) if not tail.requires_grad else tail
    mask = options.get("attention_mask")
    if placement != REPLACE:
        if isinstance(mask, Tensor):
            grown = mask.new_ones(*mask.shape[:-1], tokens)
            options["attention_mask"] = torch.cat([mask, grown], dim=-1)
        options[TAILS] = (*marks, TailMark(length, tokens, strength))
        return join(embedding, tail), options

    end = length - behind(marks, length)
    free = free_padding(options, end, length)
    nearest = max((mark.columns.stop for mark in marks if mark.start < end), default=0)
    if end - nearest < tokens and nearest:
        raise ValueError(
            f"The tail has {tokens} tokens, but only {end - nearest} of the prompt's {length} are "
            "left between a tail that it holds and its end: use fewer tokens, or put this tail "
            "behind its prompt before the prompts are joined."
        )
    if tokens >= end or (free is not None and tokens > free):
        raise ValueError(
            f"The tail has {tokens} tokens, but only {end if free is None else free} of the "
            f"prompt's {length} are left to replace: use fewer tokens or fewer tails, or a "
            "shorter prompt."
        )
    mark = TailMark(end - tokens, tokens, strength)
    options[TAILS] = tuple(sorted((mark, *marks), key=lambda each: each.start))
    if free is not None:
        mask, shorter = mask.clone(), length - mask.shape[-1]
        mask[:, mark.start - shorter : end - shorter] = 1
        options["attention_mask"] = mask
    head = join(embedding[:, : mark.start], tail)
    return torch.cat([head, embedding[:, end:]], dim=1), options


def compose(
    conditioning: list,
    embedding: HiperEmbedding,
    strength: float,
    bring: Bring | None = None,
) -> list:
    """Equation 6: `e_cmp = [e'_tgt, α · tail]` in every entry; nothing that came in is changed.

    An entry becomes one a stage, each in force in its own part of the sampling (SeFi-IDE).
    `bring` hangs into it what its vectors alone can't carry, such as those for values.
    """
    if embedding.roles > 1 and bring is None:
        raise ValueError(
            f"This embedding has {embedding.roles} roles, its vectors apart for keys and for "
            "values, and there is nothing that would carry the latter: use Compose HiPer "
            "Conditioning."
        )
    check_conditioning(conditioning)
    placement = embedding.details.placement
    for prompt, options in conditioning:
        check_family(embedding, prompt, options)
    held = [tails_in(prompt, options, silent=True) for prompt, options in conditioning]
    stages = list(zip(embedding.tail, embedding.parts(), strict=True))
    composed = []
    for entry, ((prompt, options), there) in enumerate(zip(conditioning, held, strict=True)):
        for number, (vectors, part) in enumerate(stages, start=1):
            within = in_part(options, part) if len(stages) > 1 else options
            if within is None:
                continue
            known = vectors[0].clone()
            if not holds(prompt, known):
                known = PLACED.remember(known)
            placed, own = place_tail(
                prompt, within, vectors[0] * strength, placement, strength, there
            )
            (mark,) = (mark for mark in own[TAILS] if mark not in there)
            own[TAILS] = tuple(
                replace(mark, vectors=known) if each is mark else each for each in own[TAILS]
            )
            if len(stages) > 1:
                own[STAGE] = (*own.get(STAGE, ()), (number, len(stages)))
            composed.append([placed, own])
            if bring is not None:
                bring(entry, composed[-1], mark, vectors * strength)
    return composed


def in_part(options: dict[str, Any], part: tuple[float, float]) -> dict[str, Any] | None:
    """An entry in force in a part of the sampling alone, beside the range that it has or is given
    later; None where the two have nothing in common.

    ComfyUI cuts `clip_start_percent … clip_end_percent` with `start_percent … end_percent`, and
    Set Timestep Range writes the latter alone.
    """
    start = max(part[0], options.get("clip_start_percent", 0.0))
    end = min(part[1], options.get("clip_end_percent", 1.0))
    if start >= end:
        return None
    return {**options, "clip_start_percent": start, "clip_end_percent": end}


def behind(marks: tuple[TailMark, ...], length: int) -> int:
    """How many columns at the end of a prompt are tails, one behind the other."""
    end = length
    for mark in reversed(marks):
        if mark.columns.stop == end:
            end = mark.start
    return length - end


def check_family(embedding: HiperEmbedding, prompt: Tensor, options: dict[str, Any]) -> None:
    """A tail means something only to the family of models it was learned on."""
    found, wanted = prompt.shape[-1], embedding.context_width
    learned_on = embedding.details.architecture
    if learned_on == "unknown":
        learned_on = names_of_width(wanted)
    encoded_for = families_of_text(prompt, options)
    names = [family.name for family in encoded_for]
    family = family_named(embedding.details.family)
    if found != wanted or (family is not None and names and family.name not in names):
        name = names_of_width(found) if found != wanted else " or ".join(names)
        raise ValueError(
            f"This embedding was learned on {learned_on} (width {wanted}), but the prompt was "
            f"encoded for {name} (width {found}): "
            "load a matching checkpoint, or learn the subject again on this one."
        )
    if family is not None and embedding.details.placement == REPLACE:
        length = prompt.shape[1]
        if family.placement == REPLACE and length < family.padded_to:
            raise ValueError(
                f"This embedding takes the place of padding, of which {family.name}'s text encoder "
                f"gives up to {family.padded_to} tokens, but this prompt is {length} tokens "
                f"without any: encode it with {family.name}'s own text encoder."
            )


def written(length: int, tails: Iterable[TailMark], placement: str | None) -> list[int]:
    """The columns that the text encoder gave; appended tails stand behind or between them."""
    columns = list(range(length))
    if placement != APPEND:
        return columns
    taken = {column for mark in tails for column in mark.columns}
    return [column for column in columns if column not in taken]


def free_padding(options: dict[str, Any], end: int, length: int) -> int | None:
    """How many tokens before column `end` of `length` the prompt's mask leaves out, if it has one.

    A mask that is shorter than the sequence belongs to its last tokens.
    """
    mask = options.get("attention_mask")
    if not isinstance(mask, Tensor) or mask.ndim != 2:
        return None
    kept = mask[:, : max(0, end - (length - mask.shape[-1]))].bool().any(0)
    words = kept.nonzero()
    return len(kept) - (int(words[-1]) + 1 if len(words) else 0)


def placement_of(
    family: Family | None, prompt: Tensor, options: dict[str, Any], tokens: int
) -> str:
    """Whether the tail replaces padding or is appended to a prompt `(B, T, C)`."""
    if family is not None and family.placement is not None:
        return family.placement
    length = prompt.shape[1]
    padding = free_padding(options, length, length)
    if padding is not None:
        return REPLACE if padding >= tokens else APPEND
    # without a mask only CLIP's chunks tell that the prompt was padded
    return REPLACE if length % 77 == 0 else APPEND
