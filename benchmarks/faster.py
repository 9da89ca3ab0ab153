"""Whether other papers' ways of learning are faster or better than the fast recipe:
`python benchmarks/faster.py --json`.

Each alone, on the animals that settings are chosen on (`--unseen`: on others), with several seeds.
Every way has the same animals, seeds and noise, so that a difference is one between pairs.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # before an installed copy

from benchmarks.method import Bench, table, unseen
from benchmarks.parts import joined, kept
from benchmarks.ways import WAYS, WORD, OtherDraws, Way
from hiper.demo.grounding import inside
from hiper.demo.measures import look, redrawn
from hiper.demo.model import DemoDenoiser
from hiper.demo.showing import Showing
from hiper.embedding import split
from hiper.learning.terms import loss

MARKS = (60, 120)
RATE = Showing.learning_rate
NORMAL = 1.96
BASE = "fast, antithetic"
SEEN = ("identity_closed", "identity_given_prompt", "pose", "ground")


class Study:
    """Animals, seeds, and what is chance and best for them; what is seen is `(seeds, animals)`."""

    def __init__(self, bench: Bench, animals: int, seeds: int, animals_seed: int) -> None:
        self.bench, self.seeds = bench, seeds
        self.cases = unseen(animals, animals_seed)
        scenes = [case.scene for case in self.cases]
        self.clean = redrawn(bench.model, scenes)
        self.region = torch.stack([inside(scene, 16) for scene in scenes])[:, None]
        self.source = bench.encoded([case.source for case in self.cases])
        self.word = self.source[:, WORD][:, None, None, None]
        self.target = bench.encoded([case.target for case in self.cases])
        self._source = look(bench.analyser, bench.model, self.clean)
        self.chance = self.seen([self.target] * seeds)[0]
        best = [case.scene.doing(case.pose, case.ground) for case in self.cases]
        best = look(bench.analyser, bench.model, redrawn(bench.model, best))
        self.frame = self.chance.mean() - self._source.coat_distance(best).mean()

    def seen(self, contexts: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Identity distance, pose and ground of contexts `(A, 77, 128)` a seed."""
        rows = [
            self.bench.compared(self._source, self.cases, self.bench.sampled(context, 10 + seed))
            for seed, context in enumerate(contexts)
        ]
        off, pose, ground = (torch.stack(each).float() for each in zip(*rows, strict=True))
        return off, pose, ground

    def learned(self, way: Way, marks: tuple[int, ...]) -> dict[int, list[Tensor]]:
        """Tails `(A, N, 128)` a seed after so many steps."""
        found: dict[int, list[Tensor]] = {mark: [] for mark in marks}
        for seed in range(self.seeds):
            with self.bench.precision():
                for mark, tails in self._one(way, marks, seed).items():
                    found[mark].append(tails)
        return found

    def _one(self, way: Way, marks: tuple[int, ...], seed: int) -> dict[int, Tensor]:
        head, own = split(self.source, way.tokens)
        denoiser, found = DemoDenoiser(self.bench.model, head), {}
        tails = way.begin(own[:, None, None], self.word)
        optimiser = way.optimiser(tails, self.word, RATE)
        draws = [OtherDraws(way, seed) for _ in self.cases]
        reference, terms = torch.arange(len(self.cases)), way.terms()
        for step in range(max(marks)):
            drawn = [each.next(one[None]) for each, one in zip(draws, self.clean, strict=True)]
            u, noise = (torch.cat([getattr(one, key) for one in drawn]) for key in ("u", "noise"))
            tails = optimiser.tail
            mask = self.region.clamp(min=0.05) if way.masked else None
            with denoiser.of_pictures(reference):
                errors = loss(terms, denoiser, self.clean, u, noise, tails, mask)
            optimiser.step(torch.autograd.grad(errors.sum(), [tails])[0])
            if step + 1 in marks:
                found[step + 1] = optimiser.average[:, 0, 0].clone()
        return found

    def judged(self, way: Way, tails: list[Tensor]) -> Tensor:
        """`SEEN` of each animal `(4, animals)`, the mean over seeds."""
        head, own = split(self.target, way.tokens)
        told = [torch.cat([head, way.strength * way.pulled(each, own)], 1) for each in tails]
        off, pose, ground = self.seen(told)
        gained = (self.chance - off) / self.frame
        return torch.stack([gained, gained * pose * ground, pose, ground]).mean(1)


def compared(rows: Tensor, base: Tensor) -> dict[str, object]:
    """Means, and how far identity is from the base's, with the 95 % interval over animals."""
    means = dict(zip(SEEN, rows.mean(1), strict=True))
    apart = (rows - base)[0]
    spread = NORMAL * float(apart.std()) / len(apart) ** 0.5
    middle = float(apart.mean())
    return {key: round(float(value), 4) for key, value in means.items()} | {
        "better_by": round(middle, 4),
        "interval": [round(middle - spread, 4), round(middle + spread, 4)],
    }


def compare(study: Study, ways: list[Way], marks: tuple[int, ...]) -> list[dict]:
    """Every way at every mark, beside the base."""
    base_way = next(way for way in WAYS if way.name == BASE)
    learned, rows, base = {}, [], {}
    for way in [base_way, *(way for way in ways if way is not base_way)]:
        # what happens after learning needs none of its own
        learning = replace(way, name="", pull=0.0, own_length=False, strength=1.0)
        if learning not in learned:
            learned[learning] = study.learned(way, marks)
        for mark, tails in learned[learning].items():
            judged = study.judged(way, tails)
            base.setdefault(mark, judged)
            row = {"way": way.name, "evaluations": mark, **compared(judged, base[mark])}
            study.bench.say(json.dumps(row, ensure_ascii=False))
            rows.append(row)
    return rows


def main() -> None:
    names = [way.name for way in WAYS]
    parser = argparse.ArgumentParser(prog="python benchmarks/faster.py", description=__doc__)
    parser.add_argument("--animals", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--marks", type=int, nargs="+", default=MARKS)
    parser.add_argument("--ways", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--unseen", action="store_true", help="on animals that chose nothing")
    parser.add_argument("--fp32", action="store_true", help="float32 even where bfloat16 is fast")
    parser.add_argument("--kept", type=Path, help="what other parts of this run gave already")
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args()
    bench = Bench(given.animals, False if given.fp32 else None)
    wanted = {
        "animals": given.animals,
        "seeds": given.seeds,
        "unseen": given.unseen,
        "precision": "bfloat16" if bench.bf16 else "float32",
    }
    before = kept(given.kept, wanted)
    study = Study(bench, given.animals, given.seeds, 0 if given.unseen else 1)
    ways = [way for way in WAYS if way.name in given.ways]
    found = compare(study, ways, tuple(given.marks))
    result = joined(before, wanted | {"ways": found})
    if given.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        print(table(found))


if __name__ == "__main__":
    main()
