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
from ...hiper.host.tokenizer import read_tokens
from ...hiper.prompts.families import APPEND, Family, family_of_model
from ...hiper.prompts.placement import check_conditioning

LAYERS = {"all": None, "latent size": 1, "1/2": 2, "1/4": 4, "1/8": 8}
LABELS_APART = "---"  # a line of its own between the prompts of a combined conditioning


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
    maps: AttentionMaps, prompts: tuple[int, ...], clip: Any, text: str, found: str | None
) -> AttentionMaps:
    """The maps with words for tokens, from the text given, else the one found in the graph."""
    given = text.strip()
    if clip is None:
        if given:
            raise ValueError(
                "There is a prompt for the labels but no CLIP to cut it into tokens: connect the "
                "CLIP that the conditioning was encoded with, or clear labels."
            )
        return maps
    texts = [part.strip() for part in f"\n{given}\n".split(f"\n{LABELS_APART}\n")]
    if not given:
        if found is None:
            return maps
        texts = [found]
    family = family_of_model([maps.model])
    for place, prompt in enumerate(prompts):
        text = texts[min(place, len(texts) - 1)]
        try:
            words = read_tokens(clip, text, written(maps.prompts[prompt], family), family)
        except ValueError:
            if given:
                raise
            continue
        maps = labelled(maps, prompt, words)
    return maps


def written(prompt: Prompt, family: Family | None) -> int:
    """How many of a prompt's columns its text encoder gave; an appended tail comes behind them."""
    appended = family is not None and family.placement == APPEND
    return prompt.length - (sum(mark.tokens for mark in prompt.tails) if appended else 0)
