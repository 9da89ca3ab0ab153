"""Small nets that judge whole pictures: is the animal sound, and which two animals are these?"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from .malformed import STATES
from .scene import CLASSES, POSES

FOLDER = Path(__file__).with_name("weights")
ASKED = {
    "soundness": {"state": STATES},
    "pairs": {
        "left animal": CLASSES,
        "left pose": POSES,
        "right animal": CLASSES,
        "right pose": POSES,
    },
}
SEEN_AT = 64  # pixels: what is judged shows at half the picture's size


def _layer(entering: int, leaving: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(entering, leaving, 3, stride=stride, padding=1)
    return nn.Sequential(conv, nn.GroupNorm(4, leaving), nn.SiLU())


class Judge(nn.Module):
    """Answers some questions about pictures `(B, 3, H, W)` in [-1, 1]."""

    def __init__(self, which: str) -> None:
        super().__init__()
        self.asked = ASKED[which]
        widths = (3, 24, 48, 64, 64)
        self.trunk = nn.Sequential(
            *(_layer(a, b, 2) for a, b in pairwise(widths[:-1])),
            _layer(widths[-2], widths[-1], 1),
        )
        self.answer = nn.Linear(64 * 16, sum(map(len, self.asked.values())))

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        """Scores before softmax, by question."""
        seen = F.adaptive_avg_pool2d(picture, SEEN_AT)
        scores = self.answer(F.adaptive_avg_pool2d(self.trunk(seen), 4).flatten(1))
        parts = scores.split([len(names) for names in self.asked.values()], dim=1)
        return dict(zip(self.asked, parts, strict=True))

    @torch.no_grad()
    def judge(self, picture: Tensor) -> dict[str, Tensor]:
        """The index of each question's likeliest answer, `(B,)`."""
        return {name: scores.argmax(1) for name, scores in self(picture).items()}


def weights_of(which: str) -> Path:
    return FOLDER / f"{which}.safetensors"


def load(which: str, path: Path | None = None) -> Judge:
    judge = Judge(which)
    stored = load_file(path or weights_of(which))
    judge.load_state_dict({name: tensor.float() for name, tensor in stored.items()})
    return judge.train(False).requires_grad_(False)
