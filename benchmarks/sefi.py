"""What SeFi-IDE's parts are worth on the demo model: `python benchmarks/sefi.py --json`.

Unseen animals, each part beside the plain tail at equal evaluations of the model. Identity is the
share of the way from chance to best; ID(P) counts it only where pose and ground are as asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # before an installed copy

from benchmarks.method import Bench, unseen
from benchmarks.parts import joined, kept
from benchmarks.steps import focus_over_plain
from benchmarks.two_subjects import AMONG, by_name, pairs_chosen, pairs_measured
from hiper.attention.calls import CROSS, shares_of
from hiper.demo.grounding import inside, inside_over_outside
from hiper.demo.many import learn_many
from hiper.demo.measures import closed, look, redrawn
from hiper.demo.model import DemoDenoiser, sample
from hiper.demo.showing import Showing
from hiper.embedding import begins, equal_starts, in_force, join, keys_and_values, split
from hiper.learning.focus import Focus
from hiper.learning.loop import LearningSettings
from hiper.learning.objective import predicted
from hiper.learning.terms import EQUATION_4, Weighted

TOKENS = 5
COST_LATENT = 64  # a side, of a full-size UNet of SD 1.x
FOCUS = 3e-3  # chosen on the choosing set: `--choose`, as is the region it is held to
WEIGHTS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
WORD = (2 - 77,)  # of "a {animal}" behind its start token, from the end


@dataclass(frozen=True)
class Way:
    """One way to learn: λ of the attention loss, stages, and keys and values apart or not."""

    name: str
    focus: float = 0.0
    to_mask: bool = False
    stages: int = 1
    roles: int = 1

    def terms(self) -> tuple[Weighted, ...]:
        if not self.focus:
            return EQUATION_4
        focus = Focus(TOKENS, () if self.to_mask else WORD, self.to_mask)
        return (*EQUATION_4, Weighted(focus, self.focus))


PLAIN = Way("plain tail")
APART = "five stages, keys and values apart"
WAYS = (
    PLAIN,
    Way("focus on the word", FOCUS),
    Way("focus in the mask", FOCUS, to_mask=True),
    Way("five stages", stages=5),
    Way("keys and values apart", roles=2),
    Way(APART, stages=5, roles=2),
    Way("all, as the paper has it", FOCUS, stages=5, roles=2),
)
CHOSEN = WAYS[2]


class Sefi:
    """Cases whose source prompt says little, what is chance and what is best for them."""

    def __init__(self, animals: int, seed: int, steps: int, batch: int) -> None:
        self.bench = Bench(batch, bf16=False)
        self.cases, self.steps = unseen(animals, seed), steps
        self.model = self.bench.model
        self.clean = redrawn(self.model, [case.scene for case in self.cases])
        self.targets = self.bench.encoded([case.target for case in self.cases])
        self.regions = torch.stack([inside(case.scene, 16) for case in self.cases])[:, None]
        self.source = look(self.bench.analyser, self.model, self.clean)
        self.chance = self.distances(self.bench.sampled(self.targets, 2))[0]
        scenes = [case.scene.doing(case.pose, case.ground) for case in self.cases]
        self.best = self.distances(redrawn(self.model, scenes))[0]

    def distances(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Each picture's coat's distance to the source's, whether pose, and ground is right."""
        return self.bench.compared(self.source, self.cases, latents)

    def learned(self, way: Way) -> Tensor:
        """Tails `(P, stages, roles, N, 128)` from pictures with the prompt "a {animal}"."""
        settings = LearningSettings(
            self.steps, Showing.learning_rate, recipe=Showing.recipe, terms=way.terms()
        )
        texts = [f"a {case.scene.animal}" for case in self.cases]
        found = []
        for first in range(0, len(self.cases), self.bench.batch):
            part = slice(first, first + self.bench.batch)
            own = self.regions[part] if way.to_mask else None
            parts = way.stages, way.roles
            found.append(
                learn_many(
                    self.model,
                    self.clean[part],
                    texts[part],
                    TOKENS,
                    settings,
                    region=own,
                    parts=parts,
                )
            )
        self.bench.say(f"learned {len(self.cases)} tails: {way.name}")
        return torch.cat(found)

    def drawn(self, tails: Tensor, strength: float) -> Tensor:
        """Pictures of the target prompts with tails behind them, stage by stage."""
        heads = split(self.targets, TOKENS)[0]
        done, noise = [], self.bench.noise(len(self.cases), 2)
        for first in range(0, len(self.cases), self.bench.batch):
            part = slice(first, first + self.bench.batch)
            told = told_at(self.model, heads[part], strength * tails[part])
            done.append(sample(self.model, told, noise[part]))
        return torch.cat(done)

    def row(self, tails: Tensor, strength: float) -> dict[str, float]:
        distance, pose, ground = self.distances(self.drawn(tails, strength))
        chance, best = self.chance.mean(), self.best.mean()
        followed = (pose & ground).float()
        gained = (self.chance - distance) * followed
        return {
            "identity": closed(float(chance), float(distance.mean()), float(best)),
            "identity_given_prompt": round(float(gained.mean() / (chance - best)), 4),
            "pose": round(float(pose.float().mean()), 4),
            "ground": round(float(ground.float().mean()), 4),
        }

    def inside_over_outside(self, tails: Tensor) -> float:
        """Of the tail's maps in the source picture, mean of tokens and layers, at half noise."""
        ratios = []
        for index, case in enumerate(self.cases):
            head = split(self.bench.encoded([f"a {case.scene.animal}"]), TOKENS)[0]
            denoiser = DemoDenoiser(self.model, head)
            noise = self.bench.noise(1, index)
            one = self.clean[index : index + 1]
            with torch.no_grad():
                tail = tails[index]
                seen = predicted(denoiser, one, torch.tensor([0.5]), noise, tail, True)
            maps = [
                torch.nn.functional.interpolate(
                    shares_of(c, tuple(range(-TOKENS, 0))).mean(-1).unflatten(1, c.size)[:, None],
                    (16, 16),
                )
                for c in seen.attention
                if c.kind == CROSS
            ]
            mean = torch.stack(maps).mean((0, 1, 2))
            ratios.append(inside_over_outside(mean, self.regions[index, 0]).log())
        return round(float(torch.stack(ratios).mean().exp()), 2)


def told_at(model, heads: Tensor, tails: Tensor) -> Callable:
    """What heads `(P, T − N, 128)` and tails `(P, stages, roles, N, 128)` are at a σ."""
    table = DemoDenoiser(model, heads)
    starts = torch.tensor([table.sigma_at(start) for start in begins(equal_starts(tails.shape[1]))])

    def told(sigma: Tensor):
        vectors = in_force(tails, sigma.expand(len(tails)), starts)
        keys, values = keys_and_values(vectors)
        return join(heads, keys) if values is None else (join(heads, keys), join(heads, values))

    return told


def substituted(found: Sefi, tails: Tensor, strength: float) -> list[dict]:
    """The paper's Fig. 4: of a tail in five stages, keys and values apart, one part at a time goes
    back to the prompt's own padding."""
    padding = split(found.bench.encoded([f"a {c.scene.animal}" for c in found.cases]), TOKENS)[1]
    plain = padding[:, None].expand_as(tails[:, :, 0]) / max(strength, 1e-9)
    rows = [{"without": "nothing", **found.row(tails, strength)}]
    for role, name in enumerate(("keys", "values")):
        own = tails.clone()
        own[:, :, role] = plain
        rows.append({"without": name, **found.row(own, strength)})
    for stage in range(tails.shape[1]):
        own = tails.clone()
        own[:, stage] = plain[:, stage, None]
        rows.append({"without": f"stage {stage + 1}", **found.row(own, strength)})
    return rows


def measured(found: Sefi, names: list[str], strengths: list[float]) -> dict[str, object]:
    """Each way to learn beside the plain tail, and where its tails look."""
    table, tails, ratios = [], {}, {}
    for way in WAYS:
        if way.name not in names:
            continue
        tails[way.name] = found.learned(way)
        for strength in strengths:
            row = found.row(tails[way.name], strength)
            table.append({"way": way.name, "strength": strength, **row})
            found.bench.say(str(table[-1]))
        ratios[way.name] = found.inside_over_outside(tails[way.name])
    result = {"table": table, "inside_over_outside": ratios}
    if APART in tails:
        result["substituted"] = substituted(found, tails[APART], 1.0)
    return result


def overfit(table: list[dict]) -> dict[str, object]:
    """What focus cures of the attention's overfit at α = 1, and what it costs."""
    at_one = {row["way"]: row for row in table if row["strength"] == 1.0}
    plain, chosen = at_one.get(PLAIN.name), at_one.get(CHOSEN.name)
    if plain is None or chosen is None:
        return {}
    keys = "pose", "ground", "identity"
    found = {key: chosen[key] for key in keys} | {f"{key}_plain": plain[key] for key in keys}
    return {
        "overfit_way": CHOSEN.name,
        "overfit": found,
        "identity_given_prompt": chosen["identity_given_prompt"],
        "identity_given_prompt_plain": plain["identity_given_prompt"],
    }


def chosen(found: Sefi, names: list[str], weights: list[float]) -> list[dict]:
    """The weights of the attention loss, on other animals than those that are reported."""
    rows = []
    focused = [way for way in WAYS if way.focus and way.stages == 1]
    ways = [PLAIN, *(replace(way, focus=w) for way in focused for w in weights)]
    for way in [way for way in ways if way.name in names]:
        tails = found.learned(way)
        for strength in (0.8, 1.0):
            row = {"way": way.name, "focus": way.focus, "strength": strength}
            rows.append(row | found.row(tails, strength))
            found.bench.say(str(rows[-1]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/sefi.py", description=__doc__)
    parser.add_argument("--animals", type=int, default=100)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--pairs-focus", nargs="+", type=float, default=[0.0, FOCUS])
    parser.add_argument("--pairs-strengths", nargs="+", type=float, default=AMONG)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=8)
    names = [way.name for way in WAYS]
    parser.add_argument("--ways", nargs="*", choices=names, default=names)
    parser.add_argument(
        "--choose", action="store_true", help="λ, on at most 25 animals of the choosing set"
    )
    parser.add_argument("--weights", nargs="*", type=float, default=WEIGHTS, help="to choose among")
    parser.add_argument("--strengths", nargs="+", type=float, default=[0.8, 1.0])
    parser.add_argument("--kept", type=Path, help="what other parts of this run gave already")
    parser.add_argument("--no-cost", action="store_true", help="time no full-size step")
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args()
    settings = {key: getattr(given, key) for key in ("animals", "steps", "seed")}
    if given.choose:
        settings |= {"animals": min(given.animals, 25), "seed": 1}
    else:
        settings["focus"] = FOCUS
    found = kept(given.kept, settings) | settings
    if given.ways:
        cases = Sefi(settings["animals"], settings["seed"], given.steps, given.batch)
        if given.choose:
            found = joined(found, {"chosen": chosen(cases, given.ways, given.weights)})
        else:
            found = joined(found, measured(cases, given.ways, given.strengths))
            found |= overfit(found["table"])
    if given.pairs:
        bench = Bench(given.batch, bf16=False)
        if given.choose:
            of_pairs = pairs_chosen(
                bench, given.pairs, given.steps, given.pairs_focus, given.pairs_strengths
            )
        else:
            of_pairs = pairs_measured(bench, given.pairs, given.steps, given.pairs_focus)
        found = joined(found, of_pairs)
        found |= by_name(found.get("two_subjects_table", []), FOCUS)
    if not (given.choose or given.no_cost):
        found["focus_step_over_plain"] = focus_over_plain(COST_LATENT, 3, 2)
    print(json.dumps(found, indent=1 if given.json else 2, ensure_ascii=False))


if __name__ == "__main__":
    main()
