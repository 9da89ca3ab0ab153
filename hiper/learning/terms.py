"""The loss as a sum of weighted terms, of which eq. 4's is the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from .objective import Denoiser, Prediction, predicted


class Term(Protocol):
    """One thing that is asked of a prediction."""

    @property
    def attention(self) -> bool:
        """Whether it needs what was seen of attention in the call."""

    def __call__(self, prediction: Prediction) -> Tensor:
        """A number a sample, `(B,)`, the lower the better."""


class DenoisingError:
    """`‖ε − ε_θ(x_t, t, [e'_src, tail])‖²` as the mean over a picture's elements (eq. 4).

    The error is taken in the model's own prediction space: ε, v or flow (the paper's is the first),
    and with a mask as the mean inside it.
    """

    attention = False

    def __call__(self, prediction: Prediction) -> Tensor:
        error = prediction.estimate.float() - prediction.clean.float()
        error = error.square()
        if prediction.mask is None:
            return error.flatten(1).mean(1) * prediction.error_weight
        inside = prediction.mask.expand_as(error).flatten(1)
        mean = (error.flatten(1) * inside).sum(1) / inside.sum(1)
        return mean * prediction.error_weight


@dataclass(frozen=True)
class Weighted:
    """A term and how much it counts."""

    term: Term
    weight: float = 1.0


EQUATION_4 = (Weighted(DenoisingError()),)


def loss(
    terms: Sequence[Weighted],
    denoiser: Denoiser,
    clean: Tensor,
    u: Tensor,
    noise: Tensor,
    tail: Tensor,
    mask: Tensor | None = None,
    region: Tensor | None = None,
) -> Tensor:
    """The weighted sum of all terms for the latents `(B, C, …)`, a number a sample `(B,)`."""
    asked = any(weighted.term.attention for weighted in terms)
    prediction = predicted(denoiser, clean, u, noise, tail, asked, mask, region)
    first, *others = (weighted.weight * weighted.term(prediction) for weighted in terms)
    return sum(others, first)


def squared_error(
    denoiser: Denoiser,
    clean: Tensor,
    u: Tensor,
    noise: Tensor,
    tail: Tensor,
    mask: Tensor | None = None,
) -> Tensor:
    """Equation 4 alone, `(B,)`."""
    return loss(EQUATION_4, denoiser, clean, u, noise, tail, mask)
