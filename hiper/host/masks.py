"""ComfyUI's MASK, brought to a latent's cells."""

from __future__ import annotations

from typing import Any

import comfy.utils
import torch
from torch import Tensor


def on_latents(mask: Tensor, samples: Tensor) -> Tensor:
    """A mask `(B, H, W)` on the cells of the latents `(R, C, …)`: `(R, 1, …)`, or one sentence.

    One mask serves every picture; where there are several, each picture has its own.
    """
    mask = mask.float()
    given = mask.reshape(-1, *mask.shape[-2:])
    height, width = given.shape[-2:]
    rows, columns = samples.shape[-2:]
    cell = max(height / rows, width / columns)
    if abs(width - height * columns / rows) > cell:
        raise ValueError(
            f"The mask is {width}×{height}, but the latent is {columns}×{rows} cells, which has "
            "another shape: connect the mask of the picture that was encoded."
        )
    if len(given) not in (1, len(samples)):
        raise ValueError(
            f"There are {len(given)} masks for {len(samples)} pictures: give one, or one a picture."
        )
    cells = comfy.utils.reshape_mask(given, samples.shape)[:, :1]
    sums = cells.flatten(1).sum(1)
    if not bool((sums > 0).all()):
        empty = int(torch.argmin(sums)) + 1
        raise ValueError(
            f"The mask of picture {empty} is empty: paint the subject, or disconnect the mask."
        )
    return cells


def where_it_counts(latent: dict[str, Any], samples: Tensor, mask: Tensor | None) -> Tensor | None:
    """The MASK given, within the latent's own noise mask: `(R, 1, …)`, or None for everywhere."""
    given = (mask, latent.get("noise_mask"))
    masks = [on_latents(each, samples) for each in given if each is not None]
    if not masks:
        return None
    both = masks[0] if len(masks) == 1 else masks[0] * masks[1]
    if not bool((both.flatten(1).sum(1) > 0).all()):
        raise ValueError(
            "The mask and the latent's own noise mask have no place in common, so there is nothing "
            "to learn from: use one of them."
        )
    return both
