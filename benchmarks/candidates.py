"""Each way of learning faster tried alone, on the animals that recipes are chosen on.

Run through `benchmarks/learning.py --only candidates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from method import Bench
from quality import Quality

from hiper.learning.loop import LearningSettings
from hiper.learning.recipe import FAST, PAPER, Recipe

STEPS = 150
CANDIDATES = {
    "the paper's": PAPER,
    "spread timesteps": Recipe(spread=True),
    "antithetic noise": Recipe(antithetic=True),
    "averaged tails": Recipe(average=0.98),
    "bounded": Recipe(bound=1.0),
    "4 × the rate": Recipe(rate=4.0),
    "28 × the rate, falling": Recipe(rate=28.0, settles=30.0),
    "28 × the rate, falling, averaged": Recipe(rate=28.0, settles=30.0, average=0.98),
    "fast": FAST,
    "fast, not spread": replace(FAST, spread=False),
    "fast, not antithetic": replace(FAST, antithetic=False),
    "fast, not averaged": replace(FAST, average=0.0),
    "fast, not bounded": replace(FAST, bound=0.0),
    "fast, bound 1.3": replace(FAST, bound=1.3),
    "fast, rate not relative": replace(FAST, rate=28.0, relative=False),
    "fast, steady at 10 × the rate": replace(FAST, rate=10.0, relative=False, settles=0.0),
    "fast, steady at 14 × the rate": replace(FAST, rate=14.0, relative=False, settles=0.0),
    "fast, timesteps to the power of 1.5": replace(FAST, power=1.5),
}


def compare(bench: Bench, animals: int, names: Sequence[str] = tuple(CANDIDATES)) -> list[dict]:
    """What each of these gives after so many steps of one sample, over other animals."""
    quality = Quality(bench, animals, seeds=1, animals_seed=1)
    rows = []
    for name in names:
        settings = LearningSettings(STEPS, 5e-3, recipe=CANDIDATES[name])
        run = quality.learn(settings, (STEPS,))
        rows.append({"recipe": name, "steps": STEPS} | quality.judge(run.tails[STEPS]))
    return rows
