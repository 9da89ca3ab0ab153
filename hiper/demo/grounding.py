"""The training's second term: words for an animal look at it, words for the place look around it
(the token loss of TokenCompose, Wang et al. 2024, on maps of cross-attention)."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .attending import shares
from .captions import PALETTE
from .coat_vectors import Told
from .drawing import animal_mask
from .pairs import Picture, masks
from .scene import CLASSES, GROUNDS, PATTERNS, POSES, Scene
from .text import LENGTH, words_of
from .unet import HEADS

NAMES = frozenset((*CLASSES, "animal"))
OF_THE_ANIMAL = frozenset((*NAMES, *PATTERNS, "spots", "stripes", *PALETTE))
OF_THE_PLACE = frozenset(GROUNDS)
FIRST, SECOND, AROUND = 0, 1, 2  # the parts of a picture that a token may speak of
VISIBLE = 1.5  # times the faintest word of its sentence: how clear a class word's map should be


def word_parts(text: str) -> list[int | None]:
    """Which part of the picture each of the 77 tokens speaks of; `and` stands between two animals,
    and only where there are two does a pose say which of them is meant."""
    parts: list[int | None] = [None] * LENGTH
    words = words_of(text)
    owner, of_an_animal = FIRST, OF_THE_ANIMAL | frozenset(POSES if "and" in words else ())
    for index, word in enumerate(words, start=1):
        if word == "and":
            owner = SECOND
        elif word in of_an_animal:
            parts[index] = owner
        elif word in OF_THE_PLACE:
            parts[index] = AROUND
    return parts


def asked(text: str, told: list[Told]) -> Tensor:
    """Weights `(3, 77)`: how much each token is asked to look at each part. The vectors of a coat
    share one word's weight."""
    weights = torch.zeros(3, LENGTH)
    for index, part in enumerate(word_parts(text)):
        if part is not None:
            weights[part, index] = 1
    for one in told:
        weights[one.owner, one.first : one.first + one.count] = 1 / one.count
    return weights


def inside(scene: Scene, size: int) -> Tensor:
    """The share of each latent cell `(size, size)` that the animal covers."""
    return _cells(animal_mask(scene), size)


def parts_of(picture: Picture, size: int) -> Tensor:
    """The share of each cell that is first animal, second animal and neither, `(3, size, size)`."""
    seen = [_cells(mask, size) for mask in masks(picture)]
    second = seen[1] if len(seen) > 1 else torch.zeros(size, size)
    return torch.stack([seen[0], second, (1 - seen[0] - second).clamp(min=0)])


def _cells(mask: Image.Image, size: int) -> Tensor:
    small = mask.resize((size, size), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small, dtype=np.float32) / 255)


def inside_over_outside(maps: Tensor, animal: Tensor) -> Tensor:
    """The mean of maps `(…, H, W)` over the animal's cells `(H, W)`, over that of the others."""
    within, around = ((maps * cells).sum((-2, -1)) / cells.sum() for cells in (animal, 1 - animal))
    return within / around


class Grounding:
    """Watches the attention of some pictures of a batch; `loss` is how far, on average, a word's
    map is from lying wholly where it belongs, `faint` how much too faint class words' maps are."""

    def __init__(
        self, texts: list[str], told: list[list[Told]], parts: Tensor, some: slice
    ) -> None:
        self._some = some
        self._texts = texts[some]
        pairs = zip(self._texts, told[some], strict=True)
        self._asked = torch.stack([asked(text, its) for text, its in pairs])  # (B, 3, 77)
        self._parts = parts[some].float()  # (B, 3, H, W)
        self._losses: list[Tensor] = []
        self._peaks: list[Tensor] = []

    def __call__(self, q: Tensor, k: Tensor, height: int) -> None:
        maps = shares(q[self._some], k[self._some], HEADS)  # (B, HW, 77)
        where = F.adaptive_avg_pool2d(self._parts, height).flatten(2)  # (B, 3, HW)
        mass = torch.einsum("bpt,bcp->bct", maps, where)
        right = mass / maps.sum(1).clamp(min=1e-9)[:, None]
        total = self._asked.sum().clamp(min=1)
        self._losses.append(((1 - right).square() * self._asked).sum() / total)
        self._peaks.append(maps.amax(1))

    @property
    def loss(self) -> Tensor:
        return torch.stack(self._losses).mean()

    @property
    def faint(self) -> Tensor:
        """How far class words' peaks lie below `VISIBLE` times the faintest of their sentences."""
        peaks = torch.stack(self._peaks).mean(0).clamp(min=1e-6).log()  # (B, 77)
        missing = [peaks.new_zeros(())]
        for row, text in enumerate(self._texts):
            words = words_of(text)
            names = [i for i, word in enumerate(words, 1) if word in NAMES]
            others = [i for i, word in enumerate(words, 1) if word not in NAMES]
            if names and others:
                faintest = peaks[row, others].min().detach() + math.log(VISIBLE)
                missing.append(F.relu(faintest - peaks[row, names]).mean())
        return torch.stack(missing).sum() / max(len(missing) - 1, 1)
