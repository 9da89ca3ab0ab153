"""How much memory a learning step needs, measured on a smaller one before it is tried."""

from __future__ import annotations

import comfy.model_management
import torch
from torch import Tensor

from ...learning.terms import squared_error
from .denoiser import HostDenoiser

PROBE = 2  # the probe's latent is this much smaller in height and in width
MARGIN = 1.25  # workspace and fragments beside what autograd keeps


def activation_bytes(denoiser: HostDenoiser, clean: Tensor, tail: Tensor) -> int:
    """Bytes that one step keeps for its gradient at the latent `(1, C, H, W)`, weights left out."""
    kept: dict[int, int] = {}
    weights = denoiser.weight_storages()

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(clean.shape, generator=generator).to(clean.device)
    u = torch.full((len(clean),), 0.5, device=clean.device)
    tail = tail.detach().to(clean.device).requires_grad_(True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = squared_error(denoiser, clean, u, noise, tail)
    del loss
    return sum(kept.values())


def needs_checkpointing(
    denoiser: HostDenoiser, clean: Tensor, tail: Tensor, batch_size: int
) -> bool:
    """Whether a plain step would not fit beside the weights, by a probe a quarter its size."""
    small = clean[:1, ..., ::PROBE, ::PROBE].contiguous()
    if min(small.shape[-2:]) < 8:  # below this some models can't halve the picture any more
        return False
    try:
        needed = activation_bytes(denoiser, small, tail) * PROBE**2 * batch_size * MARGIN
    except ArithmeticError:  # PixArt divides by the picture's size in units of 512 pixels
        return False
    return needed > comfy.model_management.get_free_memory(denoiser.device)
