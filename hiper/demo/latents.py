"""The demo's latent space: low cosine coefficients of each 8×8 pixels, and a small net that draws
them out."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HALVED = 2  # pictures are averaged down by this before the transform
PATCH = 4  # of the halved picture
CELL = HALVED * PATCH  # pixels that one place of the latent stands for
# the coefficients kept of each plane, by (row, column) frequency: brightness, then two of colour
KEPT = (
    ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0)),
    ((0, 0), (0, 1), (1, 0)),
    ((0, 0), (0, 1), (1, 0)),
)
CHANNELS = sum(len(plane) for plane in KEPT)


def colour_planes() -> Tensor:
    """An orthonormal turn of RGB into brightness and two planes of colour, `(3, 3)`."""
    rows = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]], dtype=torch.float64)
    return (rows / rows.norm(dim=1, keepdim=True)).float()


def cosine(frequency: int) -> Tensor:
    """One row of the orthonormal cosine transform over a patch."""
    scale = math.sqrt((1 if frequency == 0 else 2) / PATCH)
    position = torch.arange(PATCH, dtype=torch.float64)
    return scale * torch.cos(math.pi * (position + 0.5) * frequency / PATCH)


def basis() -> Tensor:
    """The kept patterns as filters `(CHANNELS, 3, PATCH, PATCH)`; they are orthonormal."""
    planes = colour_planes().double()
    filters = [
        planes[plane][:, None, None] * torch.outer(cosine(row), cosine(column))
        for plane, kept in enumerate(KEPT)
        for row, column in kept
    ]
    return torch.stack(filters).float()


class Smooth(nn.Module):
    """A residual block of the decoder."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


class LatentSpace(nn.Module):
    """Pictures `(B, 3, 128, 128)` in [-1, 1] to latents `(B, 12, 16, 16)` and back.

    The net works at three sizes, each twice the last: what is cheap at 16×16 knows what is drawn,
    and the last 64×64 places only lay its edges.
    """

    def __init__(self, widths: tuple[int, int, int] = (72, 36, 20)) -> None:
        super().__init__()
        coarse, middle, fine = widths
        self.register_buffer("filters", basis(), persistent=False)
        self.register_buffer("mean", torch.zeros(CHANNELS))
        self.register_buffer("deviation", torch.ones(CHANNELS))
        self.enter = nn.Conv2d(CHANNELS, coarse, 3, padding=1)
        self.coarse = nn.Sequential(Smooth(coarse), Smooth(coarse), Smooth(coarse))
        self.to_middle = nn.Conv2d(coarse, 4 * middle, 3, padding=1)
        self.middle = nn.Sequential(Smooth(middle), Smooth(middle))
        self.to_fine = nn.Conv2d(middle, 4 * fine, 3, padding=1)
        self.fine = nn.Sequential(Smooth(fine), Smooth(fine))
        self.leave = nn.Conv2d(fine, 4 * 3, 3, padding=1)

    def encode(self, picture: Tensor) -> Tensor:
        raw = F.conv2d(F.avg_pool2d(picture, HALVED), self.filters, stride=PATCH)
        return (raw - self.mean[:, None, None]) / self.deviation[:, None, None]

    def decode(self, latent: Tensor) -> Tensor:
        raw = latent * self.deviation[:, None, None] + self.mean[:, None, None]
        blocks = F.conv_transpose2d(raw, self.filters, stride=PATCH)
        plain = F.interpolate(blocks, scale_factor=float(HALVED), mode="bilinear")
        x = self.coarse(self.enter(latent))
        x = self.middle(F.pixel_shuffle(self.to_middle(x), 2))
        x = self.fine(F.pixel_shuffle(self.to_fine(x), 2))
        return plain + F.pixel_shuffle(self.leave(x), 2)
