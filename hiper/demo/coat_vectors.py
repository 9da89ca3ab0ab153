"""Coats that no word names, as vectors behind a caption: training alone uses them.

A real text encoder's space is rich, because its vocabulary is; the demo's twelve colours leave most
of its space untrained, and a learned tail with little to say. So half of the training's captions
end with vectors that a small net makes of the coat's numbers. The net is thrown away afterwards:
what stays is a model that reads any coat from its last vectors, if someone finds the vectors.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .pairs import Picture, animals
from .scene import CLASSES, PATTERNS, Scene
from .text import LENGTH, WIDTH

MOST = 8  # vectors a coat
COUNTS = (1, 2, 3, 5, 5, 8)
LENGTHS = (0.75, 1.1)  # of a vector, beside the padding that it takes the place of
FACTS = 3 + 3 + len(PATTERNS) + len(CLASSES)


@dataclass(frozen=True)
class Told:
    """One animal of a picture whose coat is told in `count` vectors; `first` is their place."""

    owner: int
    first: int
    count: int
    facts: Tensor


def facts(scene: Scene, with_class: bool) -> Tensor:
    """A coat in numbers; a second colour that isn't worn is left out."""
    coat = scene.coat
    worn = float(coat.pattern != "plain")
    colours = [c / 127.5 - 1 for c in coat.base] + [worn * (c / 127.5 - 1) for c in coat.second]
    pattern = [float(coat.pattern == name) for name in PATTERNS]
    animal = [float(with_class and scene.animal == name) for name in CLASSES]
    return torch.tensor(colours + pattern + animal)


def chosen(picture: Picture, text: str, rng: random.Random) -> list[Told]:
    """Whose coats are told behind a caption: nobody's in half of them, nor behind no words."""
    if not text or rng.random() < 0.5:
        return []
    shown = animals(picture)
    owners = [0] if len(shown) == 1 else rng.choice(([0], [1], [0, 1]))
    count, place = rng.choice(COUNTS), LENGTH
    told = []
    for owner in reversed(owners):
        place -= count
        # of two animals a tail must say whose coat it is; of one it may
        named = len(shown) > 1 or rng.random() < 0.5
        told.append(Told(owner, place, count, facts(shown[owner], named)))
    return told


class CoatVectors(nn.Module):
    """Facts `(FACTS,)` to vectors that stand where padding stood."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Sequential(nn.Linear(FACTS, 192), nn.SiLU(), nn.Linear(192, 192))
        self.slots = nn.Parameter(0.5 * torch.randn(MOST, 192))
        self.write = nn.Linear(192, WIDTH)

    def forward(self, context: Tensor, told: list[list[Told]], rng: random.Random) -> Tensor:
        """The context `(B, 77, WIDTH)` with the vectors in place."""
        rows = [(row, one) for row, some in enumerate(told) for one in some]
        if not rows:
            return context
        read = self.read(torch.stack([one.facts for _, one in rows]))
        out = context.clone()
        for (row, one), each in zip(rows, read, strict=True):
            place = slice(one.first, one.first + one.count)
            padding = context[row, place]
            length = padding.norm(dim=-1, keepdim=True).detach() * rng.uniform(*LENGTHS)
            change = self.write(F.silu(each + self.slots[: one.count]))
            out[row, place] = F.normalize(F.normalize(padding, dim=-1) + change, dim=-1) * length
        return out
