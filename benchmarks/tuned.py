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
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # before an installed copy

from benchmarks.editing import Editing, Way
from benchmarks.lipe import FRESH, LIPE
from hiper.demo.captions import nameless_coat, prompt, random_scene
from hiper.demo.measures import redrawn
from hiper.demo.scene import Scene

RATES = (2e-4, 5e-4, 1e-3)
STEPS, RATE, RANK = 200, 5e-4, 8  # as in the template; the rate chosen on the choosing set


@dataclass(frozen=True)
class Tuning:
    steps: int
    rate: float


def beside(scenes: list[Scene], rng: random.Random) -> list[Scene]:
    """As many other animals of the kind, so that its word keeps its meaning."""
    others = [random_scene(rng, nameless_coat(rng)) for _ in scenes]
    return [replace(other, animal=scenes[0].animal) for other in others]


def tuned(editing: Editing, scenes: list[Scene], tuning: Tuning):
    """The model after Train LoRA on these pictures with a prompt each."""
    from comfy_extras.nodes_train import LoraModelLoader, TrainLoraNode

    clip = editing.clip
    texts = [prompt(scene.animal, scene.pose, scene.ground) for scene in scenes]
    positive = [clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in texts]
    settings = dict(
        batch_size=1, steps=tuning.steps, grad_accumulation_steps=1, learning_rate=tuning.rate,
        rank=RANK, optimizer="AdamW", loss_function="MSE", seed=0, training_dtype="fp32",
        lora_dtype="fp32", quantized_backward=False, algorithm="LoRA",
        gradient_checkpointing=False, checkpoint_depth=1, offloading=False,
        existing_lora="[None]", bucket_mode=False, bypass_mode=False,
    )  # fmt: skip
    wanted = TrainLoraNode.GET_SCHEMA().inputs
    listed = {each.id: [settings[each.id]] for each in wanted if each.id in settings}
    latents = [{"samples": redrawn(editing.bench.model, scenes)}]
    found = TrainLoraNode.execute(
        model=[editing.model], latents=latents, positive=positive, **listed
    )
    return LoraModelLoader.execute(editing.model, found.result[0], 1.0).result[0]


def rows(editing: Editing, tuning: Tuning, tailed: bool) -> list[dict]:
    """HiPer's way from fresh noise and the edit, each on every animal's own model."""
    rng, ways = random.Random("beside"), [replace(way, tail=tailed) for way in (FRESH, LIPE)]
    parts: dict[Way, list[tuple[Tensor, dict, float]]] = {way: [] for way in ways}
    began, seconds = time.process_time(), 0.0
    for number, scenes in enumerate(editing.reference_scenes()):
        started = time.process_time()
        model = tuned(editing, [*scenes, *beside(scenes, rng)], tuning)
        seconds += time.process_time() - started
        alone = editing.one(number, model)
        for way in ways:
            parts[way].append(alone.edited(way, editing.tails[number : number + 1]))
    found = []
    for way, each in parts.items():
        latents = torch.cat([one[0] for one in each])
        names = each[0][1]
        masks = {name: torch.cat([one[1][name] for one in each]) for name in names}
        found.append(editing.told(way, latents, masks, time.process_time() - began - seconds))
    prior = "tuned model and tail" if tailed else "tuned model"
    return [{"prior": prior, "tuning_seconds": round(seconds, 1), **row} for row in found]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/tuned.py", description=__doc__)
    parser.add_argument("--animals", type=int, default=25)
    parser.add_argument("--steps", type=int, default=300, help="of learning each animal's tail")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--choose", action="store_true", help="the rate, on the choosing set")
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args()
    seed = 1 if given.choose else given.seed
    editing = Editing(given.animals, seed, given.steps, given.animals)
    found = {"animals": given.animals, "steps": given.steps, "seed": seed, "rank": RANK}
    if given.choose:
        found["chosen"] = [
            {"rate": rate, **row}
            for rate in RATES
            for row in rows(editing, Tuning(STEPS, rate), tailed=False)
        ]
    else:
        tuning = Tuning(STEPS, RATE)
        found |= {"tuning_steps": STEPS, "rate": RATE}
        one = [editing.row(way) for way in (FRESH, LIPE)]
        found["priors"] = [{"prior": "one picture's tail", **row} for row in one]
        for tailed in (False, True):
            found["priors"] += rows(editing, tuning, tailed)
    print(json.dumps(found, indent=1 if given.json else 2, ensure_ascii=False))


if __name__ == "__main__":
    main()
