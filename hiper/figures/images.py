"""ComfyUI's IMAGE and Pillow's pictures, one into the other."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_image(picture: Image.Image) -> Tensor:
    """A Pillow picture as ComfyUI's IMAGE `(1, H, W, 3)` in [0, 1]."""
    return torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255.0)[None]


def to_pictures(images: Tensor) -> list[Image.Image]:
    """ComfyUI's IMAGE `(B, H, W, 3)` in [0, 1] as Pillow pictures."""
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"The pictures have shape {tuple(images.shape)}; wanted (batch, height, width, 3): "
            "connect an IMAGE output."
        )
    if images.shape[-1] == 1:
        images = images.expand(*images.shape[:-1], 3)
    levels = (images[..., :3].detach().float().cpu().nan_to_num(0.0).clamp(0, 1) * 255).round()
    return [Image.fromarray(picture.numpy()) for picture in levels.to(torch.uint8)]
