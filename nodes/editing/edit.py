"""Edit Picture: one picture, the same subject and background, doing something else."""

from __future__ import annotations

import time

from comfy_api.v0_0_2 import io
from torch import Tensor

from ...hiper.attention.identity import SOURCE_THRESHOLD, IdentitySettings
from ...hiper.editing.inversion import DDPM, METHODS, fitted
from ...hiper.embedding import HiperEmbedding
from ...hiper.host.editing.identity import check_identity
from ...hiper.host.editing.inverting import (
    SAMPLERS,
    SCHEDULERS,
    Prompting,
    following,
    invert,
    sampled,
    sampler_named,
    sigmas_of,
)
from ...hiper.host.editing.replay import Blending, Edit, replaying
from ...hiper.host.graph import running_node
from ...hiper.prompts.families import REPLACE
from ...hiper.prompts.placement import check_conditioning
from ..compose import composed
from ..latent import checked_latent
from ..strength import strength_input
from ..types import CATEGORY, HiperEmbeddingSocket
from ..words import Spoken, spoken
from .blend import BOTH, MASKS, painted
from .identity_word import with_identity


class EditPicture(io.ComfyNode):
    """LIPE's second half (algorithm 1) in one node; each step of it is a node, too."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerEditPicture",
            display_name="Edit Picture",
            category=CATEGORY,
            description="Change what the subject of a picture does, and keep the subject and the "
            "background. The source prompt says what the picture shows, the target prompt what it "
            "shall show.",
            search_aliases=["hiper", "lipe", "edit", "pose", "image editing", "inversion"],
            inputs=[
                io.Model.Input("model", tooltip="The model to edit with."),
                io.Conditioning.Input(
                    "source", tooltip="What the picture shows: 'a sitting dog in the garden'."
                ),
                io.Conditioning.Input(
                    "target", tooltip="What it shall show: 'a sleeping dog in the garden'."
                ),
                io.Conditioning.Input("negative", tooltip="What it shall not show."),
                io.Latent.Input("latent", tooltip="The picture, from VAE Encode."),
                io.String.Input(
                    "word",
                    default="",
                    tooltip="The word of both prompts that is the subject, e.g. dog. Connect clip. "
                    "Empty where Identity Word or a tail says it already.",
                ),
                io.Int.Input("steps", default=25, min=1, max=10000, tooltip="Sampling steps."),
                io.Float.Input(
                    "cfg",
                    default=7.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    round=0.01,
                    tooltip="Guidance of the target prompt, as in KSampler.",
                ),
                io.Combo.Input(
                    "sampler_name",
                    options=list(SAMPLERS),
                    default="euler_ancestral",
                    tooltip="euler_ancestral goes exactly along the inversion of ddpm, and keeps "
                    "the subject best.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=list(SCHEDULERS),
                    default="normal",
                    tooltip="As in KSampler.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="The noise: another seed is another edit.",
                ),
                strength_input("Of the embedding, as in Compose: -1 is its own."),
                io.Combo.Input(
                    "masks",
                    options=list(MASKS),
                    default=BOTH,
                    tooltip="Where the picture may change; as in Blend With Source.",
                    optional=True,
                    advanced=True,
                ),
                io.Float.Input(
                    "threshold",
                    default=IdentitySettings.threshold,
                    min=0.01,
                    max=0.99,
                    step=0.01,
                    tooltip="From which share of its map's height a place is the subject that is "
                    "being drawn: lower lets more of the picture change.",
                    optional=True,
                    advanced=True,
                ),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default=DDPM,
                    tooltip="How the picture is inverted; as in Picture Inversion.",
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
                io.Clip.Input("clip", optional=True, tooltip="To find word in the prompts."),
                HiperEmbeddingSocket.Input(
                    "embedding",
                    optional=True,
                    tooltip="The subject, learned: it goes behind both prompts and keeps who it "
                    "is. Without one, the picture's noise alone does.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Painted: the picture may change here, too. The latent's own noise "
                    "mask is where it may change at most.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="The edited picture."),
                io.Mask.Output(display_name="mask", tooltip="Where it could change."),
                io.String.Output(display_name="report", tooltip="How it went, in one line."),
            ],
            hidden=[io.Hidden.prompt],
        )

    @classmethod
    def execute(
        cls,
        model,
        source: list,
        target: list,
        negative: list,
        latent: dict,
        word: str,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        seed: int,
        strength: float,
        masks: str = BOTH,
        threshold: float = IdentitySettings.threshold,
        method: str = DDPM,
        source_threshold: float = SOURCE_THRESHOLD,
        clip=None,
        embedding: HiperEmbedding | None = None,
        mask=None,
    ) -> io.NodeOutput:
        check_conditioning(source)
        check_conditioning(target)
        settings = IdentitySettings(threshold=threshold)
        samples = checked_latent(latent, model, learned=True)
        both = []
        for name, prompt in (("source", source), ("target", target)):
            said = spoken(cls.hidden.prompt, running_node(), name, len(prompt))
            if embedding is not None:
                check_counted(embedding, said, clip, name)
                prompt = composed(prompt, embedding, strength, said, clip)
            if word.strip():
                check_spoken(word, said, name)
                prompt = with_identity(prompt, word, said, clip)
            if MASKS[masks][len(both)]:
                check_identity(model, prompt, name)
            both.append(prompt)
        began = time.perf_counter()
        sigmas = sigmas_of(model, scheduler, steps)
        inversion = invert(
            model,
            Prompting(both[0], negative),
            samples,
            sigmas,
            method,
            seed,
            power=settings.power,
            callback=following(model, len(sigmas) - 1),
        )
        inverted = time.perf_counter()
        how = Blending(settings, source_threshold, *MASKS[masks])
        blending = painted(inversion, how, mask)
        edit = Edit()
        edited = sampled(
            replaying(model, inversion, blending, edit),
            Prompting(both[1], negative, cfg),
            inversion,
            sampler_named(sampler_name),
            seed,
            following(model, len(sigmas) - 1),
            latent.get("noise_mask"),
        )
        free = edit.steps[-1].union
        seconds = inverted - began, time.perf_counter() - inverted
        out = {key: value for key, value in latent.items() if key != "noise_mask"}
        out["samples"] = edited
        return io.NodeOutput(out, free, report(samples, edited, free, seconds))


def check_spoken(word: str, said: list[Spoken], whose: str) -> None:
    """One sentence on a prompt whose words the graph doesn't say."""
    if not all(own.known for own in said):
        raise ValueError(
            f"The word {word.strip()!r} is to be found in the {whose} prompt, but its words can't "
            "be found in the graph: put Identity Word behind it, write the prompt into its text, "
            "and do so with both prompts; then clear word here."
        )


def check_counted(embedding: HiperEmbedding, said: list[Spoken], clip, whose: str) -> None:
    """One sentence where it can't be told whether the tail cuts words: this node has no text."""
    counted = clip is None or all(own.last for own in said)
    if embedding.details.placement == REPLACE and not counted:
        raise ValueError(
            f"The words of the {whose} prompt can't be found in the graph, so that it can't be "
            f"counted whether {embedding.tokens} tokens cut some of them: put Compose behind both "
            "prompts, write each into its text, and take the embedding off here."
        )


def report(source: Tensor, edited: Tensor, free: Tensor, seconds: tuple[float, float]) -> str:
    """How long it took, and how much of the picture is the source's."""
    same = (edited.cpu() == fitted(source.cpu(), edited)).flatten(1).float().mean()
    return (
        f"inverted in {seconds[0]:.0f} s, edited in {seconds[1]:.0f} s; "
        f"{100 * float(free.mean()):.0f} % of the picture could change, "
        f"{100 * float(same):.0f} % is the source's to the bit"
    )
