"""Inverting a picture on a ComfyUI model, and what its own samplers make of the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import comfy.k_diffusion.sampling
import comfy.model_sampling
import comfy.sample
import comfy.samplers
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...attention.identity import IdentityMap, IdentitySettings
from ...editing.inversion import DDPM, Inversion, check_sigmas
from ..families import class_names
from .identity import watching
from .replay import replaying

SAMPLERS = tuple(comfy.samplers.SAMPLER_NAMES)
SCHEDULERS = tuple(comfy.samplers.SCHEDULER_NAMES)
REPLAYED_BY = {DDPM: "euler_ancestral"}  # any sampler without noise, for the other

LARGEST_SEED = 2**64 - 2  # on a CPU ancestral samplers add one


@dataclass(frozen=True)
class Prompting:
    """What a sampler is told: the two conditionings and the guidance between them."""

    positive: list
    negative: list
    guidance: float = 1.0


def sigmas_of(model: ModelPatcher, scheduler: str, steps: int) -> Tensor:
    """The σs that KSampler would use, all of them."""
    sampling = model.get_model_object("model_sampling")
    return comfy.samplers.calculate_sigmas(sampling, scheduler, steps).cpu()


def sampler_named(name: str) -> comfy.samplers.Sampler:
    """One of ComfyUI's own samplers."""
    return comfy.samplers.sampler_object(name)


def following(model: ModelPatcher, steps: int) -> Callable:
    """What shows a run's progress on its node, with ComfyUI's own live preview."""
    return latent_preview.prepare_callback(model, steps)


def invert(
    model: ModelPatcher,
    prompting: Prompting,
    source: Tensor,
    sigmas: Tensor,
    method: str = DDPM,
    seed: int = 0,
    refinements: int = 0,
    power: float | None = IdentitySettings.power,
    callback: Callable | None = None,
) -> Inversion:
    """x_T … x_0 of the source latents `(B, C, …)` under their own prompt. With `power` (λ of eq.
    2), also where the marked identity is seen in it."""
    check_sigmas(sigmas)
    sampling = model.get_model_object("model_sampling")
    if isinstance(sampling, comfy.model_sampling.X0) or not hasattr(sampling, "noise_scaling"):
        raise ValueError(
            f"{class_names(model)[0]} adds no noise to its pictures, so there is no way back into "
            "it: use a diffusion or flow model."
        )
    along = _Ddpm(seed) if method == DDPM else _Deterministic(refinements)
    identity = None if power is None else IdentityMap(power)
    watched = model if identity is None else watching(model, identity)
    _run(watched, prompting, source, sigmas, along, callback)
    seen = None if identity is None or identity.empty else identity.map().float().cpu()
    found = along.found
    return Inversion(
        method,
        class_names(model)[0],
        sigmas.float().cpu(),
        found.latents,
        source.cpu(),
        found.noises,
        found.remainder,
        seen,
    )


def replayed(model: ModelPatcher, prompting: Prompting, inversion: Inversion) -> Tensor:
    """What a stock sampler makes of the inversion under the prompt that it was made with."""
    name = REPLAYED_BY.get(inversion.method, "euler")
    sampler = comfy.samplers.sampler_object(name)
    return sampled(replaying(model, inversion), prompting, inversion, sampler)


def sampled(
    model: ModelPatcher,
    prompting: Prompting,
    inversion: Inversion,
    sampler: comfy.samplers.Sampler,
    seed: int = 0,
    callback: Callable | None = None,
    noise_mask: Tensor | None = None,
) -> Tensor:
    """A run over the whole of an inversion's schedule."""
    return comfy.sample.sample_custom(
        model,
        comfy.sample.prepare_noise(inversion.source, seed),
        prompting.guidance,
        sampler,
        inversion.sigmas,
        prompting.positive,
        prompting.negative,
        inversion.source,
        noise_mask=noise_mask,
        callback=callback,
        disable_pbar=callback is None,
        seed=min(seed, LARGEST_SEED),
    )


def _run(
    model: ModelPatcher,
    prompting: Prompting,
    source: Tensor,
    sigmas: Tensor,
    along: Callable,
    callback: Callable | None,
) -> None:
    """Send a way of going back through ComfyUI's own run, as if it were a sampler."""
    comfy.sample.sample_custom(
        model,
        torch.zeros_like(source, device="cpu"),
        prompting.guidance,
        comfy.samplers.KSAMPLER(along),
        sigmas,
        prompting.positive,
        prompting.negative,
        source,
        callback=callback,
        disable_pbar=callback is None,
        seed=0,
    )


@dataclass(frozen=True)
class _Found:
    latents: Tensor
    noises: Tensor | None = None
    remainder: Tensor | None = None


class _OneStep:
    """A model whose answer is known: ComfyUI's own sampler takes one step with it."""

    def __init__(self, model, denoised: Tensor) -> None:
        self.inner_model = model.inner_model
        self._denoised = denoised

    def __call__(self, x: Tensor, sigma: Tensor, **kwargs) -> Tensor:
        return self._denoised

    def step(self, x: Tensor, sigmas: Tensor, noise: Tensor) -> Tensor:
        return comfy.k_diffusion.sampling.sample_euler_ancestral(
            self, x, sigmas, {}, None, True, noise_sampler=lambda *_: noise
        )


class _Ddpm:
    """Edit-friendly DDPM inversion: each x_t noised on its own, and z what leads from one to the
    next; from noise to picture, since nothing here needs the other order."""

    found: _Found

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(
        self, model, x: Tensor, sigmas: Tensor, extra_args, callback, disable, **kwargs
    ) -> Tensor:
        clean = model.latent_image
        sampling = model.inner_model.inner_model.model_sampling
        generator = torch.Generator().manual_seed(self._seed)
        latents = []
        for sigma in sigmas[:-1]:
            noise = torch.randn(clean.shape, generator=generator).to(clean)
            latents.append(sampling.noise_scaling(sigma, noise, clean))
        latents.append(clean)
        noises, x, every = [], latents[0], clean.new_ones(len(clean))
        for i in range(len(sigmas) - 1):
            denoised = model(x, sigmas[i] * every, **extra_args)
            _tell(callback, i, sigmas[i], x, denoised)
            known, pair = _OneStep(model, denoised), sigmas[i : i + 2]
            still = known.step(x, pair, torch.zeros_like(x))
            if float(pair[1]) == 0:
                remainder = clean - still
                break
            scale = known.step(x, pair, torch.ones_like(x)) - still
            noises.append(((latents[i + 1] - still) / scale).float())
            x = known.step(x, pair, noises[-1])  # as the replay will have it, with its rounding
        self.found = _Found(
            torch.stack(latents).float().cpu(),
            torch.stack(noises).float().cpu() if noises else None,
            remainder.float().cpu(),
        )
        return clean


class _Deterministic:
    """The way of `euler` back: each x_t is what a step from it would have led on from. The model's
    answer at x_t is taken from the step before, and made better by asking again."""

    found: _Found

    def __init__(self, refinements: int) -> None:
        self._refinements = refinements

    def __call__(
        self, model, x: Tensor, sigmas: Tensor, extra_args, callback, disable, **kwargs
    ) -> Tensor:
        clean = model.latent_image
        x, latents, every = clean, [clean], clean.new_ones(len(clean))
        for number, i in enumerate(range(len(sigmas) - 2, -1, -1)):
            here, noisier = sigmas[i + 1], sigmas[i]
            guess, asked = x, here if float(here) else noisier
            for _ in range(1 + self._refinements):
                denoised = model(guess, asked * every, **extra_args)
                guess = x + (guess - denoised) / asked * (noisier - here)
                asked = noisier
            x = guess
            _tell(callback, number, sigmas[i], x, denoised)
            latents.append(x)
        self.found = _Found(torch.stack(latents[::-1]).float().cpu())
        return clean


def _tell(callback: Callable | None, step: int, sigma: Tensor, x: Tensor, denoised: Tensor) -> None:
    if callback is not None:
        callback({"x": x, "i": step, "sigma": sigma, "sigma_hat": sigma, "denoised": denoised})


def reconstruction_error(inversion: Inversion, replay: Tensor) -> float:
    """The mean absolute difference of latents, in the LATENT's own units."""
    return float((replay.cpu().float() - inversion.source.float()).abs().mean())
