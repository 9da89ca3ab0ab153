"""What a person sees while learning: ComfyUI's bar, a live picture, the console's line."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from tqdm.auto import tqdm

from ..learning.loop import LearningStep
from .model.denoiser import HostDenoiser

PREVIEW_LEVEL = 0.6  # of the timesteps: the layout is given away, the looks are not
CONSOLE_EVERY = 10


class LearningProgress:
    """Follows `learn` step by step; raises within one when the person cancels."""

    def __init__(self, model: ModelPatcher, steps: int, preview_every: int) -> None:
        self._bar = comfy.utils.ProgressBar(steps)
        self._console = tqdm(total=steps, desc="HiPer", unit="step")
        self._steps = steps
        self._preview_every = preview_every
        self._previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
        self._noise: Tensor | None = None
        self.last: LearningStep | None = None

    def watch(self, step: LearningStep, denoiser: HostDenoiser, clean: Tensor) -> None:
        self.last = step
        done = step.index + 1
        self._console.update()
        if done % CONSOLE_EVERY == 0 or done == self._steps:
            self._console.set_postfix(loss=f"{step.loss.item():.4f}", refresh=False)
        preview = None
        due = self._preview_every and (done % self._preview_every == 0 or done == self._steps)
        if due and self._previewer is not None:
            estimate = self._estimate(step.tail, denoiser, clean)
            preview = self._previewer.decode_latent_to_preview_image("JPEG", estimate)
        self._bar.update_absolute(done, self._steps, preview)
        comfy.model_management.throw_exception_if_processing_interrupted()

    def _estimate(self, tail: Tensor, denoiser: HostDenoiser, clean: Tensor) -> Tensor:
        """One call's x0 at a fixed noise and timestep: between two, only the tail has changed."""
        if self._noise is None:
            generator = torch.Generator().manual_seed(0)
            self._noise = torch.randn(clean[:1].shape, generator=generator).to(clean.device)
        with torch.no_grad():
            sigma = denoiser.sigmas(torch.full((1,), PREVIEW_LEVEL, device=clean.device))
            noisy = denoiser.noise(clean[:1], self._noise, sigma)
            return denoiser.denoise(noisy, sigma, tail)

    def close(self) -> None:
        self._console.close()
