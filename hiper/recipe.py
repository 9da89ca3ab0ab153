"""How eq. 4's expectation is drawn and its steps are taken: the paper's way, and a faster one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .objective import Draw, draw

GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Recipe:
    """What may differ from the paper; the defaults are the paper's."""

    spread: bool = False  # timesteps from a low-discrepancy sequence instead of by chance
    antithetic: bool = False  # every second step draws the noise of the one before, negated
    average: float = 0.0  # share of the running mean of tails that each step keeps
    rate: float = 1.0  # what the learning rate is multiplied by at first
    settles: float = 0.0  # steps after which the rate falls as 1/√; 0 keeps it as it is
    bound: float = 0.0  # how many times as long as at first a vector may get; 0 is any length
    power: float = 1.0  # of u in [0, 1): above 1 draws timesteps towards the less noisy end

    def __post_init__(self) -> None:
        if not 0 <= self.average < 1:
            raise ValueError(f"average is {self.average}: choose one from 0 to below 1.")
        if self.settles < 0:
            raise ValueError(f"settles is {self.settles}: choose 0 for a steady rate, or more.")
        if self.bound < 0:
            raise ValueError(f"bound is {self.bound}: choose 0 for none, or more.")
        if not self.power > 0:
            raise ValueError(f"power is {self.power}: choose 1 for even timesteps, or above 0.")

    def rate_at(self, step: int) -> float:
        """Large steps at first, smaller ones as the tail comes near; steps count from 0."""
        return self.rate / math.sqrt(1 + step / self.settles) if self.settles else self.rate


PAPER = Recipe()
# large steps first; averaging makes them bearable, and the bound keeps what was learned from
# drowning the head
FAST = Recipe(spread=True, antithetic=True, average=0.98, rate=28.0, settles=30.0, bound=1.0)
RECIPES = {"fast": FAST, "paper": PAPER}


class Draws:
    """The samples of one learning run, all from its seed, on the CPU."""

    def __init__(self, recipe: Recipe, seed: int, batch_size: int) -> None:
        self._recipe, self._batch_size = recipe, batch_size
        self._generator = torch.Generator().manual_seed(seed)
        self._count = 0
        self._start = 0.0
        self._last: Tensor | None = None

    def next(self, clean: Tensor) -> Draw:
        """The next batch for the latents `(R, C, …)`."""
        sample = draw(self._generator, clean, self._batch_size)
        if self._recipe.spread:
            sample = replace(sample, u=self._spread(sample.u))
        if self._recipe.power != 1:
            sample = replace(sample, u=sample.u**self._recipe.power)
        if self._recipe.antithetic:
            self._last = sample.noise if self._last is None else -self._last
            sample = replace(sample, noise=self._last)
            if self._count // self._batch_size % 2:
                self._last = None
        self._count += self._batch_size
        return sample

    def _spread(self, u: Tensor) -> Tensor:
        """Multiples of the golden ratio from a chance start: any run of them is spread evenly."""
        if self._count == 0:
            self._start = float(u[0])
        steps = torch.arange(self._count, self._count + len(u), dtype=torch.float64)
        return ((self._start + steps * GOLDEN) % 1.0).float().clamp(max=1 - 2**-24)


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
