"""The training's second term: words for the animal look at it, words for the place look around it
(the token loss of TokenCompose, Wang et al. 2024, on maps of cross-attention)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .attending import shares
from .captions import PALETTE
from .drawing import CLASSES, GROUNDS, PATTERNS, Scene, animal_mask
from .text import LENGTH, words_of
from .unet import HEADS

OF_THE_ANIMAL = frozenset((*CLASSES, "animal", *PATTERNS, "spots", "stripes", *PALETTE))
OF_THE_PLACE = frozenset(GROUNDS)


def word_columns(text: str) -> Tensor:
    """+1 where a token `(77,)` speaks of the animal, −1 where of the place, else 0."""
    columns = torch.zeros(LENGTH)
    for index, word in enumerate(words_of(text), start=1):
        columns[index] = float(word in OF_THE_ANIMAL) - float(word in OF_THE_PLACE)
    return columns


def inside(scene: Scene, size: int) -> Tensor:
    """The share of each latent cell `(size, size)` that the animal covers."""
    mask = animal_mask(scene).resize((size, size), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(mask, dtype=np.float32) / 255)


def inside_over_outside(maps: Tensor, animal: Tensor) -> Tensor:
    """The mean of maps `(…, H, W)` over the animal's cells `(H, W)`, over that of the others."""
    within, around = ((maps * cells).sum((-2, -1)) / cells.sum() for cells in (animal, 1 - animal))
    return within / around


class Grounding:
    """Watches the attention of some pictures of a batch; `loss` is how far, on average, a word's
    map is from lying wholly where it belongs."""

    def __init__(self, texts: list[str], scenes: list[Scene], some: slice, size: int) -> None:
        self._some = some
        self._columns = torch.stack([word_columns(text) for text in texts[some]])  # (B, 77)
        self._inside = torch.stack([inside(scene, size) for scene in scenes[some]])  # (B, H, W)
        self._losses: list[Tensor] = []

    def __call__(self, q: Tensor, k: Tensor, height: int) -> None:
        maps = shares(q[self._some], k[self._some], HEADS)  # (B, HW, 77)
        where = F.adaptive_avg_pool2d(self._inside[:, None], height).flatten(1)  # (B, HW)
        mass = torch.einsum("bpt,bp->bt", maps, where) / maps.sum(1).clamp(min=1e-9)
        right = torch.where(self._columns > 0, mass, 1 - mass)
        asked = self._columns != 0
        self._losses.append(((1 - right).square() * asked).sum() / asked.sum().clamp(min=1))

    @property
    def loss(self) -> Tensor:
        return torch.stack(self._losses).mean()
