"""How many steps a tail needs, on the demo model: the paper's recipe, a faster one, and "auto".

Run through `benchmarks/learning.py`. Recipes were chosen on other animals (`--animals-seed 1`)
than they are reported on; both draw, learn and judge as `benchmarks/method.py` does.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace

import torch
from method import Bench, Case, unseen
from torch import Tensor

from hiper.demo.drawing import GROUNDS, POSES
from hiper.demo.many import fixed_losses, learn_many
from hiper.demo.measures import look, redrawn
from hiper.demo.showing import Showing
from hiper.embedding import split
from hiper.learning import LearningSettings
from hiper.recipe import FAST, PAPER
from hiper.stopping import Plateau, StopRule

PAPERS = LearningSettings(1000, 5e-3)
FASTER = LearningSettings(300, 5e-3, recipe=FAST)
MARKS = (25, 50, 75, 100, 125, 150, 200, 250, 300)
KEYS = ("identity_closed", "pose_found", "ground_found")


@dataclass
class Run:
    """One recipe over every animal and seed: tails at chosen steps, and the fixed loss on the way.

    Tails are `(A, N, 128)` a seed, losses `(A,)` a seed and look.
    """

    settings: LearningSettings
    at: dict[int, list[Tensor]] = field(default_factory=dict)
    losses: dict[int, list[Tensor]] = field(default_factory=dict)
    tails: dict[int, list[Tensor]] = field(default_factory=dict)


class Quality:
    """Animals, what plain prompts and the best possible give for them, and what tails give."""

    def __init__(self, bench: Bench, animals: int, seeds: int, animals_seed: int = 0) -> None:
        self.bench, self.seeds = bench, seeds
        self.cases: list[Case] = unseen(animals, animals_seed)
        self.clean = redrawn(bench.model, [case.scene for case in self.cases])
        self.source = look(bench.analyser, bench.model, self.clean)
        targets = bench.encoded([case.target for case in self.cases])
        self.chance = torch.stack(
            [self.distance(bench.sampled(targets, 10 + s)) for s in range(seeds)]
        ).mean()
        ideal = [case.scene.doing(case.pose, case.ground) for case in self.cases]
        self.best = self.distance(redrawn(bench.model, ideal)).mean()

    def distance(self, latents: Tensor) -> Tensor:
        return self.source.coat_distance(look(self.bench.analyser, self.bench.model, latents))

    def learn(self, settings: LearningSettings, marks: tuple[int, ...], every: int) -> Run:
        run = Run(settings)
        texts = [case.source for case in self.cases]

        for seed in range(self.seeds):

            def watch(index: int, tails: Tensor) -> None:
                done = index + 1
                if done in marks:
                    run.at.setdefault(done, []).append(tails.clone())
                if done % every == 0:
                    loss = fixed_losses(self.bench.model, self.clean, texts, tails, StopRule.pairs)
                    run.losses.setdefault(done, []).append(loss)
                    run.tails.setdefault(done, []).append(tails.clone())

            initial = split(self.bench.encoded(texts), Showing.tokens)[1]
            with self.bench.precision():
                first = fixed_losses(self.bench.model, self.clean, texts, initial, StopRule.pairs)
            run.losses.setdefault(0, []).append(first)
            own = replace(settings, seed=seed)
            with self.bench.precision():
                learn_many(self.bench.model, self.clean, texts, Showing.tokens, own, watch)
            self.bench.say(f"seed {seed}: {settings.steps} steps at {settings.learning_rate:g}")
        return run

    def judge(self, tails: list[Tensor]) -> dict[str, float]:
        """Means over animals and seeds of what tails `(A, N, 128)` a seed give."""
        rows = []
        for seed, some in enumerate(tails):
            composed = self.bench.composed(self.cases, some, Showing.strength)
            latents = self.bench.sampled(composed, 10 + seed)
            seen = look(self.bench.analyser, self.bench.model, latents)
            pose = torch.tensor([POSES.index(case.pose) for case in self.cases])
            ground = torch.tensor([GROUNDS.index(case.ground) for case in self.cases])
            closed = (self.chance - self.source.coat_distance(seen)) / (self.chance - self.best)
            found = [(seen.pose == pose).float(), (seen.ground == ground).float()]
            rows.append(torch.stack([closed, *found]))
        means = torch.stack(rows).mean((0, 2))
        return {key: round(float(mean), 4) for key, mean in zip(KEYS, means, strict=True)}


def stopped(run: Run, rule: StopRule) -> tuple[list[Tensor], list[int]]:
    """The tails that "auto" gives, `(A, N, 128)` a seed, and the steps it takes: where it stops the
    one that looked best, at the bound the last one, as `learn` does."""
    tails, steps = [], []
    for seed, first in enumerate(run.losses[0]):
        chosen = []
        for animal in range(len(first)):
            plateau, kept, last = Plateau(rule, float(first[animal])), None, run.settings.steps
            for done in sorted(run.tails):
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


def measure(bench: Bench, animals: int, seeds: int, rule: StopRule) -> dict:
    """Fewest model evaluations to the paper's quality, and what stopping by itself gives."""
    quality = Quality(bench, animals, seeds)
    paper = quality.judge(quality.learn(PAPERS, (PAPERS.steps,), 10**9).at[PAPERS.steps])
    run = quality.learn(FASTER, MARKS, rule.every)
    rows = [
        {"evaluations": mark, **quality.judge(run.at[mark])} for mark in MARKS if mark in run.at
    ]
    reached = [row for row in rows if all(row[key] >= paper[key] for key in KEYS)]
    identity = [row for row in rows if row["identity_closed"] >= paper["identity_closed"]]
    tails, steps = stopped(run, rule)
    auto = quality.judge(tails)
    return {
        "quality_animals": animals,
        "quality_seeds": seeds,
        "paper": {"evaluations": PAPERS.steps, "recipe": str(PAPER), **paper},
        "fast": {"recipe": str(FAST)},
        "by_evaluations": rows,
        "steps_to_quality": reached[0]["evaluations"] if reached else None,
        "steps_to_identity": identity[0]["evaluations"] if identity else None,
        "auto": auto,
        "auto_steps_median": statistics.median(steps),
        "auto_worse_than_paper": [key for key in KEYS if auto[key] < paper[key]],
    }
