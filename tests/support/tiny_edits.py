"""Inverting and editing a picture on the tiny UNet, as the nodes do."""

from __future__ import annotations

import torch

from support import tiny_unets
from support.tiny_unets import text

STEPS = 6
HALF = torch.zeros(1, 8, 12)
HALF[..., :5] = 1


def picture(batch: int = 1) -> torch.Tensor:
    return tiny_unets.picture(batch=batch)["samples"]


def columns(conditioning: list) -> list:
    from hiper.host.editing.identity import marked

    return marked(conditioning, [(3,)] * len(conditioning))


def inverted(model, source=None):
    from hiper.host.editing.inverting import Prompting, invert, sigmas_of

    source = picture() if source is None else source
    prompting = Prompting(columns(text()), text(seed=2))
    return invert(model, prompting, source, sigmas_of(model, "normal", STEPS), seed=3)


def edited(
    model,
    inversion,
    sampler="euler_ancestral",
    noise_mask=None,
    positive=None,
    negative=None,
    seed=1,
    **how,
):
    import comfy.samplers

    from hiper.host.editing.inverting import Prompting, sampled
    from hiper.host.editing.replay import Blending, Edit, replaying

    edit = Edit()
    own = replaying(model, inversion, Blending(**how), edit)
    prompting = Prompting(positive or columns(text(seed=7)), negative or text(seed=2), 5.0)
    sampler = comfy.samplers.sampler_object(sampler)
    return sampled(own, prompting, inversion, sampler, seed, noise_mask=noise_mask), edit
