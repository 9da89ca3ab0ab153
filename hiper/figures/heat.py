"""Attention maps in colour: one tile, a picture with a map laid over it, the bar that explains."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..attention.maps import Token
from ..attention.tokens import TAIL, WORD
from .page import ticks, write
from .palette import GREY, HEAT, INK, RULE, SIGNED


def coloured(values: np.ndarray, colours: tuple[str, ...] = HEAT) -> np.ndarray:
    """Values in [0, 1] as RGB bytes `(…, 3)`, straight lines between the colours."""
    anchors = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], float)
    place = np.clip(values, 0.0, 1.0) * (len(anchors) - 1)
    low = np.minimum(place.astype(int), len(anchors) - 2)
    part = (place - low)[..., None]
    mixed = anchors[low] * (1 - part) + anchors[low + 1] * part
    return (mixed + 0.5).astype(np.uint8)


def resized(values: np.ndarray, width: int, height: int) -> np.ndarray:
    """A map `(h, w)` at another size, bilinearly, so that it stays within its own values."""
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def tile(values: np.ndarray, scale: float, size: tuple[int, int]) -> Image.Image:
    """A map `(h, w)` where `scale` is the brightest colour; size is width before height."""
    return Image.fromarray(coloured(resized(values / max(scale, 1e-12), *size)))


def signed_tile(values: np.ndarray, scale: float, size: tuple[int, int]) -> Image.Image:
    """A difference of maps, from −scale to +scale, none in the middle."""
    return Image.fromarray(coloured(resized(values / max(scale, 1e-12), *size) / 2 + 0.5, SIGNED))


def common_scale(named: list[tuple[list[Token], Tensor]]) -> float:
    """The highest probability of any word or tail token: one scale for all maps `(K, H, W)`.

    The start of the sequence takes most of the attention; on its scale nothing else would show.
    """
    highest = 0.0
    for tokens, maps in named:
        rows = [i for i, token in enumerate(tokens) if counts_for_scale(token)]
        if rows:
            highest = max(highest, float(maps[rows].max()))
    if highest == 0.0:
        highest = max((float(maps.max()) for _, maps in named), default=0.0)
    return max(highest, 1e-6)


def counts_for_scale(token: Token) -> bool:
    return token.kind == TAIL or (token.kind == WORD and token.index > 0)


def union(tokens: list[Token], picked: list[Token], maps: Tensor) -> Tensor:
    """How likely a cell looks at any of the picked tokens: `(B, K, H, W)` to `(B, H, W)`."""
    wanted = {token.index for token in picked}
    rows = [row for row, token in enumerate(tokens) if token.index in wanted]
    return maps[:, rows].sum(dim=1)


def laid_over(picture: Image.Image, values: np.ndarray, opacity: float) -> Image.Image:
    """A map in [0, 1] over a picture: where nothing is looked at, the picture is only dimmed."""
    shown = np.clip(resized(values, *picture.size), 0.0, 1.0)
    strength = (opacity * (0.35 + 0.65 * np.sqrt(shown)))[..., None]
    base = np.asarray(picture.convert("RGB"), dtype=float)
    mixed = base * (1 - strength) + coloured(shown) * strength
    return Image.fromarray((mixed + 0.5).astype(np.uint8))


def mask_of(maps: Tensor, size: tuple[int, int], threshold: float | None = None) -> Tensor:
    """A map `(B, H, W)` as a mask of (height, width): its peak is 1, or all above `threshold` is.

    The peak is divided by, and nothing is subtracted: an even map stays even.
    """
    enlarged = torch.nn.functional.interpolate(
        maps[:, None].float(), size=size, mode="bilinear", align_corners=False
    )[:, 0]
    peak = enlarged.flatten(1).amax(dim=1).clamp(min=1e-12)
    soft = enlarged / peak[:, None, None]
    return soft if threshold is None else (soft >= threshold).float()


def colour_bar(
    page: Image.Image,
    at: tuple[int, int],
    width: int,
    ends: tuple[float, float],
    label: str,
    colours: tuple[str, ...] = HEAT,
) -> None:
    """A bar from one end of the scale to the other, with its numbers below and words above."""
    draw = ImageDraw.Draw(page)
    x, y = at
    write(draw, (x, y), label, 14, INK)
    ramp = coloured(np.tile(np.linspace(0.0, 1.0, width), (14, 1)), colours)
    page.paste(Image.fromarray(ramp), (x, y + 22))
    draw.rectangle([x, y + 22, x + width - 1, y + 35], outline=RULE)
    low, high = ends
    for value in ticks(low, high, 4):
        place = x + (value - low) / (high - low) * (width - 1)
        draw.line([place, y + 36, place, y + 40], INK)
        write(draw, (place, y + 43), f"{value:.3g}", 12, GREY, "ma")
