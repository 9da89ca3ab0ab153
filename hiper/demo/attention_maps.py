"""Where the demo model looks: its cross-attention, averaged over heads and layers (Fig. 3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .attending import shares
from .model import DemoModel, denoise
from .unet import HEADS

LAST_TIMESTEP = 40  # of 1,000: almost no noise, so that the maps lie on what is drawn


@torch.no_grad()
def attention_maps(model: DemoModel, latent: Tensor, context: Tensor, noise: Tensor) -> Tensor:
    """Maps `(77, 16, 16)` of a finished latent `(1, 12, 16, 16)`; at each place they sum to 1."""
    maps: list[Tensor] = []

    def watch(q: Tensor, k: Tensor, height: int) -> None:
        square = shares(q, k, HEADS)[0].T.unflatten(-1, (height, -1))
        size = latent.shape[-2:]
        maps.append(F.interpolate(square[None], size, mode="bilinear")[0])

    sigma = model.sigmas[LAST_TIMESTEP : LAST_TIMESTEP + 1]
    denoise(model, latent + noise * sigma, sigma, context, watch)
    return torch.stack(maps).mean(0)
