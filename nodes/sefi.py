"""SeFi-IDE Settings: learn a subject in its own region, by stages, keys and values apart."""

from __future__ import annotations

from typing import Any

from comfy_api.v0_0_2 import io

from ..hiper.learning.focus import LAYERS, REDUCTIONS, Focus
from ..hiper.learning.sefi import MOST_STAGES, SefiSettings
from ..hiper.learning.terms import EQUATION_4, Weighted
from ..hiper.prompts.families import APPEND, Family
from .subject_word import columns_of
from .types import CATEGORY, SefiSettingsSocket
from .words import Spoken

DEFAULT_FOCUS = 3e-3  # chosen on other animals than those that are reported


class SefiIdeSettings(io.ComfyNode):
    """What SeFi-IDE learns otherwise than HiPer does, each part for itself."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerSefiSettings",
            display_name="SeFi-IDE Settings",
            category=CATEGORY,
            description="For Learn HiPer Embedding: hold the tail's attention to the subject, and "
            "learn vectors of their own for parts of the sampling, for keys and for values. As in "
            'SeFi-IDE ("Beyond Inserting").',
            search_aliases=["hiper", "sefi", "beyond inserting", "attention loss", "stages"],
            inputs=[
                io.Float.Input(
                    "focus",
                    default=DEFAULT_FOCUS,
                    min=0.0,
                    max=100.0,
                    step=1e-4,
                    round=1e-6,
                    tooltip="λ: how much it counts that the tail looks where its subject is, "
                    "beside the loss. 0 leaves it free. The paper's is 0.003, of its reduction.",
                ),
                io.String.Input(
                    "word",
                    default="",
                    tooltip="The word of the source prompt that stands for the subject, e.g. dog: "
                    "the tail is to look where that word looks. Connect clip to Learn. Leave it "
                    "empty to use a region.",
                ),
                io.Int.Input(
                    "stages",
                    default=1,
                    min=1,
                    max=MOST_STAGES,
                    tooltip="Equal parts of the sampling, each with vectors of its own (paper: 5). "
                    "Each learns from its share of the steps alone.",
                ),
                io.Boolean.Input(
                    "keys_and_values",
                    default=False,
                    tooltip="Learn vectors for keys, which say where the tail looks, and others "
                    "for values, which say what it brings (paper: on). SD 1.x, SD 2.x and SDXL.",
                ),
                io.Combo.Input(
                    "layers",
                    options=list(LAYERS),
                    default="all",
                    tooltip="Which layers' maps focus compares.",
                    advanced=True,
                ),
                io.Combo.Input(
                    "reduction",
                    options=list(REDUCTIONS),
                    default="relative",
                    tooltip="relative: each map by its own mean, then the mean over places, tokens "
                    "and layers, so that one focus means the same on every model. paper: squared "
                    "differences of the maps as they stand, summed over places.",
                    advanced=True,
                ),
                io.Mask.Input(
                    "region",
                    optional=True,
                    tooltip="Where the subject is, in the word's place: the tail is to look there "
                    "and nowhere else. Unlike Learn's mask, the rest of the picture still counts.",
                ),
            ],
            outputs=[
                SefiSettingsSocket.Output(
                    display_name="sefi", tooltip="For Learn HiPer Embedding's sefi."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        focus: float,
        word: str,
        stages: int,
        keys_and_values: bool,
        layers: str = "all",
        reduction: str = "relative",
        region=None,
    ) -> io.NodeOutput:
        return io.NodeOutput(
            SefiSettings(stages, keys_and_values, focus, word, region, layers, reduction)
        )


def terms_of(
    sefi: SefiSettings,
    tokens: int,
    conditioning: list,
    said: list[Spoken],
    clip: Any,
    family: Family | None,
    placement: str,
) -> tuple[Weighted, ...]:
    """The loss's terms for the source prompts, with the attention loss where it counts."""
    if not sefi.focus:
        return EQUATION_4
    columns: tuple[int, ...] = ()
    if sefi.region is None:
        behind, places = tokens if placement == APPEND else 0, set()
        for (prompt, _), own in zip(conditioning, said, strict=True):
            length = prompt.shape[1]
            found = columns_of(sefi.word, own, list(range(length)), clip, family)
            places.add(tuple(column - length - behind for column in found))
        if len(places) > 1:
            raise ValueError(
                f"The word {sefi.word.strip()!r} stands at another place in each of the prompts, "
                "so that the tail's attention can't be held to it: word them alike, or connect the "
                "subject's region."
            )
        (columns,) = places
        if placement != APPEND and max(columns) >= -tokens:
            raise ValueError(
                f"The word {sefi.word.strip()!r} stands among the last {tokens} tokens, which the "
                "tail takes: use fewer tokens or a shorter prompt."
            )
    focus = Focus(tokens, columns, sefi.region is not None, sefi.layers, sefi.reduction)
    return (*EQUATION_4, Weighted(focus, sefi.focus))
