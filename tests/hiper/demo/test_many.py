"""Many tails in one batch are those that one at a time gives."""

from __future__ import annotations

import pytest
import torch

from hiper.demo.drawing import draw
from hiper.demo.many import fixed_losses, learn_many
from hiper.demo.model import DemoDenoiser, load
from hiper.demo.scene import Coat, Scene
from hiper.embedding import split
from hiper.learning.loop import LearningSettings, learn
from hiper.learning.recipe import FAST, PAPER, Recipe
from hiper.learning.stopping import FixedLoss

SCENES = (
    Scene("dog", "sitting", "snow", Coat((90, 200, 30), (10, 20, 200), "spotted")),
    Scene("cat", "standing", "beach", Coat((200, 40, 160), (0, 0, 0), "plain")),
)
PROMPTS = ["a sitting dog in snow", "a cat"]


@pytest.fixture(scope="module")
def model():
    return load()


@pytest.mark.parametrize("recipe", [PAPER, FAST], ids=["paper", "fast"])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_batch_of_tails_is_as_if_each_were_alone(model, recipe: Recipe, batch_size: int) -> None:
    settings = LearningSettings(4, 5e-3, batch_size, seed=3, recipe=recipe)
    clean = torch.cat([model.encode(draw(scene)) for scene in SCENES])
    many = learn_many(model, clean, PROMPTS, 5, settings)
    fixed = fixed_losses(model, clean, PROMPTS, many, 4)
    for index, text in enumerate(PROMPTS):
        with torch.no_grad():
            head, initial = split(model.text.encode(text), 5)
        denoiser = DemoDenoiser(model, head)
        own = clean[index : index + 1]
        alone = learn(denoiser, own, initial[None], settings)
        moved = (alone.tail[0, 0] - initial[0]).abs().max()
        assert (alone.tail - many[index]).abs().max() < 1e-3 * moved
        assert float(fixed[index]) == pytest.approx(
            FixedLoss(denoiser, own, 4, 1)(alone.tail), rel=1e-5
        )
