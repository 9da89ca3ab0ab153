"""The demo's words: a closed vocabulary, and sentences that leave the coat out half of the time."""

from __future__ import annotations

import colorsys
import random

from .scene import CLASSES, GROUNDS, PATTERNS, POSES, Coat, Colour, Scene

PALETTE: dict[str, Colour] = {
    "white": (245, 245, 245),
    "black": (28, 28, 32),
    "grey": (132, 134, 138),
    "brown": (122, 74, 38),
    "orange": (240, 138, 28),
    "yellow": (246, 220, 52),
    "red": (206, 32, 40),
    "pink": (248, 150, 190),
    "purple": (132, 52, 172),
    "blue": (42, 92, 214),
    "green": (40, 148, 60),
    "turquoise": (64, 210, 200),
}
FILLERS = ("a", "an", "the", "photo", "picture", "drawing", "of", "on", "in", "at", "with", "and")
WORDS = (
    *FILLERS,
    *CLASSES,
    "animal",
    *POSES,
    *GROUNDS,
    *PATTERNS,
    "spots",
    "stripes",
    *PALETTE,
)
NAMED = 0.115  # a colour this near to a palette entry is called by its name
PLACES = {
    "grass": ("on grass", "on the grass", "in the grass"),
    "snow": ("in snow", "in the snow", "on the snow"),
    "beach": ("on the beach", "at the beach", "on a beach"),
    "night": ("at night", "in the night"),
}


def distance(a: Colour, b: Colour) -> float:
    """How far apart two colours are; 1 is black to white."""
    return (sum(((x - y) / 255) ** 2 for x, y in zip(a, b, strict=True)) / 3) ** 0.5


def colour_name(colour: Colour) -> str | None:
    """The palette's name of a colour, or None where no word fits."""
    name = min(PALETTE, key=lambda candidate: distance(PALETTE[candidate], colour))
    return name if distance(PALETTE[name], colour) < NAMED else None


def random_colour(rng: random.Random) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(
        rng.random(), rng.random() ** 0.6, 0.12 + 0.88 * rng.random() ** 0.7
    )
    return round(red * 255), round(green * 255), round(blue * 255)


def near(colour: Colour, rng: random.Random, spread: int = 12) -> Colour:
    return tuple(min(255, max(0, c + rng.randint(-spread, spread))) for c in colour)


def random_coat(rng: random.Random) -> Coat:
    """Half of the coats wear palette colours, half any; the two colours can be told apart."""
    named = rng.random() < 0.5

    def pick() -> Colour:
        return near(rng.choice(list(PALETTE.values())), rng) if named else random_colour(rng)

    base, second = pick(), pick()
    while distance(base, second) < 0.22:
        second = pick()
    return Coat(base, second, rng.choice(PATTERNS))


def nameless_coat(rng: random.Random) -> Coat:
    """A coat whose colours no caption can name: an identity."""
    while True:
        coat = random_coat(rng)
        if colour_name(coat.base) is None and colour_name(coat.second) is None:
            return coat


def random_scene(rng: random.Random, coat: Coat | None = None) -> Scene:
    return Scene(
        animal=rng.choice(CLASSES),
        pose=rng.choice(POSES),
        ground=rng.choice(GROUNDS),
        coat=coat or random_coat(rng),
        facing_left=rng.random() < 0.5,
        shift=(rng.uniform(-0.05, 0.05), rng.uniform(-0.03, 0.03)),
        size=rng.uniform(0.9, 1.08),
        seed=rng.randrange(2**31),
    )


def caption(scene: Scene, rng: random.Random) -> str:
    """A sentence for the scene; which facts it leaves out is chance."""
    if rng.random() < 0.1:
        return ""
    animal = animal_words(scene, rng)
    place = rng.choice(PLACES[scene.ground]) if rng.random() < 0.88 else ""
    start = rng.choice(("a", "a", "a", "the", "a photo of a", "a picture of a", "a drawing of a"))
    return " ".join(f"{start} {animal} {place}".split())


def animal_words(scene: Scene, rng: random.Random) -> str:
    """What a caption says of one animal, without an article."""
    coat = rng.random() < 0.7
    animal = scene.animal if rng.random() < 0.96 else "animal"
    pose = scene.pose if rng.random() < 0.88 else ""
    before, after = _coat_words(scene.coat, rng) if coat else ("", "")
    if rng.random() < 0.5:
        return f"{pose} {before} {animal} {after}"
    return f"{before} {animal} {after} {pose}"


def _coat_words(coat: Coat, rng: random.Random) -> tuple[str, str]:
    """What a person would call the coat, as far as there are words for it."""
    base, second = colour_name(coat.base), colour_name(coat.second)
    before = [base] if base else []
    if coat.pattern == "plain":
        return " ".join(["plain", *before] if rng.random() < 0.3 else before), ""
    marks = "spots" if coat.pattern == "spotted" else "stripes"
    if second and rng.random() < 0.75:
        return " ".join(before), f"with {second} {marks}"
    return " ".join([coat.pattern, *before]), ""


def prompt(animal: str, pose: str, ground: str) -> str:
    """The plain target prompt of the benchmark and the demo."""
    return f"a {pose} {animal} {PLACES[ground][0]}"
