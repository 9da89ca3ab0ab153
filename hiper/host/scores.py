"""What ComfyUI's own CLIP Vision, DINOv2 and CLIP make of pictures and prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sd
import comfy.utils
import torch
import torch.nn.functional as F
from comfy.clip_vision import ClipVisionModel
from PIL import Image
from safetensors import safe_open
from torch import Tensor

from ..scores import Preparation

AT_ONCE = 16  # pictures
CLIP_KIND, DINO_KIND = "clip_vision_model", "dinov2"
DINO = Preparation(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
ENCODERS = ("clip_l", "clip_h", "clip_g")
PROJECTION = "text_projection"


def pictures_by_clip(vision: ClipVisionModel, pictures: list[Image.Image]) -> Tensor:
    """CLIP's embeddings of pictures `(P, C)`, projected to where its texts' are."""
    _check_kind(vision, CLIP_KIND, "clip_vision", "OpenAI's or OpenCLIP's ViT-L, H or bigG")
    projection = vision.model.visual_projection
    if isinstance(projection, torch.nn.Identity) or _of_chance(projection.weight):
        raise ValueError(
            "clip_vision has no projection (visual_projection.weight), so that its pictures can't "
            "be compared with prompts: load a whole CLIP Vision model, e.g. of CLIP ViT-L/14."
        )
    size = vision.image_size
    how = Preparation(size, size, tuple(vision.image_mean), tuple(vision.image_std))
    return _embedded(vision, vision.patcher, how, pictures)


def pictures_by_dino(vision: ClipVisionModel, pictures: list[Image.Image]) -> Tensor:
    """DINOv2's class token of pictures `(P, C)`."""
    _check_kind(vision, DINO_KIND, "dinov2", "a DINOv2")
    patcher = vision.patcher.clone()
    positions = _Positions(vision.model.embeddings)
    patcher.add_object_patch("embeddings.interpolate_pos_encoding", positions)
    return _embedded(vision, patcher, DINO, pictures)


def text_by_clip(clip: comfy.sd.CLIP, text: str, width: int) -> Tensor:
    """CLIP's embedding of a prompt `(C,)`, projected to where pictures of this width are."""
    stage, tokens = clip.cond_stage_model, clip.tokenize(text)
    named = {name: getattr(stage, name, None) for name in ENCODERS}
    there = {name: encoder for name, encoder in named.items() if encoder is not None}
    found = {n: e for n, e in there.items() if _projection(e).shape[0] == width}
    if not found:
        own = ", ".join(f"{n} {_projection(e).shape[0]}" for n, e in there.items())
        raise ValueError(
            f"clip_vision's embeddings are {width} wide, but clip's are {own or 'no CLIP at all'}: "
            "connect the text encoder that belongs to it, e.g. the file of CLIP ViT-L/14 itself, "
            "with Load CLIP."
        )
    name, encoder = next(iter(found.items()))
    if _lacks_projection(clip, encoder):
        raise ValueError(
            f"This CLIP's {name} has no text projection, as most checkpoints' and clip_l files "
            "have none, so that its prompts can't be compared with pictures: put OpenAI's whole "
            "CLIP ViT-L/14 into models/text_encoders as well, and connect it by Load CLIP."
        )
    clip.load_model(tokens)
    part = tokens[name.removeprefix("clip_")]
    unweighted = [[(token[0], 1.0, *token[2:]) for token in row] for row in part]
    try:
        encoder.set_clip_options(
            {"projected_pooled": True, "execution_device": clip.patcher.load_device}
        )
        _, pooled = encoder.encode_token_weights(unweighted)[:2]
    finally:
        encoder.reset_clip_options()
    return pooled[0].float().cpu()


@torch.inference_mode()
def _embedded(
    vision: ClipVisionModel, patcher: Any, how: Preparation, pictures: list[Image.Image]
) -> Tensor:
    comfy.model_management.load_models_gpu([patcher])
    found = []
    for first in range(0, len(pictures), AT_ONCE):
        pixels = how.of(pictures[first : first + AT_ONCE]).to(vision.load_device)
        out = patcher.model(pixel_values=pixels, intermediate_output=-2)
        found.append(out[2].float().cpu())
    return torch.cat(found).clone()


class _Positions:
    """DINOv2's position embeddings on another grid, as `transformers` brings them there."""

    def __init__(self, embeddings: torch.nn.Module) -> None:
        self._embeddings = embeddings

    def __call__(self, x: Tensor, height: int, width: int) -> Tensor:
        own = self._embeddings.position_embeddings.to(x.device, torch.float32)
        first, rest = own[:, :1], own[:, 1:]
        side, kernel = round(rest.shape[1] ** 0.5), self._patch()
        grid = rest.unflatten(1, (side, side)).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(height // kernel, width // kernel), mode="bicubic")
        return torch.cat([first, grid.flatten(2).transpose(1, 2)], 1).to(x)

    def _patch(self) -> int:
        return self._embeddings.patch_embeddings.projection.kernel_size[0]


def _check_kind(vision: ClipVisionModel, kind: str, name: str, wanted: str) -> None:
    if vision.model_type != kind:
        raise ValueError(
            f"{name} is a {vision.model_type}, but wants {wanted}: connect one by Load CLIP Vision."
        )


def _projection(encoder: torch.nn.Module) -> Tensor:
    return encoder.transformer.text_projection.weight


def _lacks_projection(clip: comfy.sd.CLIP, encoder: torch.nn.Module) -> bool:
    """ComfyUI leaves a projection that its file does not hold as memory happened to be."""
    weight = _projection(encoder)
    if _of_chance(weight):
        return True
    made = clip.patcher.cached_patcher_init
    paths = made[1][0] if made is not None and made[1] else ()
    paths = [Path(path) for path in ([paths] if isinstance(paths, str) else paths)]
    return bool(paths) and not any(_holds_projection(path, weight.shape) for path in paths)


def _of_chance(weight: Tensor) -> bool:
    """What no file has filled is often nothing, or no numbers at all."""
    weight = weight.float()
    return not bool(weight.isfinite().all()) or float((weight != 0).float().mean()) < 0.5


def _holds_projection(path: Path, shape: torch.Size) -> bool:
    """Of this encoder: another of the same file has one of another size."""
    if path.suffix in (".safetensors", ".sft"):
        with safe_open(path, "pt") as file:
            keys = [key for key in file.keys() if PROJECTION in key]  # noqa: SIM118
            return any(file.get_slice(key).get_shape() == list(shape) for key in keys)
    weights = comfy.utils.load_torch_file(str(path), safe_load=True)
    return any(PROJECTION in key and weight.shape == shape for key, weight in weights.items())
