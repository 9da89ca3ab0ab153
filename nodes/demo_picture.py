"""Draw HiPer Demo Animal: a source picture for the demo model, drawn by a program."""

from __future__ import annotations

import random

import numpy as np
import torch
from comfy_api.v0_0_2 import io, ui

from ..hiper.demo.captions import nameless_coat, prompt
from ..hiper.demo.drawing import animal_mask, draw
from ..hiper.demo.scene import CLASSES, GROUNDS, POSES, Scene
from ..hiper.figures.images import to_image
from .types import CATEGORY


class DrawHiperDemoAnimal(io.ComfyNode):
    """A seed is an individual: its coat's colours have no name in any caption."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerDrawDemoAnimal",
            display_name="Draw HiPer Demo Animal",
            category=f"{CATEGORY}/demo",
            description="Draws the source picture of the demo graphs: an animal whose coat no "
            "prompt can name, so that only a learned embedding can carry it elsewhere. The same "
            "seed is the same individual in every pose and place.",
            search_aliases=["hiper", "demo", "example image", "draw"],
            is_output_node=True,
            inputs=[
                io.Combo.Input(
                    "animal", options=list(CLASSES), default="dog", tooltip="What is drawn."
                ),
                io.Combo.Input(
                    "pose", options=list(POSES), default="standing", tooltip="What it does."
                ),
                io.Combo.Input(
                    "ground", options=list(GROUNDS), default="grass", tooltip="Where it is."
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="Which individual: the colours and the pattern of its coat.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image", tooltip="The picture, in the demo model's size."
                ),
                io.Mask.Output(display_name="mask", tooltip="Where the animal is."),
                io.String.Output(
                    display_name="prompt",
                    tooltip="What a caption can say of it: pose, animal, place; not the coat.",
                ),
            ],
        )

    @classmethod
    def execute(cls, animal: str, pose: str, ground: str, seed: int) -> io.NodeOutput:
        scene = Scene(animal, pose, ground, nameless_coat(random.Random(seed)), seed=seed)
        image = to_image(draw(scene))
        mask = np.asarray(animal_mask(scene), dtype=np.float32) / 255.0
        words = prompt(animal, pose, ground)
        preview = ui.PreviewImage(image, cls=cls)
        return io.NodeOutput(image, torch.from_numpy(mask)[None], words, ui=preview)
