"""SeFi-IDE's augmentation: one picture mirrored, made smaller and recoloured, with its mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

HUE = 0.25  # of the jitter's share: a turn by all of it would make any colour any other
YIQ = torch.tensor(
    [[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], dtype=torch.float32
)


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a picture (the paper: flip 0.5, smallest 0.1, and colour jitter)."""

    flip: float = 0.5  # how often it is mirrored
    smallest: float = 0.5  # the least share of its size
    jitter: float = 0.0  # the most that brightness, contrast and saturation change

    def __post_init__(self) -> None:
        for name, value, least in (
            ("flip", self.flip, 0.0),
            ("smallest", self.smallest, 0.01),
            ("jitter", self.jitter, 0.0),
        ):
            if not least <= value <= 1:
                raise ValueError(f"{name} is {value}: choose {least:g} to 1.")


def augmented(
    picture: Tensor, mask: Tensor, count: int, how: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A picture `(3, H, W)` in 0 … 1 and its mask `(H, W)` as so many `(count, 3, H, W)`, the first
    as it is; what a smaller one leaves empty is of the border's colour, and outside the mask."""
    pictures, masks = [picture], [mask]
    for _ in range(count - 1):
        scale, down, across, turn, *colour = torch.rand(8, generator=generator).tolist()
        one, own = recoloured(picture, how.jitter, colour), mask
        if turn < how.flip:
            one, own = one.flip(-1), own.flip(-1)
        share = how.smallest + (1 - how.smallest) * scale
        pictures.append(placed(one, share, (down, across), border(one)))
        masks.append(placed(own[None], share, (down, across), own.new_zeros(1))[0])
    return torch.stack(pictures), torch.stack(masks)


def border(picture: Tensor) -> Tensor:
    """The mean colour `(3,)` of a picture's edge."""
    edges = picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1]
    return torch.cat(edges, dim=1).mean(1)


def placed(picture: Tensor, share: float, place: tuple[float, float], around: Tensor) -> Tensor:
    """A picture `(C, H, W)` at a share of its size, wholly within a frame of one colour `(C,)`."""
    height, width = picture.shape[-2:]
    size = max(1, round(height * share)), max(1, round(width * share))
    if size == (height, width):
        return picture
    small = F.interpolate(picture[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
    top, left = (
        round((whole - part) * where)
        for whole, part, where in zip((height, width), size, place, strict=True)
    )
    frame = around[:, None, None].expand_as(picture).clone()
    frame[:, top : top + size[0], left : left + size[1]] = small
    return frame


def recoloured(picture: Tensor, jitter: float, chance: list[float]) -> Tensor:
    """Brightness, contrast, saturation and hue, each changed by chance `(4,)` in 0 … 1."""
    if not jitter:
        return picture
    brightness, contrast, saturation, hue = (jitter * (2 * each - 1) for each in chance)
    picture = picture * (1 + brightness)
    mean = picture.mean((1, 2), keepdim=True).mean()
    picture = mean + (picture - mean) * (1 + contrast)
    luma, *chroma = torch.einsum("dc,chw->dhw", YIQ.to(picture), picture)
    angle = torch.tensor(HUE * hue * torch.pi)
    turned = torch.complex(*chroma) * torch.polar(torch.tensor(1 + saturation), angle)
    seen = torch.stack([luma, turned.real, turned.imag])
    return torch.einsum("cd,dhw->chw", torch.linalg.inv(YIQ).to(seen), seen).clamp(0, 1)
