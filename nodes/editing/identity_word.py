"""Identity Word: which of a prompt's words the subject is."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from ...hiper.host.editing.identity import marked
from ...hiper.host.graph import running_node
from ...hiper.prompts.families import families_of_text
from ...hiper.prompts.placement import check_conditioning, written
from ...hiper.prompts.tails import tails_in
from ..subject_word import columns_of
from ..types import CATEGORY
from ..words import spoken


class IdentityWord(io.ComfyNode):
    """Says which columns of a conditioning LIPE's masks (eq. 1) are read from."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerIdentityWord",
            display_name="Identity Word",
            category=CATEGORY,
            description="Say which word of a prompt is the subject, so that Picture Inversion and "
            "Blend With Source find it in the picture. Nothing that is drawn changes.",
            search_aliases=["hiper", "lipe", "mask", "identity", "attention mask"],
            inputs=[
                io.Conditioning.Input(
                    "conditioning",
                    tooltip="The prompt, from CLIP Text Encode or from Compose HiPer Conditioning, "
                    "whose tail counts as the subject, too.",
                ),
                io.String.Input(
                    "word",
                    default="",
                    tooltip="The word of the prompt that is the subject, e.g. dog; several with "
                    "spaces between.",
                ),
                io.Clip.Input("clip", tooltip="The CLIP that the prompt was encoded with."),
                io.String.Input(
                    "text",
                    optional=True,
                    default="",
                    tooltip="The prompt's text, if it can't be found in the graph. For combined "
                    "prompts, one after the other with --- between.",
                    advanced=True,
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="conditioning", tooltip="The same prompt, its subject marked."
                )
            ],
            hidden=[io.Hidden.prompt],
        )

    @classmethod
    def execute(cls, conditioning: list, word: str, clip, text: str = "") -> io.NodeOutput:
        check_conditioning(conditioning)
        if not word.strip():
            raise ValueError("word is empty: write the word of the prompt that is the subject.")
        graph = cls.hidden.prompt
        said = spoken(graph, running_node(), "conditioning", len(conditioning), text)
        return io.NodeOutput(with_identity(conditioning, word, said, clip))


def with_identity(conditioning: list, word: str, said: list, clip) -> list:
    """Each entry with the columns where the word stands in it."""
    columns = []
    for (prompt, options), own in zip(conditioning, said, strict=True):
        likely = families_of_text(prompt, options)[:1]
        family = likely[0] if likely else None
        tails = tails_in(prompt, options, silent=True)
        there = written(prompt.shape[1], tails, family and family.placement)
        columns.append(columns_of(word, own, there, clip, family))
    return marked(conditioning, columns)
