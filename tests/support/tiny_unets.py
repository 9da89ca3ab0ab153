"""UNets of a few thousand weights inside ComfyUI's own model classes, and conditioning for them."""

from __future__ import annotations

import torch

CONTEXT = 32
LAYERS = 5  # cross-attention layers of the model below


def tiny_unet(seed: int = 0, **change):
    """A patched model as a loader would give it; `change` goes into its UNet's configuration."""
    import comfy.model_base
    import comfy.model_patcher
    import comfy.supported_models

    config = {
        "image_size": 32,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": 32,
        "num_res_blocks": [1, 1],
        "channel_mult": (1, 2),
        "transformer_depth": [1, 1],
        "transformer_depth_output": [1, 0, 1, 0],
        "transformer_depth_middle": 1,
        "num_heads": 4,
        "num_head_channels": -1,
        "use_spatial_transformer": True,
        "context_dim": CONTEXT,
        "use_linear_in_transformer": False,
        "legacy": False,
        "adm_in_channels": None,
        "use_temporal_attention": False,
        "dtype": torch.float32,
    } | change
    family = comfy.supported_models.SD15(config)
    family.unet_config = config
    family.manual_cast_dtype = None
    if isinstance(family.latent_format, type):
        family.latent_format = family.latent_format()
    model = comfy.model_base.BaseModel(family, comfy.model_base.ModelType.EPS).eval()
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            spread = 1.0 / parameter[0].numel() ** 0.5
            parameter.data = torch.randn(parameter.shape, generator=generator) * spread
        else:
            parameter.data = torch.full(parameter.shape, float(name.endswith("weight")))
    device = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, device, device)


def text(length: int = 77, seed: int = 1, **options) -> list:
    """One encoded prompt, `[[(1, T, C), options]]`."""
    generator = torch.Generator().manual_seed(seed)
    return [[2 * torch.randn(1, length, CONTEXT, generator=generator), options]]


def picture(height: int = 8, width: int = 12, batch: int = 1, seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {"samples": torch.randn(batch, 4, height, width, generator=generator)}


def sample(
    model,
    positive: list,
    negative: list,
    latent: dict,
    sampler: str = "euler",
    steps: int = 3,
    cfg: float = 4.0,
) -> torch.Tensor:
    """What KSampler runs."""
    import comfy.sample

    samples = latent["samples"]
    noise = comfy.sample.prepare_noise(samples, 5)
    return comfy.sample.sample(
        model,
        noise,
        steps,
        cfg,
        sampler,
        "normal",
        positive,
        negative,
        samples,
        disable_pbar=True,
        seed=5,
    )
