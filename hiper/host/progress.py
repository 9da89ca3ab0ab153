"""What a person sees while learning: bar, picture and words on the node, the console's line."""

from __future__ import annotations

import time

import comfy.model_management
import comfy.sd
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from tqdm.auto import tqdm

from ..learning.learned import LearningStep
from .graph import running_node, serving
from .model.denoiser import HostDenoiser

PREVIEW_LEVEL = 0.6  # of the timesteps: the layout is given away, the looks are not
CONSOLE_EVERY = 10
SECONDS_BETWEEN_WORDS = 0.4
LINE = "  \n"  # Nodes 2.0 reads a node's words as Markdown, the canvas as they are


class LearningProgress:
    """Follows `learn` step by step; raises within one when the person cancels."""

    def __init__(self, model: ModelPatcher, steps: int, preview_every: int, taken: int = 0) -> None:
        self._bar = comfy.utils.ProgressBar(steps)
        self._console = tqdm(total=steps, initial=taken, desc="HiPer", unit="step")
        self._steps = steps
        self._preview_every = preview_every
        self._previewer = previewer_of(model) if preview_every else None
        self._noise: Tensor | None = None
        self._first, self._started = taken, time.monotonic()
        self._told = 0.0

    def watch(self, step: LearningStep, denoiser: HostDenoiser, clean: Tensor) -> None:
        done = step.index + 1
        self._console.update(done - self._console.n)
        if done % CONSOLE_EVERY == 0 or done == self._steps:
            self._console.set_postfix(loss=f"{step.loss.item():.4f}", refresh=False)
        preview = None
        due = self._preview_every and (done % self._preview_every == 0 or done == self._steps)
        if due and self._previewer is not None:
            with torch.no_grad():  # a decoder's graph would be kept for as long as its picture
                estimate = self._estimate(step.tail, denoiser, clean)
                preview = self._previewer.decode_latent_to_preview_image("JPEG", estimate)
        self._bar.update_absolute(done, self._steps, preview)
        self._tell(step)
        comfy.model_management.throw_exception_if_processing_interrupted()

    def _tell(self, step: LearningStep) -> None:
        """Step, loss on fixed noise and pace on the node, as often as a person can read them."""
        now, done = time.monotonic(), step.index + 1
        if now - self._told < SECONDS_BETWEEN_WORDS and done < self._steps:
            return
        self._told = now
        pace = (done - self._first) / max(now - self._started, 1e-9)
        say_on_node(*in_words(step, self._steps, pace))

    def _estimate(self, tail: Tensor, denoiser: HostDenoiser, clean: Tensor) -> Tensor:
        """One call's x0 at a fixed noise and timestep: between two, only the tail has changed."""
        if self._noise is None:
            generator = torch.Generator().manual_seed(0)
            self._noise = torch.randn(clean[:1].shape, generator=generator).to(clean.device)
        sigma = denoiser.sigmas(torch.full((1,), PREVIEW_LEVEL, device=clean.device))
        noisy = denoiser.noise(clean[:1], self._noise, sigma)
        return denoiser.denoise(noisy, sigma, tail)

    def close(self) -> None:
        self._console.close()


def in_words(step: LearningStep, steps: int, pace: float) -> list[str]:
    """Where learning is: one line on steps, one on what they brought."""
    lines = [f"Step {step.index + 1} of {steps}, {pace:.3g} a second"]
    if not step.fixed_losses:
        return lines
    first, last = step.fixed_losses[0].loss, step.fixed_losses[-1].loss
    change = f" → {last:.4f}" if len(step.fixed_losses) > 1 else ""
    return [*lines, f"Loss on fixed noise {first:.4f}{change}"]


def previewer_of(model: ModelPatcher) -> latent_preview.LatentPreviewer | None:
    """ComfyUI's previewer; but one that loads a VAE of its own to decode could push the model that
    is learning off its device: then colours alone."""
    space = model.model.latent_format
    previewer = latent_preview.get_previewer(model.load_device, space)
    if not isinstance(getattr(previewer, "taesd", None), comfy.sd.VAE):
        return previewer
    if space.latent_rgb_factors is None:
        return None
    return latent_preview.Latent2RGBPreviewer(
        space.latent_rgb_factors, space.latent_rgb_factors_bias, space.latent_rgb_factors_reshape
    )


def say_on_node(*lines: str) -> None:
    """Show words on the node that is running, where an editor is looking on."""
    node, server = running_node(), serving()
    if node is not None and server is not None and server.client_id is not None:
        server.send_progress_text(LINE.join(lines), node, server.client_id)
