"""What is left of an animal where it stood: the new one found in the picture and left out.

The new animal stands where the model put it, so that its drawn outline is laid over the picture
wherever it fits what is no ground best; how right that is shows on drawings with known answers.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from hiper.demo.drawing import animal_mask, ground_of
from hiper.demo.scene import Coat, Scene

SEEN_AT = 64
OFF_GROUND = 0.12  # root mean square of channels
SIZES = (0.9, 0.96, 1.02, 1.08)
ACROSS, DOWN = 9, 6  # cells of 64 that it may stand beside where it is drawn
AROUND = 3  # pixels of 128 about the animal that its soft edge takes


def as_picture(image: Image.Image) -> Tensor:
    """`(3, H, W)` in 0 … 1."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1) / 255


def empty(scene: Scene) -> Tensor:
    """The ground that the scene stands on, without an animal, `(3, 128, 128)`."""
    whole = ground_of(scene, 128 * 3)
    return as_picture(whole.resize((128, 128), Image.Resampling.BOX))


def mask_at(scene: Scene, size: int) -> Tensor:
    """The drawn animal `(size, size)` in 0 … 1."""
    mask = animal_mask(scene).resize((size, size), Image.Resampling.BOX)
    return torch.from_numpy(np.array(mask)).float() / 255


@cache
def outlines(animal: str, pose: str) -> tuple[Tensor, Tensor]:
    """The animal in all its sizes, both ways and wherever it may stand, `(K, 64·64)`,
    and how large each is."""
    coat = Scene(animal, pose, "grass", Coat((0, 0, 0), (0, 0, 0), "plain"))
    found = []
    for facing_left in (False, True):
        for size in SIZES:
            whole = mask_at(replace(coat, facing_left=facing_left, size=size), SEEN_AT)
            padded = F.pad(whole, (ACROSS, ACROSS, DOWN, DOWN))
            for y in range(2 * DOWN + 1):
                for x in range(2 * ACROSS + 1):
                    found.append(padded[y : y + SEEN_AT, x : x + SEEN_AT].flatten())
    stacked = torch.stack(found)
    return stacked, stacked.sum(1)


def located(picture: Tensor, scene: Scene) -> Tensor:
    """Where the scene's animal is in a picture `(3, 128, 128)` of its ground: `(128, 128)` as
    truths, its soft edge included."""
    off = (picture - empty(scene)).square().mean(0).sqrt()
    seen = F.adaptive_avg_pool2d((off > OFF_GROUND).float()[None, None], SEEN_AT).flatten()
    stacked, sums = outlines(scene.animal, scene.pose)
    both = stacked @ seen
    best = int((both / (sums + seen.sum() - both).clamp(min=1e-6)).argmax())
    mask = F.interpolate(stacked[best].view(1, 1, SEEN_AT, SEEN_AT), size=128, mode="bilinear")
    return F.max_pool2d(mask, 2 * AROUND + 1, 1, AROUND)[0, 0] > 0.3


def ghost(picture: Tensor, source: Scene, target: Scene) -> float:
    """The mean error against the empty ground where the source's animal stood and the new one does
    not; NaN where there is no such place."""
    where = (mask_at(source, 128) > 0.5) & ~located(picture, target)
    if not bool(where.any()):
        return float("nan")
    return float((picture - empty(source)).abs().mean(0)[where].mean())


def background(picture: Tensor, source: Tensor, scene: Scene, target: Scene) -> float:
    """The mean difference to the source picture outside both drawn animals and the one found."""
    drawn = torch.maximum(mask_at(scene, 128), mask_at(target, 128)) > 0.02
    where = ~(drawn | located(picture, target))
    return float((picture - source).abs().mean(0)[where].mean())
