"""The training's second term: least where words look where they belong, and a gradient to there."""

from __future__ import annotations

import random

import pytest
import torch

from hiper.demo.captions import caption, random_scene
from hiper.demo.drawing import Coat, Scene
from hiper.demo.grounding import Grounding, inside, word_columns
from hiper.demo.text import LENGTH, TextEncoder, tokens_of
from hiper.demo.unet import HEADS, UNet

SCENE = Scene("dog", "sitting", "snow", Coat((200, 30, 30), (20, 20, 20), "spotted"))
TEXT = "a sitting spotted red dog in the snow"
SIZE, CHANNELS = 16, 8


def test_words_of_the_animal_and_of_the_place() -> None:
    columns = word_columns(TEXT)
    assert columns.shape == (LENGTH,)
    assert columns[:10].tolist() == [0, 0, 0, 1, 1, 1, 0, 0, -1, 0]
    assert not columns[10:].any()


def looking(right: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries `(1, HW, C)` and keys `(1, 77, C)` by which the animal's cells look at its words and
    the others at the place's, or the other way round."""
    cells = (inside(SCENE, SIZE).flatten() > 0.5).float() * 2 - 1
    columns = word_columns(TEXT) * (1 if right else -1)
    q = cells[:, None].expand(-1, CHANNELS * HEADS)
    k = columns[:, None].expand(-1, CHANNELS * HEADS)
    return 3 * q[None], 3 * k[None]


def loss_of(right: bool) -> float:
    grounding = Grounding([TEXT], [SCENE], slice(None), SIZE)
    grounding(*looking(right), SIZE)
    return float(grounding.loss)


def test_none_where_words_look_where_they_belong() -> None:
    edge = inside(SCENE, SIZE)
    mixed = float((edge * (1 - edge)).mean())  # cells that are both can't be right for both
    assert loss_of(True) < mixed
    assert loss_of(False) > 0.5


def test_it_is_even_where_nothing_is_chosen() -> None:
    """Equal attention everywhere puts the animal's share of the picture on its words."""
    grounding = Grounding([TEXT], [SCENE], slice(None), SIZE)
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
    grounding = Grounding([TEXT], [SCENE], slice(None), SIZE)
    q, k = looking(True)
    k[:, 4] = -1e4
    grounding(q.abs(), k, SIZE)
    assert torch.isfinite(grounding.loss)


def test_a_step_along_its_gradient_lessens_it() -> None:
    """Through the real UNet and text encoder, every layer of cross-attention watched."""
    torch.manual_seed(0)
    unet, text = UNet(), TextEncoder()
    rng = random.Random(0)
    scenes = [random_scene(rng) for _ in range(4)]
    texts = [caption(scene, rng) for scene in scenes]
    ids = torch.tensor([tokens_of(sentence) for sentence in texts])
    noisy, timestep = torch.randn(4, 12, SIZE, SIZE), torch.tensor([100, 300, 500, 700])

    def astray() -> torch.Tensor:
        grounding = Grounding(texts, scenes, slice(0, None, 2), SIZE)
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
