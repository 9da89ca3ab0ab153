"""Save and Load HiPer Embedding: one small file in `models/hiper`."""

from __future__ import annotations

import hashlib
import math

from comfy_api.v0_0_2 import io, ui
from PIL import Image
from torch import Tensor

from ..hiper.embedding import HiperEmbedding
from ..hiper.figures.images import to_pictures
from ..hiper.files import embeddings
from ..hiper.host import folders
from .types import CATEGORY, HiperEmbeddingSocket

NUMBER, OVERWRITE, STOP = "add a number", "overwrite", "stop"


class SaveHiperEmbedding(io.ComfyNode):
    """Writes the whole file or nothing."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerSaveEmbedding",
            display_name="Save HiPer Embedding",
            category=CATEGORY,
            description="Keep a learned subject as a small .safetensors file in models/hiper. "
            "It holds the vectors and how they were learned, and a picture only if you wire one.",
            search_aliases=["hiper", "export embedding"],
            is_output_node=True,
            inputs=[
                HiperEmbeddingSocket.Input("embedding", tooltip="What was learned."),
                io.String.Input(
                    "name",
                    default="my_subject",
                    tooltip="The file's name inside models/hiper; '/' makes folders.",
                ),
                io.Combo.Input(
                    "if_exists",
                    options=[NUMBER, OVERWRITE, STOP],
                    default=NUMBER,
                    tooltip="What to do when there is a file of that name already.",
                    advanced=True,
                ),
                io.Image.Input(
                    "thumbnail",
                    optional=True,
                    tooltip="A picture made with it, kept small inside the file for Load's list. "
                    "Without one the file holds no picture.",
                ),
            ],
            outputs=[
                HiperEmbeddingSocket.Output(
                    display_name="embedding", tooltip="The same embedding, to wire on."
                ),
                io.String.Output(display_name="path", tooltip="Where the file is."),
            ],
        )

    @classmethod
    def execute(
        cls,
        embedding: HiperEmbedding,
        name: str,
        if_exists: str,
        thumbnail: Tensor | None = None,  # (B, H, W, 3), of which the first is kept
    ) -> io.NodeOutput:
        cover = None if thumbnail is None else _first(thumbnail)
        path = folders.path_for(name)
        if if_exists == NUMBER:
            path = folders.unused(path)
        embeddings.write(embedding, path, overwrite=if_exists == OVERWRITE, cover=cover)
        told = f"Saved as {folders.shown(path)}"
        return io.NodeOutput(embedding, str(path), ui=ui.PreviewText(told))


def _first(pictures: Tensor) -> Image.Image:
    if not len(pictures):
        raise ValueError("The thumbnail is a batch of 0 pictures: wire one picture, or none.")
    return to_pictures(pictures[:1])[0]


class LoadHiperEmbedding(io.ComfyNode):
    """Reads what Save wrote, and the tensors of the paper's published code."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerLoadEmbedding",
            display_name="Load HiPer Embedding",
            category=CATEGORY,
            description="Load a learned subject from models/hiper: a .safetensors that Save "
            "HiPer Embedding wrote, or a .pt of the paper's published code.",
            search_aliases=["hiper", "import embedding"],
            inputs=[
                io.Combo.Input(
                    "name",
                    options=folders.names(),
                    tooltip="A file in models/hiper. Press R to refresh the list.",
                )
            ],
            outputs=[
                HiperEmbeddingSocket.Output(
                    display_name="embedding", tooltip="The learned tail, ready for Compose."
                ),
                io.String.Output(
                    display_name="report", tooltip="What the file says of how it was learned."
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, name: str) -> str:
        """A file that was written anew is read anew."""
        try:
            return hashlib.sha256(folders.path_of(name).read_bytes()).hexdigest()
        except (ValueError, OSError):
            return "missing"

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        embedding = embeddings.read(folders.path_of(name))
        return io.NodeOutput(embedding, describe(embedding))


def describe(embedding: HiperEmbedding) -> str:
    """One line on an embedding: N, where it was learned, from which words."""
    details = embedding.details
    line = (
        f"{embedding.tokens} tokens of width {embedding.context_width}, "
        f"learned on {details.architecture}"
    )
    if details.steps:
        line += f" in {details.steps} steps"
    if not math.isnan(details.first_fixed_loss):
        line += (
            f", loss on fixed noise {details.first_fixed_loss:.4f} → {details.last_fixed_loss:.4f}"
        )
    if embedding.stages > 1:
        line += f", {embedding.stages} stages of the sampling apart"
    if embedding.roles > 1:
        line += ", keys and values apart"
    if details.focus:
        line += f", its attention held to {details.focused_on} by {details.focus:g}"
    if details.source_prompt:
        line += f' from "{details.source_prompt}"'
    if details.clip_layer:
        line += f" behind CLIP's layer {details.clip_layer}"
    return f"{line}; recommended strength {details.strength:g}"
