"""One step of eq. 4's optimisation, for one tail or for many at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.amp import GradScaler
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


def size_of(tail: Tensor, otherwise: float = 1.0) -> Tensor:
    """The root mean square of each tail `(…, N, C)` as `(…, 1, 1)`; `otherwise` where it is zero,
    as some encoders pad with nothing."""
    size = tail.detach().square().mean((-2, -1), keepdim=True).sqrt()
    return size.where(size > 0, otherwise)


class TailOptimiser:
    """Adam over a tail or over many at once `(…, N, C)`, at the recipe's rate, within its bound.

    Tails whose losses are summed don't mix: neither do their gradients, nor does Adam. A relative
    rate is one on tails divided by their size, where Adam's steps are the same for any size.
    """

    def __init__(
        self,
        tail: Tensor,
        learning_rate: float,
        recipe: Recipe,
        loss_scale: float = 1.0,
        size: float = 1.0,
    ) -> None:
        self._size = size_of(tail, size) if recipe.relative else None
        own = tail.detach().clone()
        self._own = (own if self._size is None else own / self._size).requires_grad_(True)
        self._adam = torch.optim.Adam([self._own], learning_rate)
        self._rate = LambdaLR(self._adam, recipe.rate_at)
        self._bound = Bound(self._own, recipe.bound)
        self._average = Average(self._own, recipe.average)
        self._scaler = GradScaler(tail.device.type, loss_scale, enabled=loss_scale != 1.0)

    @property
    def tail(self) -> Tensor:
        """What the next loss is to be taken at, and its gradient in."""
        return self._sized(self._own.detach()).requires_grad_(True)

    @property
    def average(self) -> Tensor:
        """What has been learned: the running mean, or the last tail where the recipe has none."""
        return self._sized(self._average.tail)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss as its gradient is to be taken, so that in half precision it doesn't vanish."""
        return self._scaler.scale(loss)

    def step(self, gradient: Tensor) -> bool:
        """One step down the gradient of the scaled loss in `tail`; none, and False, where that
        overflowed: then the scale is lowered instead."""
        before = self._scaler.get_scale()
        self._own.grad = self._sized(gradient)
        self._scaler.step(self._adam)
        self._scaler.update()
        if self._scaler.get_scale() < before:
            return False
        self._rate.step()
        self._bound.hold(self._own)
        self._average.add(self._own)
        return True

    def _sized(self, own: Tensor) -> Tensor:
        return own if self._size is None else own * self._size


class StagedOptimiser:
    """A `TailOptimiser` for each stage of tails `(…, stages, roles, N, C)`: a stage that was not in
    force rests, and neither Adam's momentum nor the fall of its rate goes on without it."""

    def __init__(
        self,
        tail: Tensor,
        learning_rate: float,
        recipe: Recipe,
        loss_scale: float = 1.0,
        size: float = 1.0,
    ) -> None:
        self._shape = tail.shape
        self._scaler = GradScaler(tail.device.type, loss_scale, enabled=loss_scale != 1.0)
        self._stages = [
            TailOptimiser(stage, learning_rate, recipe, size=size)
            for stage in tail.detach().flatten(0, -4)
        ]

    @property
    def tail(self) -> Tensor:
        own = torch.stack([stage.tail.detach() for stage in self._stages])
        return own.view(self._shape).requires_grad_(True)

    @property
    def average(self) -> Tensor:
        return torch.stack([stage.average for stage in self._stages]).view(self._shape)

    def scaled(self, loss: Tensor) -> Tensor:
        return self._scaler.scale(loss)

    def step(self, gradient: Tensor) -> bool:
        """One step of those stages that the gradient of the scaled loss reaches."""
        gradients = gradient.flatten(0, -4)
        if not self._unscaled(gradients):
            return False
        in_force = gradients.flatten(1).any(1).tolist()
        for stage, own, reached in zip(self._stages, gradients, in_force, strict=True):
            if reached:
                stage.step(own)
        return True

    def _unscaled(self, gradients: Tensor) -> bool:
        """Take the loss's scale off in place; False, and a lower scale, where it overflowed."""
        if not self._scaler.is_enabled():
            return True
        holder = torch.zeros_like(gradients).requires_grad_(True)
        holder.grad = gradients
        nothing = torch.optim.SGD([holder], lr=0.0)
        before = self._scaler.get_scale()
        self._scaler.unscale_(nothing)
        self._scaler.step(nothing)
        self._scaler.update()
        return self._scaler.get_scale() >= before


def optimiser_of(
    tail: Tensor, learning_rate: float, recipe: Recipe, loss_scale: float = 1.0, size: float = 1.0
) -> TailOptimiser | StagedOptimiser:
    """The optimiser of a tail `(stages, roles, N, C)`, or of many `(P, stages, roles, N, C)`."""
    kind = TailOptimiser if tail.shape[-4] == 1 else StagedOptimiser
    return kind(tail, learning_rate, recipe, loss_scale, size)
