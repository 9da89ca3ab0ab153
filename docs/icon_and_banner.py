"""Draw the registry's icon and banner: `python docs/icon_and_banner.py`.

One animal in one coat, the five vectors of its tail, and where a model looks for them.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # before an installed copy

from hiper.demo.drawing import dressed, ground_of
from hiper.demo.scene import Coat, Scene
from hiper.demo.shapes import Animal
from hiper.figures.heat import coloured, laid_over
from hiper.figures.lettering import lettering
from hiper.figures.palette import HEAT

FOLDER = Path(__file__).parent
ICON, BANNER = 400, (2100, 900)  # the registry's: a square of at most 400, and 21:9
FINER = 3  # drawn this much larger, then averaged down
COAT = Coat((240, 236, 226), (196, 74, 42), "spotted")
DOG = Scene("dog", "sitting", "grass", COAT, seed=3)
PAPER, SOFT = (250, 248, 244), (196, 190, 214)
TAIL = coloured(np.linspace(0.3, 0.92, 5))  # one colour for each of N = 5 vectors


def animal(scene: Scene, size: int) -> Image.Image:
    """The animal alone, cut to itself."""
    found = dressed(scene, Animal(scene, size))
    return found.crop(found.getbbox())


def picture(scene: Scene, size: int) -> Image.Image:
    """The animal on its ground, of any size."""
    drawn = ground_of(scene, size).convert("RGBA")
    drawn.alpha_composite(dressed(scene, Animal(scene, size)))
    return drawn.convert("RGB")


def glow(size: tuple[int, int], seen: Image.Image, at: tuple[int, int], soft: float) -> Image.Image:
    """A page of the map's own colours, brightest where the animal stands."""
    mask = Image.new("L", size)
    mask.paste(seen.getchannel("A"), at)
    wide = np.asarray(mask.filter(ImageFilter.GaussianBlur(soft)), float) / 255
    return Image.fromarray(coloured(0.1 + 0.82 * np.clip(wide * 1.15, 0, 1)))


def rounded(image: Image.Image, radius: int) -> Image.Image:
    """The image with round corners, on nothing."""
    finer = tuple(n * FINER for n in image.size)
    mask = Image.new("L", finer)
    box = (0, 0, finer[0] - 1, finer[1] - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius * FINER, fill=255)
    image = image.convert("RGBA")
    image.putalpha(mask.resize(image.size, Image.Resampling.BOX))
    return image


def tail(page: Image.Image, x: int, y: int, side: int, gap: int) -> None:
    """Five learned vectors in a row."""
    for number, colour in enumerate(TAIL):
        vector = Image.new("RGB", (side, side), tuple(int(c) for c in colour))
        vector = rounded(vector, round(side * 0.24))
        page.paste(vector, (x + number * (side + gap), y), vector)


def icon() -> Image.Image:
    size = ICON * FINER
    dog = animal(DOG, round(size * 1.12))
    at = (round(size * 0.53 - dog.width / 2), round(size * 0.44 - dog.height / 2))
    page = glow((size, size), dog, at, size * 0.07)
    page.paste(dog, at, dog)
    side, gap = round(size * 0.098), round(size * 0.035)
    x = (size - 5 * side - 4 * gap) // 2
    ImageDraw.Draw(page).rectangle((0, round(size * 0.805), size, size), fill=HEAT[0])
    tail(page, x, round(size * 0.845), side, gap)
    return rounded(page, round(size * 0.2)).resize((ICON, ICON), Image.Resampling.LANCZOS)


def card(page: Image.Image, image: Image.Image, at: tuple[int, int]) -> None:
    """An image with round corners and a soft shadow."""
    shape = rounded(image, round(image.width * 0.07))
    dark = Image.new("RGBA", page.size)
    blot = Image.new("RGBA", image.size, (0, 0, 0, 170))
    dark.paste(blot, (at[0], at[1] + image.height // 30), shape.getchannel("A"))
    page.alpha_composite(dark.filter(ImageFilter.GaussianBlur(image.width * 0.04)))
    page.alpha_composite(shape, at)


def write(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, fill) -> None:
    text, font = lettering(text, size)
    draw.text(at, text, fill, font)


def banner() -> Image.Image:
    width, height = BANNER
    page = Image.new("RGB", BANNER, HEAT[0])
    shade = np.linspace(0.02, 0.2, width)[None].repeat(height, 0)
    page.paste(Image.fromarray(coloured(shade)))
    page = page.convert("RGBA")
    draw = ImageDraw.Draw(page)
    write(draw, (120, 112), "HiPer", 190, PAPER)
    write(draw, (128, 348), "One picture. Five learned vectors. Any prompt.", 46, SOFT)
    write(draw, (128, 416), "See where the model looks.", 46, SOFT)
    tail(page, 130, 560, 84, 26)
    write(draw, (128, 690), "HiPer · SeFi-IDE · LIPE", 40, SOFT)
    write(draw, (128, 748), "for ComfyUI", 40, SOFT)
    side, gap = 348, 28
    left, top = width - 120 - 2 * side - gap, (height - 2 * side - gap) // 2
    scenes = (
        replace(DOG, pose="standing"),
        replace(DOG, pose="jumping", ground="snow"),
        replace(DOG, pose="sitting", ground="beach", facing_left=True),
    )
    places = [(left, top), (left + side + gap, top), (left, top + side + gap)]
    for scene, at in zip(scenes, places, strict=True):
        drawn = picture(scene, side * FINER)
        card(page, drawn.resize((side, side), Image.Resampling.LANCZOS), at)
    night = replace(DOG, pose="sleeping", ground="night")
    seen = dressed(night, Animal(night, side)).getchannel("A")
    looked = np.asarray(seen.filter(ImageFilter.GaussianBlur(14)), float) / 255
    drawn = picture(night, side * FINER).resize((side, side), Image.Resampling.LANCZOS)
    card(page, laid_over(drawn, looked, 0.75), (left + side + gap, top + side + gap))
    return page.convert("RGB")


if __name__ == "__main__":
    icon().save(FOLDER / "icon.png", optimize=True)
    banner().save(FOLDER / "banner.png", optimize=True)
