"""Models of ComfyUI's own classes, a few thousand weights large, and what goes into them.

A conditioning made by hand looks like what the family's text encoder gives: its shape, its padding,
its mask, what goes along.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch


@dataclass(frozen=True)
class Text:
    """What an encoder gives for one prompt: `words` of `length` tokens, the rest is padding."""

    width: int
    words: int
    length: int
    pooled: int | None = None
    mask: bool = False
    extra: dict[str, tuple[int, ...]] = field(default_factory=dict)  # further tensors, by shape
    zero_padding: bool = False


@dataclass(frozen=True)
class Tiny:
    """One family: its class of model configurations, a small configuration, and its text."""

    kind: str
    config: dict[str, Any]
    text: Text
    channels: int = 4
    size: tuple[int, ...] = (8, 12)
    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)  # names that ComfyUI looks at
    shrink: Callable[[torch.nn.Module], None] | None = None


def is_known(tiny: Tiny) -> bool:
    """Whether the ComfyUI that is tested with is new enough for this family."""
    import comfy.supported_models

    return hasattr(comfy.supported_models, tiny.kind)


def build(
    tiny: Tiny, seed: int = 0, dtype: torch.dtype = torch.float32, cast: torch.dtype | None = None
):
    """A patched model as a loader gives it, with random weights of one size at every layer."""
    import comfy.model_patcher
    import comfy.supported_models

    if not is_known(tiny):
        pytest.skip(f"this ComfyUI has no {tiny.kind} yet")
    family = getattr(comfy.supported_models, tiny.kind)(tiny.config)
    family.set_inference_dtype(dtype, cast)
    generator = torch.Generator().manual_seed(seed)
    # loud enough for ComfyUI's guess that a model of such weights predicts v
    told = {n: 10 * torch.randn(s, generator=generator) for n, s in tiny.weights.items()}
    model = family.get_model(told).eval().requires_grad_(False)
    if tiny.shrink is not None:
        tiny.shrink(model)
    for name, parameter in model.named_parameters():
        value = torch.full(parameter.shape, 0.0 if name.endswith("bias") else 1.0)
        if parameter.ndim > 1:
            spread = 1.0 / parameter[0].numel() ** 0.5
            value = torch.randn(parameter.shape, generator=generator) * spread
        parameter.data = value.to(parameter.dtype)
    for name, buffer in model.named_buffers():
        if name.endswith("pos_embed"):  # made without a value, because a checkpoint has one
            buffer.copy_(torch.randn(buffer.shape, generator=generator))
    device = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, device, device)


def prompt(tiny: Tiny, seed: int = 1) -> list:
    """One encoded prompt with everything that the family's encoder gives beside it."""
    text, generator = tiny.text, torch.Generator().manual_seed(seed)
    vectors = torch.randn(1, text.length, text.width, generator=generator)
    if text.zero_padding:
        vectors[:, text.words :] = 0
    options: dict[str, Any] = {"pooled_output": None}
    if text.pooled:
        options["pooled_output"] = torch.randn(1, text.pooled, generator=generator)
    if text.mask:
        mask = torch.zeros(1, text.length, dtype=torch.long)
        mask[:, : text.words] = 1
        options["attention_mask"] = mask
    for name, shape in text.extra.items():
        if name.endswith("ids"):
            options[name] = torch.randint(100, shape, generator=generator, dtype=torch.int)
        elif "mask" in name:
            options[name] = torch.ones(shape, dtype=torch.long)
        elif name.endswith("weights"):
            options[name] = torch.ones(shape)
        else:
            options[name] = torch.randn(shape, generator=generator)
    return [[vectors, options]]


def picture(tiny: Tiny, seed: int = 0) -> torch.Tensor:
    """A latent such as the family's VAE gives, `(1, C, H, W)` or `(1, C, 1, H, W)`."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, tiny.channels, *tiny.size, generator=generator)
