"""LIPE's Figure 3: the masks over the steps, on the picture that is edited."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from ..editing.masks import Masks
from .grid import Labels, picture_grid
from .palette import ACCENT, CURVE

MOST = 8  # steps that are shown
DIMMED = 0.45  # what stays as it is
TINT = 0.45
KEY = "blue: where the subject was · orange: where it is being drawn · dark: kept"


def masks_over_steps(steps: Sequence[Masks], picture: Image.Image, cell: int) -> Image.Image:
    """Some of one picture's steps `(H, W)`, the first and the last among them, with what may change
    in each."""
    shown = sorted({round(n * (len(steps) - 1) / (MOST - 1)) for n in range(MOST)})
    tiles = [_tile(steps[number], picture) for number in shown]
    columns = min(4, len(tiles))
    labels = Labels(title=KEY, columns=tuple(f"step {n + 1} of {len(steps)}" for n in shown))
    return picture_grid(tiles, (-(-len(tiles) // columns), columns), labels, cell)


def _tile(masks: Masks, picture: Image.Image) -> Image.Image:
    size = picture.size

    def sized(mask: Tensor) -> np.ndarray:
        values = Image.fromarray((mask.float().clamp(0, 1).numpy() * 255).astype(np.uint8))
        return np.asarray(values.resize(size, Image.Resampling.NEAREST), float)[..., None] / 255

    base = np.asarray(picture.convert("RGB"), float)
    tinted = base * (DIMMED + (1 - DIMMED) * sized(masks.union))
    for mask, colour in ((sized(masks.source), CURVE), (sized(masks.target), ACCENT)):
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], float)
        tinted = tinted * (1 - TINT * mask) + rgb * TINT * mask
    return Image.fromarray((tinted + 0.5).clip(0, 255).astype(np.uint8))
