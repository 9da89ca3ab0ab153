"""The judges of whole pictures, on drawings whose answers are known and that they never met."""

from __future__ import annotations

import random

import pytest
import torch

from hiper.demo.captions import random_scene
from hiper.demo.drawing import draw
from hiper.demo.judging import ASKED, Judge, load
from hiper.demo.measures import malformed, of_two
from hiper.demo.model import load as load_model
from hiper.demo.pairs import draw_picture, random_pair
from hiper.demo.train_judges import accuracy, mirrored

DRAWINGS = 150  # the command judges 2,000


@pytest.fixture(scope="module")
def model():
    return load_model()


def test_soundness_is_told_from_malformed(model) -> None:
    """At least 98 % of 2,000; here a chance miss or two more may be."""
    found = accuracy("soundness", load("soundness"), model.latents, DRAWINGS)
    assert found["malformed or not, drawn"] >= 0.95
    assert found["malformed or not, redrawn"] >= 0.95


def test_two_animals_are_read(model) -> None:
    found = accuracy("pairs", load("pairs"), model.latents, DRAWINGS)
    assert min(value for name, value in found.items() if name.endswith("drawn")) >= 0.93


def test_mirrored_pairs_change_places() -> None:
    pictures, answers = torch.rand(1, 3, 4, 4), torch.tensor([[0, 1, 2, 3]])
    flipped, exchanged = mirrored("pairs", pictures, answers)
    assert torch.equal(flipped, pictures.flip(-1)) and exchanged.tolist() == [[2, 3, 0, 1]]
    assert mirrored("soundness", pictures, answers[:, :1])[1].tolist() == [[0]]


@pytest.mark.parametrize("which", ASKED)
def test_a_judge_looks_at_pictures_of_any_size(which: str) -> None:
    for size in (64, 128):
        answers = Judge(which).judge(torch.rand(2, 3, size, size))
        assert list(answers) == list(ASKED[which])
        assert all(answer.shape == (2,) for answer in answers.values())


def test_measures_of_the_drawings_themselves(model) -> None:
    """The best possible: what a model would reach that drew like the program."""
    rng = random.Random("measured drawings")
    sound = torch.cat([model.encode(draw(random_scene(rng))) for _ in range(24)])
    assert malformed(model, sound) <= 0.1
    pairs = [random_pair(rng) for _ in range(24)]
    latents = torch.cat([model.encode(draw_picture(pair)) for pair in pairs])
    found = of_two(model, latents, pairs)
    assert found["classes_found"] >= 0.85 and found["poses_found"] >= 0.8
    assert of_two(model, latents, pairs[1:] + pairs[:1])["poses_found"] <= 0.4
