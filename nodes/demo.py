"""Load HiPer Demo Model: every graph runs before any checkpoint is downloaded."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..hiper.demo.captions import WORDS
from ..hiper.demo.drawing import SIZE
from ..hiper.host import demo
from .types import CATEGORY


class LoadHiperDemoModel(io.ComfyNode):
    """The weights that come with the pack, as MODEL, CLIP and VAE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerLoadDemoModel",
            display_name="Load HiPer Demo Model",
            category=f"{CATEGORY}/demo",
            description="A small Stable Diffusion of drawn animals that comes with the pack: "
            f"{SIZE}×{SIZE} pictures, and prompts of these words: {', '.join(WORDS)}.",
            search_aliases=["hiper", "demo", "checkpoint", "test model", "tiny"],
            inputs=[],
            outputs=[
                io.Model.Output(display_name="model", tooltip="v-prediction on SD's schedule."),
                io.Clip.Output(
                    display_name="clip", tooltip="77 tokens over a closed vocabulary, no others."
                ),
                io.Vae.Output(
                    display_name="vae", tooltip=f"{SIZE}×{SIZE} pictures, 16×16 latents."
                ),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(demo.load_model(), demo.load_clip(), demo.load_vae())
