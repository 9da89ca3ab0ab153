"""Imagic (arXiv 2210.09276): the target's embedding, then the model, then between both."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .contender import Meter, Task, Trainer, frozen, one_by_one, tuned_copy


@dataclass(frozen=True)
class Imagic:
    """Steps A and B of the paper's section 3.2, and η of its eq. 3; on Stable Diffusion."""

    embedding_steps: int = 1000  # (A)
    embedding_rate: float = 2e-3
    model_steps: int = 1500  # (B)
    model_rate: float = 5e-7
    eta: float = 0.7  # of the target's embedding; the rest is the optimised one


PAPER = Imagic()


def imagic(how: Imagic):
    """A method that bends each animal's target prompt to its picture."""

    def learn(task: Task, meter: Meter) -> Tensor:
        target = task.targets()
        with meter.running():
            trainer = Trainer(0)
            own = target.clone().requires_grad_(True)
            adam = torch.optim.Adam([own], how.embedding_rate)
            for _ in range(how.embedding_steps):
                adam.zero_grad()
                trainer.losses(task.model, task.clean, own, meter).sum().backward()
                adam.step()
            optimised, model = own.detach(), tuned_copy(task.model)
            adam = torch.optim.Adam(model.unet.parameters(), how.model_rate)
            for _ in range(how.model_steps):
                adam.zero_grad()
                trainer.losses(model, task.clean, optimised, meter).sum().backward()
                adam.step()
        meter.keep(optimised, *model.unet.parameters())
        between = how.eta * target + (1 - how.eta) * optimised
        return task.drawn(frozen(model), between)

    return one_by_one(learn)
