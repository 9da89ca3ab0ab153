"""What the viewing nodes ask in the same words, and the checks that they share."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.v0_0_2 import io
from PIL import Image

from ...hiper.attention.maps import AttentionMaps, Prompt
from ...hiper.attention.tokens import labelled
from ...hiper.figures.images import to_pictures
from ...hiper.figures.shown import same_shape
from ...hiper.host.families import check_width
from ...hiper.host.tokenizer import read_parts
from ...hiper.prompts.families import family_of_model
from ...hiper.prompts.placement import check_conditioning, written
from ..words import Spoken, given_texts

LAYERS = {"all": None, "latent size": 1, "1/2": 2, "1/4": 4, "1/8": 8}


def layers_input() -> io.Combo.Input:
    return io.Combo.Input(
        "layers",
        options=list(LAYERS),
        default="all",
        tooltip="Which layers are averaged: all, or those whose maps are this part of the latent's "
        "size. Coarse ones show where things are, fine ones edges.",
        advanced=True,
    )


def head_input() -> io.Int.Input:
    return io.Int.Input(
        "head",
        default=0,
        min=0,
        max=64,
        tooltip="One attention head alone, from 1; 0 is the mean of all.",
        advanced=True,
    )


def timestep_input() -> io.Float.Input:
    return io.Float.Input(
        "timestep",
        display_name="timestep %",
        default=100.0,
        min=0.0,
        max=100.0,
        step=1.0,
        tooltip="Where in the sampling to look: 0 is pure noise, 100 the last timestep, where the "
        "picture is done (as in the paper's Figure 3).",
        advanced=True,
    )


def seed_input() -> io.Int.Input:
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=0xFFFFFFFFFFFFFFFF,
        # left out, the editor would draw a new seed after each run, as for every `seed`
        control_after_generate=False,
        tooltip="Of the noise that the picture is brought back to that timestep with.",
        advanced=True,
    )


def checked_conditioning(conditioning: list, model: Any) -> None:
    """There is text, and of the width that the model reads."""
    check_conditioning(conditioning)
    check_width(model, conditioning)


def checked_pictures(image: torch.Tensor | None, maps: AttentionMaps) -> list[Image.Image]:
    """The pictures to lay maps over, or grey ones of the latent's size where none is given."""
    height, width = maps.picture_size
    if image is None:
        return [Image.new("RGB", (width, height), "#22262e")]
    size = tuple(image.shape[1:3])
    if not same_shape(size, maps.latent_size):
        raise ValueError(
            f"The image is {size[1]}×{size[0]}, but the latent stands for {width}×{height}, which "
            "has another shape: connect the picture that was decoded from this latent."
        )
    return to_pictures(image)


def with_labels(
    maps: AttentionMaps, prompts: tuple[int, ...], clip: Any, text: str, found: list[Spoken]
) -> AttentionMaps:
    """The maps with words for tokens, from the text given, else those found in the graph."""
    given = text.strip()
    if clip is None:
        if given:
            raise ValueError(
                "There is a prompt for the labels but no CLIP to cut it into tokens: connect the "
                "CLIP that the conditioning was encoded with, or clear labels."
            )
        return maps
    family = family_of_model([maps.model])
    for prompt in prompts:
        said = said_by(maps.prompts[prompt], given, found)
        if not said.known:
            continue
        try:
            own, placement = maps.prompts[prompt], family and family.placement
            columns = written(own.length, own.tails, placement)
            words = read_parts(clip, said.texts, columns, family)
        except ValueError:
            if given:
                raise
            continue
        maps = labelled(maps, prompt, words)
    return maps


def said_by(prompt: Prompt, given: str, found: list[Spoken]) -> Spoken:
    """An entry's words; where an area makes ComfyUI add entries of its own, only if all agree."""
    place = prompt.number - 1
    if given:
        texts = given_texts(given)
        return Spoken(((texts[min(place, len(texts) - 1)],),))
    if place < len(found):
        return found[place]
    return found[0] if len(set(found)) == 1 else Spoken()


def unnamed(maps: AttentionMaps, prompts: tuple[int, ...], clip: Any, labels: str) -> str:
    """What to say where tokens are numbers though a CLIP is there to name them."""
    if clip is None or all(maps.prompts[prompt].words for prompt in prompts):
        return ""
    return f"; the prompt's words are not known here: write them into {labels}"
