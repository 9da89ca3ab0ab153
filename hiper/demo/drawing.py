"""The program that draws the demo's data."""

from __future__ import annotations

import random

from PIL import Image, ImageChops, ImageDraw

from .scene import Coat, Scene
from .shapes import Animal

SIZE = 128
SCALE = 3  # drawn this much larger, then averaged down


def draw(scene: Scene) -> Image.Image:
    """The scene as a 128×128 picture."""
    n = SIZE * SCALE
    picture = ground_of(scene, n)
    paste(picture, scene, Animal(scene, n))
    return picture.resize((SIZE, SIZE), Image.Resampling.BOX)


def paste(picture: Image.Image, scene: Scene, shapes: Animal) -> None:
    """Lay one animal on a picture of its own size."""
    animal = dressed(scene, shapes)
    picture.paste(animal, (0, 0), animal)


def dressed(scene: Scene, shapes: Animal) -> Image.Image:
    """The animal in its coat, on nothing."""
    n = shapes.n
    animal = Image.new("RGBA", (n, n), (0, 0, 0, 0))
    animal.alpha_composite(shapes.behind)
    animal.paste(_pattern(scene.coat, shapes.coat_mask, n), (0, 0), shapes.coat_mask)
    animal.alpha_composite(shapes.front)
    return _placed(animal, scene)


def animal_mask(scene: Scene) -> Image.Image:
    """Where the animal is, as a 128×128 greyscale mask."""
    n = SIZE * SCALE
    shapes = Animal(scene, n)
    mask = ImageChops.lighter(shapes.coat_mask, shapes.behind.getchannel("A"))
    mask = ImageChops.lighter(mask, shapes.front.getchannel("A"))
    return _placed(mask, scene).resize((SIZE, SIZE), Image.Resampling.BOX)


def _placed(layer: Image.Image, scene: Scene) -> Image.Image:
    """The layer as the animal faces, moved aside as far as the scene says."""
    if scene.facing_left:
        layer = layer.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    aside = round(scene.aside * layer.width)
    if not aside:
        return layer
    moved = Image.new(layer.mode, layer.size)
    moved.paste(layer, (aside, 0))
    return moved


SKIES = {
    "grass": ((150, 205, 245), (98, 178, 72)),
    "snow": ((196, 208, 222), (246, 249, 252)),
    "beach": ((176, 226, 240), (240, 214, 148)),
    "night": ((24, 28, 66), (40, 58, 60)),
}


def ground_of(scene: Scene, n: int) -> Image.Image:
    """The place without the animal, `n` pixels wide."""
    rng = random.Random(scene.seed)
    sky, earth = SKIES[scene.ground]
    picture = Image.new("RGB", (n, n), sky)
    pen = ImageDraw.Draw(picture)
    horizon, unit = int(n * 0.6), n / 256
    pen.rectangle([0, horizon, n, n], fill=earth)
    if scene.ground == "grass":
        for _ in range(26):
            x, y = rng.uniform(0, n), rng.uniform(horizon + 6 * unit, n)
            tip = (x + rng.uniform(-4, 4) * unit, y - 12 * unit)
            pen.line([(x, y), tip], fill=(66, 142, 50), width=round(4 * unit))
    elif scene.ground == "snow":
        for _ in range(24):
            x, y, r = rng.uniform(0, n), rng.uniform(0, horizon), 4 * unit
            pen.ellipse([x - r, y - r, x + r, y + r], fill=(255, 255, 255))
    elif scene.ground == "beach":
        pen.rectangle([0, int(n * 0.5), n, horizon], fill=(58, 148, 196))
        pen.ellipse([n * 0.08, n * 0.06, n * 0.24, n * 0.22], fill=(255, 224, 96))
    else:
        pen.ellipse([n * 0.78, n * 0.06, n * 0.94, n * 0.22], fill=(244, 240, 204))
        for _ in range(14):
            x, y, r = rng.uniform(0, n * 0.75), rng.uniform(0, n * 0.4), 3 * unit
            pen.ellipse([x - r, y - r, x + r, y + r], fill=(236, 236, 220))
    return picture


def _pattern(coat: Coat, mask: Image.Image, n: int) -> Image.Image:
    """The coat as a sheet of cloth, laid where the animal is."""
    cloth = Image.new("RGB", (n, n), coat.base)
    box = mask.getbbox()
    if coat.pattern == "plain" or box is None:
        return cloth
    pen = ImageDraw.Draw(cloth)
    pitch = n * 0.165
    left, top = box[0], box[1]
    if coat.pattern == "spotted":
        r = pitch * 0.33
        for row in range(-1, 12):
            for column in range(-1, 12):
                x = left + (column + 0.5 * (row % 2)) * pitch
                y = top + row * pitch * 0.87
                pen.ellipse([x - r, y - r, x + r, y + r], fill=coat.second)
    else:
        for column in range(-1, 12):
            x = left + column * pitch
            pen.line([(x, 0), (x, n)], fill=coat.second, width=int(pitch * 0.45))
    return cloth
