"""Pictures of numbers: the loss curve that a person would rather look at than a list."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..learning.stopping import FixedLossAt
from .page import ticks
from .palette import ACCENT, CURVE, FAINT, GREY, GRID, INK, PAGE

SUPERSAMPLING = 2


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


def loss_curve(
    losses: Tensor,
    title: str = "HiPer learning",
    width: int = 768,
    height: int = 448,
    fixed: Sequence[FixedLossAt] = (),
) -> Image.Image:
    """The loss of each step `(steps,)`, faint, its moving average over it, and the loss on fixed
    samples where it was looked at: the one that falls steadily."""
    values = np.asarray(losses.detach().cpu(), dtype=np.float64)
    taken = np.isfinite(values)  # a step that overflowed has no loss
    values = np.interp(np.arange(len(values)), np.flatnonzero(taken), values[taken])
    scale = SUPERSAMPLING
    picture = Image.new("RGB", (width * scale, height * scale), PAGE)
    draw = ImageDraw.Draw(picture)
    small, large = (ImageFont.load_default(size * scale) for size in (13, 18))
    left, top, right, bottom = (n * scale for n in (72, 72, width - 24, height - 56))

    window = smoothing_window(len(values))
    mean = smoothed(values, window)
    # single steps reach far above the mean; the axis is the mean's, with room for most of them
    seen = [(at.steps, at.loss) for at in fixed]
    highest = max([float(np.quantile(values, 0.98)), float(mean.max()), *(y for _, y in seen)])
    ceiling = highest * 1.05 or 1.0

    def across(step: float) -> float:
        return left + (step - 1) / max(len(values) - 1, 1) * (right - left)

    def up(loss: float) -> float:
        return bottom - min(max(loss / ceiling, 0.0), 1.0) * (bottom - top)

    for value in ticks(0.0, ceiling):
        draw.line([(left, up(value)), (right, up(value))], fill=GRID, width=scale)
        draw.text((left - 8 * scale, up(value)), f"{value:.4g}", INK, small, anchor="rm")
    for value in ticks(1, max(len(values), 2), 6):
        if value == int(value) and 1 <= value <= len(values):
            draw.line([(across(value), bottom), (across(value), bottom + 4 * scale)], INK, scale)
            draw.text((across(value), bottom + 8 * scale), f"{value:.0f}", INK, small, anchor="mt")
    draw.line([(left, top), (left, bottom), (right, bottom)], fill=INK, width=scale)

    if len(values) > 1:
        single = [(across(i + 1), up(v)) for i, v in enumerate(values)]
        average = [(across(i + 1), up(v)) for i, v in enumerate(mean)]
        draw.line(single, fill=FAINT, width=scale)
        draw.line(average, fill=CURVE, width=3 * scale, joint="curve")
    else:
        x, y, r = across(1), up(values[0]), 4 * scale
        draw.ellipse([x - r, y - r, x + r, y + r], fill=CURVE)

    if seen:
        points = [(across(max(steps, 1)), up(loss)) for steps, loss in seen]
        draw.line(points, fill=ACCENT, width=2 * scale, joint="curve")
        for x, y in points:
            r = 3.5 * scale
            draw.ellipse([x - r, y - r, x + r, y + r], fill=ACCENT)

    draw.text((24 * scale, 10 * scale), title, INK, large)
    unit = "loss: mean squared error of the prediction"
    draw.text((24 * scale, 34 * scale), unit, GREY, small)
    legend = "each step" if window == 1 else f"mean of {window} steps"
    x = right - draw.textlength(legend, small)
    draw.text((x, 34 * scale), legend, INK, small)
    draw.line([(x - 30 * scale, 42 * scale), (x - 8 * scale, 42 * scale)], CURVE, 3 * scale)
    if seen:
        legend = "on fixed timesteps and noise"
        x -= 60 * scale + draw.textlength(legend, small)
        draw.text((x, 34 * scale), legend, INK, small)
        draw.line([(x - 30 * scale, 42 * scale), (x - 8 * scale, 42 * scale)], ACCENT, 2 * scale)
    draw.text(((left + right) / 2, height * scale - 10 * scale), "step", INK, small, anchor="ms")
    return picture.resize((width, height), Image.Resampling.LANCZOS)
