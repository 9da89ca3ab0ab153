"""Where each of several subjects of a prompt is: from its words' maps, or from masks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST = 1e-4  # of a place that isn't the subject's: its tail is not to be looked at from there
SHARPNESS = 4.0  # of the contest between subjects for a place


def at_size(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps `(B, h, w)` at another size, `(B, H·W)`."""
    return F.interpolate(maps[:, None], size, mode="bilinear", antialias=True).flatten(1)


def by_peak(maps: Tensor) -> Tensor:
    """Maps `(B, L)` with their largest value at 1."""
    return maps / maps.amax(-1, keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)


def regions(maps: Sequence[Tensor]) -> list[Tensor]:
    """How much each place `(B, L)` is each subject's: of several, the one whose word is looked at
    most from there; of one alone, as its word's map has it beside its peak."""
    peaks = [by_peak(one) for one in maps]
    if len(peaks) == 1:
        return [peaks[0].clamp(min=LEAST)]
    powers = torch.stack(peaks).clamp(min=LEAST) ** SHARPNESS
    return list((powers / powers.sum(0)).clamp(min=LEAST))
