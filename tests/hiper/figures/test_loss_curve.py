"""The loss curve shows what it says."""

import numpy as np
import pytest
import torch

from hiper.figures.images import to_image
from hiper.figures.loss_curve import loss_curve, smoothed, smoothing_window
from hiper.figures.page import ticks


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


def test_losses_of_nothing_but_zeros_are_drawn() -> None:
    assert torch.isfinite(to_image(loss_curve(torch.zeros(10)))).all()
