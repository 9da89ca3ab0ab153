"""One model call on a finished picture: renoise it to a timestep and look (Figure 3)."""

from __future__ import annotations

from dataclasses import dataclass

import comfy.sample
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...attention.gathering import EACH, Wish
from ...attention.maps import AttentionMaps
from .recording import Recording, watched

LARGEST_VIEW = 8 * 2**30  # bytes; a view keeps every layer, once


@dataclass(frozen=True)
class Moment:
    """Where to look: how much of the sampling is done, the noise's seed, one head or the mean."""

    progress: float = 1.0
    seed: int = 0
    head: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.progress <= 1:
            raise ValueError(f"timestep % is {100 * self.progress:g}: choose 0 to 100.")


def view(
    model: ModelPatcher, conditionings: dict[str, list], latent: dict, moment: Moment
) -> AttentionMaps:
    """The maps of each named conditioning, all on the same noise, from one model call."""
    wish = Wish(head=moment.head, layers=EACH, limit=LARGEST_VIEW, dtype=torch.float32)
    recording = Recording(wish)
    # a recording on the model is of sampling, and not of this call
    guider = _OneCallGuider(watched(model, recording, alone=True))
    guider.inner_set_conds(conditionings)
    samples = latent["samples"]
    noise = comfy.sample.prepare_noise(samples, moment.seed, latent.get("batch_index"))
    sigma = sigma_at(model, moment.progress)
    sigmas = torch.tensor([sigma, 0.0])
    with torch.no_grad():
        guider.sample(noise, samples, _OneCall(), sigmas, disable_pbar=True, seed=moment.seed)
    return recording.maps()


def sigma_at(model: ModelPatcher, progress: float) -> float:
    """The σ of the timestep at which `progress` (0 … 1) of the model's timesteps lie behind."""
    sigmas = model.get_model_object("model_sampling").sigmas
    return float(sigmas[round((1.0 - progress) * (len(sigmas) - 1))])


class _OneCallGuider(comfy.samplers.CFGGuider):
    """Sends any number of conditionings through the model together."""

    def predict_noise(self, x, timestep, model_options=None, seed=None):
        conds = list(self.conds.values())
        return comfy.samplers.calc_cond_batch(
            self.inner_model, conds, x, timestep, model_options or {}
        )[0]


class _OneCall(comfy.samplers.Sampler):
    """A sampler that noises the picture, calls the model once and gives the picture back."""

    def sample(
        self,
        model_wrap,
        sigmas: Tensor,
        extra_args: dict,
        callback,
        noise: Tensor,
        latent_image: Tensor,
        denoise_mask=None,
        disable_pbar=False,
    ) -> Tensor:
        noisy = model_wrap.inner_model.model_sampling.noise_scaling(
            sigmas[0], noise, latent_image, False
        )
        model_wrap(noisy, sigmas[0].expand(len(noisy)), **extra_args)
        return latent_image
