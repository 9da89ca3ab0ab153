"""One attention call of a running model, and the probabilities in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CROSS, SELF = "cross", "self"


@dataclass(frozen=True)
class AttentionCall:
    """The picture's cells q `(B, H, L, D)`, of size (h, w), look at keys k `(B, H, S, D)`: those of
    the prompt (cross) or their own (self)."""

    layer: str
    q: Tensor
    k: Tensor
    size: tuple[int, int]
    columns: slice  # of S: what is looked at
    scale: float | None = None
    mask: Tensor | None = None  # broadcasts to (B, H, L, S)
    joint: bool = False  # the columns share the row with others
    first: int = 0  # where the picture's cells begin among all that ask
    kind: str = CROSS

    def of_rows(self, rows: slice) -> AttentionCall:
        """The same call for some samples of its batch."""
        mask = self.mask[rows] if self.mask is not None and len(self.mask) > 1 else self.mask
        return replace(self, q=self.q[rows], k=self.k[rows], mask=mask)

    def shares(self, head: int | None = None) -> Tensor:
        """How much each cell looks at each column `(B, L, columns)`, one head or their mean."""
        return probabilities(self.q, self.k, head, self.scale, self.mask)[..., self.columns]


def in_heads(tensor: Tensor, heads: int) -> Tensor:
    """`(B, L, H·D)` as `(B, H, L, D)`."""
    return tensor.unflatten(-1, (heads, -1)).transpose(1, 2)


def as_four(mask: Tensor | None) -> Tensor | None:
    """An attention mask `(L, S)`, `(B, L, S)` or `(B, H, L, S)`, so that it broadcasts."""
    if mask is None or mask.ndim == 4:
        return mask
    return mask[None, None] if mask.ndim == 2 else mask[:, None]


def probabilities(
    q: Tensor,
    k: Tensor,
    head: int | None = None,
    scale: float | None = None,
    mask: Tensor | None = None,
    cells_at_once: int = 2**22,
    columns: Tensor | None = None,
) -> Tensor:
    """softmax(q·kᵀ·scale + mask) of q `(B, H, L, D)`, k `(B, H, S, D)`, one head or their mean.

    The result is `(B, L, S)`, or of some columns alone. Queries go in chunks, so that no more than
    `cells_at_once` probabilities exist at a time; for a gradient they are computed again.
    """
    batch, heads, length, width = q.shape
    if head is not None:
        q, k = q[:, head : head + 1], k[:, head : head + 1]
        mask = mask[:, head : head + 1] if mask is not None and mask.shape[1] > 1 else mask
        heads = 1
    scale = width**-0.5 if scale is None else scale
    keys = (k.float() * scale).transpose(-2, -1)
    rows = max(1, cells_at_once // (batch * heads * k.shape[-2]))
    graded = torch.is_grad_enabled() and (q.requires_grad or keys.requires_grad)
    chunks = []
    for start in range(0, length, rows):
        here = slice(start, start + rows)
        seen = mask if mask is None or mask.shape[-2] == 1 else mask[..., here, :]
        given = q[..., here, :], keys, seen, columns
        if graded and length > rows:
            chunks.append(checkpoint(_looked, *given, use_reentrant=False))
        else:
            chunks.append(_looked(*given))
    return torch.cat(chunks, dim=1)


def _looked(q: Tensor, keys: Tensor, mask: Tensor | None, columns: Tensor | None) -> Tensor:
    """Some queries' shares, mean of heads `(B, L, K)`."""
    scores = q.float() @ keys
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, -torch.finfo(scores.dtype).max)
    elif mask is not None:
        scores = scores + mask
    if columns is None:
        return scores.softmax(dim=-1).mean(dim=1)
    whole = scores.logsumexp(-1, keepdim=True)
    return (scores.index_select(-1, columns) - whole).exp().mean(dim=1)


def shares_of(call: AttentionCall, columns: tuple[int, ...]) -> Tensor:
    """How much each cell looks at some of the prompt's columns `(B, L, K)`, mean of heads and with
    its gradient; columns count from the prompt's end."""
    first = call.columns.start or 0
    stop = call.k.shape[-2] if call.columns.stop is None else call.columns.stop
    chosen = torch.tensor([stop + column for column in columns], device=call.k.device)
    if int(chosen.min()) < first:
        raise ValueError(
            f"Column {min(columns)} from the prompt's end was asked for, which has "
            f"{stop - first}: choose a later one."
        )
    return probabilities(call.q, call.k, None, call.scale, call.mask, columns=chosen)


def without_repeats(maps: Tensor, length: int) -> Tensor:
    """Text `(B, L, r·T)` that was repeated to match a longer prompt, its repeats summed."""
    repeats = maps.shape[-1] // length
    if repeats <= 1:
        return maps[..., :length]
    return maps[..., : repeats * length].unflatten(-1, (repeats, length)).sum(dim=-2)
