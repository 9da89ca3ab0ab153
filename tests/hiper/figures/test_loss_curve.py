"""The loss curve shows what it says."""

import numpy as np
import pytest
import torch

from hiper.figures.images import to_image
from hiper.figures.loss_curve import loss_curve, smoothed, smoothing_window
from hiper.figures.page import ticks
from hiper.learning.learned import change
from hiper.learning.stopping import FixedLossAt


def test_smoothing_is_a_centred_mean() -> None:
    values = np.arange(10.0) ** 2
    mean = smoothed(values, 3)
    assert mean[5] == pytest.approx((16 + 25 + 36) / 3)
    assert mean[0] == pytest.approx((0 + 1) / 2)
    assert np.allclose(smoothed(np.full(50, 3.0), 11), 3.0)


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 300, 1000, 100000])
def test_the_window_is_odd_and_bounded(steps: int) -> None:
    window = smoothing_window(steps)
    assert window % 2 == 1 and 1 <= window <= 101


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0.037), (1, 1000), (0, 12345), (1, 2)])
def test_ticks_are_round_inside_and_a_handful(low: float, high: float) -> None:
    marks = ticks(low, high)
    assert 2 <= len(marks) <= 11
    assert all(low - 1e-9 <= mark <= high * (1 + 1e-9) for mark in marks)


@pytest.mark.parametrize("steps", [1, 2, 5, 1000])
def test_a_curve_of_any_length_is_drawn(steps: int) -> None:
    image = to_image(loss_curve(torch.linspace(1, 0.1, steps)))
    assert image.shape == (1, 448, 768, 3)
    blue = (image[0, ..., 2] - image[0, ..., 0]) > 0.5
    assert blue.sum() > 20


def test_a_falling_loss_falls_on_the_picture() -> None:
    image = to_image(loss_curve(torch.linspace(1, 0.1, 200)))[0]
    blue = (image[72:392, :, 2] - image[72:392, :, 0]) > 0.5
    left, right = blue[:, 100].nonzero().float().mean(), blue[:, 700].nonzero().float().mean()
    assert left + 150 < right


def fixed(*losses: float) -> list[FixedLossAt]:
    return [FixedLossAt(50 * number, loss) for number, loss in enumerate(losses)]


def height_at(image: torch.Tensor, column: int) -> float:
    """How far up the curve is, in pixels from below, at a column."""
    blue = (image[112:388, column, 2] - image[112:388, column, 0]) > 0.5
    return 388 - 112 - float(blue.nonzero().float().mean())


def test_the_fixed_loss_leads_however_the_steps_jump() -> None:
    """It fills the height though the steps' own losses are ten times as far apart, and falls."""
    jumps = torch.rand(150, generator=torch.Generator().manual_seed(0)) * 2
    image = to_image(loss_curve(jumps, fixed=fixed(0.40, 0.37, 0.36, 0.355)))[0]
    heights = [height_at(image, column) for column in (100, 300, 500, 700)]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] - heights[-1] > 276 / 3


def test_the_kept_tail_is_marked() -> None:
    """The best where that was kept, else the last: a ring with the page's white in it."""
    losses, readings = torch.ones(150), fixed(0.4, 0.3, 0.35, 0.36)
    best = to_image(loss_curve(losses, fixed=readings, kept=0.3))
    last = to_image(loss_curve(losses, fixed=readings, kept=0.36))
    assert torch.equal(best, to_image(loss_curve(losses, fixed=readings)))
    across = 84 + (768 - 40 - 84) // 3
    assert (best[0, :, across - 20 : across + 20] != last[0, :, across - 20 : across + 20]).any()


@pytest.mark.parametrize("steps", [1, 20, 5000])
def test_fixed_losses_of_any_number_are_drawn(steps: int) -> None:
    readings = [FixedLossAt(step, 1 / (1 + step)) for step in range(0, steps + 1)]
    assert to_image(loss_curve(torch.rand(steps), fixed=readings)).shape == (1, 448, 768, 3)
    same = [FixedLossAt(0, 0.0), FixedLossAt(steps, 0.0)]
    assert torch.isfinite(to_image(loss_curve(torch.rand(steps), fixed=same))).all()


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [(0.4, 0.3, "25 % less"), (0.4, 0.5, "25 % more"), (0.4, 0.40001, "no change")],
)
def test_a_change_is_said_in_percent(first: float, last: float, words: str) -> None:
    assert change(first, last) == words


def test_losses_of_nothing_but_zeros_are_drawn() -> None:
    assert torch.isfinite(to_image(loss_curve(torch.zeros(10)))).all()
