"""Learn HiPer Embedding: from one picture and one prompt to a tail."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.v0_0_2 import io, ui

from ..hiper.embedding import HiperEmbedding
from ..hiper.figures.images import to_image
from ..hiper.figures.loss_curve import loss_curve
from ..hiper.host.families import check_learnable, check_width, family_of
from ..hiper.host.graph import running_node
from ..hiper.host.learning import HostSettings, learn_on_host
from ..hiper.host.masks import on_latents, where_it_counts
from ..hiper.host.model.denoiser import PRECISIONS
from ..hiper.learning.loop import LearningSettings
from ..hiper.learning.recipe import RECIPES
from ..hiper.learning.sefi import SefiSettings
from ..hiper.learning.stopping import StopRule
from ..hiper.prompts.families import REPLACE, last_encoder
from ..hiper.prompts.placement import placement_of
from .last_layer import last_layer
from .latent import checked_latent
from .report import in_short, report
from .sefi import terms_of
from .source import source_prompts
from .types import CATEGORY, HiperEmbeddingSocket, SefiSettingsSocket
from .words import check_room, spoken

CALLED = (
    "hiper, train embedding, personalize, textual inversion, dreambooth, subject, character, face, "
    "token, identity, train"
)


class LearnHiperEmbedding(io.ComfyNode):
    """Equation 4 on ComfyUI's own model, with everything but the tail frozen."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerLearnEmbedding",
            display_name="Learn HiPer Embedding",
            category=CATEGORY,
            description="Learn the subject of one picture as the last few token vectors of its "
            "prompt. The model stays as it is; the result is a 15 KB embedding for Compose HiPer "
            "Conditioning.",
            search_aliases=CALLED.split(", "),
            inputs=[
                io.Model.Input("model", tooltip="The model to learn on; LoRAs on it count."),
                io.Conditioning.Input(
                    "conditioning",
                    tooltip="The encoded source prompt: one sentence that says what the picture "
                    "shows, e.g. 'a standing dog'. What it doesn't say, the tail learns. For "
                    "several pictures one for all, or one each, combined in their order.",
                ),
                io.Latent.Input(
                    "latent",
                    tooltip="The picture, from VAE Encode. A batch is several pictures of the "
                    "same subject; each sample draws one.",
                ),
                io.Int.Input(
                    "tokens",
                    default=5,
                    min=1,
                    max=512,
                    tooltip="N of the paper (5): how many token vectors are learned. More keep "
                    "more of the picture and follow later prompts less.",
                ),
                io.Int.Input(
                    "steps",
                    default=1000,
                    min=1,
                    max=100000,
                    tooltip="Steps of Adam (paper: 1,000).",
                ),
                io.Float.Input(
                    "learning_rate",
                    default=5e-3,
                    min=1e-6,
                    max=1.0,
                    step=1e-4,
                    round=1e-6,
                    tooltip="Adam's learning rate (paper: 0.005, on CLIP, whose vectors are about "
                    "1 a coordinate; fast scales it to the vectors it changes).",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="Which timesteps and noise are drawn. The same seed learns the same "
                    "tail.",
                ),
                io.Int.Input(
                    "batch_size",
                    default=1,
                    min=1,
                    max=64,
                    tooltip="Samples a step (paper: 1). More is smoother and costs as much more.",
                    advanced=True,
                ),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    default="auto",
                    tooltip="What the model computes in; auto is what it samples in. The tail is "
                    "always fp32.",
                    advanced=True,
                ),
                io.Combo.Input(
                    "gradient_checkpointing",
                    options=["auto", "on", "off"],
                    default="auto",
                    tooltip="Less memory for about a third more time. auto turns it on only when "
                    "the step would not fit.",
                    advanced=True,
                ),
                io.Int.Input(
                    "preview_every",
                    default=50,
                    min=0,
                    max=10000,
                    tooltip="Show what the tail has learned every so many steps; 0 never. Uses "
                    "ComfyUI's live preview setting.",
                    advanced=True,
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="Optional: counts the prompt's tokens exactly, so that the tail never "
                    "cuts a word of it.",
                ),
                io.Combo.Input(
                    "recipe",
                    options=list(RECIPES),
                    default="fast",
                    tooltip="paper: Adam at the given learning rate, every sample by chance, the "
                    "last tail. fast: 60 times the learning rate at first and falling, relative to "
                    "the size of the text encoder's vectors, timesteps spread evenly, no vector "
                    "longer than the one it replaces, and the mean of the late tails; on the demo "
                    "model, where it was measured, it gets further in fewer steps.",
                    advanced=True,
                    optional=True,
                ),
                io.Boolean.Input(
                    "auto_stop",
                    default=True,
                    tooltip="Stop before all steps are taken when a loss on fixed timesteps and "
                    "noise, taken every 50 steps, gains no more.",
                    advanced=True,
                    optional=True,
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Where the subject is: the rest of the picture is not learned. The "
                    "latent's own noise mask counts as well.",
                ),
                HiperEmbeddingSocket.Input(
                    "embedding",
                    optional=True,
                    tooltip="An embedding to go on from, such as what a cancelled run left; its "
                    "own number of tokens counts.",
                ),
                io.String.Input(
                    "text",
                    optional=True,
                    default="",
                    tooltip="The prompt's text, if it can't be found in the graph: it is counted, "
                    "so that the tail never cuts a word of it, and kept with the embedding.",
                    advanced=True,
                ),
                SefiSettingsSocket.Input(
                    "sefi",
                    optional=True,
                    tooltip="From SeFi-IDE Settings: hold the tail's attention to the subject, and "
                    "learn parts of the sampling, keys and values apart.",
                ),
            ],
            outputs=[
                HiperEmbeddingSocket.Output(
                    display_name="embedding", tooltip="The learned tail: save it, or compose it."
                ),
                io.Image.Output(
                    display_name="loss",
                    tooltip="The loss on fixed timesteps and noise, before that of each step.",
                ),
                io.String.Output(display_name="report", tooltip="How it went, in one line."),
            ],
            hidden=[io.Hidden.prompt],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        model,
        conditioning: list,
        latent: dict,
        tokens: int,
        steps: int,
        learning_rate: float,
        seed: int,
        batch_size: int = 1,
        precision: str = "auto",
        gradient_checkpointing: str = "auto",
        preview_every: int = 50,
        clip=None,
        recipe: str = "fast",
        auto_stop: bool = True,
        mask=None,
        embedding: HiperEmbedding | None = None,
        text: str = "",
        sefi: SefiSettings | None = None,
    ) -> io.NodeOutput:
        sefi = sefi or SefiSettings()
        if sefi.stages > steps:
            raise ValueError(
                f"There are {sefi.stages} stages, but only {steps} steps to learn them in: choose "
                "more steps, or fewer stages."
            )
        check_learnable(model)
        samples = checked_latent(latent, model, learned=True)
        conditioning = source_prompts(conditioning, len(samples))
        check_width(model, conditioning)
        within = where_it_counts(latent, samples, mask)
        tokens = tokens if embedding is None else embedding.tokens
        graph = cls.hidden.prompt
        said = spoken(graph, running_node(), "conditioning", len(conditioning), text)
        family = family_of(model)
        placement = placement_of(family, *conditioning[0], tokens)
        if placement == REPLACE:
            for (prompt, _), words in zip(conditioning, said, strict=True):
                length = prompt.shape[1]
                check_room(words, tokens, length, clip, last_encoder(family, length))
        region = None if sefi.region is None else on_latents(sefi.region, samples)
        found = learn_on_host(
            model,
            conditioning,
            samples,
            LearningSettings(
                steps,
                learning_rate,
                batch_size,
                seed,
                RECIPES[recipe],
                reading(steps, auto_stop),
                terms_of(sefi, tokens, conditioning, said, clip, family, placement),
            ),
            HostSettings(
                tokens,
                precision,
                gradient_checkpointing,
                preview_every,
                " | ".join(" ".join(words.texts) for words in said if words.known),
                recipe,
                embedding,
                sefi,
                held_to(sefi),
            ),
            within,
            region,
        )
        layer = last_layer(graph, running_node(), family.last_layer if family else 0, clip)
        embedding = found.embedding
        details = replace(embedding.details, clip_layer=layer)
        learned = found.learned
        fixed, kept = learned.fixed_losses, learned.last_fixed_loss
        plot = to_image(loss_curve(learned.losses, fixed=fixed, kept=kept))
        embedding = replace(embedding, details=details)
        words = ui.PreviewText(in_short(found, steps))
        return io.NodeOutput(embedding, plot, report(found, steps), ui=words)


def reading(steps: int, auto_stop: bool) -> StopRule | None:
    """When the fixed loss is taken: it costs as much as a few steps, too much for a few steps."""
    rule = StopRule(stops=auto_stop)
    return rule if auto_stop or steps >= rule.every else None


def held_to(sefi: SefiSettings) -> str:
    """What the file says of the attention loss."""
    if not sefi.focus:
        return ""
    return "a region" if sefi.region is not None else f'"{sefi.word.strip()}"'
