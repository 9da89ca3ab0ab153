"""One animal as layers of shapes: where its coat is, what lies behind it and what before it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from .scene import Scene


@dataclass(frozen=True)
class Frame:
    """A pose's proportions, in shares of the picture: body centre, radii, tilt, head centre."""

    body: tuple[float, float]
    radii: tuple[float, float]
    tilt: float
    head: tuple[float, float]


FRAMES = {
    "standing": Frame((0.46, 0.58), (0.21, 0.13), 0, (0.70, 0.40)),
    "sitting": Frame((0.46, 0.62), (0.15, 0.21), 0, (0.56, 0.33)),
    "jumping": Frame((0.45, 0.47), (0.22, 0.12), 22, (0.70, 0.29)),
    "sleeping": Frame((0.45, 0.74), (0.25, 0.11), 0, (0.72, 0.76)),
}
HEAD = 0.135
ORDER = ("tail", "legs", "body", "neck", "ears", "head")  # later ones lie on earlier ones
PARTS = frozenset(ORDER)
DARK, WHITE, BEAK = (34, 30, 34, 255), (250, 250, 250, 255), (244, 160, 32, 255)


class Animal:
    """The layers of one animal: what is behind the coat, where the coat is, what is before it."""

    def __init__(self, scene: Scene, n: int, parts: frozenset[str] = PARTS) -> None:
        self.scene, self.n, self.frame = scene, n, FRAMES[scene.pose]
        self.behind = Image.new("RGBA", (n, n), (0, 0, 0, 0))
        self.front = Image.new("RGBA", (n, n), (0, 0, 0, 0))
        self.coat_mask = Image.new("L", (n, n), 0)
        self._coat = ImageDraw.Draw(self.coat_mask)
        self._front = ImageDraw.Draw(self.front)
        self._behind = ImageDraw.Draw(self.behind)
        for part in sorted(parts, key=ORDER.index):
            getattr(self, f"_{part}")()

    def _at(self, x: float, y: float) -> tuple[float, float]:
        size, (dx, dy) = self.scene.size, self.scene.shift
        return (
            ((x - 0.5) * size + 0.5 + dx) * self.n,
            ((y - 0.85) * size + 0.85 + dy) * self.n,
        )

    def _length(self, share: float) -> float:
        return share * self.scene.size * self.n

    def _turned(self, along: float, across: float) -> tuple[float, float]:
        """A point of the body's own axes, tilted as the pose is."""
        angle = math.radians(self.frame.tilt)
        x = along * math.cos(angle) + across * math.sin(angle)
        y = -along * math.sin(angle) + across * math.cos(angle)
        return self.frame.body[0] + x, self.frame.body[1] + y

    def _oval(self, pen, centre, radii, fill, tilt: float = 0.0) -> None:
        angle = math.radians(tilt)
        points = []
        for step in range(40):
            turn = step * math.tau / 40
            x, y = radii[0] * math.cos(turn), radii[1] * math.sin(turn)
            points.append(
                self._at(
                    centre[0] + x * math.cos(angle) + y * math.sin(angle),
                    centre[1] - x * math.sin(angle) + y * math.cos(angle),
                )
            )
        pen.polygon(points, fill=fill)

    def _limb(self, pen, start, end, width: float, fill) -> None:
        a, b, w = self._at(*start), self._at(*end), self._length(width)
        pen.line([a, b], fill=fill, width=int(w))
        for x, y in (a, b):
            pen.ellipse([x - w / 2, y - w / 2, x + w / 2, y + w / 2], fill=fill)

    def _body(self) -> None:
        self._oval(self._coat, self.frame.body, self.frame.radii, 255, self.frame.tilt)
        if self.scene.pose == "sitting":
            self._oval(self._coat, (0.40, 0.74), (0.15, 0.10), 255)

    def _neck(self) -> None:
        neck = self._turned(self.frame.radii[0] * 0.6, -self.frame.radii[1] * 0.2)
        if self.scene.pose != "sleeping":
            self._limb(self._coat, neck, self.frame.head, 0.13, 255)

    def _legs(self) -> None:
        bird, pose = self.scene.animal == "bird", self.scene.pose
        if pose == "sleeping":
            return
        pen, fill, width = (self._behind, BEAK, 0.03) if bird else (self._coat, 255, 0.075)
        if pose == "standing":
            feet = (0.42, 0.52) if bird else (0.30, 0.39, 0.53, 0.62)
            for x in feet:
                self._limb(pen, (x, 0.62), (x, 0.85), width, fill)
        elif pose == "sitting":
            feet = (0.50, 0.56) if bird else (0.52, 0.60)
            for x in feet:
                self._limb(pen, (x, 0.62), (x + 0.01, 0.85), width, fill)
        else:
            reach = ((-0.14, -0.27), (0.12, 0.24)) if not bird else ((-0.10, -0.18), (-0.04, -0.12))
            for along, far in reach:
                for spread in (0.0, 0.07):
                    start = self._turned(along, 0.05)
                    end = self._turned(far + spread * math.copysign(1, along), 0.22 - spread)
                    self._limb(pen, start, end, width, fill)

    def _tail(self) -> None:
        animal, radius = self.scene.animal, self.frame.radii[0]
        sitting = self.scene.pose == "sitting"
        x, y = (0.29, 0.77) if sitting else self._turned(-radius * 0.9, -0.02)
        if animal == "cat":
            bend = (x - 0.11, y - 0.06)
            self._limb(self._coat, (x, y), bend, 0.05, 255)
            self._limb(self._coat, bend, (x - 0.13, y - 0.2), 0.05, 255)
        elif animal == "dog":
            self._limb(self._coat, (x, y), (x - 0.10, y - 0.11), 0.055, 255)
        elif animal == "rabbit":
            self._oval(self._behind, (x - 0.03, y - 0.01), (0.06, 0.06), WHITE)
        else:
            points = [self._at(x + 0.08, y - 0.05), self._at(x - 0.15, y - 0.07)]
            points += [self._at(x - 0.13, y + 0.06), self._at(x + 0.08, y + 0.06)]
            self._coat.polygon(points, fill=255)

    def _ears(self) -> None:
        (x, y), animal = self.frame.head, self.scene.animal
        if animal == "cat":
            for dx in (-0.085, 0.055):
                points = [(x + dx - 0.045, y - 0.06), (x + dx + 0.015, y - 0.22)]
                points.append((x + dx + 0.075, y - 0.07))
                self._coat.polygon([self._at(*point) for point in points], fill=255)
        elif animal == "rabbit":
            flat = self.scene.pose == "sleeping"
            for dx, tilt in ((-0.06, 105), (0.03, 80)):
                if flat:
                    self._oval(self._coat, (x - 0.16, y - 0.10 + dx * 0.6), (0.13, 0.04), 255, 10)
                else:
                    self._oval(self._coat, (x + dx, y - 0.20), (0.15, 0.042), 255, tilt)

    def _head(self) -> None:
        (x, y), animal, pen = self.frame.head, self.scene.animal, self._front
        self._oval(self._coat, (x, y), (HEAD, HEAD * 0.92), 255)
        if animal == "bird":
            beak = [(x + 0.10, y - 0.05), (x + 0.25, y + 0.01), (x + 0.10, y + 0.06)]
            pen.polygon([self._at(*point) for point in beak], fill=BEAK)
            wing = self._turned(-0.03, 0.0)
            shade = tuple(int(c * 0.72) for c in self.scene.coat.base)
            self._oval(pen, wing, (0.12, 0.055), (*shade, 255), self.frame.tilt + 14)
        elif animal == "dog":
            self._oval(self._coat, (x + 0.12, y + 0.04), (0.09, 0.06), 255)
            self._oval(pen, (x + 0.195, y + 0.01), (0.03, 0.026), DARK)
            self._oval(pen, (x - 0.09, y + 0.03), (0.045, 0.105), self._shade(), -8)
        else:
            self._oval(pen, (x + 0.105, y + 0.035), (0.022, 0.018), (236, 120, 140, 255))
        if self.scene.pose == "sleeping":
            self._limb(pen, (x + 0.015, y - 0.02), (x + 0.065, y - 0.02), 0.022, DARK)
        else:
            self._oval(pen, (x + 0.04, y - 0.03), (0.034, 0.034), WHITE)
            self._oval(pen, (x + 0.048, y - 0.03), (0.022, 0.024), DARK)

    def _shade(self) -> tuple[int, int, int, int]:
        """The coat's base a little darker, for what must stand out from it."""
        return (*(int(c * 0.62) for c in self.scene.coat.base), 255)
