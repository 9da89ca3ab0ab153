"""One step of eq. 4's optimisation, for one tail or for many at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from .recipe import Recipe


class Average:
    """The running mean of tails, which calms the last steps' noise; the tail itself at 0."""

    def __init__(self, tail: Tensor, kept: float) -> None:
        self.tail = tail.detach().clone()
        self._kept, self._steps = kept, 0

    def add(self, tail: Tensor) -> Tensor:
        """A mean over few steps at first, so that the start is soon forgotten."""
        self._steps += 1
        kept = min(self._kept, (self._steps - 1) / (self._steps + 9)) if self._kept else 0.0
        self.tail.lerp_(tail.detach(), 1 - kept)
        return self.tail


class Bound:
    """Holds each vector of a tail `(…, N, C)` within a multiple of the length it had at first: what
    is longer than the encoder's own drowns the head. A vector that began at zero is free."""

    def __init__(self, tail: Tensor, times: float) -> None:
        length = times * tail.detach().norm(dim=-1, keepdim=True)
        self._longest = length.where(length > 0, torch.inf) if times else None

    @torch.no_grad()
    def hold(self, tail: Tensor) -> None:
        if self._longest is not None:
            tail.mul_((self._longest / tail.norm(dim=-1, keepdim=True)).clamp(max=1))


class TailOptimiser:
    """Adam over a tail or over many at once `(…, N, C)`, at the recipe's rate, within its bound.

    Tails whose losses are summed don't mix: neither do their gradients, nor does Adam.
    """

    def __init__(self, tail: Tensor, learning_rate: float, recipe: Recipe) -> None:
        self.tail = tail.detach().clone().requires_grad_(True)
        self._adam = torch.optim.Adam([self.tail], learning_rate)
        self._rate = LambdaLR(self._adam, recipe.rate_at)
        self._bound = Bound(self.tail, recipe.bound)
        self._average = Average(self.tail, recipe.average)

    @property
    def average(self) -> Tensor:
        """What has been learned: the running mean, or the last tail where the recipe has none."""
        return self._average.tail

    def step(self, gradient: Tensor) -> None:
        """One step down the loss's gradient in `tail`."""
        self.tail.grad = gradient
        self._adam.step()
        self._rate.step()
        self._bound.hold(self.tail)
        self._average.add(self.tail)
