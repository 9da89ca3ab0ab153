"""What learning gives: step by step, and in the end."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from .stopping import FixedLossAt


@dataclass(frozen=True)
class Learned:
    """The tail `(stages, roles, N, C)`, the loss of every step taken `(steps,)`, both on the CPU,
    and the fixed loss as often as it was taken."""

    tail: Tensor
    losses: Tensor  # NaN where a step in half precision overflowed and was skipped
    fixed_losses: tuple[FixedLossAt, ...] = ()
    halvings: int = 0  # of the rate, because it made the fixed loss rise
    gained: bool | None = None  # whether the fixed loss ever fell; None where that did not matter
    by_hand: bool = False  # ended by a person, with what there was

    @property
    def first_loss(self) -> float:
        """The mean over the first tenth of the steps."""
        return float(self.losses[: self._tenth].nanmean())

    @property
    def last_loss(self) -> float:
        """The mean over the last tenth of the steps."""
        return float(self.losses[-self._tenth :].nanmean())

    @property
    def first_fixed_loss(self) -> float:
        """Before the first step; NaN where it was not taken."""
        return self.fixed_losses[0].loss if self.fixed_losses else math.nan

    @property
    def last_fixed_loss(self) -> float:
        """Of the tail itself: the best there was where that one was kept, else the last."""
        losses = [at.loss for at in self.fixed_losses] or [math.nan]
        return losses[-1] if self.gained is None else min(losses)

    @property
    def _tenth(self) -> int:
        return max(1, len(self.losses) // 10)


@dataclass(frozen=True)
class LearningStep:
    """One finished step; loss and tail stay on the device, so that reading it is what costs.
    `fixed_losses` are those taken so far."""

    index: int
    loss: Tensor
    tail: Tensor
    fixed_losses: tuple[FixedLossAt, ...] = ()


def change(first: float, last: float) -> str:
    """From one loss to another, in percent of the first."""
    percent = 100 * (last - first) / first if first else 0.0
    if abs(percent) < 0.05:
        return "no change"
    return f"{abs(percent):.2g} % {'less' if percent < 0 else 'more'}"
