"""Adding to how alike a picture's cells and a prompt's tokens are, in any attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...attention.calls import AttentionCall, as_four

# hears of a call; may answer what is to be added to how alike its cells and its columns are,
# `(B, L, columns)`
Tell = Callable[[AttentionCall], Tensor | None]
MASK = 4  # of an attention function's arguments: q, k, v, heads, mask


@dataclass(frozen=True)
class Override:
    """An `optimized_attention_override` that others can ask what it adds to a call."""

    attention: Callable
    tell: Tell
    chained: Callable | None

    def __call__(self, backend: Callable, *args: Any, **kwargs: Any) -> Tensor:
        return self.attention(backend, *args, **kwargs)


def seen_by(chained: Callable | None, call: AttentionCall) -> AttentionCall:
    """The call as it will be once the overrides below have added to it."""
    while isinstance(chained, Override):
        if getattr(chained.tell, "steers", False):
            added = chained.tell(call)
            if added is not None:
                call = replace(call, mask=joined(call.mask, spread(call, added, call.q)))
        chained = chained.chained
    return call


def spread(call: AttentionCall, added: Tensor, asking: Tensor) -> Tensor:
    """What is added `(B, L, columns)` as a mask `(B, 1, rows, keys)` for all that ask."""
    rows, keys = asking.shape[-2], call.k.shape[-2]
    mask = torch.zeros(len(added), 1, rows, keys, dtype=call.q.dtype, device=call.q.device)
    first = call.first if rows != call.q.shape[-2] else 0
    mask[:, 0, first : first + added.shape[1], call.columns] = added.to(mask)
    return mask


def joined(mask: Tensor | None, added: Tensor) -> Tensor:
    """A mask that also adds; one of truths is made one of numbers."""
    mask = as_four(mask)
    if mask is None:
        return added
    if mask.dtype == torch.bool:
        return added.masked_fill(~mask, -torch.finfo(added.dtype).max)
    return added + mask.to(added)


def steered(
    args: tuple, kwargs: dict[str, Any], call: AttentionCall, added: Tensor | None
) -> tuple[tuple, dict[str, Any]]:
    """The arguments of an attention function with something added to its mask."""
    if added is None:
        return args, kwargs
    mask = args[MASK] if len(args) > MASK else kwargs.get("mask")
    asking = args[0] if args else kwargs["q"]
    whole = joined(mask, spread(call, added, asking))
    if len(args) > MASK:
        return (*args[:MASK], whole, *args[MASK + 1 :]), kwargs
    return args, {**kwargs, "mask": whole}
