"""A Stable Diffusion 1.x UNet of full size, 860 M random weights, inside ComfyUI on the CPU."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

PACK = Path(__file__).resolve().parents[1]
CONTEXT = 768
SHAPE = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": (1, 2, 4, 4),
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "transformer_depth_middle": 1,
    "context_dim": CONTEXT,
    "num_heads": 8,
    "num_head_channels": -1,
    "use_spatial_transformer": True,
    "legacy": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
}


def find_comfyui() -> None:
    """Put ComfyUI on the path, and its options to the CPU, or say in one line what is missing."""
    sys.path[1:1] = [str(PACK / "tests"), str(PACK)]  # before an installed copy of the pack
    from support import comfyui

    reason = comfyui.why_not()
    if reason:
        raise SystemExit(f"This benchmark needs ComfyUI: {reason}")
    sys.path.insert(0, str(comfyui.find()))
    given, sys.argv = sys.argv, ["main.py", "--cpu"]
    try:
        import comfy.options

        comfy.options.enable_args_parsing()
        import comfy.cli_args  # it reads the arguments once
    finally:
        sys.argv = given


def unet(family: str, shape: dict, dtype: torch.dtype):
    """A model of this shape as a loader gives it: made, like any checkpoint, in inference mode."""
    import comfy.model_management
    import comfy.model_patcher
    import comfy.supported_models

    with torch.inference_mode():
        config = getattr(comfy.supported_models, family)(shape | {"dtype": dtype})
        config.set_inference_dtype(dtype, None)
        model = config.get_model({}, device=torch.device("cpu"))
        for parameter in model.parameters():
            parameter.normal_(std=0.02)
    device = comfy.model_management.get_torch_device()
    return comfy.model_patcher.ModelPatcher(model, device, torch.device("cpu"))


def full_size_unet():
    return unet("SD15", SHAPE, torch.float32)


def prompt() -> list:
    """One encoded prompt, `[[(1, 77, 768), {}]]`."""
    generator = torch.Generator().manual_seed(0)
    return [[torch.randn(1, 77, CONTEXT, generator=generator), {}]]


def latent(size: int) -> torch.Tensor:
    return torch.randn(1, 4, size, size, generator=torch.Generator().manual_seed(1))
