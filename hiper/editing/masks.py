"""Where a picture may change while it is edited."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Masks:
    """The masks of one step `(B, H, W)`; those that were not asked for are empty."""

    source: Tensor  # M^s, where the subject was
    target: Tensor  # M^e, where it is being drawn
    painted: Tensor

    @property
    def union(self) -> Tensor:
        """M_t of eq. 3."""
        return torch.maximum(torch.maximum(self.source, self.target), self.painted)

    def of(self, number: int) -> Masks:
        """One picture's `(H, W)`."""
        return Masks(self.source[number], self.target[number], self.painted[number])
