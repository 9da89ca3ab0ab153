"""LIPE's own prior, a tuned model, by ComfyUI's Train LoRA: `python benchmarks/tuned.py --json`.

Four pictures of each animal with a prompt each, and as many of other animals of its kind beside
them; then the same edit as in `lipe.py`, with and without that model.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # before an installed copy

from benchmarks.editing import Editing, Way
from benchmarks.lipe import FRESH, LIPE
from benchmarks.table1.lora import Lora, trained, with_lora
from hiper.demo.captions import nameless_coat, prompt, random_scene
from hiper.demo.measures import redrawn
from hiper.demo.scene import Scene

RATES = (2e-4, 5e-4, 1e-3, 2e-3, 5e-3)
TUNING = Lora(steps=200, rate=5e-4)  # as in the template; the rate chosen on the choosing set


def beside(scenes: list[Scene], rng: random.Random) -> list[Scene]:
    """As many other animals of the kind, so that its word keeps its meaning."""
    others = [random_scene(rng, nameless_coat(rng)) for _ in scenes]
    return [replace(other, animal=scenes[0].animal) for other in others]


def tuned(editing: Editing, scenes: list[Scene], tuning: Lora):
    """The model after Train LoRA on these pictures with a prompt each."""
    clip = editing.clip
    texts = [prompt(scene.animal, scene.pose, scene.ground) for scene in scenes]
    positive = [clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in texts]
    latents = redrawn(editing.bench.model, scenes)
    return with_lora(editing.model, trained(editing.model, positive, latents, tuning))


def rows(editing: Editing, tuning: Lora, tailed: tuple[bool, ...]) -> list[dict]:
    """HiPer's way from fresh noise and the edit, each on every animal's own model."""
    rng = random.Random("beside")
    ways = [replace(way, tail=tail) for tail in tailed for way in (FRESH, LIPE)]
    parts: dict[Way, list[tuple[Tensor, dict, float]]] = {way: [] for way in ways}
    seconds = 0.0
    for number, scenes in enumerate(editing.reference_scenes()):
        started = time.process_time()
        model = tuned(editing, [*scenes, *beside(scenes, rng)], tuning)
        seconds += time.process_time() - started
        alone = editing.one(number, model)
        for way in ways:
            own = editing.tails[number : number + 1] if way.tail else None
            parts[way].append(alone.edited(way, own))
    found = []
    for way, each in parts.items():
        latents = torch.cat([one[0] for one in each])
        masks = {name: torch.cat([one[1][name] for one in each]) for name in each[0][1]}
        row = editing.told(way, latents, masks, sum(one[2] for one in each))
        prior = "tuned model and tail" if way.tail else "tuned model"
        found.append({"prior": prior, "tuning_seconds": round(seconds, 1), **row})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/tuned.py", description=__doc__)
    parser.add_argument("--animals", type=int, default=25)
    parser.add_argument("--steps", type=int, default=300, help="of learning each animal's tail")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--choose", action="store_true", help="the rate, on the choosing set")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args()
    seed = 1 if given.choose else given.seed
    editing = Editing(given.animals, seed, given.steps, 8)
    found = {"animals": given.animals, "steps": given.steps, "seed": seed, "rank": TUNING.rank}
    if given.choose:
        found["chosen"] = [
            {"rate": rate, **row}
            for rate in given.rates
            for row in rows(editing, replace(TUNING, rate=rate), (False,))
        ]
    else:
        found |= {"tuning_steps": TUNING.steps, "rate": TUNING.rate}
        one = [editing.row(way) for way in (FRESH, LIPE)]
        found["priors"] = [{"prior": "one picture's tail", **row} for row in one]
        found["priors"] += rows(editing, TUNING, (False, True))
    print(json.dumps(found, indent=1 if given.json else 2, ensure_ascii=False))


if __name__ == "__main__":
    main()
