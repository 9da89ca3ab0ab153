"""What prompts alone draw: one animal, and two."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from hiper.demo.captions import PALETTE, PLACES, distance, random_scene
from hiper.demo.measures import look, malformed, of_two, share
from hiper.demo.pairs import plain_prompt_of_two, random_pair
from hiper.demo.scene import CLASSES, GROUNDS, POSES

if TYPE_CHECKING:
    from method import Bench


def prompting(bench: Bench, count: int) -> dict[str, float]:
    """Draw by prompt before anything else: how often class, pose, ground and colour are found, and
    how often the animal is malformed."""
    rng = random.Random("prompts")
    scenes = [random_scene(rng) for _ in range(count)]
    colours = [rng.choice(list(PALETTE)) if i % 2 else None for i in range(count)]
    texts = [
        f"a {s.pose} {c or ''} {s.animal} {PLACES[s.ground][0]}"
        for s, c in zip(scenes, colours, strict=True)
    ]
    bench.say(f"sampling {count} prompts")
    latents = bench.sampled(bench.encoded(texts), seed=1)
    seen = look(bench.analyser, bench.model, latents)
    asked = [(i, name) for i, name in enumerate(colours) if name]
    nearest = [
        min(PALETTE, key=lambda name, i=i: distance(PALETTE[name], tuple(seen.base[i] * 255)))
        for i, _ in asked
    ]
    right = [found == name for found, (_, name) in zip(nearest, asked, strict=True)]
    return {
        "prompts": count,
        "class_found": share(seen.animal, [s.animal for s in scenes], CLASSES),
        "pose_found": share(seen.pose, [s.pose for s in scenes], POSES),
        "ground_found": share(seen.ground, [s.ground for s in scenes], GROUNDS),
        "colour_found": round(sum(right) / max(len(right), 1), 4),
        "malformed_plain": malformed(bench.model, latents),
    }


def two_animals(bench: Bench, count: int) -> dict[str, float]:
    """Two animals by prompt alone: both classes found, and each animal in its own pose."""
    rng = random.Random("prompts for two")
    pairs = [random_pair(rng) for _ in range(count)]
    texts = [plain_prompt_of_two(pair) for pair in pairs]
    bench.say(f"sampling {count} prompts for two animals")
    return {"prompts": count, **of_two(bench.model, bench.sampled(bench.encoded(texts), 3), pairs)}
