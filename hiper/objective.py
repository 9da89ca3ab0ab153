"""Equation 4: noising one picture and weighing how well the tail explains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Denoiser(Protocol):
    """A frozen model that predicts the clean latent from a noisy one."""

    def noise(self, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """x_t from x_0 and ε, each `(B, C, …)`, at σ `(B,)`."""

    def denoise(self, noisy: Tensor, sigma: Tensor, tail: Tensor) -> Tensor:
        """The model's estimate of x_0, differentiable in the tail `(stages, roles, N, C)`."""

    def error_weight(self, sigma: Tensor) -> Tensor:
        """What turns a squared error in x_0 into one in the model's own prediction, `(B,)`."""

    def sigmas(self, u: Tensor) -> Tensor:
        """u in [0, 1) to σ, uniform in the model's timesteps."""


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


def squared_error(
    denoiser: Denoiser, clean: Tensor, u: Tensor, noise: Tensor, tail: Tensor
) -> Tensor:
    """`‖ε − ε_θ(x_t, t, [e'_src, tail])‖²` a picture, as the mean over its elements, `(B,)`.

    The error is taken in the model's own prediction space: ε, v or flow (eq. 4 is the first).
    """
    sigma = denoiser.sigmas(u)
    estimate = denoiser.denoise(denoiser.noise(clean, noise, sigma), sigma, tail)
    error = (estimate.float() - clean.float()).square().flatten(1).mean(1)
    return error * denoiser.error_weight(sigma)
