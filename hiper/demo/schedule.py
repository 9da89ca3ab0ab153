"""Stable Diffusion's noise schedule brought to zero terminal signal, and v-prediction on it."""

from __future__ import annotations

import torch
from torch import Tensor

TIMESTEPS = 1000
LAST_ALPHA = 4.8973451890853435e-08  # ComfyUI's stand-in for zero at the last step (zsnr)


def sigmas() -> Tensor:
    """σ of each timestep `(1000,)`, rescaled so that the last one holds no picture at all
    (Lin et al. 2023, algorithm 1)."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, TIMESTEPS, dtype=torch.float64) ** 2
    root = torch.cumprod(1 - betas, dim=0).sqrt()
    first, last = root[0].clone(), root[-1].clone()
    alphas = ((root - last) * first / (first - last)) ** 2
    alphas[-1] = LAST_ALPHA
    return ((1 - alphas) / alphas).sqrt().float()


def clean_from_v(noisy: Tensor, v: Tensor, sigma: Tensor) -> Tensor:
    """x_0 from x = x_0 + σ·ε and the velocity of the variance-preserving form."""
    total = (sigma**2 + 1).view(-1, 1, 1, 1)
    return noisy / total - v * sigma.view(-1, 1, 1, 1) / total.sqrt()
