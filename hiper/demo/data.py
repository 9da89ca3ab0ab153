"""The demo's data: drawn pictures of one animal or two, as tensors."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from .captions import caption, random_scene
from .pairs import Pair, Picture, caption_of_two, draw_picture, random_pair

OF_TWO = 0.35  # the share of pictures that show two animals


def random_picture(rng: random.Random, of_two: float = OF_TWO) -> Picture:
    return random_pair(rng) if rng.random() < of_two else random_scene(rng)


def pictures(count: int, seed: int, of_two: float = OF_TWO) -> tuple[Tensor, list[Picture]]:
    """Drawn pictures as bytes `(count, 3, 128, 128)` and what they show."""
    rng = random.Random(seed)
    shown = [random_picture(rng, of_two) for _ in range(count)]
    drawn = np.stack([np.asarray(draw_picture(picture)) for picture in shown])
    return torch.from_numpy(drawn).permute(0, 3, 1, 2).contiguous(), shown


def as_floats(drawn: Tensor) -> Tensor:
    """Bytes to [-1, 1]."""
    return drawn.float() / 127.5 - 1


def sentence(picture: Picture, rng: random.Random) -> str:
    """What a caption says of a picture; sometimes nothing."""
    return caption_of_two(picture, rng) if isinstance(picture, Pair) else caption(picture, rng)
