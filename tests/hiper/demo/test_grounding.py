"""The training's second term: least where words look where they belong, and a gradient to there."""

from __future__ import annotations

import random

import pytest
import torch

from hiper.demo.captions import caption, random_scene
from hiper.demo.coat_vectors import Told, facts
from hiper.demo.grounding import (
    AROUND,
    FIRST,
    SECOND,
    Grounding,
    asked,
    inside,
    parts_of,
    word_parts,
)
from hiper.demo.pairs import random_pair
from hiper.demo.scene import Coat, Scene
from hiper.demo.text import LENGTH, TextEncoder, tokens_of
from hiper.demo.unet import HEADS, UNet

SCENE = Scene("dog", "sitting", "snow", Coat((200, 30, 30), (20, 20, 20), "spotted"))
TEXT = "a sitting spotted red dog in the snow"
OF_TWO = "a sitting red cat and a standing dog on grass"
SIZE, CHANNELS = 16, 8


def test_words_of_the_animal_and_of_the_place() -> None:
    parts = word_parts(TEXT)
    assert len(parts) == LENGTH
    assert parts[:10] == [None, None, None, FIRST, FIRST, FIRST, None, None, AROUND, None]
    assert set(parts[10:]) == {None}


def test_of_two_animals_each_has_its_own_words() -> None:
    """Its pose as well: only words tell which of the two is meant."""
    words = [None, FIRST, FIRST, FIRST, None, None, SECOND, SECOND, None, AROUND]
    assert word_parts(OF_TWO)[1:11] == words


def test_a_coat_of_many_vectors_weighs_as_one_word() -> None:
    told = Told(owner=1, first=72, count=5, facts=facts(SCENE, with_class=True))
    weights = asked("a cat and a dog", [told])
    assert weights.shape == (3, LENGTH)
    assert float(weights[SECOND, 72:].sum()) == pytest.approx(1)
    assert weights[FIRST].nonzero().flatten().tolist() == [2]


def test_the_parts_of_a_picture_share_its_cells() -> None:
    parts = parts_of(random_pair(random.Random(1)), SIZE)
    assert parts.shape == (3, SIZE, SIZE) and float(parts.min()) >= 0
    assert torch.allclose(parts.sum(0), torch.ones(SIZE, SIZE), atol=0.02)
    left, right = (part.sum(0) @ torch.arange(float(SIZE)) / part.sum() for part in parts[:2])
    assert left < right


def grounding_of(text: str = TEXT) -> Grounding:
    return Grounding([text], [[]], parts_of(SCENE, SIZE)[None], slice(None))


def looking(right: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries `(1, HW, C)` and keys `(1, 77, C)` by which the animal's cells look at its words and
    the others at the place's, or the other way round."""
    cells = (inside(SCENE, SIZE).flatten() > 0.5).float() * 2 - 1
    weights = asked(TEXT, [])
    columns = (weights[FIRST] - weights[AROUND]) * (1 if right else -1)
    q = cells[:, None].expand(-1, CHANNELS * HEADS)
    k = columns[:, None].expand(-1, CHANNELS * HEADS)
    return 3 * q[None], 3 * k[None]


def loss_of(right: bool) -> float:
    grounding = grounding_of()
    grounding(*looking(right), SIZE)
    return float(grounding.loss)


def test_none_where_words_look_where_they_belong() -> None:
    edge = inside(SCENE, SIZE)
    mixed = float((edge * (1 - edge)).mean())  # cells that are both can't be right for both
    assert loss_of(True) < mixed
    assert loss_of(False) > 0.5


def test_it_is_even_where_nothing_is_chosen() -> None:
    """Equal attention everywhere puts the animal's share of the picture on its words."""
    grounding = grounding_of()
    nothing = (
        torch.zeros(1, SIZE * SIZE, CHANNELS * HEADS),
        torch.zeros(1, LENGTH, CHANNELS * HEADS),
    )
    grounding(*nothing, SIZE)
    share = inside(SCENE, SIZE).mean()
    expected = (3 * (1 - share) ** 2 + share**2) / 4
    assert float(grounding.loss) == pytest.approx(float(expected), rel=1e-5)


def test_a_word_that_nothing_looks_at_is_no_fault_in_the_numbers() -> None:
    """Its map is 0 everywhere in single precision."""
    grounding = grounding_of()
    q, k = looking(True)
    k[:, 4] = -1e4
    grounding(q.abs(), k, SIZE)
    assert torch.isfinite(grounding.loss) and torch.isfinite(grounding.faint)


@pytest.mark.parametrize(("other", "missing"), [(0.5, 0.0), (-1.0, 0.0), (2.0, 1.0)])
def test_a_class_word_is_faint_beside_the_faintest_of_its_sentence(
    other: float, missing: float
) -> None:
    """All places look at the class word as at key 1, at all other words as at the key given."""
    grounding = grounding_of("a dog on grass")
    q = torch.ones(1, SIZE * SIZE, HEADS)
    k = torch.full((1, LENGTH, HEADS), other)
    k[:, 2] = 1.0
    grounding(q, k, SIZE)
    expected = max(0.0, other - 1.0 + torch.tensor(1.5).log().item()) if missing else 0.0
    assert float(grounding.faint) == pytest.approx(expected, abs=1e-4)


def test_a_step_along_its_gradient_lessens_it() -> None:
    """Through the real UNet and text encoder, every layer of cross-attention watched."""
    torch.manual_seed(0)
    unet, text = UNet(), TextEncoder()
    rng = random.Random(0)
    scenes = [random_scene(rng) for _ in range(4)]
    texts = [caption(scene, rng) for scene in scenes]
    parts = torch.stack([parts_of(scene, SIZE) for scene in scenes])
    ids = torch.tensor([tokens_of(sentence) for sentence in texts])
    noisy, timestep = torch.randn(4, 12, SIZE, SIZE), torch.tensor([100, 300, 500, 700])

    def astray() -> torch.Tensor:
        grounding = Grounding(texts, [[]] * 4, parts, slice(0, None, 2))
        unet(noisy, timestep, text(ids), grounding)
        return grounding.loss

    before = astray()
    parameters = [*unet.parameters(), *text.parameters()]
    gradients = torch.autograd.grad(before, parameters, allow_unused=True)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter -= 0.1 * gradient
        assert astray() < before
