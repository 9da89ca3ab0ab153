"""How fast learning is: `python benchmarks/learning.py --json`.

Steps and memory on a full-size SD1.x UNet inside ComfyUI, as ratios from one run; the number of
steps on the demo model. `--only` runs a part; `RESULTS.md` says what was expected and what came.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # before an installed copy

from benchmarks import fit, steps
from benchmarks.method import Bench, table
from benchmarks.quality import measure as measure_quality

PARTS = ("time", "memory", "fit", "quality")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--size", type=int, default=16, help="latent's side for times")
    parser.add_argument("--memory-size", type=int, default=64, help="latent's side for memory")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--count", type=int, default=5, help="steps timed a round")
    parser.add_argument("--animals", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fp32", action="store_true", help="where bfloat16 is slow")
    given = parser.parse_args()
    result: dict = {}

    def bench() -> Bench:
        return Bench(given.animals, bf16=not given.fp32)

    if "time" in given.only:
        result |= steps.times(given.size, given.rounds, given.count)
    if "memory" in given.only:
        result |= steps.memory(given.memory_size)
    if "fit" in given.only:
        result["fit"] = fit.estimate()
    if "quality" in given.only:
        result |= measure_quality(bench(), given.animals, given.seeds)
    if given.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
        return
    flat = {key: value for key, value in result.items() if not isinstance(value, list | dict)}
    if flat:
        print(table([flat]))
    for name in ("fit", "paper", "auto", "by_evaluations"):
        if name in result:
            rows = result[name] if isinstance(result[name], list) else [result[name]]
            print(f"\n## {name.replace('_', ' ')}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
