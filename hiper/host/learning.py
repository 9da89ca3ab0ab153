"""Learning on a ComfyUI model: load, learn, go on with less memory, keep what was learned."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..embedding import EmbeddingDetails, HiperEmbedding, equal_starts
from ..files.embeddings import write
from ..learning.learned import Learned, LearningStep
from ..learning.loop import LearningRun, LearningSettings, LossNotFiniteError
from ..learning.sefi import SefiSettings
from ..prompts.placement import check_family, initial_tail, placement_of
from . import folders
from .attention.values import check_two_roles
from .families import class_names, encoded_family, family_of
from .finishing import finishable
from .model.denoiser import HostDenoiser, frozen_denoiser
from .model.gradients import outside_inference_mode
from .model.memory import Frugality, MemoryPlan
from .progress import LearningProgress, say_on_node

UNFINISHED = "unfinished.safetensors"
PLAIN = SefiSettings()


@dataclass(frozen=True)
class HostSettings:
    """What a person sets beside the method's own settings."""

    tokens: int = 5
    precision: str = "auto"
    checkpointing: str = "auto"
    preview_every: int = 50
    source_prompt: str = ""
    recipe: str = "fast"  # by name, as the file says it
    start: HiperEmbedding | None = None  # what to go on from, in place of the prompt's own vectors
    sefi: SefiSettings = PLAIN
    focused_on: str = ""  # the words that the file says the tail's attention was held to


@dataclass(frozen=True)
class HostLearned:
    """A finished embedding and how it went."""

    embedding: HiperEmbedding
    learned: Learned
    seconds: float
    plan: MemoryPlan


def learn_on_host(
    model: ModelPatcher,
    conditioning: list,
    latent: Tensor,
    settings: LearningSettings,
    host: HostSettings,
    mask: Tensor | None = None,
    region: Tensor | None = None,
) -> HostLearned:
    """Learn from the latents `(R, C, H, W)` and the one encoded prompt `[[(1, T, C), options]]`;
    inside the mask `(R, 1, H, W)` only, where there is one. `region`, alike, is the subject's, for
    a term of the loss that asks."""
    started = time.perf_counter()
    if host.sefi.keys_and_values:
        check_two_roles(model)
    work = _Work(model, conditioning, latent, settings, host, mask, region)
    learned = work.learn()
    embedding = work.embedding(learned)
    return HostLearned(embedding, learned, time.perf_counter() - started, work.plan)


class _Work:
    """One request to learn, which goes on where it was when memory ran out."""

    def __init__(
        self,
        model: ModelPatcher,
        conditioning: list,
        latent: Tensor,
        settings: LearningSettings,
        host: HostSettings,
        mask: Tensor | None,
        region: Tensor | None,
    ) -> None:
        self.model, self.conditioning = model, conditioning
        self.latent, self.mask, self.region = latent, mask, region
        self.settings, self.host = settings, host
        downscale = getattr(model.model.latent_format, "spacial_downscale_ratio", 8)
        self.height, self.width = (size * downscale for size in latent.shape[-2:])
        prompt, options = conditioning[0]
        self.family = encoded_family(model, prompt, options)
        self.placement = placement_of(family_of(model), prompt, options, host.tokens)
        with torch.inference_mode(False):
            prompt = prompt.clone()
            self.initial = self._initial(prompt, options)
            self.size = float(prompt.float().square().mean().sqrt()) or 1.0
        self.plan = MemoryPlan(model, host.checkpointing)
        self.run: LearningRun | None = None

    def _initial(self, prompt: Tensor, options: dict) -> Tensor:
        start, sefi = self.host.start, self.host.sefi
        parts = sefi.stages, sefi.roles
        if start is None:
            first = initial_tail(prompt, self.host.tokens, self.placement)
            return first.repeat(*parts, 1, 1)
        check_family(start, prompt, options)
        if start.details.placement != self.placement:
            raise ValueError(
                f"The embedding to go on from is one to {start.details.placement}, but behind this "
                f"prompt a tail has to {self.placement}: learn on the model that it was learned on."
            )
        own = start.stages, start.roles
        if own != parts and own != (1, 1) and parts != (1, 1):
            raise ValueError(
                f"The embedding to go on from has {own[0]} stages and {own[1]} roles, but the "
                f"settings ask for {parts[0]} and {parts[1]}: use the settings that it was learned "
                "with, or begin anew."
            )
        if start.starts != equal_starts(start.stages):
            raise ValueError(
                "The embedding to go on from has stages of unequal length, which can be drawn with "
                "but not learned: begin anew."
            )
        return start.tail.repeat(*parts, 1, 1) if own == (1, 1) else start.tail.clone()

    def learn(self) -> Learned:
        """Every step, with as little saving of memory as they run with."""
        self._measure()
        while True:
            learned = self._attempt()
            if learned is not None:
                break
            if not self.plan.save_more():
                raise RuntimeError(self._out_of_memory())
            taken = self.run.taken if self.run is not None else 0
            logging.warning(
                "HiPer: out of memory at step %d; going on from there %s.", taken + 1, self.plan
            )
            comfy.model_management.soft_empty_cache()
        if learned.gained is False and self.host.start is None:
            raise RuntimeError(self._nothing_gained(learned))
        return learned

    def _measure(self) -> None:
        """How much a step needs, by one call that keeps nothing."""
        if not self.plan.measurable:
            return
        try:
            with self._denoiser() as denoiser:
                clean, count = self._clean(denoiser), self.settings.batch_size
                terms, region = self.settings.terms, self._on(clean, self.region)
                self.plan.measure(denoiser, clean, self.initial, count, terms, region)
        except Exception as error:
            if not comfy.model_management.is_oom(error):
                raise
            self.plan.save_more()
        if self.plan.frugality > Frugality.NONE:
            logging.info("HiPer: learning %s, to fit the device's memory.", self.plan)

    def _attempt(self) -> Learned | None:
        """What was learned, or None where the device's memory ran out."""
        try:
            with self._denoiser() as denoiser:
                return self._go_on(denoiser)
        except Exception as error:
            if not comfy.model_management.is_oom(error):
                raise
        return None  # outside of the handler, whose error holds on to the step's memory

    def _denoiser(self):
        return frozen_denoiser(
            self.model,
            self.conditioning,
            (self.settings.batch_size, *self.latent.shape[1:]),
            self.placement,
            self.host.precision,
            self.plan.recompute,
            self.plan.room,
        )

    def _clean(self, denoiser: HostDenoiser) -> Tensor:
        latent = self.latent.clone().to(denoiser.device, torch.float32)
        return self.model.model.process_latent_in(latent)

    @staticmethod
    def _on(clean: Tensor, given: Tensor | None) -> Tensor | None:
        return None if given is None else given.clone().to(clean)

    def _go_on(self, denoiser: HostDenoiser) -> Learned:
        clean = self._clean(denoiser)
        if self.run is None:
            mask, region = self._on(clean, self.mask), self._on(clean, self.region)
            scale = denoiser.loss_scale(clean)
            self.run = LearningRun(
                clean, self.initial, self.settings, scale, None, self.size, mask, region
            )
        progress = LearningProgress(
            self.model, self.settings.steps, self.host.preview_every, self.run.taken
        )

        def watch(step: LearningStep) -> None:
            progress.watch(step, denoiser, clean)
            if asked_to_finish():
                self.run.finish()

        try:
            with finishable() as asked_to_finish:
                return self.run.go_on(denoiser, clean, watch)
        except comfy.model_management.InterruptProcessingException:
            self._say_cancelled(self.run)
            raise
        except LossNotFiniteError as error:
            if error.learned is None:
                raise
            raise RuntimeError(f"{error} {self.keep(error.learned)}") from None
        finally:
            progress.close()

    def _out_of_memory(self) -> str:
        """Which settings to lower, each with the value that was too much; what there is is kept."""
        lower = [f"a smaller picture ({self.width}×{self.height} now)"]
        if self.settings.batch_size > 1:
            lower.append(f"batch_size 1 ({self.settings.batch_size} now)")
        lower.append("a lower precision" if self.plan.recompute else "gradient_checkpointing auto")
        kept = self.run.learned if self.run is not None else None
        return (
            f"Learning ran out of memory {self.plan}: use {', '.join(lower[:-1])} or {lower[-1]}."
        ) + (f" {self.keep(kept)}" if kept is not None else "")

    def _nothing_gained(self, learned: Learned) -> str:
        losses = [at.loss for at in learned.fixed_losses]
        rate = "lower" if losses[-1] > losses[0] else "higher"
        first, best, last = losses[0], min(losses), losses[-1]
        return (
            f"Nothing was learned in {len(learned.losses)} of {self.settings.steps} steps: the "
            f"loss on fixed timesteps and noise was {first:.4f} at the start, {best:.4f} at best "
            f"and {last:.4f} at the end: choose a {rate} learning_rate "
            f"({self.settings.learning_rate:g} now), or turn auto_stop off to keep the last tail "
            f"all the same. {self.keep(learned)}"
        )

    def _say_cancelled(self, run: LearningRun) -> None:
        learned = run.learned
        if learned is None:
            where, kept = "in the first step", "There is nothing to keep."
        else:
            where = f"at step {len(learned.losses)} of {self.settings.steps}"
            kept = self.keep(learned)
        logging.warning("HiPer: Learning was cancelled %s. %s", where, kept)
        say_on_node(f"Cancelled {where}.", kept)

    def keep(self, learned: Learned) -> str:
        """Save what there is under a name of its own, and say so."""
        path = folders.unused(folders.path_for(UNFINISHED))
        try:
            with outside_inference_mode():
                write(self.embedding(learned), path)
        except OSError as error:  # what ended the learning is what the person has to hear of
            return f"The tail so far could not be kept at {path} ({error.strerror})."
        return (
            f"Kept as {folders.shown(path)}: load it, and connect it to embedding to go on from it."
        )

    def embedding(self, learned: Learned) -> HiperEmbedding:
        return HiperEmbedding(
            learned.tail,
            EmbeddingDetails(
                architecture=class_names(self.model)[0],
                family=self.family,
                placement=self.placement,
                source_prompt=self.host.source_prompt,
                steps=len(learned.losses),
                seed=self.settings.seed,
                learning_rate=self.settings.learning_rate,
                recipe=self.host.recipe,
                batch_size=self.settings.batch_size,
                references=len(self.latent),
                width=self.width,
                height=self.height,
                first_loss=learned.first_loss,
                last_loss=learned.last_loss,
                strength=self.settings.recipe.strength,
                first_fixed_loss=learned.first_fixed_loss,
                last_fixed_loss=learned.last_fixed_loss,
                focus=self.host.sefi.focus,
                focused_on=self.host.focused_on,
            ),
        )
