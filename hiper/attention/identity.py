"""Where a subject is while the model draws it: LIPE's identity mask (eqs. 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .calls import CROSS, AttentionCall, probabilities, shares_of
from .maps import enlarged

MOST_CELLS = 1600  # of a self-attention map, which grows with their square
SOURCE_THRESHOLD = 0.4  # of the source's map: it is of all steps, and sharper
EVERY = 4  # joint-attention layers have one size, the largest: some of them stand for all


@dataclass(frozen=True)
class IdentitySettings:
    """How a map becomes a mask."""

    power: float = 0.5  # λ of eq. 2; 0 leaves self-attention out
    threshold: float = 0.3  # of the map between its least and its most

    def __post_init__(self) -> None:
        if not 0 <= self.power <= 4:
            raise ValueError(f"self_attention is {self.power:g}: choose 0 to 4.")
        check_threshold("threshold", self.threshold)


def check_threshold(name: str, threshold: float) -> None:
    if not 0 < threshold < 1:
        raise ValueError(f"{name} is {threshold:g}: choose more than 0, less than 1.")


class IdentityMap:
    """M¹, the mean of the identity's cross-attention over layers and all steps so far, and with
    self-attention M²; one a picture of the batch."""

    def __init__(self, power: float) -> None:
        self._power = power
        self._cross: dict[tuple[int, int], Tensor] = {}  # sums (B, h, w), each layer's mean at 1
        self._self: dict[tuple[int, int], Tensor] = {}  # sums (B, L, L)
        self._layers = 0

    @property
    def empty(self) -> bool:
        return not self._cross

    def hear(self, call: AttentionCall, columns: tuple[int, ...]) -> None:
        """One attention call of the subject's rows; columns count from the prompt's end."""
        if call.kind == CROSS:
            looked = shares_of(call, columns).mean(-1)
            looked = looked / looked.mean(-1, keepdim=True).clamp(
                min=torch.finfo(looked.dtype).tiny
            )
            self._add(self._cross, call.size, looked.unflatten(-1, call.size))
            return
        if not self._power:
            return
        if call.joint:
            self._layers += 1
            if self._layers % EVERY:
                return
        elif call.q.shape[-2] > MOST_CELLS:
            return  # the same picture is there in smaller maps as well
        size, shares = _within(call)
        self._add(self._self, size, shares)

    @staticmethod
    def _add(sums: dict[tuple[int, int], Tensor], size: tuple[int, int], found: Tensor) -> None:
        before = sums.get(size)
        sums[size] = found if before is None else before + found.to(before.device)

    def map(self) -> Tensor:
        """M² `(B, h, w)`, from 0 where the subject is least to 1 where it is most."""
        finest = max(self._cross, key=_cells)
        if self._power and self._self:
            finest = max(self._self, key=_cells)
        seen = sum(enlarged(maps[:, None], finest)[:, 0] for maps in self._cross.values())
        if self._power and self._self:
            shares = self._self[finest]
            shares = (shares / shares.sum(-1, keepdim=True)) ** self._power  # (B, L, L)
            shares = shares / shares.sum(-1, keepdim=True)
            seen = (shares @ seen.flatten(1)[..., None])[..., 0].unflatten(-1, finest)
        least, most = seen.amin((-2, -1), keepdim=True), seen.amax((-2, -1), keepdim=True)
        return (seen - least) / (most - least).clamp(min=torch.finfo(seen.dtype).tiny)


def _cells(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _within(call: AttentionCall) -> tuple[tuple[int, int], Tensor]:
    """What the picture's cells give each other `(B, L, L)`, brought to so many cells at most."""
    shares = probabilities(call.q, call.k, None, call.scale, call.mask)[..., call.columns]
    size = call.size
    while _cells(size) > MOST_CELLS:
        smaller = -(-size[0] // 2), -(-size[1] // 2)
        shares = _pooled(_pooled(shares, size, smaller).transpose(1, 2), size, smaller)
        shares, size = shares.transpose(1, 2), smaller
    return size, shares


def _pooled(shares: Tensor, size: tuple[int, int], smaller: tuple[int, int]) -> Tensor:
    """`(B, N, H·W)` as `(B, N, h·w)`."""
    return F.adaptive_avg_pool2d(shares.unflatten(-1, size), smaller).flatten(-2)


def mask_of(seen: Tensor, size: tuple[int, int], threshold: float, grow: int = 0) -> Tensor:
    """A map `(B, h, w)` in 0 … 1 as a mask `(B, H, W)` of zeros and ones, grown by some cells."""
    mask = (enlarged(seen[:, None], size) >= threshold).float()
    for _ in range(grow):
        mask = F.max_pool2d(mask, 3, stride=1, padding=1)
    return mask[:, 0]
