"""Compose HiPer Conditioning: the learned tail behind another prompt."""

from __future__ import annotations

import logging

from comfy_api.v0_0_2 import io

from ..hiper.embedding import HiperEmbedding
from ..hiper.host.graph import running_node
from ..hiper.prompts.families import REPLACE, family_named, last_encoder
from ..hiper.prompts.placement import behind, check_conditioning, compose, free_padding, tails_in
from .last_layer import last_layer, warn_of_another
from .types import CATEGORY, HiperEmbeddingSocket
from .words import check_room, spoken


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
                io.String.Input(
                    "text",
                    optional=True,
                    default="",
                    tooltip="The prompt's text, if it can't be found in the graph: it is counted, "
                    "so that the tail never cuts a word of it. For combined prompts, one after "
                    "the other with --- between.",
                    advanced=True,
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="conditioning", tooltip="The prompt with the subject behind it."
                )
            ],
            hidden=[io.Hidden.prompt],
        )

    @classmethod
    def execute(
        cls,
        conditioning: list,
        embedding: HiperEmbedding,
        strength: float,
        clip=None,
        text: str = "",
    ) -> io.NodeOutput:
        check_conditioning(conditioning)
        details, family = embedding.details, family_named(embedding.details.family)
        if family is not None:
            layer = last_layer(cls.hidden.prompt, running_node(), family.last_layer, clip)
            warn_of_another(details, layer)
        if details.placement == REPLACE:
            graph = cls.hidden.prompt
            words = spoken(graph, running_node(), "conditioning", len(conditioning), text)
            for (prompt, options), said in zip(conditioning, words, strict=True):
                length = prompt.shape[1]
                taken = behind(tails_in(prompt, options, silent=True), length)
                encoder = last_encoder(family, length)
                check_room(said, embedding.tokens, length, clip, encoder, taken)
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
