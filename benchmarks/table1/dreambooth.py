"""DreamBooth (arXiv 2208.12242): the net learns an identifier, and its class is kept beside it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hiper.demo.model import STEPS, sample, starting_noise

from .contender import Meter, Task, Trainer, frozen, one_by_one, tuned_copy

IDENTIFIER = "drawing"  # a word that the demo model's captions seldom have before an animal


@dataclass(frozen=True)
class DreamBooth:
    """Eq. 2: λ of the prior's own loss, on pictures of the class that the model drew itself."""

    steps: int = 1000
    rate: float = 5e-6
    prior_weight: float = 1.0
    prior_pictures: int = 16  # the paper draws more: one a step would be a thousand
    captioned: bool = False  # the picture's own prompt and identifier; the paper's is both alone


PAPER = DreamBooth()


def named(text: str, animal: str) -> str:
    """The prompt with the identifier before the animal's word."""
    return text.replace(animal, f"{IDENTIFIER} {animal}", 1)


def dreambooth(how: DreamBooth):
    def learn(task: Task, meter: Meter) -> Tensor:
        (case,) = task.cases
        animal = case.scene.animal
        told = case.source if how.captioned else f"a {animal}"
        subject = task.bench.encoded([named(told, animal)])
        kind = task.bench.encoded([f"a {animal}"])
        with meter.running():
            prior = sample(
                task.model,
                kind.expand(how.prior_pictures, -1, -1),
                starting_noise(how.prior_pictures, 1),
            )
            meter.evaluations += 2 * STEPS * how.prior_pictures  # with guidance
            model, trainer = tuned_copy(task.model), Trainer(0, 2)
            adam = torch.optim.Adam(model.unet.parameters(), how.rate)
            prompts = torch.cat([subject, kind])
            for step in range(how.steps):
                adam.zero_grad()
                both = torch.cat([task.clean, prior[step % len(prior)][None]])
                own, others = trainer.losses(model, both, prompts, meter)
                (own + how.prior_weight * others).backward()
                adam.step()
        meter.keep(*model.unet.parameters())
        target = task.bench.encoded([named(case.target, animal)])
        return task.drawn(frozen(model), target)

    return one_by_one(learn)
