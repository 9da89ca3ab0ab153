"""What eq. 4's expectation is taken over, drawn from a seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .recipe import Recipe

GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Draw:
    """What eq. 4 takes the expectation over: reference `(B,)`, timestep u `(B,)`, ε `(B, C, …)`."""

    reference: Tensor
    u: Tensor
    noise: Tensor


def draw(generator: torch.Generator, clean: Tensor, batch_size: int) -> Draw:
    """One batch of references, timesteps and noise for the latents `(R, C, …)`; drawn on the CPU,
    so that a seed means the same on every device."""
    reference = torch.randint(len(clean), (batch_size,), generator=generator)
    u = torch.rand(batch_size, generator=generator)
    noise = torch.randn(batch_size, *clean.shape[1:], generator=generator)
    return Draw(reference, u, noise)


class Draws:
    """The samples of one learning run, all from its seed, on the CPU."""

    def __init__(self, recipe: Recipe, seed: int, batch_size: int) -> None:
        self._recipe, self._batch_size = recipe, batch_size
        self._generator = torch.Generator().manual_seed(seed)
        self._count = 0
        self._start = 0.0

    def next(self, clean: Tensor) -> Draw:
        """The next batch for the latents `(R, C, …)`."""
        sample = draw(self._generator, clean, self._batch_size)
        if self._recipe.spread:
            sample = replace(sample, u=self._spread(sample.u))
        self._count += self._batch_size
        return sample

    def _spread(self, u: Tensor) -> Tensor:
        """Multiples of the golden ratio from a chance start: any run of them is spread evenly."""
        if self._count == 0:
            self._start = float(u[0])
        steps = torch.arange(self._count, self._count + len(u), dtype=torch.float64)
        return ((self._start + steps * GOLDEN) % 1.0).float().clamp(max=1 - 2**-24)
