"""Picture Inversion: a given picture's way back into noise."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from ...hiper.attention.identity import SOURCE_THRESHOLD, IdentitySettings, mask_of
from ...hiper.editing.inversion import DDPM, METHODS, Inversion
from ...hiper.host.editing.identity import has_identity
from ...hiper.host.editing.inverting import (
    REPLAYED_BY,
    SCHEDULERS,
    Prompting,
    invert,
    reconstruction_error,
    replayed,
    sigmas_of,
)
from ...hiper.host.families import why_unseen
from ...hiper.prompts.placement import check_conditioning
from ..latent import checked_latent
from ..types import CATEGORY, InversionSocket


class InvertPicture(io.ComfyNode):
    """LIPE's inversion of the test picture under its source prompt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerInvertPicture",
            display_name="Picture Inversion",
            category=CATEGORY,
            description="Find the noise that a given picture could have been drawn from, and where "
            "its subject is. Blend With Source then edits this very picture; steps and scheduler "
            "must be the sampler's.",
            search_aliases=["hiper", "lipe", "inversion", "ddim inversion", "edit", "unsampler"],
            inputs=[
                io.Model.Input("model", tooltip="The model that will sample the edit."),
                io.Conditioning.Input(
                    "conditioning",
                    tooltip="The source prompt, which says what the picture shows, with Identity "
                    "Word or a HiPer tail behind it.",
                ),
                io.Latent.Input("latent", tooltip="The picture, from VAE Encode."),
                io.Int.Input(
                    "steps", default=25, min=1, max=10000, tooltip="As many as the sampler takes."
                ),
                io.Combo.Input(
                    "scheduler",
                    options=list(SCHEDULERS),
                    default="normal",
                    tooltip="The sampler's scheduler.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default=DDPM,
                    tooltip="ddpm: each step with a noise of its own, exact, sampled with "
                    "euler_ancestral. deterministic: without noise, not exact, for euler, ddim and "
                    "the like.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="The noises of ddpm.",
                ),
                io.Float.Input(
                    "self_attention",
                    default=IdentitySettings.power,
                    min=0.0,
                    max=4.0,
                    step=0.05,
                    tooltip="λ: how far the subject's map spreads to what belongs together in the "
                    "picture; 0 leaves it to the words alone.",
                    optional=True,
                    advanced=True,
                ),
                io.Float.Input(
                    "threshold",
                    default=SOURCE_THRESHOLD,
                    min=0.01,
                    max=0.99,
                    step=0.01,
                    tooltip="From which share of its map's height a place is the subject, in the "
                    "mask that is given out.",
                    optional=True,
                    advanced=True,
                ),
                io.Float.Input(
                    "cfg",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="Guidance of the source prompt. 1 needs half the time.",
                    optional=True,
                    advanced=True,
                ),
                io.Int.Input(
                    "refinements",
                    default=0,
                    min=0,
                    max=20,
                    tooltip="deterministic: how often each step is asked again, for less error and "
                    "as much more time.",
                    optional=True,
                    advanced=True,
                ),
                io.Boolean.Input(
                    "check",
                    default=True,
                    tooltip="Sample the picture back, and say how far off it is.",
                    optional=True,
                    advanced=True,
                ),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    tooltip="The negative prompt, where cfg is not 1.",
                ),
                io.Sigmas.Input(
                    "sigmas",
                    optional=True,
                    tooltip="In place of steps and scheduler: the sampler's own, whole.",
                ),
            ],
            outputs=[
                InversionSocket.Output(display_name="inversion", tooltip="For Blend With Source."),
                io.Sigmas.Output(
                    display_name="sigmas", tooltip="The schedule, for SamplerCustomAdvanced."
                ),
                io.Mask.Output(
                    display_name="mask",
                    tooltip="Where the subject is in the picture; nowhere if no word and no tail "
                    "says what it is.",
                ),
                io.String.Output(
                    display_name="report", tooltip="How far off the replay is, and its size."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model,
        conditioning: list,
        latent: dict,
        steps: int,
        scheduler: str,
        method: str,
        seed: int,
        self_attention: float = IdentitySettings.power,
        threshold: float = SOURCE_THRESHOLD,
        cfg: float = 1.0,
        refinements: int = 0,
        check: bool = True,
        negative: list | None = None,
        sigmas=None,
    ) -> io.NodeOutput:
        check_conditioning(conditioning)
        settings = IdentitySettings(self_attention, threshold)
        if cfg != 1.0 and negative is None:
            raise ValueError(
                f"cfg is {cfg:g}, which needs a negative prompt: connect negative, or choose 1."
            )
        samples = checked_latent(latent, model, learned=True)
        prompting = Prompting(conditioning, negative or conditioning, cfg)
        if sigmas is None:
            sigmas = sigmas_of(model, scheduler, steps)
        inversion = invert(
            model, prompting, samples, sigmas, method, seed, refinements, settings.power
        )
        told = report(inversion, settings.threshold)
        if inversion.seen is None and has_identity(conditioning):
            told = f"{told.split(';')[0]}; {why_unseen(model)}"
        if check:
            error = reconstruction_error(inversion, replayed(model, prompting, inversion))
            by = REPLAYED_BY.get(method, "euler")
            told = f"{by} draws it again with a mean error of {error:.2g} in latents; {told}"
        mask = source_mask(inversion, settings.threshold)
        return io.NodeOutput(inversion, inversion.sigmas, mask, told)


def source_mask(inversion: Inversion, threshold: float):
    """M^s, as a mask for other nodes `(B, H, W)`."""
    size = tuple(inversion.source.shape[-2:])
    if inversion.seen is None:
        return inversion.source.new_zeros(len(inversion.source), *size)
    return mask_of(inversion.seen, size, threshold)


def report(inversion: Inversion, threshold: float) -> str:
    """What was inverted, in one line."""
    held = f"{inversion.bytes / 2**20:.1f} MB kept for {inversion.steps} steps"
    if inversion.seen is None:
        return f"{held}; no word and no tail says what the subject is, so there is no mask"
    share = float(source_mask(inversion, threshold).mean())
    return f"{held}; the subject takes {100 * share:.0f} % of the picture"
