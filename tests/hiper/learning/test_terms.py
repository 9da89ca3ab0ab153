"""The loss as weighted terms, and a tail's stages: nothing is dropped in silence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hiper.demo.drawing import draw
from hiper.demo.model import DemoDenoiser, load
from hiper.demo.scene import Coat, Scene
from hiper.embedding import split
from hiper.learning.loop import LearningSettings, learn
from hiper.learning.objective import Prediction, predicted
from hiper.learning.terms import EQUATION_4, Weighted, loss, squared_error

SCENE = Scene("dog", "sitting", "snow", Coat((90, 200, 30), (10, 20, 200), "spotted"))


class TailsShare:
    """How much of each cell's attention the last five columns get: a term that looks on."""

    attention = True

    def __call__(self, prediction: Prediction) -> Tensor:
        shares = [call.shares()[..., -5:].sum(-1).mean(-1) for call in prediction.attention]
        return torch.stack(shares).mean(0)


@pytest.fixture(scope="module")
def demo():
    model = load()
    with torch.no_grad():
        head, tail = split(model.text.encode("a sitting dog in snow"), 5)
    return DemoDenoiser(model, head), model.encode(draw(SCENE)), tail[None].clone()


def noise_like(clean: Tensor, count: int) -> Tensor:
    return torch.randn(count, *clean.shape[1:], generator=torch.Generator().manual_seed(0))


def test_a_sum_of_terms_is_weighted(demo) -> None:
    denoiser, clean, tail = demo
    u, noise = torch.tensor([0.5]), noise_like(clean, 1)
    one = squared_error(denoiser, clean, u, noise, tail)
    twice = loss((Weighted(EQUATION_4[0].term, 2.0),), denoiser, clean, u, noise, tail)
    both = loss((*EQUATION_4, Weighted(TailsShare(), 10.0)), denoiser, clean, u, noise, tail)
    seen = TailsShare()(predicted(denoiser, clean, u, noise, tail, attention=True))
    assert torch.allclose(twice, 2 * one)
    assert torch.allclose(both, one + 10 * seen)


def test_attention_is_watched_only_where_a_term_asks(demo) -> None:
    denoiser, clean, tail = demo
    u, noise = torch.tensor([0.5]), noise_like(clean, 1)
    assert predicted(denoiser, clean, u, noise, tail).attention == ()
    seen = predicted(denoiser, clean, u, noise, tail, attention=True).attention
    assert seen and all(call.q.shape[-2] == call.size[0] * call.size[1] for call in seen)


def test_the_attention_of_the_call_has_its_gradient(demo) -> None:
    """Against a difference: the share moves as its gradient says."""
    denoiser, clean, start = demo
    u, noise = torch.tensor([0.5]), noise_like(clean, 1)
    tail = start.clone().requires_grad_(True)
    share = TailsShare()(predicted(denoiser, clean, u, noise, tail, attention=True)).sum()
    (gradient,) = torch.autograd.grad(share, [tail])
    assert gradient.abs().max() > 0
    along = gradient / gradient.norm()
    with torch.no_grad():
        ahead, behind = (
            TailsShare()(predicted(denoiser, clean, u, noise, start + s * along, True)).sum()
            for s in (0.05, -0.05)
        )
    assert float(ahead - behind) / 0.1 == pytest.approx(float(gradient.norm()), rel=0.02)


def test_learning_follows_a_second_term(demo) -> None:
    denoiser, clean, tail = demo
    shares = {}
    for weight in (0.0, 30.0):
        terms = (*EQUATION_4, Weighted(TailsShare(), weight)) if weight else EQUATION_4
        settings = LearningSettings(20, 0.02, terms=terms)
        learned = learn(denoiser, clean, tail, settings).tail
        u, noise = torch.tensor([0.5]), noise_like(clean, 1)
        with torch.no_grad():
            seen = predicted(denoiser, clean, u, noise, learned, True)
            shares[weight] = float(TailsShare()(seen))
    assert shares[30.0] < 0.5 * shares[0.0]


def test_a_sample_gets_the_stage_that_is_in_force_at_its_sigma(demo) -> None:
    """Five different stages in one call are five calls with one stage each."""
    denoiser, clean, tail = demo
    stages = tail * torch.linspace(-2, 2, 5).view(5, 1, 1, 1)
    # u rises with the noise, and the noisiest stage is the first
    u = torch.tensor([0.95, 0.75, 0.5, 0.3, 0.1])
    noise = noise_like(clean, 5)
    with torch.no_grad():
        together = predicted(denoiser, clean.expand(5, -1, -1, -1), u, noise, stages).estimate
        for stage in range(5):
            one = slice(stage, stage + 1)
            alone = predicted(denoiser, clean, u[one], noise[one], stages[one]).estimate
            assert torch.allclose(together[one], alone, atol=1e-5)
            other = predicted(denoiser, clean, u[one], noise[one], stages[stage - 1 :][:1]).estimate
            assert not torch.allclose(together[one], other, atol=1e-3)


def test_only_the_stage_in_force_learns(demo) -> None:
    denoiser, clean, tail = demo
    stages = tail.repeat(4, 1, 1, 1).requires_grad_(True)
    error = squared_error(denoiser, clean, torch.tensor([0.6]), noise_like(clean, 1), stages)
    (gradient,) = torch.autograd.grad(error.sum(), [stages])
    assert [bool(stage.any()) for stage in gradient] == [False, True, False, False]


def test_a_tail_of_several_stages_is_learned_whole(demo) -> None:
    denoiser, clean, tail = demo
    stages = tail.repeat(3, 1, 1, 1)
    learned = learn(denoiser, clean, stages, LearningSettings(30, 0.01)).tail
    assert learned.shape == (3, 1, 5, 128)
    assert all(
        not torch.allclose(before, after) for before, after in zip(stages, learned, strict=True)
    )
