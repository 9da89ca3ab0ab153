"""Which rule stops learning best: `python benchmarks/stopping.py --json`.

One run of the fast recipe on the animals that settings are chosen on; every rule reads the same
fixed losses of it, so that rules differ in when they stop alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # before an installed copy

from benchmarks.method import Bench, table
from benchmarks.quality import FASTER, STEP, Quality, by_rule
from hiper.learning.stopping import StopRule

RULES = (
    *(
        StopRule(every=every, least_gain=gain)
        for every, gain in product((20, 30, 50), (0.02, 0.05, 0.1))
    ),
    *(StopRule(every=every, least_gain=0.05, patience=2) for every in (10, 20)),
)


def compare(bench: Bench, animals: int, seeds: int, rules: tuple[StopRule, ...]) -> list[dict]:
    """When each rule stops, and what the tails it keeps give."""
    quality = Quality(bench, animals, seeds, animals_seed=1)
    run = quality.learn(FASTER, (), STEP)
    rows = []
    for rule in rules:
        rows.append(by_rule(quality, run, rule))
        bench.say(json.dumps(rows[-1]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/stopping.py", description=__doc__)
    parser.add_argument("--animals", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fp32", action="store_true", help="float32 even where bfloat16 is fast")
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args()
    bench = Bench(given.animals, False if given.fp32 else None)
    rows = compare(bench, given.animals, given.seeds, RULES)
    found = {"animals": given.animals, "seeds": given.seeds, "recipe": str(FASTER.recipe)}
    found |= {"steps": FASTER.steps, "rules": rows}
    print(json.dumps(found, indent=1) if given.json else table(rows))


if __name__ == "__main__":
    main()
