"""Edit Masks: what an edit's masks were, step by step."""

from __future__ import annotations

import torch
from comfy_api.v0_0_2 import io
from PIL import Image

from ...hiper.editing.masks import Masks
from ...hiper.figures.edit import masks_over_steps
from ...hiper.figures.images import to_image, to_pictures
from ...hiper.host.editing.replay import Edit
from ..types import CATEGORY, EditSocket

CELL = 256


class EditMasks(io.ComfyNode):
    """M^s, M^e and their union of eq. 3, once the sampler has run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerEditMasks",
            display_name="Edit Masks",
            category=CATEGORY,
            description="Where an edit was free to change the picture: where the subject was, "
            "where it was drawn, and a figure of both over the steps.",
            search_aliases=["hiper", "lipe", "nima", "identity mask", "figure"],
            inputs=[
                EditSocket.Input("edit", tooltip="From Blend With Source."),
                io.Latent.Input(
                    "latent", tooltip="The LATENT that the sampler behind it gives out."
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The picture to show the masks on: the source, or the edit.",
                ),
            ],
            outputs=[
                io.Mask.Output(display_name="mask", tooltip="Where the picture could change."),
                io.Mask.Output(display_name="source", tooltip="Where the subject was."),
                io.Mask.Output(display_name="target", tooltip="Where it is in the edit."),
                io.Image.Output(display_name="figure", tooltip="The masks over the steps."),
            ],
        )

    @classmethod
    def execute(cls, edit: Edit, latent: dict, image=None) -> io.NodeOutput:
        steps = edit.of(latent["samples"])
        last = steps[-1]
        figures = [figure(steps, number, image) for number in range(len(last.source))]
        pages = torch.cat([to_image(page) for page in figures])
        return io.NodeOutput(last.union, last.source, last.target, pages)


def figure(steps: list[Masks], number: int, image) -> Image.Image:
    """One picture's masks over the steps."""
    own = [step.of(number) for step in steps]
    height, width = own[0].source.shape
    picture = Image.new("RGB", (16 * width, 16 * height), "#8a93a3")
    if image is not None:
        if len(image) not in (1, len(steps[0].source)):
            raise ValueError(
                f"There are {len(image)} images for {len(steps[0].source)} edited pictures: "
                "connect one, or one a picture."
            )
        picture = to_pictures(image[number : number + 1] if len(image) > 1 else image)[0]
        if abs(picture.width * height - picture.height * width) > max(picture.size) * 2:
            raise ValueError(
                f"The image is {picture.width}×{picture.height}, but the edit's latent is "
                f"{width}×{height} cells, which has another shape: connect the picture that was "
                "inverted, or the edit."
            )
    return masks_over_steps(own, picture, CELL)
