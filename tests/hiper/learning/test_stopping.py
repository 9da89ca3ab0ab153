"""When learning stops by itself, and which tail it gives then."""

import pytest
import torch
from support.linear_denoiser import LinearDenoiser

from hiper.learning.learned import LearningStep
from hiper.learning.loop import LearningRun, LearningSettings, learn
from hiper.learning.stopping import FixedLoss, Plateau, StopRule

START = torch.zeros(1, 1, 2, 3)


@pytest.fixture
def clean() -> torch.Tensor:
    return torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(2))


def test_the_fixed_loss_has_no_chance_in_it(clean) -> None:
    denoiser = LinearDenoiser(32, 2, 3)
    first, again = (FixedLoss(denoiser, clean, 16, chunk) for chunk in (1, 5))
    tail = torch.randn(1, 1, 2, 3)
    assert first(tail) == first(tail)
    assert FixedLoss(denoiser, clean, 20, 5)(tail) == pytest.approx(again(tail))


def test_learning_stops_when_nothing_more_is_gained(clean) -> None:
    denoiser = LinearDenoiser(32, 2, 3)
    rule = StopRule(every=20, pairs=8)
    whole = learn(denoiser, clean, START, LearningSettings(3000, 0.02))
    learned = learn(denoiser, clean, START, LearningSettings(3000, 0.02, stop=rule))
    taken = len(learned.losses)
    assert taken < 1500 and taken % 20 == 0
    assert torch.equal(learned.losses, whole.losses[:taken])
    assert [at.steps for at in learned.fixed_losses] == list(range(0, taken + 1, 20))
    fixed = FixedLoss(denoiser, clean, 8, 1)
    assert fixed(learned.tail) == pytest.approx(min(at.loss for at in learned.fixed_losses))
    gained = fixed(START) - fixed(whole.tail)
    assert fixed(START) - fixed(learned.tail) > 0.95 * gained


def test_steps_are_the_upper_bound(clean) -> None:
    settings = LearningSettings(30, 1e-4, stop=StopRule(every=20, pairs=4))
    assert len(learn(LinearDenoiser(32, 2, 3), clean, START, settings).losses) == 30


def test_a_plateau_needs_patience_and_counts_from_the_best() -> None:
    plateau = Plateau(StopRule(patience=2, least_gain=0.1), first=1.0)
    assert [plateau.add(loss) for loss in (0.5, 0.49, 0.2, 0.3, 0.19)] == [
        False,
        False,
        False,
        False,
        True,
    ]
    assert plateau.best == 0.19


def test_nothing_gained_is_no_plateau() -> None:
    """A stop counts only after a real gain: rounding is none."""
    plateau = Plateau(StopRule(), first=1.0)
    assert not any(plateau.add(loss) for loss in (1.1, 1.2, 0.9999, 1.0, 0.9998))
    assert not plateau.gained
    assert [plateau.add(loss) for loss in (0.5, 0.5)] == [False, True]
    assert plateau.gained


@pytest.mark.parametrize("name", ["every", "pairs", "patience"])
def test_bad_rules_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0: choose 1 or more"):
        StopRule(**{name: 0})


def ended_after(steps: int, clean: torch.Tensor, rule: StopRule | None):
    """A long run that was ended by hand after so many steps."""
    run = LearningRun(clean, START, LearningSettings(3000, 0.02, stop=rule))

    def watch(step: LearningStep) -> None:
        if step.index + 1 == steps:
            run.finish()

    return run.go_on(LinearDenoiser(32, 2, 3), clean, watch)


@pytest.mark.parametrize(
    "rule", [None, StopRule(every=20, pairs=8), StopRule(every=20, pairs=8, stops=False)]
)
def test_what_is_ended_by_hand_is_what_as_many_steps_give(clean, rule: StopRule | None) -> None:
    ended = ended_after(33, clean, rule)
    whole = learn(LinearDenoiser(32, 2, 3), clean, START, LearningSettings(33, 0.02, stop=rule))
    assert ended.by_hand and not whole.by_hand
    assert torch.equal(ended.tail, whole.tail) and torch.equal(ended.losses, whole.losses)
    assert ended.fixed_losses == whole.fixed_losses and ended.gained == whole.gained


def test_the_fixed_loss_can_be_read_without_a_stop(clean) -> None:
    """Every step is taken, the last tail given, and no bit of it is another."""
    denoiser = LinearDenoiser(32, 2, 3)
    rule = StopRule(every=20, pairs=8, stops=False)
    read = learn(denoiser, clean, START, LearningSettings(400, 0.02, stop=rule))
    plain = learn(denoiser, clean, START, LearningSettings(400, 0.02))
    assert torch.equal(read.tail, plain.tail) and read.gained is None
    assert [at.steps for at in read.fixed_losses] == list(range(0, 401, 20))
    assert read.first_fixed_loss == read.fixed_losses[0].loss
    assert read.last_fixed_loss == read.fixed_losses[-1].loss < read.first_fixed_loss
