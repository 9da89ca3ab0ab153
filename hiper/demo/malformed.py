"""Malformed animals drawn on purpose: a model's mistakes, with known answers."""

from __future__ import annotations

import random
from dataclasses import replace

from PIL import Image

from .drawing import SCALE, SIZE, draw, dressed, ground_of
from .scene import Scene
from .shapes import PARTS, Animal

SOUND = "sound"
FAULTS = ("two heads", "no head", "head at the wrong end", "parts apart")
STATES = (SOUND, *FAULTS)
OF_THE_HEAD = frozenset(("ears", "head"))
APART = (0.10, 0.22)  # how far parts lie from where they belong, in shares of the picture


def draw_state(scene: Scene, state: str, rng: random.Random) -> Image.Image:
    """The scene with a sound animal, or with one that has the fault named."""
    if state == SOUND:
        return draw(scene)
    n = SIZE * SCALE
    page = ground_of(scene, n)
    for layer in _LAYERS[state](scene, n, rng):
        page.paste(layer, (0, 0), layer)
    return page.resize((SIZE, SIZE), Image.Resampling.BOX)


def _of(scene: Scene, n: int, parts: frozenset[str]) -> Image.Image:
    return dressed(scene, Animal(scene, n, parts))


def _turned(scene: Scene) -> Scene:
    """The same animal in the same place, looking the other way."""
    return replace(scene, facing_left=not scene.facing_left)


def _two_heads(scene: Scene, n: int, rng: random.Random) -> list[Image.Image]:
    """Half-decided which way it looks: the animal and its mirror image in one."""
    more = rng.choice((OF_THE_HEAD | {"neck"}, PARTS - {"tail"}, PARTS))
    other = _of(_turned(scene), n, frozenset(more))
    share = rng.uniform(0.65, 1)
    other.putalpha(other.getchannel("A").point(lambda a: round(a * share)))
    layers = [other, _of(scene, n, PARTS)]
    return layers if rng.random() < 0.5 else layers[::-1]


def _no_head(scene: Scene, n: int, rng: random.Random) -> list[Image.Image]:
    gone = OF_THE_HEAD | ({"neck"} if rng.random() < 0.5 else set())
    return [_of(scene, n, PARTS - gone)]


def _wrong_end(scene: Scene, n: int, rng: random.Random) -> list[Image.Image]:
    """Head and tail at one end, nothing at the other."""
    head = OF_THE_HEAD | {"neck"}
    return [_of(scene, n, PARTS - head), _of(_turned(scene), n, frozenset(head))]


def _apart(scene: Scene, n: int, rng: random.Random) -> list[Image.Image]:
    """The head off its neck, or the whole animal broken in two."""
    far = [rng.choice((-1, 1)) * rng.uniform(*APART) for _ in range(2)]
    if rng.random() < 0.5:
        head = _moved(_of(scene, n, OF_THE_HEAD), far[0] * 0.7, -abs(far[1]))
        return [_of(scene, n, PARTS - OF_THE_HEAD - {"neck"}), head]
    whole = _of(scene, n, PARTS)
    box = whole.getbbox()
    cut = round((box[0] + box[2]) / 2 + rng.uniform(-0.04, 0.04) * n)
    left, right = Image.new("RGBA", (n, n)), Image.new("RGBA", (n, n))
    left.paste(whole.crop((0, 0, cut, n)), (0, 0))
    right.paste(whole.crop((cut, 0, n, n)), (cut, 0))
    return [_moved(left, -abs(far[0]) / 2, far[1]), _moved(right, abs(far[0]) / 2, 0.0)]


def _moved(layer: Image.Image, x: float, y: float) -> Image.Image:
    moved = Image.new("RGBA", layer.size)
    moved.paste(layer, (round(x * layer.width), round(y * layer.height)))
    return moved


_LAYERS = dict(zip(FAULTS, (_two_heads, _no_head, _wrong_end, _apart), strict=True))
