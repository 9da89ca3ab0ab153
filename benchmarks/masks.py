"""What a mask on Learn is worth: `python benchmarks/masks.py --json`.

The attention overfits where the source prompt says little, and the ground comes along. Here the
prompt is "a {animal}", with the drawn mask for the loss, with the tail's attention held to it, with
both and without, beside the sentence that says everything.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # before an installed copy

from benchmarks.method import Bench, Case, unseen
from benchmarks.sefi import FOCUS
from hiper.demo.grounding import inside
from hiper.demo.measures import closed
from hiper.learning.focus import Focus
from hiper.learning.terms import EQUATION_4, Weighted

FULL, PLAIN = "full sentence", "a {animal}"
MASKED, HELD = "a {animal}, masked", "a {animal}, held to the mask"
BOTH = "a {animal}, masked and held to it"
ROWS = (FULL, PLAIN, MASKED, HELD, BOTH)


def source(row: str, case: Case) -> str:
    return case.source if row == FULL else f"a {case.scene.animal}"


def measured(animals: int, steps: int, strengths: list[float], seed: int) -> dict:
    """Identity closed, pose and ground found for each way to learn, over unseen animals."""
    bench, cases = Bench(8, bf16=False), unseen(animals, seed)
    chance = bench.judged(cases, bench.sampled(bench.encoded([c.target for c in cases]), 2))
    best = bench.best(cases)
    masks = torch.stack([inside(case.scene, 16) for case in cases])[:, None]
    rows = []
    for row in ROWS:
        texts = [source(row, case) for case in cases]
        within = masks if row in (MASKED, BOTH) else None
        held = row in (HELD, BOTH)
        terms = (*EQUATION_4, Weighted(Focus(5, to_mask=True), FOCUS)) if held else EQUATION_4
        tails = bench.tails(cases, texts, 5, steps, within, masks if held else None, terms)
        for strength in strengths:
            found = bench.judged(cases, bench.sampled(bench.composed(cases, tails, strength), 2))
            frame = (each["identity_distance"] for each in (chance, found, best))
            one = {"source": row, "strength": strength, "identity_closed": closed(*frame)}
            rows.append(one | found)
            bench.say(str(rows[-1]))
    return {"animals": animals, "steps": steps, "seed": seed, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/masks.py", description=__doc__)
    parser.add_argument("--animals", type=int, default=40)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.8, 1.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args()
    found = measured(given.animals, given.steps, given.strengths, given.seed)
    print(json.dumps(found, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
