"""Knowing when to stop: eq. 4's loss without its chance, on timesteps and noise that stay fixed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .objective import Denoiser
from .terms import squared_error

REAL_GAIN = 1e-3  # share of the first loss


@dataclass(frozen=True)
class StopRule:
    """Read the fixed loss now and then; where it `stops`, stop when `patience` readings in a row
    each gain less than a share of all that was gained."""

    every: int = 50
    pairs: int = 16
    least_gain: float = 0.02
    patience: int = 1
    stops: bool = True

    def __post_init__(self) -> None:
        for name in ("every", "pairs", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: choose 1 or more.")


@dataclass(frozen=True)
class FixedLossAt:
    """The fixed loss after so many steps."""

    steps: int
    loss: float


def fixed_pairs(shape: tuple[int, ...], pairs: int) -> tuple[Tensor, Tensor]:
    """Even timesteps u `(pairs,)` and a noise `(pairs, C, …)` for each, always the same."""
    generator = torch.Generator().manual_seed(0)
    return (torch.arange(pairs) + 0.5) / pairs, torch.randn(pairs, *shape, generator=generator)


class FixedLoss:
    """The mean over fixed pairs for the latents `(R, C, …)` in turn, `chunk` of them a call."""

    def __init__(
        self,
        denoiser: Denoiser,
        clean: Tensor,
        pairs: int,
        chunk: int,
        mask: Tensor | None = None,
    ) -> None:
        pairs = -(-pairs // chunk) * chunk  # a last, smaller call would be a shape of its own
        self._denoiser, self._chunk = denoiser, chunk
        self._reference = torch.arange(pairs) % len(clean)
        self._clean = clean[self._reference]
        self._mask = None if mask is None else mask[self._reference]
        u, noise = fixed_pairs(clean.shape[1:], pairs)
        self._u, self._noise = u.to(clean.device), noise.to(clean.device)

    @torch.no_grad()
    def __call__(self, tail: Tensor) -> float:
        """The mean for the tail `(stages, roles, N, C)`; as many calls as `pairs / chunk`."""
        losses = []
        for part in torch.arange(len(self._u)).split(self._chunk):
            mask = None if self._mask is None else self._mask[part]
            clean, u, noise = self._clean[part], self._u[part], self._noise[part]
            with self._denoiser.of_pictures(self._reference[part]):
                losses.append(squared_error(self._denoiser, clean, u, noise, tail, mask))
        return float(torch.cat(losses).mean())


class Plateau:
    """Follows the fixed loss and says when nothing more is gained, after something was."""

    def __init__(self, rule: StopRule, first: float) -> None:
        self._rule = rule
        self.first = self.best = first
        self._idle = 0

    @property
    def gained(self) -> bool:
        """Whether the loss ever fell by so much that a plateau behind it means something."""
        return self.first - self.best > REAL_GAIN * self.first

    def add(self, loss: float) -> bool:
        """Whether to stop after this reading."""
        worth = self._rule.least_gain * (self.first - min(self.best, loss))
        self._idle = 0 if self.best - loss > worth else self._idle + 1
        self.best = min(self.best, loss)
        return self.gained and self._idle >= self._rule.patience
