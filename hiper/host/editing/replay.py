"""LIPE's NIMA (eqs. 3 and 4) around ComfyUI's own samplers: a run begins where an inversion ended,
and outside the subject's masks it is led back along the inverted latents."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace

import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key
from comfy.samplers import Sampler
from torch import Tensor

from ...attention.identity import (
    SOURCE_THRESHOLD,
    IdentityMap,
    IdentitySettings,
    check_threshold,
    mask_of,
)
from ...editing.inversion import NEAR, Inversion, fitted
from ...editing.masks import Masks
from ..families import class_names, why_unseen
from .identity import IdentityWatch, check_identity

KEY = "hiper_replay"
MOST_RUNS = 16
NOTHING_RAN = (
    "No sampler has run with the MODEL that Blend With Source gives out, or its picture came from "
    "ComfyUI's cache: wire that MODEL to the sampler and change its seed, so that it runs again."
)
ANOTHER_RUN = (
    "The latent is not what a sampler behind Blend With Source ended with: connect the LATENT that "
    "it gives out, before any other node changes it."
)
EXACT = ("sample_euler_ancestral", "sample_euler_ancestral_RF")  # whose noise z is


@dataclass(frozen=True)
class Blending:
    """What is blended: the masks that say where the picture may change."""

    settings: IdentitySettings = field(default_factory=IdentitySettings)
    source_threshold: float = SOURCE_THRESHOLD  # of M^s; the settings' is of M^e
    from_source: bool = True  # M^s, where the subject was
    from_target: bool = True  # M^e, where it is being drawn
    grow_source: int = 1  # cells of the latent, so that no outline of the old animal stays
    grow_target: int = 1  # so that nothing of the new one is cut off
    painted: Tensor | None = None  # `(B, H, W)` on the latent's cells, beside the others

    def __post_init__(self) -> None:
        check_threshold("source_threshold", self.source_threshold)


class Edit:
    """The masks of the runs of one model, step by step; of the latest few, so that samplers that
    share the model find their own."""

    def __init__(self) -> None:
        self._runs: list[tuple[Tensor, list[Masks]]] = []
        self.seen: Tensor | None = None  # where the latest run's subject is `(B, h, w)`, in 0 … 1

    @property
    def steps(self) -> list[Masks]:
        """The latest run's."""
        return self._runs[-1][1] if self._runs else []

    def keep(self, result: Tensor, steps: list[Masks]) -> None:
        self._runs = [*self._runs[1 - MOST_RUNS :], (result, steps)]

    def of(self, samples: Tensor) -> list[Masks]:
        """The steps of the run that ended with these latents, or one sentence."""
        if not self._runs:
            raise ValueError(NOTHING_RAN)
        for result, steps in reversed(self._runs):
            if result.shape == samples.shape and torch.equal(result.to(samples), samples):
                return steps
        raise ValueError(ANOTHER_RUN)


def replaying(
    model: ModelPatcher,
    inversion: Inversion,
    blending: Blending | None = None,
    edit: Edit | None = None,
) -> ModelPatcher:
    """The same model, whose runs begin with the inversion's x_t, and with `blending` keep to it
    outside the masks."""

    def outer_sample(executor, noise, latent_image, sampler, sigmas, *args, **kwargs):
        guider = executor.class_obj
        run = _Run(guider, inversion, blending, edit or Edit(), sigmas, latent_image)
        run.install(guider.model_options)
        result = executor(noise, latent_image, run.sampler(sampler), sigmas, *args, **kwargs)
        return run.finished(result)

    patcher = model.clone()
    patcher.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, KEY)
    patcher.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, outer_sample)
    return patcher


class _Run:
    """One sampling run over the whole of an inversion's schedule or a part of it."""

    def __init__(
        self,
        guider,
        inversion: Inversion,
        blending: Blending | None,
        edit: Edit,
        sigmas: Tensor,
        started: Tensor,
    ) -> None:
        self._inversion, self._blending, self._edit = inversion, blending, edit
        self._sigmas = sigmas.detach().float().cpu()
        _check(guider.model_patcher, inversion, started)
        self._first = inversion.first_step(sigmas)
        self._last = self._first + len(sigmas) - 1
        self._identity = IdentityMap(blending.settings.power if blending else 0.0)
        self._guider = guider
        self._within: Tensor | None = None  # the noise mask `(B, 1, …)`
        self._step = -1
        self._chance = torch.Generator()
        self._steps: list[Masks] = []
        self._like = started
        size = tuple(started.shape[-2:])
        none = torch.zeros(len(started), *size)
        source = none
        if blending is not None and blending.from_source and inversion.seen is not None:
            threshold, grow = blending.source_threshold, blending.grow_source
            source = mask_of(inversion.seen, size, threshold, grow)
        painted = none
        if blending is not None and blending.painted is not None:
            painted = blending.painted.float()
        self._none = none
        self._masks = Masks(fitted(source, none), none, fitted(painted, none))

    def install(self, options: dict) -> None:
        for kind, wrapper in (
            (WrappersMP.SAMPLER_SAMPLE, self._sampler_sample),
            (WrappersMP.PREDICT_NOISE, self._predict_noise),
        ):
            add_wrapper_with_key(kind, KEY, wrapper, options, is_model_options=True)
        if self._blending is not None and self._blending.from_target:
            entries = self._guider.conds.get("positive", ())
            prompts = [[e["cross_attn"], e] for e in entries if e.get("cross_attn") is not None]
            check_identity(self._guider.model_patcher, prompts, "target")
            IdentityWatch(self._guider, self._identity).install(options)

    def sampler(self, sampler: Sampler) -> Sampler:
        """The same sampler, with the noises that lead along the inversion, where it takes any."""
        function = getattr(sampler, "sampler_function", None)
        if self._inversion.noises is None or getattr(function, "__name__", "") not in EXACT:
            return sampler
        options = sampler.extra_options
        if any(options.get(name, 1.0) != 1.0 for name in ("eta", "s_noise")):
            return sampler  # another share of noise than it was inverted with: its own will do
        replayed = copy.copy(sampler)
        replayed.extra_options = {**options, "noise_sampler": self._noise}
        return replayed

    def _noise(self, sigma: Tensor, following: Tensor) -> Tensor:
        """z of the step from σ; where the subject was and no longer is, another, since z holds its
        outline as well."""
        step = int((self._inversion.sigmas - float(sigma)).abs().argmin())
        noise = fitted(self._inversion.noises[step], self._like)
        if self._blending is None:
            return noise
        masks = self._masks
        left = self._shaped((masks.source - masks.target).clamp(min=0), noise)
        other = torch.randn(noise.shape, generator=self._chance).to(noise)
        return torch.where(left > 0, other, noise)

    def _sampler_sample(
        self, executor, guider, sigmas, extra_args, callback, noise, latent_image, mask, *args
    ):
        """Begin with x_t, whatever noise and latents there were."""
        sampling, sampler = guider.inner_model.model_sampling, executor.class_obj
        most = sampler.max_denoise(guider, sigmas)
        self._within, self._like = mask, latent_image
        self._chance = torch.Generator().manual_seed(extra_args.get("seed") or 0)
        still = sampling.noise_scaling(sigmas[0], torch.zeros_like(noise), latent_image, most)
        scale = (
            sampling.noise_scaling(sigmas[0], torch.ones_like(noise), latent_image, most) - still
        )
        wanted = fitted(self._inversion.latents[self._first], latent_image)
        noise = (wanted - still) / scale
        mask = None if self._blending is not None else mask
        result = executor(guider, sigmas, extra_args, callback, noise, latent_image, mask, *args)
        remainder = self._inversion.remainder
        if remainder is not None and self._exact(sampler) and float(sigmas[-1]) == 0:
            result = result + fitted(remainder, result)
        return result

    @staticmethod
    def _exact(sampler: Sampler) -> bool:
        return "noise_sampler" in getattr(sampler, "extra_options", {})

    def _predict_noise(self, executor, x, timestep, *args, **kwargs):
        """x̂_t ← M_t·x̂_t + (1 − M_t)·x_t (eq. 4), in the sampler's own latents; the first are x_t to
        the bit."""
        sigma = float(timestep.flatten()[0])
        here = [i for i, own in enumerate(self._sigmas) if abs(float(own) - sigma) <= NEAR * sigma]
        if here and here[0] > self._step:
            self._step = here[0]
        if self._step == 0 and here:
            x.copy_(fitted(self._inversion.latents[self._first], x))
        elif self._blending is not None:
            kept = self._inversion.at(sigma, self._first, x)
            x.copy_(torch.lerp(kept, x, self._over(self._masks.union, x)))
        found = executor(x, timestep, *args, **kwargs)
        if self._blending is not None:
            if self._blending.from_target and self._identity.empty:
                raise RuntimeError(why_unseen(self._guider.model_patcher))
            self._masks = self._with_target()
            if here and len(self._steps) == self._step:
                self._steps.append(self._masks)
        return found

    def _with_target(self) -> Masks:
        """The masks after the model's latest call."""
        if not self._blending.from_target:
            return self._masks
        threshold, size = self._blending.settings.threshold, tuple(self._none.shape[-2:])
        target = mask_of(self._identity.map(), size, threshold, self._blending.grow_target)
        return replace(self._masks, target=fitted(target, self._none))

    def _over(self, mask: Tensor, x: Tensor) -> Tensor:
        """A mask `(B, H, W)` over latents `(B, C, …, H, W)`, within the noise mask."""
        over = self._shaped(mask, x)
        return over if self._within is None else over * self._within.to(x)

    @staticmethod
    def _shaped(mask: Tensor, x: Tensor) -> Tensor:
        return mask.to(x).reshape(len(mask), *(1,) * (x.ndim - 3), *mask.shape[-2:])

    def finished(self, result: Tensor) -> Tensor:
        """The last blend, with the picture itself: outside the masks not a bit has changed."""
        if self._blending is not None:
            masks = self._masks
            kept = self._inversion.source
            if self._last < self._inversion.steps:
                kept = self._guider.model_patcher.model.process_latent_out(
                    self._inversion.latents[self._last]
                )
            over = self._over(masks.union, result)
            kept = fitted(kept, result)
            result = torch.where(over == 0, kept, torch.lerp(kept, result, over))
            self._edit.keep(result, self._steps or [masks])
            self._edit.seen = None if self._identity.empty else self._identity.map().cpu()
        return result


def _check(model: ModelPatcher, inversion: Inversion, started: Tensor) -> None:
    """One sentence on a run that the inversion does not belong to."""
    name = class_names(model)[0]
    if name != inversion.model:
        raise ValueError(
            f"The picture was inverted on {inversion.model}, but the sampler's model is {name}: "
            "invert it with the model that samples."
        )
    wanted, found = inversion.source.shape, started.shape
    if found[1:] != wanted[1:] or wanted[0] not in (1, found[0]):
        raise ValueError(
            f"The picture was inverted as latents {tuple(wanted)}, but the sampler's are "
            f"{tuple(found)}: give it the same LATENT that was inverted."
        )
