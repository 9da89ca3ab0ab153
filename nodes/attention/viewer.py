"""Attention Map Viewer: where a model looks for each token of a prompt, tail included."""

from __future__ import annotations

import torch
from comfy_api.v0_0_2 import io
from PIL import Image
from torch import Tensor

from ...hiper.attention.maps import AttentionMaps
from ...hiper.attention.tokens import looked_at_first
from ...hiper.figures.images import to_image
from ...hiper.figures.one_by_one import masks_one_by_one, overlays_one_by_one
from ...hiper.figures.shown import ShownMaps
from ...hiper.host.attention.view import Moment
from ...hiper.host.attention.widget import payloads, saved_animation
from ...hiper.host.graph import mismatched, running_node, withheld
from ..types import CATEGORY, AttentionMapsSocket, AttentionRecordingSocket
from ..words import spoken
from .inputs import (
    LAYERS,
    checked_pictures,
    head_input,
    layers_input,
    seed_input,
    timestep_input,
    unnamed,
    with_labels,
)
from .seen import POSITIVE, looked_at, not_connected, recorded, saved

SOFT, BINARY = "soft", "binary"
NEGATIVE = "negative"
LARGEST_FRAME = 768  # pixels a side of an animation, and of the overlays of single tokens
SECONDS_A_FRAME = 0.2


class AttentionViewer(io.ComfyNode):
    """Figure 3 for any finished picture: one model call, no resampling."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerAttentionViewer",
            display_name="Attention Map Viewer",
            category=CATEGORY,
            description="See, token by token, where the model looked: the prompt's words, and the "
            "learned tail beside them. Takes any finished picture and calls the model once; or "
            "shows what Record Cross-Attention saw over a whole sampling run.",
            search_aliases=["attention", "daam", "attention heatmap", "explain", "mask", "hiper"],
            is_output_node=True,
            inputs=[
                io.Model.Input(
                    "model", optional=True, tooltip="The model to look into; LoRAs on it count."
                ),
                io.Conditioning.Input(
                    "conditioning",
                    optional=True,
                    tooltip="The encoded prompt to explain, e.g. from Compose HiPer Conditioning.",
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="The finished picture: the sampler's output, or VAE Encode. With a "
                    "recording, wire the sampler's output, so that it has run before.",
                ),
                io.MultiType.Input(
                    "maps",
                    types=[AttentionRecordingSocket, AttentionMapsSocket],
                    optional=True,
                    tooltip="Show these instead: a recording of a sampling run, or saved maps. "
                    "Model and conditioning are then not needed.",
                ),
                io.Image.Input(
                    "image", optional=True, tooltip="The decoded picture, to lay the maps over."
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="Names the tokens by the prompt's words; without it they are numbers.",
                ),
                timestep_input(),
                io.String.Input(
                    "tokens",
                    default="",
                    tooltip="Whose map becomes mask and overlay: words, numbers, ranges, tail, "
                    "words, padding, separated by commas. Clicking tokens below writes them here. "
                    "Empty: the tail, or without one the words.",
                ),
                io.Combo.Input(
                    "mask",
                    options=[SOFT, BINARY],
                    default=SOFT,
                    tooltip="soft: the map itself, its peak at 1. binary: 1 where it is above the "
                    "threshold.",
                ),
                io.Float.Input(
                    "threshold",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Of a binary mask, as a part of the map's peak.",
                    advanced=True,
                ),
                io.Float.Input(
                    "opacity",
                    default=0.75,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Of the map in the overlay picture.",
                    advanced=True,
                ),
                io.String.Input(
                    "labels",
                    default="",
                    multiline=True,
                    tooltip="The prompt's text, if it can't be found in the graph. For combined "
                    "prompts, one below the other with a line --- between.",
                    advanced=True,
                ),
                layers_input(),
                head_input(),
                seed_input(),
                io.Combo.Input(
                    "side",
                    options=[POSITIVE, NEGATIVE],
                    default=POSITIVE,
                    tooltip="Which conditioning of a recording to show.",
                    advanced=True,
                ),
                io.Boolean.Input(
                    "save_animation",
                    default=False,
                    tooltip="Save a recording's overlay, step by step, as an animated WebP in the "
                    "output folder.",
                    advanced=True,
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="tokens", tooltip="Every token's map on one colour scale."
                ),
                io.Mask.Output(
                    display_name="mask", tooltip="The chosen tokens' map, at the picture's size."
                ),
                io.Image.Output(
                    display_name="overlay", tooltip="The chosen tokens' map over the picture."
                ),
                AttentionMapsSocket.Output(
                    display_name="maps", tooltip="The maps themselves, to save."
                ),
                io.Image.Output(
                    display_name="over time",
                    tooltip="The chosen tokens and the tail, step by step (one step without a "
                    "recording).",
                ),
                io.String.Output(display_name="report", tooltip="What was looked at, in one line."),
                io.Mask.Output(
                    display_name="mask per token",
                    tooltip="A batch: the map of each chosen token; where none is chosen, of each "
                    "word and each token of the tail, 32 at most.",
                ),
                io.Image.Output(
                    display_name="overlay per token",
                    tooltip="The same maps over the picture, each with its own peak.",
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def validate_inputs(cls, input_types: dict[str, str]) -> bool | str:
        """What is not connected is said before anything runs: the sampling may take long."""
        return mismatched(cls.INPUT_TYPES(), input_types) or not_connected(input_types) or True

    @classmethod
    def execute(
        cls,
        timestep: float,
        tokens: str,
        mask: str,
        threshold: float = 0.5,
        opacity: float = 0.75,
        labels: str = "",
        layers: str = "all",
        head: int = 0,
        seed: int = 0,
        side: str = POSITIVE,
        save_animation: bool = False,
        model=None,
        conditioning=None,
        latent=None,
        maps=None,
        image=None,
        clip=None,
    ) -> io.NodeOutput:
        graph, node = cls.hidden.prompt, running_node()
        if maps is None:
            side = POSITIVE
            moment = Moment(timestep / 100.0, seed, head - 1 if head else None)
            found, report = looked_at(model, conditioning, latent, moment)
            said = spoken(graph, node, "conditioning", len(conditioning))
            found = with_labels(found, found.prompts_of(side), clip, labels, said)
        elif isinstance(maps, AttentionMaps):
            found, report = saved(maps)
            found = with_labels(found, found.prompts_of(side), clip, labels, [])
        else:
            found, report = recorded(maps, latent, graph, node, (side, clip, labels))
        roles = [prompt.role for prompt in found.prompts]
        shown = found.prompts_of(side)
        if not any(found.steps_of(prompt) for prompt in shown):
            raise ValueError(
                f"There are no maps of the {side} conditioning, only of "
                f"{' and '.join(dict.fromkeys(roles))}: choose that side, or record both."
            )
        report += unnamed(found, shown, clip, "labels")
        pictures = checked_pictures(image, found)
        shown_maps = ShownMaps(found, shown, LAYERS[layers])

        limit = threshold if mask == BINARY else None
        problem = ""
        try:
            masks, overlays, strip, each = of_choice(shown_maps, tokens, pictures, opacity, limit)
        except ValueError as error:  # a word of an earlier prompt, say: no reason to end the run
            problem = str(error)
            masks, overlays, strip, *each = [withheld(problem)] * 5
            report += f"; {problem}"
        if tokens.strip() and not problem:
            first = shown_maps.picked(tokens)
        else:
            first = looked_at_first([entry.tokens for entry in shown_maps.entries])
        laid_over = pictures if image is not None else None
        ui = {"hiper_maps": payloads(shown_maps, laid_over, cls, first)}
        ui["hiper_maps"][0]["problem"] = problem
        if save_animation and shown_maps.recorded and not problem:
            frames = [fitting(frame) for frame in shown_maps.over_time(tokens, pictures, opacity)]
            length = SECONDS_A_FRAME * len(frames)
            ui |= saved_animation(frames, "hiper/attention", length, cls)
        return io.NodeOutput(
            torch.cat([to_image(page) for page in shown_maps.grids()]),
            masks,
            overlays,
            found,
            strip,
            f"{report}; {shown_maps.layers} layers, {len(shown_maps.entries[0].tokens)} tokens, "
            f"{found.heads}",
            *each,
            ui=ui,
        )


def of_choice(
    shown: ShownMaps,
    tokens: str,
    pictures: list[Image.Image],
    opacity: float,
    limit: float | None,
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Mask, overlay and strip of the chosen tokens, and a mask and an overlay for each of them."""
    size = pictures[0].size[::-1]
    apart = overlays_one_by_one(shown, tokens, pictures, opacity)
    return (
        shown.mask(tokens, size, limit),
        torch.cat([to_image(one) for one in shown.overlays(tokens, pictures, opacity)]),
        to_image(shown.strip(tokens)),
        (
            masks_one_by_one(shown, tokens, size, limit),
            torch.cat([to_image(fitting(one)) for one in apart]),
        ),
    )


def fitting(frame: Image.Image) -> Image.Image:
    """One of many pictures no larger than they need be."""
    frame.thumbnail((LARGEST_FRAME, LARGEST_FRAME))
    return frame
