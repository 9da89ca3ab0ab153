"""LIPE's Figure 3: the masks over the steps, on the picture that is edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from .grid import Labels, picture_grid
from .palette import ACCENT, CURVE

MOST = 8  # steps that are shown
DIMMED = 0.45  # what stays as it is
TINT = 0.45
KEY = "blue: where the subject was · orange: where it is being drawn · dark: kept"


@dataclass(frozen=True)
class StepMasks:
    """One step's masks `(H, W)`, each of zeros and ones, or of shares where painted."""

    source: Tensor
    target: Tensor
    painted: Tensor


def masks_over_steps(steps: Sequence[StepMasks], picture: Image.Image, cell: int) -> Image.Image:
    """Some of the steps, the first and the last among them, with what may change in each."""
    shown = sorted({round(n * (len(steps) - 1) / (MOST - 1)) for n in range(MOST)})
    tiles = [_tile(steps[number], picture) for number in shown]
    columns = min(4, len(tiles))
    labels = Labels(title=KEY, columns=tuple(f"step {n + 1} of {len(steps)}" for n in shown))
    return picture_grid(tiles, (-(-len(tiles) // columns), columns), labels, cell)


def _tile(masks: StepMasks, picture: Image.Image) -> Image.Image:
    size = picture.size

    def sized(mask: Tensor) -> np.ndarray:
        values = Image.fromarray((mask.float().clamp(0, 1).numpy() * 255).astype(np.uint8))
        return np.asarray(values.resize(size, Image.Resampling.NEAREST), float)[..., None] / 255

    source, target, painted = sized(masks.source), sized(masks.target), sized(masks.painted)
    open_ = np.maximum(np.maximum(source, target), painted)
    base = np.asarray(picture.convert("RGB"), float)
    tinted = base * (DIMMED + (1 - DIMMED) * open_)
    for mask, colour in ((source, CURVE), (target, ACCENT)):
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], float)
        tinted = tinted * (1 - TINT * mask) + rgb * TINT * mask
    return Image.fromarray((tinted + 0.5).clip(0, 255).astype(np.uint8))
