"""How many steps a tail needs, on the demo model: the paper's recipe, a faster one, and "auto".

Run through `benchmarks/learning.py`. Recipes were chosen on other animals (`--animals-seed 1`)
than they are reported on; both draw, learn and judge as `benchmarks/method.py` does.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from benchmarks.method import Bench, Case, unseen
from hiper.demo.many import fixed_losses, learn_many
from hiper.demo.measures import closed, redrawn
from hiper.demo.showing import Showing
from hiper.embedding import split
from hiper.learning.loop import LearningSettings
from hiper.learning.recipe import FAST, PAPER
from hiper.learning.stopping import Plateau, StopRule

PAPERS = LearningSettings(1000, 5e-3)
FASTER = LearningSettings(300, 5e-3, recipe=FAST)
RULES = (  # today's, and what did best of those that stop by 120 on the choosing set
    StopRule(),
    StopRule(every=20, least_gain=0.05, patience=2),
)
STEP = 10  # every rule reads the fixed loss at multiples of it
MARKS = (25, 50, 60, 75, 100, 120, 150, 200, 250, 300)
KEYS = ("identity_closed", "pose_found", "ground_found")


@dataclass
class Run:
    """One recipe over every animal and seed: tails `(A, N, 128)` a seed after so many steps, and
    the fixed loss `(A,)` a seed where it was looked at."""

    settings: LearningSettings
    tails: dict[int, list[Tensor]] = field(default_factory=dict)
    losses: dict[int, list[Tensor]] = field(default_factory=dict)

    def read_every(self, steps: int) -> Run:
        """As if the fixed loss had been looked at less often."""
        seen = {done: losses for done, losses in self.losses.items() if done % steps == 0}
        return replace(self, losses=seen)


class Quality:
    """Animals, what plain prompts and the best possible give for them, and what tails give."""

    def __init__(self, bench: Bench, animals: int, seeds: int, animals_seed: int = 0) -> None:
        self.bench, self.seeds = bench, seeds
        self.cases: list[Case] = unseen(animals, animals_seed)
        self.texts = [case.source for case in self.cases]
        self.clean = redrawn(bench.model, [case.scene for case in self.cases])
        targets = bench.encoded([case.target for case in self.cases])
        self.chance = self.means([targets] * seeds)["identity_distance"]
        self.best = bench.best(self.cases)["identity_distance"]

    def means(self, contexts: list[Tensor]) -> dict[str, float]:
        """Over animals and seeds of what is seen in pictures of contexts `(A, 77, 128)` a seed."""
        latents = [self.bench.sampled(each, 10 + seed) for seed, each in enumerate(contexts)]
        rows = [self.bench.judged(self.cases, each) for each in latents]
        return {key: round(statistics.fmean(row[key] for row in rows), 4) for key in rows[0]}

    def learn(self, settings: LearningSettings, marks: tuple[int, ...], every: int = 0) -> Run:
        """Tails are kept at the marks and, as the fixed loss is, each `every` steps."""
        run = Run(settings)
        initial = split(self.bench.encoded(self.texts), Showing.tokens)[1]
        for seed in range(self.seeds):

            def keep(done: int, tails: Tensor) -> None:
                looked = every and done % every == 0
                if looked or done in marks:
                    run.tails.setdefault(done, []).append(tails[:, 0, 0].clone())
                if looked:
                    loss = fixed_losses(
                        self.bench.model, self.clean, self.texts, tails, StopRule.pairs
                    )
                    run.losses.setdefault(done, []).append(loss)

            own = replace(settings, seed=seed)
            with self.bench.precision():
                keep(0, initial[:, None, None])
                learn_many(
                    self.bench.model,
                    self.clean,
                    self.texts,
                    Showing.tokens,
                    own,
                    lambda index, tails: keep(index + 1, tails),
                )
            self.bench.say(f"seed {seed}: {settings.steps} steps at {settings.learning_rate:g}")
        return run

    def judge(self, tails: list[Tensor], strength: float = Showing.strength) -> dict[str, float]:
        """Means over animals and seeds of what tails `(A, N, 128)` a seed give."""
        bench = self.bench
        seen = self.means([bench.composed(self.cases, each, strength) for each in tails])
        reached = closed(self.chance, seen.pop("identity_distance"), self.best)
        return {"identity_closed": reached} | seen


def stopped(run: Run, rule: StopRule) -> tuple[list[Tensor], list[int]]:
    """The tails that "auto" gives, `(A, N, 128)` a seed, and the steps it takes: where it stops the
    one that looked best, at the bound the last one, as `learn` does."""
    tails, steps = [], []
    for seed, first in enumerate(run.losses[0]):
        chosen = []
        for animal in range(len(first)):
            plateau, kept, last = Plateau(rule, float(first[animal])), None, run.settings.steps
            for done in sorted(run.losses)[1:]:
                loss = float(run.losses[done][seed][animal])
                if kept is None or loss < plateau.best:
                    kept = run.tails[done][seed][animal]
                last = done
                if plateau.add(loss):
                    break
            else:
                kept = run.tails[last][seed][animal]
            chosen.append(kept)
            steps.append(last)
        tails.append(torch.stack(chosen))
    return tails, steps


def by_rule(quality: Quality, run: Run, rule: StopRule) -> dict[str, float]:
    """When a rule stops, and what the tails that it keeps give."""
    tails, steps = stopped(run.read_every(rule.every), rule)
    row = {"every": rule.every, "least_gain": rule.least_gain, "patience": rule.patience}
    row |= {"median": statistics.median(steps), "mean": round(statistics.fmean(steps), 1)}
    return row | quality.judge(tails)


def measure(bench: Bench, animals: int, seeds: int) -> dict:
    """Fewest model evaluations to the paper's quality, and what stopping by itself gives."""
    quality = Quality(bench, animals, seeds)
    learned = quality.learn(PAPERS, (PAPERS.steps,)).tails[PAPERS.steps]
    paper, weaker = quality.judge(learned), quality.judge(learned, PAPER.strength)
    run = quality.learn(FASTER, MARKS, STEP)
    rows = [{"evaluations": mark, **quality.judge(run.tails[mark])} for mark in MARKS]
    reached = [row for row in rows if all(row[key] >= paper[key] for key in KEYS)]
    identity = [row for row in rows if row["identity_closed"] >= paper["identity_closed"]]
    auto = [by_rule(quality, run, rule) for rule in RULES]
    return {
        "quality_animals": animals,
        "quality_seeds": seeds,
        "paper": {"evaluations": PAPERS.steps, "recipe": str(PAPER), **paper},
        "paper_at_its_strength": {"strength": PAPER.strength, **weaker},
        "fast": {"recipe": str(FAST)},
        "by_evaluations": rows,
        "steps_to_quality": reached[0]["evaluations"] if reached else None,
        "steps_to_identity": identity[0]["evaluations"] if identity else None,
        "auto": auto,
        "auto_worse_than_paper": [[key for key in KEYS if row[key] < paper[key]] for row in auto],
    }
