"""A ComfyUI model as eq. 4's denoiser, called with one number of samples after another."""

from __future__ import annotations

import pytest
import torch
from support import tiny_models
from support.tiny_families import TINY

from hiper.learning.terms import squared_error


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("name", ["SDXL", "Flux"])
def test_another_number_of_samples_gives_the_same_loss(name: str) -> None:
    """A preview takes one sample between steps of several; pooled vectors must follow."""
    from hiper.host.model.denoiser import frozen_denoiser

    tiny = TINY[name]
    clean = tiny_models.picture(tiny)
    tail = torch.randn(1, 1, 5, tiny.text.width, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(3, *clean.shape[1:], generator=torch.Generator().manual_seed(1))
    placement = "append" if name == "Flux" else "replace"
    losses = []
    for counts in ((3,), (1, 3), (3, 1)):
        model, prompt = tiny_models.build(tiny), tiny_models.prompt(tiny)
        with frozen_denoiser(model, prompt, clean.shape, placement) as denoiser:
            for count in counts:
                own = tail.clone().requires_grad_(True)
                u = torch.full((count,), 0.5)
                many = clean.expand(count, *clean.shape[1:])
                loss = squared_error(denoiser, many, u, noise[:count], own)
                assert loss.shape == (count,)
        losses.append(float(loss.detach()[0]))
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
