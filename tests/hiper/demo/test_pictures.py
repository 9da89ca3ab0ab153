"""What the demo's data shows: pictures of 128×128, two animals, and malformed ones on purpose."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from hiper.demo.captions import random_scene
from hiper.demo.coat_vectors import COUNTS, FACTS, CoatVectors, chosen
from hiper.demo.data import pictures, sentence
from hiper.demo.drawing import SIZE, animal_mask, draw
from hiper.demo.latents import CELL, HALVED, LatentSpace
from hiper.demo.malformed import FAULTS, SOUND, draw_state
from hiper.demo.model import load, to_tensor
from hiper.demo.pairs import Pair, draw_picture, masks, plain_prompt_of_two, random_pair
from hiper.demo.text import LENGTH, tokens_of, words_of


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_the_mask_is_where_the_animal_changes_the_picture(seed: int) -> None:
    rng = random.Random(seed)
    scene = random_scene(rng)
    mask = pixels(animal_mask(scene)) / 255
    assert mask.shape == (SIZE, SIZE) == (128, 128)
    assert 0.05 < mask.mean() < 0.4
    # two coats on one scene differ only where the animal is
    other = replace(scene, coat=random_scene(rng).coat)
    changed = np.abs(pixels(draw(scene)) - pixels(draw(other)))
    assert not changed[mask == 0].any()


@pytest.mark.parametrize("seed", range(5))
def test_two_animals_stand_side_by_side(seed: int) -> None:
    pair = random_pair(random.Random(seed))
    left, right = (pixels(mask) / 255 for mask in masks(pair))
    across = np.arange(SIZE)
    assert (left.sum(0) @ across) / left.sum() < (right.sum(0) @ across) / right.sum()
    assert (left + right).max() <= 1.01 and min(left.mean(), right.mean()) > 0.015
    assert draw_picture(pair).size == (SIZE, SIZE)


def test_captions_of_two_name_the_left_one_first() -> None:
    rng = random.Random(3)
    for _ in range(60):
        pair = random_pair(rng)
        words = words_of(sentence(pair, rng))
        assert len(tokens_of(" ".join(words))) == LENGTH
        if not words:
            continue
        first, _, second = " ".join(words).partition(" and ")
        assert pair.left.animal in first or "animal" in first
        assert pair.right.animal in second or "animal" in second
    prompt = plain_prompt_of_two(pair)
    assert prompt.startswith(f"a {pair.left.pose} {pair.left.animal} and a {pair.right.pose}")


def test_a_third_of_the_data_shows_two() -> None:
    drawn, shown = pictures(40, seed=5)
    assert drawn.shape == (40, 3, SIZE, SIZE) and drawn.dtype == torch.uint8
    assert 5 <= sum(isinstance(one, Pair) for one in shown) <= 25
    assert not any(isinstance(one, Pair) for one in pictures(10, seed=5, of_two=0)[1])


@pytest.mark.parametrize("fault", FAULTS)
def test_malformed_animals_differ_from_sound_ones_on_the_same_ground(fault: str) -> None:
    scene = random_scene(random.Random(fault))
    sound = pixels(draw_state(scene, SOUND, random.Random(1)))
    broken = pixels(draw_state(scene, fault, random.Random(1)))
    assert np.array_equal(sound, pixels(draw(scene)))
    assert 0.005 < (np.abs(sound - broken).max(-1) > 24).mean() < 0.4


def test_latents_are_those_of_the_picture_at_half_its_size() -> None:
    """So nets trained on pictures of 64×64 go on from their weights."""
    space, picture = LatentSpace(), to_tensor(draw(random_scene(random.Random(2))))[None]
    latent = space.encode(picture)
    assert latent.shape == (1, 12, SIZE // CELL, SIZE // CELL)
    coarse = torch.nn.functional.avg_pool2d(picture, HALVED)
    again = coarse.repeat_interleave(HALVED, -1).repeat_interleave(HALVED, -2)
    assert torch.allclose(space.encode(again), latent, atol=1e-5)


def test_the_decoder_draws_what_was_encoded() -> None:
    model, rng = load(), random.Random("redrawn")
    for picture in (draw(random_scene(rng)), draw_picture(random_pair(rng))):
        (redrawn,) = model.decode(model.encode(picture))
        assert redrawn.size == (SIZE, SIZE)
        assert np.abs(pixels(redrawn) - pixels(picture)).mean() < 6


def test_vectors_of_a_coat_take_the_place_of_the_last_padding() -> None:
    torch.manual_seed(0)
    rng = random.Random(0)
    shown = [random_pair(rng), *(random_scene(rng) for _ in range(40))]
    told = [chosen(picture, "a cat and a dog", rng) for picture in shown]
    assert chosen(shown[0], "", rng) == []
    assert any(told) and not all(told)
    context = torch.randn(len(shown), LENGTH, 128)
    with torch.no_grad():
        out = CoatVectors()(context, told, rng)
    for before, after, its in zip(context, out, told, strict=True):
        changed = (before != after).any(1).nonzero().flatten()
        assert len(changed) == sum(one.count for one in its)
        if its:
            assert its[0].count in COUNTS and its[0].facts.shape == (FACTS,)
            assert changed.tolist() == list(range(LENGTH - len(changed), LENGTH))
            share = after[changed].norm(dim=1) / before[changed].norm(dim=1)
            assert float(share.min()) > 0.74 and float(share.max()) < 1.11
