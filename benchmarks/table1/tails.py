"""HiPer by either recipe, and SeFi-IDE: tails of all animals at once, each as if it were alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.sefi import TOKENS, told_at
from benchmarks.ways import WORD
from hiper.demo.grounding import inside
from hiper.demo.many import learn_many
from hiper.embedding import split
from hiper.learning.focus import Focus
from hiper.learning.loop import LearningSettings
from hiper.learning.recipe import RECIPES
from hiper.learning.sefi import PAPER_FOCUS
from hiper.learning.terms import EQUATION_4, Weighted

from .contender import Meter, Task, some_at_a_time

RATE = 5e-3


@dataclass(frozen=True)
class Tails:
    recipe: str
    steps: int
    strength: float
    focus: float = 0.0
    to_mask: bool = False  # else to the animal's word
    reduction: str = "relative"
    stages: int = 1
    roles: int = 1


HIPER = Tails("paper", 1000, 0.8)
HIPER_FAST = Tails("fast", 200, 1.0)
SEFI = Tails("paper", 1000, 1.0, PAPER_FOCUS, reduction="paper", stages=5, roles=2)
SEFI_CHOSEN = Tails("fast", 200, 1.0, 3e-3, to_mask=True)


def tails(how: Tails):
    return some_at_a_time(partial(_of, how))


def _of(how: Tails, task: Task, meter: Meter) -> Tensor:
    texts = [case.source for case in task.cases]
    terms, region = EQUATION_4, None
    if how.focus:
        word = () if how.to_mask else (WORD,)
        focus = Focus(TOKENS, word, how.to_mask, reduction=how.reduction)
        terms = (*EQUATION_4, Weighted(focus, how.focus))
        if how.to_mask:
            region = torch.stack([inside(case.scene, 16) for case in task.cases])[:, None]
    settings = LearningSettings(how.steps, RATE, recipe=RECIPES[how.recipe], terms=terms)
    with meter.running(), task.bench.precision():
        learned = learn_many(
            task.model, task.clean, texts, TOKENS, settings, region=region,
            parts=(how.stages, how.roles),
        )  # fmt: skip
    meter.evaluations += how.steps * len(task.cases)
    meter.keep(learned[:1])
    heads = split(task.targets(), TOKENS)[0]
    return task.drawn(task.model, told_at(task.model, heads, how.strength * learned))
