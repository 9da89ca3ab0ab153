"""Pictures of numbers: the loss curve that a person would rather look at than a list."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .stopping import Look

PAPER, INK, FAINT, GRID = "#ffffff", "#22262e", "#c9d3e6", "#e8ebf0"
CURVE, FIXED, GREY = "#2f6fde", "#d9480f", "#6b7280"
SUPERSAMPLING = 2


def to_image(picture: Image.Image) -> Tensor:
    """A Pillow picture as ComfyUI's IMAGE `(1, H, W, 3)` in [0, 1]."""
    return torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255.0)[None]


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


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between low and high, about that many."""
    span = max(high - low, 1e-12)
    step = 10 ** math.floor(math.log10(span / about))
    step *= min((1, 2, 5, 10), key=lambda factor: abs(span / (step * factor) - about))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def loss_curve(
    losses: Tensor,
    title: str = "HiPer learning",
    width: int = 768,
    height: int = 448,
    looks: Sequence[Look] = (),
) -> Image.Image:
    """The loss of each step `(steps,)`, faint, its moving average over it, and the loss on fixed
    samples where it was looked at: the one that falls steadily."""
    values = np.asarray(losses.detach().cpu(), dtype=np.float64)
    scale = SUPERSAMPLING
    picture = Image.new("RGB", (width * scale, height * scale), PAPER)
    draw = ImageDraw.Draw(picture)
    small, large = (ImageFont.load_default(size * scale) for size in (13, 18))
    left, top, right, bottom = (n * scale for n in (72, 72, width - 24, height - 56))

    window = smoothing_window(len(values))
    mean = smoothed(values, window)
    # single steps reach far above the mean; the axis is the mean's, with room for most of them
    fixed = [(look.steps, look.loss) for look in looks]
    highest = max([float(np.quantile(values, 0.98)), float(mean.max()), *(y for _, y in fixed)])
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

    if fixed:
        points = [(across(max(steps, 1)), up(loss)) for steps, loss in fixed]
        draw.line(points, fill=FIXED, width=2 * scale, joint="curve")
        for x, y in points:
            r = 3.5 * scale
            draw.ellipse([x - r, y - r, x + r, y + r], fill=FIXED)

    draw.text((24 * scale, 10 * scale), title, INK, large)
    unit = "loss: mean squared error of the prediction"
    draw.text((24 * scale, 34 * scale), unit, GREY, small)
    legend = "each step" if window == 1 else f"mean of {window} steps"
    x = right - draw.textlength(legend, small)
    draw.text((x, 34 * scale), legend, INK, small)
    draw.line([(x - 30 * scale, 42 * scale), (x - 8 * scale, 42 * scale)], CURVE, 3 * scale)
    if fixed:
        legend = "on fixed timesteps and noise"
        x -= 60 * scale + draw.textlength(legend, small)
        draw.text((x, 34 * scale), legend, INK, small)
        draw.line([(x - 30 * scale, 42 * scale), (x - 8 * scale, 42 * scale)], FIXED, 2 * scale)
    draw.text(((left + right) / 2, height * scale - 10 * scale), "step", INK, small, anchor="ms")
    return picture.resize((width, height), Image.Resampling.LANCZOS)
