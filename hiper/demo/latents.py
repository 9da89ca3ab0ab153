"""The demo's latent space: low 4×4 cosine coefficients, and a small net that draws them out."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH = 4
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
    """Pictures `(B, 3, 64, 64)` in [-1, 1] to latents `(B, 12, 16, 16)` and back."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.register_buffer("filters", basis(), persistent=False)
        self.register_buffer("mean", torch.zeros(CHANNELS))
        self.register_buffer("deviation", torch.ones(CHANNELS))
        self.enter = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.coarse = nn.Sequential(Smooth(width), Smooth(width), Smooth(width))
        self.widen = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.fine = nn.Sequential(Smooth(width // 2), Smooth(width // 2))
        self.leave = nn.Conv2d(width // 2, 4 * 3, 3, padding=1)

    def encode(self, picture: Tensor) -> Tensor:
        raw = F.conv2d(picture, self.filters, stride=PATCH)
        return (raw - self.mean[:, None, None]) / self.deviation[:, None, None]

    def decode(self, latent: Tensor) -> Tensor:
        raw = latent * self.deviation[:, None, None] + self.mean[:, None, None]
        blocks = F.conv_transpose2d(raw, self.filters, stride=PATCH)
        x = self.coarse(self.enter(latent))
        x = self.fine(F.pixel_shuffle(self.widen(x), 2))
        return blocks + F.pixel_shuffle(self.leave(x), 2)
