"""Equation 4 on denoisers whose best tail is known."""

import copy

import pytest
import torch
from support.linear_denoiser import LinearDenoiser
from torch import Tensor

from hiper.learning.draws import draw
from hiper.learning.loop import LearningSettings, LossNotFiniteError, learn


class EdgyDenoiser(LinearDenoiser):
    """Breaks at a chosen step, as half precision does."""

    def __init__(self, *shape: int, breaks_at: int) -> None:
        super().__init__(*shape)
        self.left = breaks_at

    def denoise(self, noisy: Tensor, sigma: Tensor, tail: Tensor) -> Tensor:
        self.left -= 1
        estimate = super().denoise(noisy, sigma, tail)
        return estimate * float("nan") if self.left < 0 else estimate


@pytest.fixture
def clean() -> Tensor:
    return torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(2))


def test_the_optimiser_reaches_the_closed_form(clean: Tensor) -> None:
    denoiser = LinearDenoiser(32, 2, 3)
    best = torch.linalg.lstsq(denoiser.matrix, clean.flatten()[:, None]).solution.flatten()
    learned = learn(denoiser, clean, torch.zeros(1, 1, 2, 3), LearningSettings(3000, 0.01))
    assert torch.allclose(learned.tail.flatten(), best, atol=1e-3)
    assert learned.tail.shape == (1, 1, 2, 3)
    assert learned.losses.shape == (3000,)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("references", [1, 4])
def test_the_loop_is_the_papers(batch_size: int, references: int) -> None:
    """The same noise and timesteps through a loop written out by hand give the same tail."""
    clean = torch.randn(references, 2, 4, 4, generator=torch.Generator().manual_seed(3))
    denoiser = LinearDenoiser(32, 2, 3)
    start = torch.randn(1, 1, 2, 3, generator=torch.Generator().manual_seed(4))
    settings = LearningSettings(200, 5e-3, batch_size, seed=9)
    learned = learn(denoiser, clean, start, settings, loss_scale=64.0)

    tail = start.clone().requires_grad_(True)
    adam = torch.optim.Adam([tail], lr=5e-3)
    generator = torch.Generator().manual_seed(9)
    for _ in range(200):
        sample = draw(generator, clean, batch_size)
        sigma = (0.5 + sample.u).view(-1, 1, 1, 1)
        x0 = clean[sample.reference]
        noisy = x0 + sigma * sample.noise
        predicted = (noisy - (denoiser.matrix @ tail.flatten()).view(1, 2, 4, 4)) / sigma
        loss = (sample.noise - predicted).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert (learned.tail - tail.detach()).abs().max() < 1e-6


def test_the_same_seed_learns_the_same_tail(clean: Tensor) -> None:
    denoiser = LinearDenoiser(32, 2, 3)
    start = torch.zeros(1, 1, 2, 3)
    first, again, other = (
        learn(denoiser, clean, start, LearningSettings(50, seed=seed)).tail for seed in (5, 5, 6)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(start, torch.zeros(1, 1, 2, 3))


def test_every_reference_and_timestep_is_drawn() -> None:
    clean = torch.zeros(3, 1, 2, 2)
    generator = torch.Generator().manual_seed(0)
    samples = [draw(generator, clean, 2) for _ in range(500)]
    reference = torch.cat([sample.reference for sample in samples])
    u = torch.cat([sample.u for sample in samples])
    assert reference.bincount(minlength=3).min() > 250
    assert u.min() >= 0 and u.max() < 1
    # 1,000 uniform draws in ten bins: 100 ± 9.5 each, six sigma wide
    assert ((torch.histc(u, 10, 0, 1) - 100).abs() < 57).all()


def test_a_nan_loss_stops_and_keeps_the_last_good_tail(clean: Tensor) -> None:
    start = torch.zeros(1, 1, 2, 3)
    whole = learn(LinearDenoiser(32, 2, 3), clean, start, LearningSettings(20))
    with pytest.raises(LossNotFiniteError, match=r"at step 21, .*precision fp32") as stopped:
        learn(EdgyDenoiser(32, 2, 3, breaks_at=20), clean, start, LearningSettings(100))
    assert torch.equal(stopped.value.learned.tail, whole.tail)
    assert len(stopped.value.learned.losses) == 20


def test_a_nan_at_the_first_step_has_nothing_to_keep(clean: Tensor) -> None:
    with pytest.raises(LossNotFiniteError) as stopped:
        learn(
            EdgyDenoiser(32, 2, 3, breaks_at=0),
            clean,
            torch.zeros(1, 1, 2, 3),
            LearningSettings(5),
        )
    assert stopped.value.learned is None


def test_looking_rarely_still_keeps_only_good_tails(clean: Tensor) -> None:
    with pytest.raises(LossNotFiniteError) as stopped:
        learn(
            EdgyDenoiser(32, 2, 3, breaks_at=20),
            clean,
            torch.zeros(1, 1, 2, 3),
            LearningSettings(100),
            check_every=16,
        )
    assert len(stopped.value.learned.losses) == 16
    assert torch.isfinite(stopped.value.learned.tail).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": 0}, "steps is 0: choose 1 or more"),
        ({"batch_size": -1}, "batch_size is -1: choose 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0: choose one above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
    ],
)
def test_bad_settings_are_refused(change: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        LearningSettings(**change)


def test_cancelling_leaves_the_denoiser_as_it_was(clean: Tensor) -> None:
    denoiser = LinearDenoiser(32, 2, 3)
    before = copy.deepcopy(denoiser.matrix)

    def cancel(step) -> None:
        if step.index == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(denoiser, clean, torch.zeros(1, 1, 2, 3), LearningSettings(10), on_step=cancel)
    assert torch.equal(denoiser.matrix, before)
