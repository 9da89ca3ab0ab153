"""Scores of edited pictures: LIPE's (CLIP-T, CLIP-I, CLIP-D, DINOv2-I) and SeFi-IDE's ID(P)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

THRESHOLD = 0.23  # of CLIP-T, from which on SeFi-IDE takes a prompt as followed


@dataclass(frozen=True)
class Preparation:
    """How an encoder wants its pictures: their shorter edge, the square cut from their middle, and
    each colour's mean and deviation."""

    edge: int
    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def of(self, pictures: list[Image.Image]) -> Tensor:
        """`(B, 3, size, size)`, as `transformers` prepares them with Pillow."""
        return torch.stack([self._of(picture.convert("RGB")) for picture in pictures])

    def _of(self, picture: Image.Image) -> Tensor:
        shorter = min(picture.size)
        width, height = (int(self.edge * side / shorter) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        picture = picture.crop((left, top, left + self.size, top + self.size))
        levels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
        mean, deviation = torch.tensor([self.mean, self.deviation])[..., None, None]
        return (levels - mean) / deviation


@dataclass(frozen=True)
class Seen:
    """What encoders make of some pictures `(P, C)`; None where none is connected."""

    clip: Tensor | None = None
    dino: Tensor | None = None


@dataclass(frozen=True)
class Scores:
    """One number a picture `(P,)`; None where the encoder that it needs is not connected."""

    clip_t: Tensor | None = None
    clip_i: Tensor | None = None
    clip_d: Tensor | None = None
    dino_i: Tensor | None = None
    id_p: Tensor | None = None


def scored(
    source: Seen,
    edited: Seen,
    texts: tuple[Tensor | None, Tensor] | None,
    threshold: float = THRESHOLD,
) -> Scores:
    """Of the edited pictures against the source's; `texts` are the source and the target prompt,
    `(C,)` each, the former where it is known. Identity in ID(P) is DINOv2-I, else CLIP-I."""
    clip_i = alike(edited.clip, source.clip)
    dino_i = alike(edited.dino, source.dino)
    if edited.clip is None or texts is None:
        return Scores(clip_i=clip_i, dino_i=dino_i)
    before, after = (None if text is None else F.normalize(text, dim=-1) for text in texts)
    clip_t = F.normalize(edited.clip, dim=-1) @ after
    return Scores(
        clip_t,
        clip_i,
        None if before is None else _directional(source.clip, edited.clip, after - before),
        dino_i,
        torch.where(clip_t >= threshold, clip_i if dino_i is None else dino_i, 0.0),
    )


def alike(edited: Tensor | None, source: Tensor | None) -> Tensor | None:
    """Cosine of each edited picture `(P, C)` with its source: its own where there are as many, else
    the mean of all."""
    if edited is None or source is None:
        return None
    each = F.normalize(edited, dim=-1) @ F.normalize(source, dim=-1).T
    return each.diagonal() if len(edited) == len(source) else each.mean(1)


def _directional(source: Tensor, edited: Tensor, said: Tensor) -> Tensor | None:
    """CLIP-D: the way from picture to picture along the way from prompt to prompt; none where both
    prompts are one."""
    if not bool(said.any()):
        return None
    source, edited = F.normalize(source, dim=-1), F.normalize(edited, dim=-1)
    origin = source if len(source) == len(edited) else source.mean(0, keepdim=True)
    return F.cosine_similarity(edited - origin, said[None])
