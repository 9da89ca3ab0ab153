"""How learning went: the loss on fixed timesteps and noise, which falls, before the steps' own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from ..learning.learned import change
from ..learning.stopping import FixedLossAt
from .page import ticks, write
from .palette import CURVE, GREY, GRID, INK, PAGE

SUPERSAMPLING = 2
LARGE, MIDDLE, SMALL = 24, 18, 16
SHADE, DOT = "#eef3fd", "#c9d3e6"  # below the curve, a step behind it
MOST_DOTS, MOST_POINTS = 3000, 60


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """A centred moving average; near the ends over what there is."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low = np.maximum(index - window // 2, 0)
    high = np.minimum(index + window // 2 + 1, len(values))
    return (total[high] - total[low]) / (high - low)


def smoothing_window(steps: int) -> int:
    """Wide enough to calm the noise of random timesteps, narrow enough to show the descent."""
    return max(1, min(101, steps // 10) | 1)


@dataclass(frozen=True)
class Axes:
    """Where steps and losses lie on the picture, in its own pixels."""

    box: tuple[float, float, float, float]
    steps: int
    low: float
    high: float

    def across(self, step: float) -> float:
        left, _, right, _ = self.box
        return left + step / max(self.steps, 1) * (right - left)

    def up(self, loss: float) -> float:
        _, top, _, bottom = self.box
        return bottom - (loss - self.low) / (self.high - self.low) * (bottom - top)


def loss_curve(
    losses: Tensor,
    width: int = 768,
    height: int = 448,
    fixed: Sequence[FixedLossAt] = (),
    kept: float | None = None,
) -> Image.Image:
    """The loss on fixed samples where it was taken; behind it, on a scale of their own, the losses
    of the steps `(steps,)`, which jump with the timestep that each drew. Else their moving mean.
    `kept` is the fixed loss of the tail that is given out; the lowest, if that is not said."""
    values = np.asarray(losses.detach().cpu(), dtype=np.float64)
    taken = np.isfinite(values)  # a step that overflowed has no loss
    values = np.interp(np.arange(len(values)), np.flatnonzero(taken), values[taken])
    window = smoothing_window(len(values))
    mean = enumerate(smoothed(values, window).tolist(), 1)
    points = [(at.steps, at.loss) for at in fixed] or list(mean)

    scale = SUPERSAMPLING
    picture = Image.new("RGB", (width * scale, height * scale), PAGE)
    draw = ImageDraw.Draw(picture)
    box = tuple(n * scale for n in (84, 112, width - 40, height - 60))
    axes = Axes(box, len(values), *span([loss for _, loss in points], from_zero=not fixed))
    highest = float(np.quantile(values, 0.98)) or 1.0
    own = Axes(box, len(values), 0.0, highest) if fixed else axes
    _shade(draw, axes, points)
    _grid(draw, axes, scale)
    _steps(draw, own, values, scale)
    _line(draw, axes, points, scale)
    end = min(points, key=lambda point: (point[1] != kept, point[1]))
    if fixed or len(points) == 1:
        _points(draw, axes, points, end, scale)
    _heading(draw, fixed_words(points[0], end) if fixed else words(window), scale)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def span(shown: Sequence[float], from_zero: bool) -> tuple[float, float]:
    """From which loss to which the axis goes, so that what is shown fills most of its height."""
    low, high = min(shown), max(shown)
    if from_zero:
        return 0.0, max(high * 1.05, 1e-9)
    rise = max(high - low, 0.02 * high, 1e-9)
    return max(0.0, low - 0.3 * rise), high + 0.2 * rise


def _shade(draw: ImageDraw.ImageDraw, axes: Axes, points: list[tuple[float, float]]) -> None:
    if len(points) > 1:
        bottom = axes.box[3]
        edge = [(axes.across(step), axes.up(loss)) for step, loss in points]
        draw.polygon([(edge[0][0], bottom), *edge, (edge[-1][0], bottom)], fill=SHADE)


def _grid(draw: ImageDraw.ImageDraw, axes: Axes, scale: int) -> None:
    left, _, right, bottom = axes.box
    for value in ticks(axes.low, axes.high, 4):
        y = axes.up(value)
        draw.line([(left, y), (right, y)], fill=GRID, width=scale)
        write(draw, (left - 10 * scale, y), f"{value:.4g}", SMALL * scale, GREY, "rm")
    for value in ticks(0, max(axes.steps, 1), 5):
        if value == int(value):
            x = axes.across(value)
            draw.line([(x, bottom), (x, bottom + 5 * scale)], GREY, scale)
            write(draw, (x, bottom + 9 * scale), f"{value:.0f}", SMALL * scale, GREY, "mt")
    draw.line([(left, bottom), (right, bottom)], fill=GREY, width=scale)
    write(draw, ((left + right) / 2, bottom + 52 * scale), "steps", SMALL * scale, GREY, "ms")


def _steps(draw: ImageDraw.ImageDraw, axes: Axes, values: np.ndarray, scale: int) -> None:
    """Each step's loss as a dot, where it lies within the axes."""
    radius = scale * (1.2 if len(values) > 300 else 1.8)
    for index in np.linspace(0, len(values) - 1, min(len(values), MOST_DOTS)).astype(int):
        loss = values[index]
        if axes.low <= loss <= axes.high:
            x, y = axes.across(index + 1), axes.up(loss)
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=DOT)


def _line(
    draw: ImageDraw.ImageDraw, axes: Axes, points: list[tuple[float, float]], scale: int
) -> None:
    if len(points) > 1:
        line = [(axes.across(step), axes.up(loss)) for step, loss in points]
        draw.line(line, fill=CURVE, width=3 * scale, joint="curve")


def _points(
    draw: ImageDraw.ImageDraw,
    axes: Axes,
    points: list[tuple[float, float]],
    kept: tuple[float, float],
    scale: int,
) -> None:
    """Where the loss was taken, the kept tail's as a ring."""
    for point in points if len(points) <= MOST_POINTS else [kept]:
        x, y = axes.across(point[0]), axes.up(point[1])
        for radius, colour in ((8, CURVE), (4.5, PAGE)) if point == kept else ((5, CURVE),):
            r = radius * scale
            draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)


def fixed_words(first: tuple[float, float], kept: tuple[float, float]) -> tuple[str, str, str]:
    """Title, what was gained, and what the dots are."""
    line = f"{first[1]:.4f} at the start, "
    if kept[0]:
        steps = "1 step" if kept[0] == 1 else f"{kept[0]:.0f} steps"
        line += f"{kept[1]:.4f} after {steps}: {change(first[1], kept[1])}"
    else:
        line += "and never lower"
    dots = "behind it, on a scale of its own: each step's loss, which jumps with its timestep"
    return "Loss on fixed timesteps and noise", line, dots


def words(window: int) -> tuple[str, str, str]:
    """The same where only the steps' own losses are known."""
    title = "Loss of each step" + (f", mean of {window}" if window > 1 else "")
    return title, "mean squared error of the prediction", "each step's own"


def _heading(draw: ImageDraw.ImageDraw, said: tuple[str, str, str], scale: int) -> None:
    title, line, dots = said
    write(draw, (28 * scale, 18 * scale), title, LARGE * scale, INK)
    write(draw, (28 * scale, 50 * scale), line, MIDDLE * scale, CURVE)
    y = 86 * scale
    draw.ellipse([29 * scale, y - 3 * scale, 35 * scale, y + 3 * scale], fill=DOT)
    write(draw, (44 * scale, y), dots, SMALL * scale, GREY, "lm")
