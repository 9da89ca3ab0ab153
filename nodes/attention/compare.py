"""Compare Cross-Attention: two or three conditionings on the same noise, side by side."""

from __future__ import annotations

import torch
from comfy_api.v0_0_2 import io

from ...hiper.attention.tokens import looked_at_first
from ...hiper.figures.attention import Named
from ...hiper.figures.comparison import comparison
from ...hiper.figures.images import to_image
from ...hiper.figures.page import Heading
from ...hiper.figures.shown import ShownMaps
from ...hiper.host.attention.view import Moment, view
from ...hiper.host.attention.widget import payloads
from ...hiper.host.graph import running_node
from ..latent import checked_latent
from ..types import CATEGORY, AttentionMapsSocket
from ..words import spoken
from .inputs import (
    LAYERS,
    checked_conditioning,
    checked_pictures,
    head_input,
    layers_input,
    seed_input,
    timestep_input,
    with_labels,
)

LETTERS = "abc"
SHORT, EVERYTHING = "words and tail", "all tokens"


class CompareAttention(io.ComfyNode):
    """Figure 3: (a) source, (b) source + tail, (c) target + tail."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        titles = ("source", "source + tail", "target + tail")
        return io.Schema(
            node_id="HiPerCompareAttention",
            display_name="Compare Cross-Attention",
            category=CATEGORY,
            description="The same picture and noise under two or three conditionings, token by "
            "token, with what each changes below: Figure 3 of the paper.",
            search_aliases=["daam", "attention heatmap", "explain", "difference", "hiper"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="The model to look into."),
                io.Latent.Input("latent", tooltip="The finished picture that is looked at."),
                *(
                    io.Conditioning.Input(
                        f"conditioning_{letter}",
                        optional=letter == "c",
                        tooltip=f"({letter}), e.g. the {title}.",
                    )
                    for letter, title in zip(LETTERS, titles, strict=True)
                ),
                io.Image.Input("image", optional=True, tooltip="The picture, for the widget."),
                io.Clip.Input(
                    "clip", optional=True, tooltip="Names the tokens by the prompts' words."
                ),
                *(
                    io.String.Input(
                        f"title_{letter}", default=title, tooltip=f"Written at ({letter})."
                    )
                    for letter, title in zip(LETTERS, titles, strict=True)
                ),
                timestep_input(),
                io.Combo.Input(
                    "show",
                    options=[SHORT, EVERYTHING],
                    default=SHORT,
                    tooltip="Whether the padding gets columns, too.",
                ),
                *(
                    io.String.Input(
                        f"labels_{letter}",
                        default="",
                        tooltip=f"The text of ({letter}), if it can't be found in the graph.",
                        advanced=True,
                    )
                    for letter in LETTERS
                ),
                layers_input(),
                head_input(),
                seed_input(),
            ],
            outputs=[
                io.Image.Output(display_name="comparison", tooltip="All of them in one figure."),
                AttentionMapsSocket.Output(display_name="maps", tooltip="The maps, to save."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def execute(
        cls,
        model,
        latent: dict,
        conditioning_a: list,
        conditioning_b: list,
        timestep: float,
        show: str,
        layers: str = "all",
        head: int = 0,
        seed: int = 0,
        conditioning_c: list | None = None,
        image=None,
        clip=None,
        **words: str,
    ) -> io.NodeOutput:
        checked_latent(latent, model)
        given = {"a": conditioning_a, "b": conditioning_b, "c": conditioning_c}
        given = {letter: value for letter, value in given.items() if value is not None}
        titles = {letter: words.get(f"title_{letter}", "").strip() or letter for letter in given}
        for conditioning in given.values():
            checked_conditioning(conditioning, model)
        moment = Moment(timestep / 100.0, seed, head - 1 if head else None)
        maps = view(model, given, latent, moment)
        shown = []
        for letter in given:
            prompts = [n for n in maps.prompts_of(letter) if maps.prompts[n].number == 1]
            if not prompts:
                raise ValueError(
                    f"({letter}) is not in force at {timestep:g} %: choose a timestep inside its "
                    "range, or take the range off."
                )
            socket = f"conditioning_{letter}"
            found = spoken(cls.hidden.prompt, running_node(), socket, len(given[letter]))
            labels = words.get(f"labels_{letter}", "")
            maps = with_labels(maps, tuple(prompts), clip, labels, found)
            shown += prompts
        maps = maps.titled(titles)
        shown_maps = ShownMaps(maps, tuple(shown), LAYERS[layers])
        heading = Heading("Cross-attention compared", shown_maps.subtitle)
        pages = [
            comparison(
                [
                    Named(entry.title, entry.tokens, mean[picture])
                    for entry, mean in zip(shown_maps.entries, shown_maps.means, strict=True)
                ],
                heading,
                show == EVERYTHING,
            )
            for picture in range(maps.batch)
        ]
        pictures = checked_pictures(image, maps) if image is not None else None
        tokens = [entry.tokens for entry in shown_maps.entries]
        first = looked_at_first(tokens, tail_of_all=True)
        return io.NodeOutput(
            torch.cat([to_image(page) for page in pages]),
            maps,
            ui={"hiper_maps": payloads(shown_maps, pictures, cls, first)},
        )
