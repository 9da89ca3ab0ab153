"""Chosen tokens apart: a mask and an overlay for each, where the others have one of them all."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor

from ..attention.maps import Token
from ..attention.tokens import TAIL, WORD
from .heat import laid_over, mask_of
from .shown import ShownMaps

MOST = 32  # of an entry where none are chosen: each is a picture as large as the whole


def picked_one_by_one(shown: ShownMaps, choice: str) -> list[list[Token]]:
    """The chosen tokens of each entry; without a choice the first of its words and its tail."""
    picked = shown.picked(choice)
    if choice.strip():
        return picked
    named = [
        [t for t in entry.tokens if t.kind == TAIL or (t.kind == WORD and t.text)]
        for entry in shown.entries
    ]
    return [(tokens or others)[:MOST] for tokens, others in zip(named, picked, strict=True)]


def maps_one_by_one(shown: ShownMaps, choice: str) -> Iterator[tuple[int, Tensor]]:
    """Which picture of the batch, and one token's map of it `(1, H, W)`: picture by picture, entry
    by entry, in the prompt's order."""
    tokens = picked_one_by_one(shown, choice)
    for picture in range(shown.maps.batch):
        for entry, mean, picked in zip(shown.entries, shown.means, tokens, strict=True):
            places = {token.index: place for place, token in enumerate(entry.tokens)}
            for token in picked:
                yield picture, mean[picture, places[token.index]][None]


def masks_one_by_one(
    shown: ShownMaps, choice: str, size: tuple[int, int], threshold: float | None
) -> Tensor:
    """A mask `(N, height, width)` for each token, its own peak at 1."""
    return torch.cat([mask_of(one, size, threshold) for _, one in maps_one_by_one(shown, choice)])


def overlays_one_by_one(
    shown: ShownMaps, choice: str, pictures: list[Image.Image], opacity: float
) -> Iterator[Image.Image]:
    """Each token's map over its picture; the brightest colour is its own peak."""
    for picture, one in maps_one_by_one(shown, choice):
        values = one[0].cpu().numpy()
        laid = values / max(values.max(), 1e-12)
        yield laid_over(pictures[picture % len(pictures)], laid, opacity)
