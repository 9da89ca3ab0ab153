"""Compose HiPer Conditioning: the learned tail behind another prompt."""

from __future__ import annotations

import logging
from typing import Any

from comfy_api.v0_0_2 import io
from torch import Tensor

from ..hiper.embedding import HiperEmbedding
from ..hiper.host.attention.keeping import check_keepable, keep
from ..hiper.host.attention.values import bring_values, check_two_roles_of
from ..hiper.host.graph import running_node
from ..hiper.prompts.families import REPLACE, families_of_text, family_named, last_encoder
from ..hiper.prompts.placement import (
    behind,
    check_conditioning,
    compose,
    free_padding,
    written,
)
from ..hiper.prompts.tails import TailMark, tails_in
from .last_layer import last_layer, warn_of_another
from .strength import strength_input, strength_of
from .subject_word import columns_of
from .types import CATEGORY, HiperEmbeddingSocket
from .words import Spoken, check_room, spoken


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
                strength_input(
                    "α of the paper: lower follows the prompt more, higher keeps more of the "
                    "picture. -1 is the embedding's own, which its recipe was found best at: "
                    "1 for fast, 0.8 for paper."
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
                io.String.Input(
                    "keep_to",
                    optional=True,
                    default="",
                    tooltip="For two subjects in one picture: the word of the prompt that this one "
                    "is, e.g. dog. Its tail is then looked at only from where that word is looked "
                    "at. Connect clip.",
                ),
                io.Mask.Input(
                    "region",
                    optional=True,
                    tooltip="In the word's place: where in the picture this subject is to be.",
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
        keep_to: str = "",
        region=None,
    ) -> io.NodeOutput:
        check_conditioning(conditioning)
        details, family = embedding.details, family_named(embedding.details.family)
        if family is not None:
            layer = last_layer(cls.hidden.prompt, running_node(), family.last_layer, clip)
            warn_of_another(details, layer)
        words = spoken(cls.hidden.prompt, running_node(), "conditioning", len(conditioning), text)
        return io.NodeOutput(
            composed(conditioning, embedding, strength, words, clip, keep_to, region)
        )


def composed(
    conditioning: list,
    embedding: HiperEmbedding,
    strength: float,
    words: list[Spoken],
    clip: Any,
    keep_to: str = "",
    region: Tensor | None = None,
) -> list:
    """The tail behind each entry, where there is room for it, kept to a place where that is
    asked for."""
    details, family = embedding.details, family_named(embedding.details.family)
    strength = strength_of(embedding, strength)
    if embedding.roles > 1:
        for prompt, options in conditioning:
            for own in families_of_text(prompt, options)[:1] if family is None else (family,):
                check_two_roles_of(own)
    if details.placement == REPLACE:
        for (prompt, options), said in zip(conditioning, words, strict=True):
            length = prompt.shape[1]
            taken = behind(tails_in(prompt, options, silent=True), length)
            encoder = last_encoder(family, length)
            check_room(said, embedding.tokens, length, clip, encoder, taken)
    else:
        say_padded(conditioning)
    places = where_kept(conditioning, words, embedding, keep_to, region, clip)

    def bring(number: int, entry: list, mark: TailMark, vectors: Tensor) -> None:
        placed, options = entry
        bring_values(options, mark, vectors)
        if places is not None:
            keep(options, mark, vectors[0], placed.shape[1], places[number], region)

    return compose(conditioning, embedding, strength, bring)


def where_kept(
    conditioning: list,
    words: list[Spoken],
    embedding: HiperEmbedding,
    keep_to: str,
    region: Tensor | None,
    clip: Any,
) -> list[tuple[int, ...]] | None:
    """For each entry the columns that its tail is kept to, none with a mask; None without either,
    and one sentence where it can't be."""
    if not keep_to.strip() and region is None:
        return None
    if keep_to.strip() and region is not None:
        raise ValueError(
            f"A subject can be kept to the word {keep_to.strip()!r} or to a region, not to both: "
            "clear keep_to, or disconnect region."
        )
    if region is not None and not bool(region.any()):
        raise ValueError(
            f"The region of {region.shape[-1]}×{region.shape[-2]} is empty, so that the subject "
            "would be nowhere: paint where it is to be, or disconnect it."
        )
    found = []
    for (prompt, options), said in zip(conditioning, words, strict=True):
        named = family_named(embedding.details.family)
        likely = families_of_text(prompt, options)[:1] if named is None else (named,)
        family = likely[0] if likely else None
        check_keepable(family)
        tails = tails_in(prompt, options, silent=True)
        columns = written(prompt.shape[1], tails, embedding.details.placement)
        found.append(() if region is not None else columns_of(keep_to, said, columns, clip, family))
    return found


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
