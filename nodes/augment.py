"""Augment Picture: one picture as many, for learning."""

from __future__ import annotations

import torch
from comfy_api.v0_0_2 import io
from torch import Tensor

from ..hiper.augmentation import Augmentation, augmented
from .types import CATEGORY

MOST = 2**28  # numbers in all the pictures together: a GB


class AugmentPicture(io.ComfyNode):
    """SeFi-IDE's flip, colour jitter and scaling, with masks, so that no border is learned."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerAugmentPicture",
            display_name="Augment Picture",
            category=CATEGORY,
            description="Make several pictures of one: mirrored, smaller and elsewhere, recoloured "
            "if asked. Wire them through VAE Encode to Learn HiPer Embedding's latent, and the "
            "masks to its mask, so that what scaling leaves empty is not learned.",
            search_aliases=["hiper", "sefi", "augmentation", "flip", "crop", "jitter"],
            inputs=[
                io.Image.Input("image", tooltip="The picture of the subject, or several."),
                io.Int.Input(
                    "count",
                    default=8,
                    min=1,
                    max=256,
                    tooltip="How many pictures come out for each that goes in; the first is the "
                    "picture as it is.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="What is drawn by chance. The same seed gives the same pictures.",
                ),
                io.Float.Input(
                    "flip",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How often a picture is mirrored (paper: 0.5). 0 where left and right "
                    "matter, as with writing.",
                ),
                io.Float.Input(
                    "smallest",
                    default=0.5,
                    min=0.1,
                    max=1.0,
                    step=0.05,
                    tooltip="The least share of its size that a picture is made (paper: 0.1). "
                    "1 leaves the size be.",
                ),
                io.Float.Input(
                    "jitter",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="The most that brightness, contrast, saturation and hue change. Colour "
                    "belongs to the subject, so that this is off unless asked for.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Where the subject is: it goes along with the picture. Without one the "
                    "whole picture counts.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The pictures, for VAE Encode."),
                io.Mask.Output(
                    display_name="mask",
                    tooltip="One a picture, for Learn HiPer Embedding's mask: nothing outside of "
                    "the picture, or of its own mask.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, image, count: int, seed: int, flip: float, smallest: float, jitter: float, mask=None
    ) -> io.NodeOutput:
        pictures, masks = checked(image, mask, count)
        how = Augmentation(flip, smallest, jitter)
        generator = torch.Generator().manual_seed(seed)
        made = [
            augmented(picture, own, count, how, generator)
            for picture, own in zip(pictures, masks, strict=True)
        ]
        image, mask = (torch.cat(each) for each in zip(*made, strict=True))
        return io.NodeOutput(image.movedim(1, -1).contiguous(), mask)


def checked(image: Tensor, mask: Tensor | None, count: int) -> tuple[Tensor, Tensor]:
    """The pictures `(B, 3, H, W)` and a mask for each `(B, H, W)`, or one sentence."""
    if image.ndim != 4 or image.shape[-1] < 3 or not len(image):
        raise ValueError(
            f"The image has shape {tuple(image.shape)}; wanted pictures (batch, height, width, 3): "
            "connect Load Image."
        )
    pictures = image[..., :3].movedim(-1, 1).float()
    height, width = pictures.shape[-2:]
    if not bool(torch.isfinite(pictures).all()):
        raise ValueError(
            "The image holds numbers that are NaN or infinite: make it again, with the VAE in fp32 "
            "if that repeats."
        )
    if pictures.numel() * count > MOST:
        fits = MOST // pictures.numel()
        raise ValueError(
            f"count is {count}, which makes {count * len(pictures)} pictures of {width}×{height}, "
            f"more than a GB: choose {max(fits, 1)} or fewer, or smaller pictures."
        )
    if mask is None:
        return pictures, pictures.new_ones(len(pictures), height, width)
    masks = mask.reshape(-1, *mask.shape[-2:]).to(pictures)
    if masks.shape[-2:] != (height, width):
        raise ValueError(
            f"The mask is {masks.shape[-1]}×{masks.shape[-2]}, but the image is {width}×{height}: "
            "connect the mask of this picture."
        )
    if len(masks) not in (1, len(pictures)):
        raise ValueError(
            f"There are {len(masks)} masks for {len(pictures)} pictures: give one, or one a "
            "picture."
        )
    empty = [number for number, one in enumerate(masks, 1) if not bool(one.any())]
    if empty:
        raise ValueError(
            f"The mask of picture {empty[0]} is empty, so that nothing of it would be learned: "
            "paint the subject, or disconnect the mask."
        )
    return pictures, masks.expand(len(pictures), -1, -1)
