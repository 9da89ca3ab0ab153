"""Checkpoints of real families' shapes and random weights, loaded like any other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """One family's UNet, cut to few channels and levels but still known for what it is."""

    name: str
    context: int
    pooled: int
    unet: dict
    clip: bool = False


SD1 = Shape(
    "sd1",
    768,
    0,
    {
        "num_res_blocks": [1, 1],
        "channel_mult": (1, 2),
        "transformer_depth": [1, 1],
        "transformer_depth_output": [1, 1, 1, 1],
        "transformer_depth_middle": 1,
        "context_dim": 768,
        "num_heads": 8,
        "use_linear_in_transformer": False,
        "adm_in_channels": None,
    },
    clip=True,
)
# ComfyUI tells v-prediction of SD 2.x by the spread of one bias in output block 11
SD2 = Shape(
    "sd2",
    1024,
    0,
    {
        "num_res_blocks": [2, 2, 2, 2],
        "channel_mult": (1, 1, 1, 1),
        "transformer_depth": [1, 1, 0, 0, 0, 0, 0, 0],
        "transformer_depth_output": [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        "transformer_depth_middle": 1,
        "context_dim": 1024,
        "num_head_channels": 64,
        "use_linear_in_transformer": True,
        "adm_in_channels": None,
    },
)
SDXL = Shape(
    "sdxl",
    2048,
    1280,
    {
        "num_res_blocks": [2, 2, 2],
        "channel_mult": (1, 1, 1),
        "transformer_depth": [0, 0, 1, 1, 2, 2],
        "transformer_depth_output": [0, 0, 0, 1, 1, 1, 2, 2, 2],
        "transformer_depth_middle": -1,
        "context_dim": 2048,
        "num_head_channels": 64,
        "use_linear_in_transformer": True,
        "adm_in_channels": 2816,
        "num_classes": "sequential",
    },
)
SHAPES = {shape.name: shape for shape in (SD1, SD2, SDXL)}
CLIP_L = {"width": 768, "layers": 12, "words": 49408, "positions": 77}
V_OF_SD2 = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"


def write(shape: Shape, path: Path) -> Path:
    """UNet, small VAE and, for SD 1.x, a CLIP-L of full depth, in half precision."""
    generator = torch.Generator().manual_seed(len(shape.name) + shape.context)
    tensors = {f"model.diffusion_model.{k}": v for k, v in _unet(shape, generator).items()}
    tensors |= {f"first_stage_model.{k}": v for k, v in _vae(generator).items()}
    if shape.clip:
        tensors |= _clip(generator)
    if V_OF_SD2 in tensors and shape is SD2:
        tensors[V_OF_SD2] = tensors[V_OF_SD2] + torch.randn(320, generator=generator) * 0.2
    save_file({k: v.half().contiguous() for k, v in tensors.items()}, path)
    return path


def _randomised(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Weights that keep activations about as large as they come in; norms stay near 1."""
    state = {}
    for name, parameter in module.state_dict().items():
        if parameter.ndim > 1:
            fan = parameter[0].numel()
            state[name] = torch.randn(parameter.shape, generator=generator) * (0.7 / fan**0.5)
        elif name.endswith("weight"):
            state[name] = 1 + 0.05 * torch.randn(parameter.shape, generator=generator)
        else:
            state[name] = 0.02 * torch.randn(parameter.shape, generator=generator)
    return state


def _unet(shape: Shape, generator: torch.Generator) -> dict[str, Tensor]:
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    common = {
        "image_size": 32,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": 320,
        "use_spatial_transformer": True,
        "legacy": False,
        "use_temporal_attention": False,
    }
    with torch.device("meta"):
        unet = UNetModel(**common, **shape.unet, operations=comfy.ops.disable_weight_init)
    return _randomised(unet, generator)


def _vae(generator: torch.Generator) -> dict[str, Tensor]:
    from comfy.taesd.taesd import TAESD

    with torch.device("meta"):
        vae = TAESD(latent_channels=4)
    return _randomised(vae, generator)


def _clip(generator: torch.Generator) -> dict[str, Tensor]:
    """CLIP-L's text tower under the names that SD 1.x checkpoints give it."""
    width, prefix = CLIP_L["width"], "cond_stage_model.transformer.text_model."
    shapes = {
        "embeddings.token_embedding.weight": (CLIP_L["words"], width),
        "embeddings.position_embedding.weight": (CLIP_L["positions"], width),
        "final_layer_norm.weight": (width,),
        "final_layer_norm.bias": (width,),
    }
    for layer in range(CLIP_L["layers"]):
        at = f"encoder.layers.{layer}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= {f"{at}self_attn.{name}.weight": (width, width)}
            shapes |= {f"{at}self_attn.{name}.bias": (width,)}
        for name in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{at}{name}.weight": (width,), f"{at}{name}.bias": (width,)}
        shapes |= {f"{at}mlp.fc1.weight": (4 * width, width), f"{at}mlp.fc1.bias": (4 * width,)}
        shapes |= {f"{at}mlp.fc2.weight": (width, 4 * width), f"{at}mlp.fc2.bias": (width,)}
    made = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator) * 0.02
        made[prefix + name] = noise + 1 if "norm" in name and name.endswith("weight") else noise
    return made
