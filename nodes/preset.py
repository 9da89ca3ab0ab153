"""HiPer Preset: the settings of Learn and Compose that go together, to keep the subject or to
follow the prompt."""

from __future__ import annotations

from dataclasses import dataclass

from comfy_api.v0_0_2 import io

from ..hiper.learning.sefi import SefiSettings
from .types import CATEGORY, SefiSettingsSocket


@dataclass(frozen=True)
class Preset:
    """N, the most steps, α, and focus by what it is held to."""

    tokens: int
    steps: int
    strength: float
    focus_on_word: float
    focus_in_region: float


# chosen from what was measured on the demo model; the help page says on what each one rests
PRESETS = {
    "subject first": Preset(10, 1000, 1.0, 0.0, 0.003),
    "balanced": Preset(5, 500, 0.8, 0.001, 0.003),
    "prompt first": Preset(3, 200, 0.6, 0.003, 0.003),
}


class HiperPreset(io.ComfyNode):
    """One choice in place of four numbers; each output may be left out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerPreset",
            display_name="HiPer Preset",
            category=CATEGORY,
            description="Keep the subject, or follow the prompt: one choice sets tokens, steps and "
            "sefi of Learn HiPer Embedding and strength of Compose. To set one of them yourself, "
            "disconnect it there and write the value.",
            search_aliases=["hiper", "settings", "defaults", "preset", "prompt first"],
            inputs=[
                io.Combo.Input(
                    "preset",
                    options=list(PRESETS),
                    default="balanced",
                    tooltip="subject first: more tokens at full strength. prompt first: fewer "
                    "tokens, weaker, and learned in the fewest steps. balanced: between the two.",
                ),
                io.String.Input(
                    "word",
                    default="",
                    optional=True,
                    tooltip="The word of the source prompt that stands for the subject, e.g. dog, "
                    "to hold the tail's attention there; subject first leaves it free. Connect "
                    "clip to Learn. Empty: no focus.",
                ),
                io.Mask.Input(
                    "region",
                    optional=True,
                    tooltip="Where the subject is, in the word's place: held so, a tail keeps "
                    "more of its subject and follows the prompt.",
                ),
            ],
            outputs=[
                io.Int.Output(display_name="tokens", tooltip="For Learn HiPer Embedding."),
                io.Int.Output(
                    display_name="steps", tooltip="For Learn; auto_stop may end it before."
                ),
                io.Float.Output(display_name="strength", tooltip="For Compose HiPer Conditioning."),
                SefiSettingsSocket.Output(
                    display_name="sefi", tooltip="For Learn; it holds focus, or nothing."
                ),
            ],
        )

    @classmethod
    def execute(cls, preset: str, word: str = "", region=None) -> io.NodeOutput:
        chosen = PRESETS[preset]
        focus = 0.0
        if region is not None:
            focus = chosen.focus_in_region
        elif word.strip():
            focus = chosen.focus_on_word
        sefi = SefiSettings(focus=focus, word=word, region=region)
        return io.NodeOutput(chosen.tokens, chosen.steps, chosen.strength, sefi)
