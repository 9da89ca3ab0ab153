"""A denoiser whose best tail is known."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


class LinearDenoiser:
    """Predicts noise as a linear function of the tail, so that eq. 4 is a least-squares problem.

    ε̂ = (x_t − x̂_0(tail)) / σ with x̂_0 = A·tail: the loss is ‖x_0 − A·tail‖² / σ².
    """

    def __init__(self, size: int, tokens: int, width: int) -> None:
        generator = torch.Generator().manual_seed(1)
        self.matrix = torch.randn(size, tokens * width, generator=generator) / size**0.5

    def sigmas(self, u: Tensor) -> Tensor:
        return 0.5 + u

    def noise(self, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        return clean + noise * sigma.view(-1, 1, 1, 1)

    def denoise(self, noisy: Tensor, sigma: Tensor, tail: Tensor) -> Tensor:
        return (self.matrix @ tail.flatten()).view(1, *noisy.shape[1:]).expand_as(noisy)

    def of_pictures(self, reference: Tensor) -> AbstractContextManager[None]:
        return nullcontext()

    def error_weight(self, sigma: Tensor) -> Tensor:
        return 1 / sigma.square()
