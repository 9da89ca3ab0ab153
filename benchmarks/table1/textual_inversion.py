"""Textual Inversion (arXiv 2208.01618): one new word's vector before the text encoder."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from hiper.demo.text import TextEncoder, tokens_of

from .contender import Meter, Task, Trainer, some_at_a_time

# the paper's neutral sentences, in the words that the demo model knows
TEMPLATES = ("a photo of a {}", "a picture of a {}", "the photo of the {}", "a drawing of a {}")


@dataclass(frozen=True)
class Inversion:
    steps: int = 5000
    rate: float = 5e-3
    captioned: bool = False  # behind the picture's own prompt instead of the neutral sentences


PAPER = Inversion()


def encoded(text: TextEncoder, prompts: list[str], words: list[str], vectors: Tensor) -> Tensor:
    """Prompts `(P, 77, 128)`, of each of which a word is a new one `(P, 128)`."""
    tokens = [tokens_of(prompt) for prompt in prompts]
    there = torch.zeros(len(prompts), len(tokens[0]), 1)
    for row, (own, word) in enumerate(zip(tokens, words, strict=True)):
        there[row, own.index(tokens_of(word)[1])] = 1
    inner = text.text_model
    x = inner.embeddings.token_embedding(torch.tensor(tokens))
    x = x * (1 - there) + vectors[:, None] * there + inner.embeddings.position_embedding.weight
    for layer in inner.encoder.layers:
        x = layer(x)
    return inner.final_layer_norm(x)


def textual_inversion(how: Inversion):
    def learn(task: Task, meter: Meter) -> Tensor:
        animals, text = [case.scene.animal for case in task.cases], task.model.text
        weights = text.text_model.embeddings.token_embedding.weight
        first = weights[[tokens_of(animal)[1] for animal in animals]]
        vectors = first.detach().clone().requires_grad_(True)
        chance = random.Random(0)
        with meter.running(), task.bench.precision():
            trainer = Trainer(0)
            adam = torch.optim.Adam([vectors], how.rate)
            for _ in range(how.steps):
                adam.zero_grad()
                sentence = chance.choice(TEMPLATES)
                prompts = [sentence.format(animal) for animal in animals]
                if how.captioned:
                    prompts = [case.source for case in task.cases]
                own = encoded(text, prompts, animals, vectors)
                trainer.losses(task.model, task.clean, own, meter).sum().backward()
                adam.step()
        meter.keep(vectors[:1])
        with torch.no_grad():
            targets = [case.target for case in task.cases]
            return task.drawn(task.model, encoded(text, targets, animals, vectors.detach()))

    return some_at_a_time(learn)
