"""What is left of an old animal, told on drawings whose right answer is known."""

from __future__ import annotations

import random

import numpy as np
import torch
from PIL import Image

from benchmarks.ghosts import as_picture, background, ghost, located, mask_at
from hiper.demo.captions import nameless_coat, random_scene
from hiper.demo.drawing import draw
from hiper.demo.scene import POSES, Scene


def pairs(count: int) -> list[tuple[Scene, Scene]]:
    """Animals, and the same ones doing something else where they are."""
    rng = random.Random("ghosts")
    found = []
    for _ in range(count):
        scene = random_scene(rng, nameless_coat(rng))
        pose = rng.choice([pose for pose in POSES if pose != scene.pose])
        found.append((scene, scene.doing(pose, scene.ground)))
    return found


def test_the_animal_is_found_where_it_is_drawn() -> None:
    shares = []
    for _, target in pairs(40):
        found, truth = located(as_picture(draw(target)), target), mask_at(target, 128) > 0.5
        shares.append(float((found & truth).sum() / truth.sum()))
    assert sum(shares) / len(shares) > 0.97 and min(shares) > 0.8


def test_a_drawn_edit_has_no_ghost_and_a_pasted_outline_is_one() -> None:
    for source, target in pairs(20):
        clean = as_picture(draw(target))
        assert ghost(clean, source, target) < 0.01
        old, new = np.array(draw(source)), np.array(draw(target))
        kept = mask_at(source, 128).numpy() > 0.5
        kept &= ~(mask_at(target, 128).numpy() > 0.02)
        both = Image.fromarray(np.where(kept[..., None], old, new))
        seen = as_picture(both)
        off = (seen - clean).abs().mean(0)[torch.from_numpy(kept)].mean()
        if off > 0.15:  # a coat of the ground's own colours can't be told from it
            assert ghost(seen, source, target) > 0.3 * off


def test_the_background_of_a_drawn_edit_is_the_sources() -> None:
    for source, target in pairs(10):
        assert background(as_picture(draw(target)), as_picture(draw(source)), source, target) == 0
