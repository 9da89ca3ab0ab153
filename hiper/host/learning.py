"""Learning on a ComfyUI model: load, learn, retry with less memory, keep what was learned."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..embedding import EmbeddingDetails, HiperEmbedding
from ..files.embeddings import write
from ..learning.loop import Learned, LearningSettings, LearningStep, LossNotFiniteError, learn
from ..learning.stopping import FixedLossAt
from ..prompts.placement import initial_tail, placement_of
from . import folders
from .families import class_names, encoded_family, family_of
from .model.denoiser import HostDenoiser, frozen_denoiser
from .model.gradients import outside_inference_mode
from .model.memory import needs_checkpointing
from .progress import LearningProgress

UNFINISHED = "unfinished.safetensors"


@dataclass(frozen=True)
class HostSettings:
    """What a person sets beside the method's own settings."""

    tokens: int = 5
    precision: str = "auto"
    checkpointing: str = "auto"
    preview_every: int = 50
    source_prompt: str = ""
    recipe: str = "paper"  # by name, as the file says it


@dataclass(frozen=True)
class HostLearned:
    """A finished embedding, the loss of each step, and how it went."""

    embedding: HiperEmbedding
    losses: Tensor
    seconds: float
    checkpointed: bool
    fixed_losses: tuple[FixedLossAt, ...] = ()


def learn_on_host(
    model: ModelPatcher,
    conditioning: list,
    latent: Tensor,
    settings: LearningSettings,
    host: HostSettings,
) -> HostLearned:
    """Learn from the latents `(R, C, H, W)` and the one encoded prompt `[[(1, T, C), options]]`."""
    started = time.perf_counter()
    work = _Work(model, conditioning, latent, settings, host)
    learned = work.attempt(host.checkpointing == "on")
    if learned is None and host.checkpointing == "auto" and not work.checkpointed:
        logging.warning("HiPer: out of memory; trying once more with gradient checkpointing.")
        comfy.model_management.soft_empty_cache()
        learned = work.attempt(True)
    if learned is None:
        raise RuntimeError(work.out_of_memory())
    seconds = time.perf_counter() - started
    return HostLearned(
        work.embedding(learned), learned.losses, seconds, work.checkpointed, learned.fixed_losses
    )


class _Work:
    """One request to learn, which may be run twice."""

    def __init__(
        self,
        model: ModelPatcher,
        conditioning: list,
        latent: Tensor,
        settings: LearningSettings,
        host: HostSettings,
    ) -> None:
        self.model, self.conditioning, self.latent = model, conditioning, latent
        self.settings, self.host = settings, host
        downscale = getattr(model.model.latent_format, "spacial_downscale_ratio", 8)
        self.height, self.width = (size * downscale for size in latent.shape[-2:])
        self.checkpointed = False
        prompt, options = conditioning[0]
        self.family = encoded_family(model, prompt, options)
        self.placement = placement_of(family_of(model), prompt, options, host.tokens)
        with torch.inference_mode(False):
            self.initial = initial_tail(prompt.clone(), host.tokens, self.placement)

    def attempt(self, checkpointing: bool) -> Learned | None:
        """What was learned, or None where the device's memory ran out."""
        try:
            return self._run(checkpointing)
        except Exception as error:
            if not comfy.model_management.is_oom(error):
                raise
        return None  # outside of the handler, whose error holds on to the step's memory

    def out_of_memory(self) -> str:
        """Which settings to lower, each with the value that was too much."""
        lower = [f"a smaller picture ({self.width}×{self.height} now)"]
        if self.settings.batch_size > 1:
            lower.append(f"batch_size 1 ({self.settings.batch_size} now)")
        lower.append("a lower precision" if self.checkpointed else "gradient_checkpointing on")
        how = " with gradient checkpointing on" if self.checkpointed else ""
        return f"Learning ran out of memory{how}: use {', '.join(lower[:-1])} or {lower[-1]}."

    def _run(self, checkpointing: bool) -> Learned:
        self.checkpointed = checkpointing
        if not checkpointing and self.host.checkpointing == "auto":
            with self._denoiser(False) as denoiser:
                clean, batch = self._clean(denoiser), self.settings.batch_size
                self.checkpointed = needs_checkpointing(denoiser, clean, self.initial, batch)
            if self.checkpointed:
                logging.info("HiPer: gradient checkpointing is on, to fit the device's memory.")
        with self._denoiser(self.checkpointed) as denoiser:
            return self._learn(denoiser)

    def _denoiser(self, checkpointing: bool):
        shape = (self.settings.batch_size, *self.latent.shape[1:])
        return frozen_denoiser(
            self.model,
            self.conditioning,
            shape,
            self.placement,
            self.host.precision,
            checkpointing,
        )

    def _clean(self, denoiser: HostDenoiser) -> Tensor:
        latent = self.latent.clone().to(denoiser.device, torch.float32)
        return self.model.model.process_latent_in(latent)

    def _learn(self, denoiser: HostDenoiser) -> Learned:
        clean = self._clean(denoiser)
        progress = LearningProgress(self.model, self.settings.steps, self.host.preview_every)
        losses: list[Tensor] = []

        def watch(step: LearningStep) -> None:
            losses.append(step.loss)
            progress.watch(step, denoiser, clean)

        try:
            return learn(
                denoiser,
                clean,
                self.initial,
                self.settings,
                on_step=watch,
                loss_scale=denoiser.loss_scale(clean),
            )
        except comfy.model_management.InterruptProcessingException:
            self._say_cancelled(progress.last, losses)
            raise
        except LossNotFiniteError as error:
            if error.learned is None:
                raise
            raise RuntimeError(f"{error} {self.keep(error.learned)}") from None
        finally:
            progress.close()

    def _say_cancelled(self, last: LearningStep | None, losses: list[Tensor]) -> None:
        if last is None:
            logging.warning(
                "HiPer: learning was cancelled in its first step; there is nothing to keep."
            )
            return
        logging.warning(
            "HiPer: learning was cancelled at step %d of %d. %s",
            last.index + 1,
            self.settings.steps,
            self.keep(Learned(last.tail.cpu(), torch.stack(losses).cpu())),
        )

    def keep(self, learned: Learned) -> str:
        """Save what there is under one fixed name, and say so."""
        path = folders.path_for(UNFINISHED)
        try:
            with outside_inference_mode():
                write(self.embedding(learned), path, overwrite=True)
        except OSError as error:  # what ended the learning is what the person has to hear of
            return f"The tail so far could not be kept at {path} ({error.strerror})."
        return f"The tail so far is kept as models/hiper/{UNFINISHED} (until the next such stop)."

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
            ),
        )
