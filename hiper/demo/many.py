"""Learning the tails of many pictures in one batch: each as if it were alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..embedding import split
from ..learning.draws import Draws
from ..learning.loop import LearningSettings
from ..learning.optimiser import optimiser_of
from ..learning.stopping import fixed_pairs
from ..learning.terms import loss, squared_error
from .model import DemoDenoiser, DemoModel


def learn_many(
    model: DemoModel,
    clean: Tensor,
    prompts: list[str] | list[list[str]],
    tokens: int,
    settings: LearningSettings,
    on_step: Callable[[int, Tensor], None] | None = None,
    mask: Tensor | None = None,
    region: Tensor | None = None,
    parts: tuple[int, int] = (1, 1),
) -> Tensor:
    """Tails `(P, stages, roles, N, 128)` of the latents `(P, 12, 16, 16)`, as `learn` learns each;
    masks and regions are `(P, 1, 16, 16)`, `parts` how many stages and roles there are. Of several
    pictures a subject the latents are `(P, R, 12, 16, 16)`, with R prompts for each."""
    if clean.ndim == 4:
        clean, prompts = clean[:, None], [[text] for text in prompts]
    pictures, times = clean.shape[1], settings.batch_size
    with torch.no_grad():
        head, own = split(model.text.encode(*(t for texts in prompts for t in texts)), tokens)
    tails = own[::pictures, None, None].repeat(1, *parts, 1, 1)
    denoiser = DemoDenoiser(model, head)
    optimiser = optimiser_of(tails, settings.learning_rate, settings.recipe)
    draws = [Draws(settings.recipe, settings.seed, times) for _ in prompts]
    inside, where = (
        None if each is None else each.repeat_interleave(times, 0) for each in (mask, region)
    )
    first = torch.arange(len(clean)).repeat_interleave(times) * pictures
    for index in range(settings.steps):
        samples = [drawing.next(one) for drawing, one in zip(draws, clean, strict=True)]
        reference = first + torch.cat([sample.reference for sample in samples])
        drawn = clean.flatten(0, 1)[reference]
        u = torch.cat([sample.u for sample in samples])
        noise = torch.cat([sample.noise for sample in samples])
        tails = optimiser.tail
        own = tails.repeat_interleave(times, 0)
        with denoiser.of_pictures(reference):
            errors = loss(settings.terms, denoiser, drawn, u, noise, own, inside, where)
        (gradient,) = torch.autograd.grad(errors.sum() / times, [tails])
        optimiser.step(gradient)
        if on_step is not None:
            on_step(index, optimiser.average)
    return optimiser.average


@torch.no_grad()
def fixed_losses(
    model: DemoModel, clean: Tensor, prompts: list[str], tails: Tensor, pairs: int
) -> Tensor:
    """`FixedLoss` of each picture `(P, 12, 16, 16)` with its own tail `(P, stages, roles, N, 128)`,
    as `(P,)`."""
    head, _ = split(model.text.encode(*prompts), tails.shape[-2])
    denoiser, count = DemoDenoiser(model, head), len(clean)
    total = torch.zeros(count)
    for u, noise in zip(*fixed_pairs(clean.shape[1:], pairs), strict=True):
        same = noise.expand_as(clean)
        total += squared_error(denoiser, clean, u.expand(count), same, tails)
    return total / pairs
