"""What the method shows on the demo model: `python benchmarks/method.py --json`.

Unseen animals in coats that no caption can name; a plain prompt is chance, the source itself
redrawn in the pose asked for is the best possible, and every figure stands beside its baseline.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # before an installed copy

from benchmarks.patterns import by_pattern
from benchmarks.prompting import prompting, two_animals
from hiper.demo import analyser as analysing
from hiper.demo import train_analyser
from hiper.demo.analyser import Seen
from hiper.demo.captions import PLACES, nameless_coat, prompt, random_scene
from hiper.demo.many import learn_many
from hiper.demo.measures import closed, look, malformed, redrawn
from hiper.demo.model import WEIGHTS, DemoModel, load, sample
from hiper.demo.scene import GROUNDS, POSES, Scene
from hiper.demo.showing import Showing
from hiper.embedding import split
from hiper.learning.loop import LearningSettings
from hiper.learning.recipe import RECIPES, Recipe
from hiper.learning.terms import EQUATION_4, Weighted

TOKENS = (1, 2, 5, 10, 20, 32)
STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
WHOLE = (0.8, 1.0)  # strengths that all animals are drawn at: the paper's, and all of the tail
SOURCES = ("a", "a {animal}", "a {pose} {animal}", "a {pose} {animal} {place}")
SEEDS = range(10)


@dataclass(frozen=True)
class Case:
    """One unseen animal, and the pose and ground that are asked for instead of its own."""

    scene: Scene
    pose: str
    ground: str

    @property
    def source(self) -> str:
        """All that a plain prompt can say of the picture; what is left is the coat."""
        return prompt(self.scene.animal, self.scene.pose, self.scene.ground)

    @property
    def target(self) -> str:
        return prompt(self.scene.animal, self.pose, self.ground)


def unseen(count: int, seed: int) -> list[Case]:
    """Animals that no training drew: their random stream is another, their colours are any."""
    rng = random.Random(f"unseen animals {seed}")
    cases = []
    for _ in range(count):
        scene = random_scene(rng, nameless_coat(rng))
        pose = rng.choice([pose for pose in POSES if pose != scene.pose])
        ground = rng.choice([ground for ground in GROUNDS if ground != scene.ground])
        cases.append(Case(scene, pose, ground))
    return cases


def bf16_is_fast() -> bool:
    """Elsewhere bfloat16 is emulated, and slower than float32 by far."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")


class Bench:
    """The model, what judges it, and how far along it all is."""

    def __init__(
        self,
        batch: int,
        bf16: bool | None = None,
        recipe: Recipe = Showing.recipe,
        weights: Path = WEIGHTS,
    ) -> None:
        self.bf16, self.recipe = bf16_is_fast() if bf16 is None else bf16, recipe
        self.model: DemoModel = load(weights)
        self.analyser = analysing.load()
        self.batch = batch
        self.started = time.perf_counter()

    def say(self, what: str) -> None:
        print(f"[{time.perf_counter() - self.started:6.0f} s] {what}", file=sys.stderr, flush=True)

    def precision(self) -> torch.autocast:
        """The model computes in bfloat16 where that is fast; tails, Adam and judging in fp32."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)

    def noise(self, count: int, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, 12, 16, 16, generator=generator)

    def sampled(self, context: Tensor, seed: int) -> Tensor:
        noise = self.noise(len(context), seed)
        parts = zip(context.split(self.batch), noise.split(self.batch), strict=True)
        with self.precision():
            return torch.cat([sample(self.model, some, its) for some, its in parts]).float()

    def encoded(self, texts: list[str]) -> Tensor:
        with torch.no_grad():
            return torch.cat([self.model.text.encode(text) for text in texts])

    def tails(
        self,
        cases: list[Case],
        texts: list[str],
        tokens: int,
        steps: int,
        mask: Tensor | None = None,
        region: Tensor | None = None,
        terms: tuple[Weighted, ...] = EQUATION_4,
    ) -> Tensor:
        """Tails `(P, N, 128)` learned from each case's picture and source prompt, inside its mask
        or held to its region `(P, 1, 16, 16)` where there are any."""
        settings = LearningSettings(steps, Showing.learning_rate, recipe=self.recipe, terms=terms)
        clean = redrawn(self.model, [case.scene for case in cases])
        learned = []
        for first in range(0, len(cases), self.batch):
            part = slice(first, first + self.batch)
            inside, where = (None if each is None else each[part] for each in (mask, region))
            with self.precision():
                own_tails = learn_many(
                    self.model, clean[part], texts[part], tokens, settings, None, inside, where
                )
            learned.append(own_tails[:, 0, 0])
            done = min(first + self.batch, len(cases))
            self.say(f"learned {done} of {len(cases)} tails, N = {tokens}")
        return torch.cat(learned)

    def composed(self, cases: list[Case], tails: Tensor, strength: float) -> Tensor:
        heads = split(self.encoded([case.target for case in cases]), tails.shape[1])[0]
        return torch.cat([heads, strength * tails], dim=1)

    def judged(self, cases: list[Case], latents: Tensor) -> dict[str, float]:
        """Identity distance to the source, and how often pose and ground are as asked for."""
        source = look(self.analyser, self.model, redrawn(self.model, [c.scene for c in cases]))
        found = self.compared(source, cases, latents)
        keys = ("identity_distance", "pose_found", "ground_found")
        return {k: round(float(v.float().mean()), 4) for k, v in zip(keys, found, strict=True)}

    def compared(self, source: Seen, cases: list[Case], latents: Tensor) -> tuple[Tensor, ...]:
        """Each picture's coat's distance to the source's, whether pose, and ground is right."""
        seen = look(self.analyser, self.model, latents)
        poses = torch.tensor([POSES.index(case.pose) for case in cases])
        grounds = torch.tensor([GROUNDS.index(case.ground) for case in cases])
        return source.coat_distance(seen), seen.pose == poses, seen.ground == grounds

    def best(self, cases: list[Case]) -> dict[str, float]:
        scenes = [case.scene.doing(case.pose, case.ground) for case in cases]
        return self.judged(cases, redrawn(self.model, scenes))


def trend_row(
    bench: Bench, cases: list[Case], context: Tensor, frame: tuple[float, float], seed: int = 2
) -> dict:
    chance, best = frame
    row = bench.judged(cases, bench.sampled(context, seed))
    return {**row, "identity_closed": closed(chance, row["identity_distance"], best)}


def by_prompt(bench: Bench, prompts: int) -> dict:
    """What prompts alone draw."""
    result: dict = {"prompting": prompting(bench, prompts)}
    result["malformed_plain"] = result["prompting"].pop("malformed_plain")
    result["two_animals"] = two_animals(bench, max(prompts // 2, 1))
    return result


def measure(bench: Bench, animals: int, few: int, prompts: int, steps: int) -> dict:
    """Everything, each figure beside its baseline."""
    cases = unseen(animals, seed=0)
    strength = Showing.strength
    result: dict = {
        "animals": animals,
        "trend_animals": few,
        "tokens": Showing.tokens,
        "strength": strength,
        "steps": steps,
        "learning_rate": Showing.learning_rate,
        "recipe": str(bench.recipe),
        "precision": "bfloat16" if bench.bf16 else "float32",
        "analyser": train_analyser.accuracy(bench.analyser, bench.model.latents),
    }
    if prompts:
        result |= by_prompt(bench, prompts)
    targets = bench.encoded([case.target for case in cases])
    without = bench.sampled(targets, seed=2)
    plain = bench.judged(cases, without)
    best = bench.best(cases)
    began = time.perf_counter()
    tails = bench.tails(cases, [case.source for case in cases], Showing.tokens, steps)
    result["seconds_learning"] = round(time.perf_counter() - began, 1)
    frame = plain["identity_distance"], best["identity_distance"]
    rows = []
    for at in sorted({strength, *WHOLE}):
        drawn = bench.sampled(bench.composed(cases, tails, at), seed=2)
        row = bench.judged(cases, drawn)
        row["identity_closed"] = closed(frame[0], row["identity_distance"], frame[1])
        row["malformed"] = malformed(bench.model, drawn)
        patterns = by_pattern(bench, cases, without, drawn)
        rows.append({"strength": at, **row, "identity_by_pattern": patterns})
        if at == strength:
            result |= {**row, "identity_by_pattern": patterns}
    result["strengths"] = rows
    result |= {f"{key}_plain": value for key, value in plain.items()}
    result |= {f"{key}_best": value for key, value in best.items()}

    if not few:
        return result | {"seconds": round(time.perf_counter() - bench.started, 1)}
    some, some_tails = cases[:few], tails[:few]
    plain = bench.judged(some, bench.sampled(targets[:few], seed=2))
    frame = plain["identity_distance"], bench.best(some)["identity_distance"]
    bench.say("α from 0 to 1.2")
    result["by_strength"] = [
        {"strength": a} | trend_row(bench, some, bench.composed(some, some_tails, a), frame)
        for a in STRENGTHS
    ]
    bench.say("without the tail")
    context = bench.composed(some, some_tails, strength)
    result["without_tail"] = [
        {"tail": "the target prompt's own"} | trend_row(bench, some, targets[:few], frame),
        {"tail": "learned"} | trend_row(bench, some, context, frame),
    ]
    bench.say("ten seeds")
    result["by_seed"] = [
        {"seed": seed} | trend_row(bench, some, context, frame, 100 + seed) for seed in SEEDS
    ]
    result["by_tokens"] = []
    for tokens in TOKENS:
        own = (
            some_tails
            if tokens == Showing.tokens
            else bench.tails(some, [case.source for case in some], tokens, steps)
        )
        row = trend_row(bench, some, bench.composed(some, own, strength), frame)
        result["by_tokens"].append({"tokens": tokens} | row)
    result["by_source"] = []
    for form in SOURCES:
        texts = [
            form.format(animal=c.scene.animal, pose=c.scene.pose, place=PLACES[c.scene.ground][0])
            for c in some
        ]
        whole = texts == [case.source for case in some]
        own = some_tails if whole else bench.tails(some, texts, Showing.tokens, steps)
        row = trend_row(bench, some, bench.composed(some, own, strength), frame)
        result["by_source"].append({"source": form} | row)
    result["seconds"] = round(time.perf_counter() - bench.started, 1)
    return result


def table(rows: list[dict]) -> str:
    """One trend as a Markdown table."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *[[str(row[key]) for key in head] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--animals", type=int, default=100, help="0: prompts alone")
    parser.add_argument("--trend-animals", type=int, default=16, help="0: no trends")
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=Showing.steps)
    parser.add_argument("--recipe", choices=list(RECIPES), default="fast")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="other demo weights")
    parser.add_argument("--fp32", action="store_true", help="float32 even where bfloat16 is fast")
    given = parser.parse_args()
    few = min(given.trend_animals, given.animals)
    bench = Bench(given.batch, False if given.fp32 else None, RECIPES[given.recipe], given.weights)
    if given.animals:
        result = measure(bench, given.animals, few, given.prompts, given.steps)
    else:
        result = by_prompt(bench, given.prompts)
    if given.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
        return
    trends = {key: value for key, value in result.items() if isinstance(value, list)}
    print(table([{k: v for k, v in result.items() if not isinstance(v, list | dict)}]))
    for name, rows in trends.items():
        print(f"\n## {name.replace('_', ' ')}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
