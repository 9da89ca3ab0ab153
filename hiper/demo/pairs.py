"""Two animals in one picture, side by side: each with a class, pose and coat of its own."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from PIL import Image, ImageChops

from .captions import PLACES, animal_words, random_scene
from .drawing import SCALE, SIZE, animal_mask, draw, ground_of, paste
from .scene import Scene
from .shapes import Animal

SIZES = (0.7, 0.78)  # of each, beside an animal that is alone
ASIDE = (0.23, 0.27)  # from the middle: they overlap by chance
FACING = 0.8  # how often one looks at the other


@dataclass(frozen=True)
class Pair:
    """Two scenes on one ground; the left one is named first, the right one stands in front."""

    left: Scene
    right: Scene

    @property
    def ground(self) -> str:
        return self.left.ground


Picture = Scene | Pair


def random_pair(rng: random.Random) -> Pair:
    left, right = random_scene(rng), random_scene(rng)

    def beside(scene: Scene, side: int) -> Scene:
        return replace(
            scene,
            ground=left.ground,
            seed=left.seed,
            size=rng.uniform(*SIZES),
            aside=side * rng.uniform(*ASIDE),
            shift=(0.0, rng.uniform(-0.06, 0.03)),
            facing_left=(side > 0) == (rng.random() < FACING),
        )

    return Pair(beside(left, -1), beside(right, 1))


def animals(picture: Picture) -> tuple[Scene, ...]:
    """The animals of a picture in the order in which a caption names them."""
    return (picture.left, picture.right) if isinstance(picture, Pair) else (picture,)


def draw_picture(picture: Picture) -> Image.Image:
    """One animal or two as a 128×128 picture."""
    if isinstance(picture, Scene):
        return draw(picture)
    n = SIZE * SCALE
    page = ground_of(picture.left, n)
    for scene in animals(picture):
        paste(page, scene, Animal(scene, n))
    return page.resize((SIZE, SIZE), Image.Resampling.BOX)


def masks(picture: Picture) -> list[Image.Image]:
    """Where each animal is seen, as 128×128 greyscale masks."""
    if isinstance(picture, Scene):
        return [animal_mask(picture)]
    left, right = animal_mask(picture.left), animal_mask(picture.right)
    return [ImageChops.multiply(left, ImageChops.invert(right)), right]


def caption_of_two(pair: Pair, rng: random.Random) -> str:
    """A sentence for both; which facts it leaves out is chance."""
    if rng.random() < 0.1:
        return ""
    named = [animal_words(scene, rng) for scene in animals(pair)]
    place = rng.choice(PLACES[pair.ground]) if rng.random() < 0.88 else ""
    start = rng.choice(("a", "a", "a", "the", "a photo of a", "a picture of a", "a drawing of a"))
    second = "the" if start == "the" else "a"
    return " ".join(f"{start} {named[0]} and {second} {named[1]} {place}".split())


def plain_prompt_of_two(pair: Pair) -> str:
    """The prompt of the benchmark: class and pose of each, the ground of both."""
    first, second = (f"a {scene.pose} {scene.animal}" for scene in animals(pair))
    return f"{first} and {second} {PLACES[pair.ground][0]}"
