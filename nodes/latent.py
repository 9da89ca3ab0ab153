"""The one check of a LATENT, whether it is learned from or looked at."""

from __future__ import annotations

from typing import Any

import torch


def checked_latent(latent: dict[str, Any], model: Any, learned: bool = False) -> torch.Tensor:
    """The latents `(B, C, H, W)` or `(B, C, 1, H, W)` as this model reads them, or one sentence.

    To models that also know time a picture is a film of one frame. What is to be learned must be a
    picture; looked at, an empty one may be of interest.
    """
    samples = latent["samples"]
    if getattr(samples, "is_nested", False):
        raise ValueError(
            "The latent packs several streams (such as picture and sound); wanted pictures alone: "
            "connect VAE Encode."
        )
    space = model.model.latent_format
    frames = samples.shape[2] if samples.ndim == 5 else 1
    if samples.ndim not in (4, 5) or frames != 1 or samples.shape[1] != space.latent_channels:
        raise ValueError(
            f"The latent has shape {tuple(samples.shape)}; this model wants pictures of "
            f"{space.latent_channels} channels (batch, channels, height, width): connect a latent "
            "that it sampled, or VAE Encode with the VAE that belongs to it."
        )
    if samples.ndim == 4 and space.latent_dimensions == 3:
        samples = samples.unsqueeze(2)
    if learned and not samples.any():
        raise ValueError(
            f"The latent of shape {tuple(samples.shape)} is zero everywhere, which is no picture "
            "but an Empty Latent Image; wanted the picture to learn: connect VAE Encode."
        )
    broken = int((~torch.isfinite(samples)).sum())
    if broken:
        raise ValueError(
            f"{broken} of the latent's {samples.numel()} numbers are NaN or infinite: make the "
            "picture again, with the model or the VAE in fp32 if that repeats."
        )
    return samples
