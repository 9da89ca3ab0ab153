"""Equation 4: noising one picture and asking the frozen model what it sees in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ..attention.calls import AttentionCall


class Denoiser(Protocol):
    """A frozen model that predicts the clean latent from a noisy one."""

    def noise(self, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """x_t from x_0 and ε, each `(B, C, …)`, at σ `(B,)`."""

    def denoise(self, noisy: Tensor, sigma: Tensor, tail: Tensor) -> Tensor:
        """The model's estimate of x_0, differentiable in the tail `(stages, roles, N, C)`, of which
        each sample gets the stage that is in force at its σ."""

    def error_weight(self, sigma: Tensor) -> Tensor:
        """What turns a squared error in x_0 into one in the model's own prediction, `(B,)`."""

    def sigmas(self, u: Tensor) -> Tensor:
        """u in [0, 1) to σ, uniform in the model's timesteps."""

    def watched(self, tell: Callable[[AttentionCall], None]) -> AbstractContextManager[None]:
        """Within it every attention call of `denoise` is told, with its gradient."""

    def of_pictures(self, reference: Tensor) -> AbstractContextManager[None]:
        """Within it `denoise`'s samples are of these pictures `(B,)`, each with a prompt of its own
        where there are several."""


@dataclass(frozen=True)
class Prediction:
    """One call of the model as a term of the loss sees it; tensors are `(B, C, …)`, σ `(B,)`."""

    clean: Tensor
    estimate: Tensor
    sigma: Tensor
    error_weight: Tensor
    mask: Tensor | None = None  # `(B, 1, …)`: where the picture counts
    attention: tuple[AttentionCall, ...] = ()  # of this very call, where a term asked for it
    region: Tensor | None = None  # `(B, 1, …)`: where the subject is, for terms that ask


def predicted(
    denoiser: Denoiser,
    clean: Tensor,
    u: Tensor,
    noise: Tensor,
    tail: Tensor,
    attention: bool = False,
    mask: Tensor | None = None,
    region: Tensor | None = None,
) -> Prediction:
    """What the model makes of the latents `(B, C, …)` under noise at the timesteps u `(B,)`."""
    sigma = denoiser.sigmas(u)
    noisy = denoiser.noise(clean, noise, sigma)
    seen: list[AttentionCall] = []
    if attention:
        with denoiser.watched(seen.append):
            estimate = denoiser.denoise(noisy, sigma, tail)
    else:
        estimate = denoiser.denoise(noisy, sigma, tail)
    weight = denoiser.error_weight(sigma)
    return Prediction(clean, estimate, sigma, weight, mask, tuple(seen), region)
