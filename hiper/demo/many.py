"""Learning the tails of many pictures in one batch: each as if it were alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..embedding import split
from ..learning import LearningSettings
from ..objective import squared_error
from ..recipe import Average, Bound, Draws
from ..stopping import fixed_pairs
from .model import DemoDenoiser, DemoModel


def learn_many(
    model: DemoModel,
    clean: Tensor,
    prompts: list[str],
    tokens: int,
    settings: LearningSettings,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Tails `(P, N, 128)` of the latents `(P, 12, 16, 16)`, learned as `learn` learns each:
    the gradients of a sum of losses, each of one tail, don't mix, and neither does Adam."""
    with torch.no_grad():
        head, tails = split(model.text.encode(*prompts), tokens)
    tails = tails.clone().requires_grad_(True)
    denoiser = DemoDenoiser(model, head.repeat_interleave(settings.batch_size, 0))
    adam = torch.optim.Adam([tails], lr=settings.learning_rate)
    average, bound = Average(tails, settings.recipe.average), Bound(tails, settings.recipe.bound)
    draws = [Draws(settings.recipe, settings.seed, settings.batch_size) for _ in prompts]
    repeated = clean.repeat_interleave(settings.batch_size, 0)
    for index in range(settings.steps):
        samples = [own.next(one[None]) for own, one in zip(draws, clean, strict=True)]
        u = torch.cat([sample.u for sample in samples])
        noise = torch.cat([sample.noise for sample in samples])
        spread = tails.repeat_interleave(settings.batch_size, 0)[:, None]
        loss = squared_error(denoiser, repeated, u, noise, spread).sum() / settings.batch_size
        (tails.grad,) = torch.autograd.grad(loss, [tails])
        for group in adam.param_groups:
            group["lr"] = settings.learning_rate * settings.recipe.rate_at(index)
        adam.step()
        bound.hold(tails)
        average.add(tails)
        if on_step is not None:
            on_step(index, average.tail)
    return average.tail


@torch.no_grad()
def fixed_losses(
    model: DemoModel, clean: Tensor, prompts: list[str], tails: Tensor, pairs: int
) -> Tensor:
    """`FixedLoss` of each picture `(P, 12, 16, 16)` with its own tail `(P, N, 128)`, as `(P,)`."""
    head, _ = split(model.text.encode(*prompts), tails.shape[1])
    denoiser, count = DemoDenoiser(model, head), len(clean)
    total = torch.zeros(count)
    for u, noise in zip(*fixed_pairs(clean.shape[1:], pairs), strict=True):
        same = noise.expand_as(clean)
        total += squared_error(denoiser, clean, u.expand(count), same, tails[:, None])
    return total / pairs
