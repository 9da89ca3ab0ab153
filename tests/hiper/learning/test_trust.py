"""Learning never says that it succeeded when it learned nothing, and goes on where it was left."""

from __future__ import annotations

import math

import pytest
import torch
from support.linear_denoiser import LinearDenoiser
from torch import Tensor

from hiper.demo.drawing import draw
from hiper.demo.model import DemoDenoiser, load
from hiper.demo.scene import Coat, Scene
from hiper.embedding import split
from hiper.learning.loop import (
    LearningRun,
    LearningSettings,
    LossNotFiniteError,
    NoGradientError,
    learn,
)
from hiper.learning.recipe import FAST, PAPER, Recipe
from hiper.learning.stopping import FixedLoss, StopRule

START = torch.zeros(1, 1, 2, 3)
RULE = StopRule(every=10, pairs=4)


@pytest.fixture
def clean() -> Tensor:
    return torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(2))


class WornOut(LinearDenoiser):
    """Goes wrong in one way from one of its calls on: `how` makes of an estimate what is wrong."""

    def __init__(self, how, call: int, recorded: bool = True) -> None:
        super().__init__(32, 2, 3)
        self.how, self.call, self.recorded, self.calls = how, call, recorded, 0

    def denoise(self, noisy: Tensor, sigma: Tensor, tail: Tensor) -> Tensor:
        estimate = super().denoise(noisy, sigma, tail)
        if torch.is_grad_enabled() != self.recorded:
            return estimate
        self.calls += 1
        return estimate if self.calls < self.call else self.how(estimate)


def best_of(denoiser: LinearDenoiser, clean: Tensor) -> Tensor:
    return torch.linalg.lstsq(denoiser.matrix, clean.flatten()[:, None]).solution.view(1, 1, 2, 3)


def test_a_run_that_never_gained_does_not_stop_early_and_tells(clean: Tensor) -> None:
    """From the best tail every step is one for the worse: no first reading is a plateau."""
    denoiser = LinearDenoiser(32, 2, 3)
    best = best_of(denoiser, clean)
    learned = learn(denoiser, clean, best, LearningSettings(60, 0.5, stop=RULE))
    assert len(learned.losses) == 60 and learned.gained is False
    assert [at.steps for at in learned.fixed_losses] == list(range(0, 61, 10))
    assert min(at.loss for at in learned.fixed_losses) == learned.fixed_losses[0].loss
    assert torch.equal(learned.tail, best)


@pytest.mark.parametrize("steps", [30, 35])
def test_the_limit_gives_the_best_tail_that_was_read(clean: Tensor, steps: int) -> None:
    """Not the last: one rule, whether auto-stop or the limit ends it, and the last is read, too."""
    denoiser = LinearDenoiser(32, 2, 3)
    settings = LearningSettings(steps, 0.4, stop=StopRule(every=10, pairs=4, least_gain=-1.0))
    learned = learn(denoiser, clean, START, settings)
    assert learned.fixed_losses[-1].steps == steps
    best = min(at.loss for at in learned.fixed_losses)
    assert FixedLoss(denoiser, clean, 4, 1)(learned.tail) == pytest.approx(best)


def test_a_fixed_loss_that_is_no_number_is_no_plateau(clean: Tensor) -> None:
    """Where the loss itself is read rarely, as on a GPU, the last good tail is still kept."""
    broken = WornOut(lambda estimate: estimate * math.nan, call=9, recorded=False)
    run = LearningRun(clean, START, LearningSettings(40, 0.01, stop=RULE), check_every=16)
    with pytest.raises(LossNotFiniteError, match="at step 20") as stopped:
        run.go_on(broken, clean)
    assert len(stopped.value.learned.losses) == 20
    whole = learn(LinearDenoiser(32, 2, 3), clean, START, LearningSettings(20, 0.01))
    assert torch.equal(stopped.value.learned.tail, whole.tail)


@pytest.mark.parametrize("call", [1, 7])
def test_a_gradient_of_zeros_is_an_error_that_says_why(clean: Tensor, call: int) -> None:
    """What an attention that passes no gradient gives: all is finite and nothing moves."""
    blind = WornOut(lambda estimate: estimate.detach() + 0 * estimate, call)
    with pytest.raises(NoGradientError, match=r"zero in each of the tail's 6 numbers.*take it off"):
        learn(blind, clean, START, LearningSettings(40, 0.01))


def test_an_earlier_steps_result_is_told_apart(clean: Tensor) -> None:
    kept: list[Tensor] = []

    def again(estimate: Tensor) -> Tensor:
        kept.append(estimate.square())
        return kept[0]

    with pytest.raises(RuntimeError, match=r"what an earlier step computed, .* take it off"):
        learn(WornOut(again, 3), clean, START, LearningSettings(40, 0.01))


@pytest.mark.parametrize("recipe", [PAPER, FAST], ids=["paper", "fast"])
def test_out_of_memory_goes_on_with_the_same_draws(clean: Tensor, recipe: Recipe) -> None:
    settings = LearningSettings(40, 0.01, seed=3, recipe=recipe, stop=RULE)
    start = torch.randn(1, 1, 2, 3, generator=torch.Generator().manual_seed(4))
    whole = learn(LinearDenoiser(32, 2, 3), clean, start, settings)

    def out_of_memory(_estimate: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("to order")

    run = LearningRun(clean, start, settings)
    # in a step, then while the fixed loss is taken, four calls each time
    for call, recorded, taken in ((17, True, 16), (3, False, 20)):
        with pytest.raises(torch.OutOfMemoryError):
            run.go_on(WornOut(out_of_memory, call, recorded), clean)
        assert run.taken == taken
    learned = run.go_on(LinearDenoiser(32, 2, 3), clean)
    assert torch.equal(learned.tail, whole.tail) and torch.equal(learned.losses, whole.losses)
    assert learned.fixed_losses == whole.fixed_losses


def test_a_bold_rate_that_makes_the_loss_rise_is_halved(clean: Tensor) -> None:
    denoiser = LinearDenoiser(32, 2, 3)
    start = 1.2 * best_of(denoiser, clean)
    recipe = Recipe(rate=60.0, relative=True)
    settings = LearningSettings(300, 0.05, recipe=recipe, stop=RULE)
    learned = learn(denoiser, clean, start, settings)
    assert learned.halvings > 0 and learned.gained
    assert learned.fixed_losses[0].steps == 0
    gentle = LearningSettings(300, 0.05 / 2**learned.halvings, recipe=recipe, stop=RULE)
    again = learn(denoiser, clean, start, gentle)
    assert again.halvings == 0 and torch.equal(again.tail, learned.tail)


def test_the_papers_rate_is_never_halved(clean: Tensor) -> None:
    assert (
        learn(LinearDenoiser(32, 2, 3), clean, START, LearningSettings(40, 5.0, stop=RULE)).halvings
        == 0
    )


class HalfDenoiser(LinearDenoiser):
    """Computes in half precision, where a gradient above 65,504 is infinite."""

    def denoise(self, noisy: Tensor, sigma: Tensor, tail: Tensor) -> Tensor:
        half = self.matrix.half() @ tail.flatten().half()
        return half.float().view(1, *noisy.shape[1:]).expand_as(noisy)


def test_a_scale_that_overflows_is_lowered_and_the_step_skipped(clean: Tensor) -> None:
    settings = LearningSettings(400, 0.01)
    plain = learn(LinearDenoiser(32, 2, 3), clean, START, settings)
    scaled = learn(HalfDenoiser(32, 2, 3), clean, START, settings, loss_scale=2.0**22)
    skipped = int(scaled.losses.isnan().sum())
    assert 0 < skipped < 20
    assert math.isfinite(scaled.first_loss) and math.isfinite(scaled.last_loss)
    assert (scaled.tail - plain.tail).abs().max() < 0.1 * plain.tail.abs().max()


def test_a_loss_that_always_overflows_is_an_error(clean: Tensor) -> None:
    broken = WornOut(lambda estimate: estimate * math.inf, 1)
    for steps in (3, 200):
        with pytest.raises(LossNotFiniteError, match="at step 1, ") as stopped:
            learn(broken, clean, START, LearningSettings(steps), loss_scale=1024.0)
        assert stopped.value.learned is None


def test_inside_a_mask_only_is_learned() -> None:
    """The best tail is the least squares of the cells inside, each picture by its own mask."""
    generator = torch.Generator().manual_seed(5)
    clean = torch.randn(2, 2, 4, 4, generator=generator)
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, :, :2], mask[1, :, :, 1:3] = 1.0, 1.0
    denoiser = LinearDenoiser(32, 2, 3)
    learned = {}
    for name, painted in (("as it is", clean), ("another outside", clean + 9 * (1 - mask))):
        run = LearningRun(painted, START, LearningSettings(6000, 0.002, 8), mask=mask)
        learned[name] = run.go_on(denoiser, painted).tail.flatten()
    assert torch.equal(*learned.values())
    weights = (
        mask.expand_as(clean).reshape(2, -1) / mask.expand_as(clean).reshape(2, -1).sum(1)[:, None]
    )
    rows = torch.cat([w.sqrt()[:, None] * denoiser.matrix for w in weights])
    wanted = torch.cat([w.sqrt() * one.flatten() for w, one in zip(weights, clean, strict=True)])
    best = torch.linalg.lstsq(rows, wanted[:, None]).solution.flatten()
    assert torch.allclose(learned["as it is"], best, atol=0.05)


class Enlarged(DemoDenoiser):
    """The demo model with every embedding multiplied by `scale`: an equivalent model."""

    def __init__(self, model, head: Tensor, scale: float) -> None:
        super().__init__(model, head)
        self.scale = scale

    def denoise(self, noisy: Tensor, sigma: Tensor, tail: Tensor) -> Tensor:
        return super().denoise(noisy, sigma, tail / self.scale)


def fast_tail(scale: float) -> tuple[Tensor, Tensor]:
    """Where the fast recipe begins and what it learns, both divided by the encoder's scale."""
    model = load()
    scene = Scene("cat", "standing", "beach", Coat((200, 40, 160), (0, 0, 0), "plain"))
    with torch.no_grad():
        head, tail = split(model.text.encode("a standing cat"), 5)
    settings = LearningSettings(40, recipe=FAST, stop=StopRule(every=20, pairs=4))
    denoiser = Enlarged(model, head, scale)
    learned = learn(denoiser, model.encode(draw(scene)), scale * tail[None], settings)
    return tail[None], learned.tail / scale


@pytest.fixture(scope="module")
def as_it_is() -> tuple[Tensor, Tensor]:
    return fast_tail(1.0)


@pytest.mark.parametrize("scale", [0.02, 0.1, 10.0, 50.0])
def test_the_fast_tail_is_the_same_on_every_text_encoder(as_it_is, scale: float) -> None:
    """Text encoders differ by such factors; the paper's rate is one for vectors of size 1."""
    start, learned = as_it_is
    assert (learned - start).abs().max() > 0.1
    assert (fast_tail(scale)[1] - learned).abs().max() < 1e-3 * learned.abs().max()


def test_a_tail_of_zeros_learns_at_the_size_of_its_prompt(clean: Tensor) -> None:
    """As of encoders that pad with nothing: a rate relative to nothing would be none."""
    denoiser = LinearDenoiser(32, 2, 3)
    tails = [
        LearningRun(clean, START, LearningSettings(5, recipe=FAST), size=size).go_on(
            denoiser, clean
        )
        for size in (1.0, 3.0)
    ]
    first = [float(tail.losses[0]) for tail in tails]
    assert first[0] == first[1]
    moved = [float(tail.tail.norm()) for tail in tails]
    assert 0.1 < moved[0] < moved[1]
