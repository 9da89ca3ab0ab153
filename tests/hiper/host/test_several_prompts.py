"""Several pictures, each with a prompt of its own."""

from __future__ import annotations

import pytest
import torch
from support.tiny_families import TINY
from support.tiny_models import build, picture, prompt

from hiper.learning.loop import LearningSettings
from hiper.learning.recipe import PAPER
from hiper.learning.stopping import StopRule

pytestmark = pytest.mark.usefixtures("host")
FAMILIES = ("SD 1.x", "SDXL", "Flux", "Qwen-Image")


def tail_of(name: str, conditioning: list, batch_size: int = 1, stop=None) -> torch.Tensor:
    from hiper.host.learning import HostSettings, learn_on_host

    tiny = TINY[name]
    pictures = torch.cat([picture(tiny), picture(tiny).flip(-1)])
    settings = LearningSettings(6, 5e-3, batch_size, 0, PAPER, stop)
    host = HostSettings(preview_every=0, recipe="paper", checkpointing="off")
    return learn_on_host(build(tiny), conditioning, pictures, settings, host).learned.tail


@pytest.mark.parametrize("name", FAMILIES)
def test_one_prompt_said_twice_is_one_prompt_for_both(name: str) -> None:
    one = prompt(TINY[name])
    assert torch.equal(tail_of(name, one), tail_of(name, one + one))


@pytest.mark.parametrize("name", FAMILIES)
def test_each_picture_is_told_its_own(name: str) -> None:
    """In a batch that mixes them as in one that does not: each sample's own prompt counts."""
    one, two = prompt(TINY[name]), prompt(TINY[name], seed=8)
    both = tail_of(name, one + two, 3)
    exchanged = tail_of(name, two + one, 3)
    alone = tail_of(name, one, 3)
    assert not torch.allclose(both, alone, atol=1e-6)
    assert not torch.allclose(both, exchanged, atol=1e-6)


def test_the_fixed_loss_is_each_pictures_own() -> None:
    one, two = prompt(TINY["SD 1.x"]), prompt(TINY["SD 1.x"], seed=8)
    stop = StopRule(every=3, pairs=4)
    assert not torch.equal(
        tail_of("SD 1.x", one + two, stop=stop), tail_of("SD 1.x", one + one, stop=stop)
    )
