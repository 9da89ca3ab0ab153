"""What a demo picture shows, read by a small net of its own: animal, pose, ground and coat."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from .scene import CLASSES, GROUNDS, PATTERNS, POSES

WEIGHTS = Path(__file__).with_name("weights") / "analyser.safetensors"
SEEN_AT = 64  # pixels
KINDS = {"animal": CLASSES, "pose": POSES, "ground": GROUNDS, "pattern": PATTERNS}


@dataclass(frozen=True)
class Seen:
    """What the analyser sees in pictures: class indices `(B,)`, the coat as numbers `(B, 3)`."""

    animal: Tensor
    pose: Tensor
    ground: Tensor
    pattern: Tensor  # probabilities
    base: Tensor  # RGB in [0, 1]
    second: Tensor

    def of(self, number: int) -> Seen:
        """One picture's."""
        part = slice(number, number + 1)
        return Seen(*(getattr(self, field.name)[part] for field in fields(self)))

    def coat_distance(self, other: Seen) -> Tensor:
        """How different two coats look, `(B,)`: base colour, pattern, and the second colour as far
        as the first of the two has one."""
        patterned = 1 - self.pattern[:, 0]
        base = (self.base - other.base).square().mean(1).sqrt()
        second = (self.second - other.second).square().mean(1).sqrt() * patterned
        pattern = (self.pattern - other.pattern).abs().sum(1) / 2
        return base + 0.5 * second + 0.25 * pattern


@dataclass(frozen=True)
class Reading:
    """The net's answer: scores before softmax by kind, colours in [0, 1] `(B, 3)`."""

    scores: dict[str, Tensor]
    base: Tensor
    second: Tensor


def _layer(entering: int, leaving: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(entering, leaving, 3, stride=stride, padding=1)
    return nn.Sequential(conv, nn.GroupNorm(4, leaving), nn.SiLU())


class Analyser(nn.Module):
    """Reads pictures `(B, 3, H, W)` in [-1, 1], at half the demo's size: it needs no more.

    Each colour is a weighted mean of the picture's own pixels, so a colour that was never drawn in
    training is read as well as any other; the net only says where to look.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.middle = _layer(3, 24, 2), _layer(24, 40, 2)
        self.coarse = nn.Sequential(_layer(40, 52, 2), _layer(52, 52, 1))
        self.kinds = nn.Linear(52 * 16, sum(map(len, KINDS.values())))
        self.to_middle, self.to_fine = nn.Conv2d(52 + 40, 24, 1), nn.Conv2d(24 + 24, 24, 1)
        self.places = nn.Conv2d(24, 2, 3, padding=1)

    def forward(self, picture: Tensor) -> Reading:
        picture = F.adaptive_avg_pool2d(picture, SEEN_AT)
        fine = self.fine(picture)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        scores = self.kinds(F.adaptive_avg_pool2d(coarse, 4).flatten(1))
        by_kind = scores.split([len(names) for names in KINDS.values()], dim=1)
        x = torch.cat([F.interpolate(coarse, scale_factor=2.0), middle], 1)
        x = F.silu(self.to_middle(x))
        x = F.silu(self.to_fine(torch.cat([F.interpolate(x, scale_factor=2.0), fine], 1)))
        looked = self.places(x).flatten(2).softmax(-1)
        pixels = F.avg_pool2d(picture, 2).flatten(2) / 2 + 0.5
        base, second = torch.einsum("bkp,bcp->kbc", looked, pixels)
        return Reading(dict(zip(KINDS, by_kind, strict=True)), base, second)

    @torch.no_grad()
    def see(self, picture: Tensor) -> Seen:
        reading = self(picture)
        return Seen(
            animal=reading.scores["animal"].argmax(1),
            pose=reading.scores["pose"].argmax(1),
            ground=reading.scores["ground"].argmax(1),
            pattern=reading.scores["pattern"].softmax(1),
            base=reading.base,
            second=reading.second,
        )


def load(path: Path = WEIGHTS) -> Analyser:
    analyser = Analyser()
    analyser.load_state_dict({name: t.float() for name, t in load_file(path).items()})
    return analyser.train(False).requires_grad_(False)
