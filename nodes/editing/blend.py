"""Blend With Source: sample an edit of the inverted picture, its background kept (NIMA)."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.v0_0_2 import io
from torch import Tensor

from ...hiper.attention.identity import SOURCE_THRESHOLD, IdentitySettings
from ...hiper.editing.inversion import Inversion
from ...hiper.host.editing.replay import Blending, Edit, replaying
from ...hiper.host.masks import on_latents
from ..types import CATEGORY, EditSocket, InversionSocket

BOTH, SOURCE, TARGET, NONE = "source and target", "source", "target", "painted alone"
MASKS = {BOTH: (True, True), SOURCE: (True, False), TARGET: (False, True), NONE: (False, False)}


class BlendWithSource(io.ComfyNode):
    """LIPE's NIMA (eqs. 3 and 4) around any sampler that uses the MODEL it gives out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerBlendWithSource",
            display_name="Blend With Source",
            category=CATEGORY,
            description="Begin sampling where Picture Inversion ended, and keep everything outside "
            "the subject as it was in the picture. Wire the MODEL to a sampler with the same steps "
            "and scheduler; euler_ancestral for ddpm.",
            search_aliases=["hiper", "lipe", "nima", "edit", "inversion", "keep background"],
            inputs=[
                io.Model.Input("model", tooltip="The model that the picture was inverted on."),
                InversionSocket.Input("inversion", tooltip="From Picture Inversion."),
                io.Combo.Input(
                    "masks",
                    options=list(MASKS),
                    default=BOTH,
                    tooltip="Where the picture may change: where the subject was, where it is "
                    "being drawn, or both (paper), beside what is painted; or there alone.",
                ),
                io.Float.Input(
                    "threshold",
                    default=IdentitySettings.threshold,
                    min=0.01,
                    max=0.99,
                    step=0.01,
                    tooltip="From which share of its map's height a place is the subject that is "
                    "being drawn: lower lets more of the picture change.",
                ),
                io.Float.Input(
                    "self_attention",
                    default=IdentitySettings.power,
                    min=0.0,
                    max=4.0,
                    step=0.05,
                    tooltip="λ of the mask that follows the new subject; the old one's is "
                    "Picture Inversion's.",
                    optional=True,
                    advanced=True,
                ),
                io.Int.Input(
                    "grow_source",
                    default=Blending.grow_source,
                    min=0,
                    max=32,
                    tooltip="Cells of the latent that the old subject's mask is grown by, so that "
                    "no outline of it stays.",
                    optional=True,
                    advanced=True,
                ),
                io.Int.Input(
                    "grow_target",
                    default=Blending.grow_target,
                    min=0,
                    max=32,
                    tooltip="Cells that the new subject's mask is grown by, so that nothing of it "
                    "is cut off.",
                    optional=True,
                    advanced=True,
                ),
                io.Float.Input(
                    "source_threshold",
                    default=SOURCE_THRESHOLD,
                    min=0.01,
                    max=0.99,
                    step=0.01,
                    tooltip="The same of the mask where the subject was.",
                    optional=True,
                    advanced=True,
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Painted: the picture may change here, too. The latent's own noise "
                    "mask, if it has one, is where it may change at most.",
                ),
            ],
            outputs=[
                io.Model.Output(
                    display_name="model", tooltip="For a sampler with the inversion's schedule."
                ),
                EditSocket.Output(display_name="edit", tooltip="For Edit Masks."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model,
        inversion: Inversion,
        masks: str,
        threshold: float,
        self_attention: float = IdentitySettings.power,
        grow_source: int = Blending.grow_source,
        grow_target: int = Blending.grow_target,
        source_threshold: float = SOURCE_THRESHOLD,
        mask=None,
    ) -> io.NodeOutput:
        settings = IdentitySettings(self_attention, threshold)
        how = Blending(settings, source_threshold, *MASKS[masks], grow_source, grow_target)
        blending = painted(inversion, how, mask)
        edit = Edit()
        return io.NodeOutput(replaying(model, inversion, blending, edit), edit)


def painted(inversion: Inversion, how: Blending, mask: Tensor | None) -> Blending:
    """The same with what a person painted, or one sentence on masks that are not there."""
    if how.from_source and inversion.seen is None:
        raise ValueError(
            "The inversion does not know where its subject is: put Identity Word or Compose behind "
            "the source prompt, or choose other masks."
        )
    if mask is None:
        if not (how.from_source or how.from_target):
            raise ValueError(
                f"masks is {NONE!r}, but nothing is painted: connect mask, or choose other masks."
            )
        return how
    cells = on_latents(mask, inversion.source)[:, 0]
    return replace(how, painted=cells.reshape(len(cells), *cells.shape[-2:]))
