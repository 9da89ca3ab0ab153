"""Compose HiPer Conditioning: the learned tail behind another prompt."""

from __future__ import annotations

import logging

from comfy_api.v0_0_2 import io

from ..hiper.embedding import HiperEmbedding
from ..hiper.host.tokenizer import check_free_tokens
from ..hiper.prompts.families import REPLACE, family_named, last_encoder
from ..hiper.prompts.placement import check_conditioning, compose, free_padding
from .types import CATEGORY, HiperEmbeddingSocket
from .words import prompt_text


class ComposeHiperConditioning(io.ComfyNode):
    """Equation 6: `[e'_tgt, α · tail]`."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerComposeConditioning",
            display_name="Compose HiPer Conditioning",
            category=CATEGORY,
            description="Put a learned subject behind another prompt: the prompt says what "
            "happens, the embedding says to whom. Chain two of these for two subjects.",
            search_aliases=["hiper", "personalize", "identity", "textual inversion", "apply"],
            inputs=[
                io.Conditioning.Input(
                    "conditioning",
                    tooltip="The encoded target prompt, e.g. from CLIP Text Encode. Every entry "
                    "gets the tail and keeps everything else it carries.",
                ),
                HiperEmbeddingSocket.Input(
                    "embedding", tooltip="What Learn HiPer Embedding learned or Load read."
                ),
                io.Float.Input(
                    "strength",
                    default=0.8,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="α of the paper (0.8): lower follows the prompt more, higher keeps "
                    "more of the picture.",
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="Optional: counts the prompt's tokens exactly, so that the tail never "
                    "cuts a word of it.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="conditioning", tooltip="The prompt with the subject behind it."
                )
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, conditioning: list, embedding: HiperEmbedding, strength: float, clip=None
    ) -> io.NodeOutput:
        check_conditioning(conditioning)
        if embedding.details.placement == REPLACE:
            text = prompt_text(cls.hidden.prompt, cls.hidden.unique_id, "conditioning")
            length = min(entry[0].shape[1] for entry in conditioning)
            encoder = last_encoder(family_named(embedding.details.family), length)
            check_free_tokens(embedding.tokens, length, clip, text, encoder)
        else:
            say_padded(conditioning)
        return io.NodeOutput(compose(conditioning, embedding, strength))


def say_padded(conditioning: list) -> None:
    """An appended tail was learned right behind a prompt; padding between is another place."""
    for prompt, options in conditioning:
        length = prompt.shape[1]
        padding = free_padding(options, length, length)
        if padding:
            logging.warning(
                "HiPer: this embedding was learned behind a prompt without padding, but this "
                "prompt has %d padding tokens; the tail comes after them. Encode the prompt "
                "without padding to have it as it was learned.",
                padding,
            )
