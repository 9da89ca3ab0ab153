"""Textual Inversion (arXiv 2208.01618): one new word's vector before the text encoder."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from hiper.demo.text import TextEncoder, tokens_of

from .contender import Meter, Task, Trainer, one_by_one

# the paper's neutral sentences, in the words that the demo model knows
TEMPLATES = ("a photo of a {}", "a picture of a {}", "the photo of the {}", "a drawing of a {}")


@dataclass(frozen=True)
class Inversion:
    steps: int = 5000
    rate: float = 5e-3
    batch: int = 1


PAPER = Inversion()


def encoded(text: TextEncoder, prompt: str, word: str, vector: Tensor) -> Tensor:
    """A prompt `(1, 77, 128)` whose word is the new one `(128,)`."""
    tokens = tokens_of(prompt)
    place = tokens.index(tokens_of(word)[1])
    inner = text.text_model
    x = inner.embeddings.token_embedding(torch.tensor([tokens]))
    there = torch.zeros(1, len(tokens), 1)
    there[0, place] = 1
    x = x * (1 - there) + vector * there + inner.embeddings.position_embedding.weight
    for layer in inner.encoder.layers:
        x = layer(x)
    return inner.final_layer_norm(x)


def textual_inversion(how: Inversion):
    def learn(task: Task, meter: Meter) -> Tensor:
        (case,) = task.cases
        animal, text = case.scene.animal, task.model.text
        weights = text.text_model.embeddings.token_embedding.weight
        vector = weights[tokens_of(animal)[1]].detach().clone().requires_grad_(True)
        chance = random.Random(0)
        with meter.running():
            trainer = Trainer(0, how.batch)
            adam = torch.optim.Adam([vector], how.rate)
            for _ in range(how.steps):
                adam.zero_grad()
                prompt = chance.choice(TEMPLATES).format(animal)
                own = encoded(text, prompt, animal, vector)
                trainer.loss(task.model, task.clean, own, meter).backward()
                adam.step()
        meter.keep(vector)
        with torch.no_grad():
            return task.drawn(task.model, encoded(text, case.target, animal, vector.detach()))

    return one_by_one(learn)
