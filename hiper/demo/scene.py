"""What the demo's pictures show: an animal in a pose on a ground, in a coat."""

from __future__ import annotations

from dataclasses import dataclass, replace

CLASSES = ("cat", "dog", "rabbit", "bird")
POSES = ("standing", "sitting", "jumping", "sleeping")
GROUNDS = ("grass", "snow", "beach", "night")
PATTERNS = ("plain", "spotted", "striped")

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Coat:
    """What makes an animal this one: two colours and how the second lies on the first."""

    base: Colour
    second: Colour
    pattern: str
    seed: int = 0


@dataclass(frozen=True)
class Scene:
    """Everything that a picture shows."""

    animal: str
    pose: str
    ground: str
    coat: Coat
    facing_left: bool = False
    shift: tuple[float, float] = (0.0, 0.0)
    size: float = 1.0
    seed: int = 0
    aside: float = 0.0  # moved right by this share of the picture, whichever way it faces

    def doing(self, pose: str, ground: str) -> Scene:
        return replace(self, pose=pose, ground=ground)
