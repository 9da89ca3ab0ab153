"""Edits of the demo model's pictures as numbers: what its own reader sees in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from .scene import GROUNDS, POSES
from .text import words_of


@dataclass(frozen=True)
class DemoScores:
    """One number a picture `(P,)`; None where what it needs is not known."""

    identity: Tensor | None = None  # of the way from the plain prompt's coat to the source's own
    pose: Tensor | None = None  # whether it is the one asked for
    ground: Tensor | None = None


def reader(
    source: Tensor, plain: Tensor | None, target_prompt: str
) -> Callable[[Tensor], DemoScores]:
    """Scores pictures against the source's, `(B, H, W, 3)` in 0 … 1 each."""
    from .analyser import load  # not at start-up: few graphs read pictures of the demo model

    analyser, words = load(), words_of(target_prompt)
    own = analyser.see(_entering(source))
    pose = next((POSES.index(word) for word in words if word in POSES), None)
    ground = next((GROUNDS.index(word) for word in words if word in GROUNDS), None)

    def off(pictures: Tensor) -> Tensor:
        """How far their coats are from the source's, `(P,)`: each from its own, or from all."""
        seen = analyser.see(_entering(pictures))
        if len(pictures) == len(source):
            return own.coat_distance(seen)
        each = [own.of(n).coat_distance(seen) for n in range(len(source))]
        return sum(each) / len(each)

    chance = None if plain is None else float(off(plain).mean())

    def scored(pictures: Tensor) -> DemoScores:
        seen = analyser.see(_entering(pictures))
        return DemoScores(
            None if not chance else 1 - off(pictures) / chance,
            None if pose is None else (seen.pose == pose).float(),
            None if ground is None else (seen.ground == ground).float(),
        )

    return scored


def nothing(_pictures: Tensor) -> DemoScores:
    """Where the pictures are not the demo model's."""
    return DemoScores()


def _entering(images: Tensor) -> Tensor:
    pictures = images[..., :3].float().cpu().movedim(-1, 1) * 2 - 1
    return pictures.expand(-1, 3, -1, -1) if pictures.shape[1] == 1 else pictures
