"""The paper's Table 1 where nobody has to vote: `python benchmarks/table1.py --json`.

One picture each of unseen animals, a pose and a ground asked for; every method from its own paper
(LoRA as ComfyUI trains it), by its paper's settings and by those that did best on other animals.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # before an installed copy

from benchmarks.editing import Editing
from benchmarks.full_size import find_comfyui
from benchmarks.method import Bench, Case, unseen
from benchmarks.parts import joined
from benchmarks.table1 import dreambooth, edit, imagic, lora, tails, textual_inversion
from benchmarks.table1.contender import Meter, Method, Task
from benchmarks.table1.sheet import Sheet
from hiper.demo.measures import closed, look, redrawn

OWN_GROUND = "the pose alone, on the picture's own ground"


@dataclass(frozen=True)
class Row:
    """A method, and whether its settings are its paper's, ComfyUI's or chosen here."""

    name: str
    settings: str
    of: Callable[[], Method]


def rows() -> list[Row]:
    """Each method by its paper's settings, and by those chosen with `--choose`."""
    paper: dict[str, Settings] = {
        "Imagic": imagic.PAPER,
        "DreamBooth": dreambooth.PAPER,
        "Textual Inversion": textual_inversion.PAPER,
    }
    by_tails = (
        ("HiPer (paper)", "paper", tails.HIPER),
        ("HiPer (fast)", "chosen", tails.HIPER_FAST),
        ("SeFi-IDE", "paper", tails.SEFI),
        ("SeFi-IDE", "chosen", tails.SEFI_CHOSEN),
    )
    return [
        *(Row(name, "paper", partial(MAKE[name], how)) for name, how in paper.items()),
        Row("LoRA", "ComfyUI's defaults", partial(lora.lora, lora.CORE)),
        *(Row(name, "chosen", partial(MAKE[name], how)) for name, how in CHOSEN.items()),
        *(Row(name, settings, partial(tails.tails, how)) for name, settings, how in by_tails),
    ]


Settings = imagic.Imagic | dreambooth.DreamBooth | textual_inversion.Inversion | lora.Lora
MAKE: dict[str, Callable[..., Method]] = {
    "Imagic": imagic.imagic,
    "DreamBooth": dreambooth.dreambooth,
    "Textual Inversion": textual_inversion.textual_inversion,
    "LoRA": lora.lora,
}
# what did best on the choosing set
CHOSEN: dict[str, Settings] = {
    "Imagic": replace(
        imagic.PAPER,
        embedding_steps=100,
        embedding_rate=1e-2,
        model_steps=200,
        model_rate=1e-4,
        eta=0.7,
    ),
    "DreamBooth": replace(dreambooth.PAPER, steps=200, rate=3e-4, prior_weight=0.1, captioned=True),
    "LoRA": replace(lora.CORE, steps=200, rate=5e-3),
    "Textual Inversion": replace(textual_inversion.PAPER, steps=500, rate=1e-1, captioned=True),
}
AMONG: dict[str, list[Settings]] = {
    "Imagic": [
        replace(
            imagic.PAPER,
            embedding_steps=100,
            embedding_rate=first,
            model_steps=200,
            model_rate=then,
            eta=eta,
        )
        for first, then, eta in (
            *((1e-3, 1e-5, 0.5), (1e-3, 1e-5, 0.7), (1e-3, 1e-4, 0.5), (1e-3, 1e-4, 0.7)),
            *((1e-3, 3e-5, 0.5), (1e-3, 3e-5, 0.7), (1e-3, 1e-4, 0.9), (1e-2, 3e-5, 0.7)),
            *((1e-2, 3e-5, 0.5), (1e-2, 1e-4, 0.7), (3e-2, 3e-5, 0.7)),
        )
    ],
    "DreamBooth": [
        replace(dreambooth.PAPER, steps=200, rate=rate, captioned=captioned)
        for captioned, rates in (
            (False, (1e-5, 5e-5, 2e-4, 5e-4, 1e-3)),
            (True, (1e-4, 5e-4, 1e-3)),
        )
        for rate in rates
    ]
    + [replace(dreambooth.PAPER, steps=500, rate=5e-4, captioned=True)]
    + [
        replace(dreambooth.PAPER, steps=200, rate=rate, prior_weight=0.1, captioned=True)
        for rate in (1e-4, 3e-4)
    ],
    "Textual Inversion": [
        replace(textual_inversion.PAPER, steps=500, rate=rate, captioned=captioned)
        for captioned in (False, True)
        for rate in (5e-3, 2e-2, 1e-1)
    ],
    "LoRA": [replace(lora.CORE, steps=200, rate=rate) for rate in (5e-4, 2e-3, 5e-3, 1e-2, 2e-2)],
}


class Table:
    """The animals, what is chance and what is best for them, and a judge."""

    def __init__(self, animals: int, seed: int, batch: int) -> None:
        bench = Bench(batch)
        cases = unseen(animals, seed)
        clean = redrawn(bench.model, [case.scene for case in cases])
        self.task = Task(bench, cases, clean, bench.noise(animals, 2))
        self.drawn = clean  # by the last row's method
        self._source = look(bench.analyser, bench.model, clean)
        self.plain = self.task.drawn(bench.model, self.task.targets())
        self._chance = self._seen(self.plain, cases)[0]
        scenes = [case.scene.doing(case.pose, case.ground) for case in cases]
        self._best = self._seen(redrawn(bench.model, scenes), cases)[0]

    def _seen(self, latents: torch.Tensor, cases: list[Case]) -> tuple[torch.Tensor, ...]:
        return self.task.bench.compared(self._source, cases, latents)

    def row(self, method: Method, cases: list[Case] | None = None) -> dict[str, object]:
        """Identity, edit and cost of a method, over all animals; cost for each of them."""
        meter = Meter()
        task = self.task if cases is None else replace(self.task, cases=cases)
        self.drawn = method(task, meter)
        off, pose, ground = self._seen(self.drawn, task.cases)
        chance, best = self._chance.mean(), self._best.mean()
        followed = ((self._chance - off) * (pose & ground)).mean() / (chance - best)
        count = len(task.cases)
        return {
            "identity_closed": closed(float(chance), float(off.mean()), float(best)),
            "pose": round(float(pose.float().mean()), 4),
            "ground": round(float(ground.float().mean()), 4),
            "identity_given_prompt": round(float(followed), 4),
            "evaluations": round(meter.evaluations / count),
            "seconds": round(meter.seconds / count, 2),
            "bytes": meter.bytes,
        }


def by_lipe(table: Table, steps: int, seed: int) -> dict[str, object]:
    """LIPE keeps the ground, so that only the pose is asked of it; its tails are HiPer's."""
    editing = Editing(len(table.task.cases), seed, steps, table.task.bench.batch)
    row = table.row(edit.lipe(editing), editing.cases)
    row["bytes"] = 2 * editing.tails[0].numel()
    return {"method": "LIPE", "settings": "chosen", "asked": OWN_GROUND, **row}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/table1.py", description=__doc__)
    parser.add_argument("--animals", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=10, help="of tails that are learned at once")
    parser.add_argument("--only", nargs="*", help='methods, or rows, such as "Imagic, chosen"')
    parser.add_argument("--choose", action="store_true", help="settings, on the choosing set")
    parser.add_argument("--how", nargs="*", default=[""], help="only those that have such a text")
    parser.add_argument("--kept", type=Path, help="what other parts of this run gave already")
    parser.add_argument("--picture", type=Path, help="of the first animals by each method")
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args()
    find_comfyui()
    seed = 1 if given.choose else given.seed
    wanted = {"animals": given.animals, "seed": seed}
    table, found = Table(given.animals, seed, given.batch), []
    sheet = Sheet(table.task, table.plain) if given.picture else None

    def keep(row: dict[str, object]) -> None:
        table.task.bench.say(json.dumps(row))
        found.append(row)
        if sheet:
            sheet.add(row["method"], row.get("settings", ""), table.drawn)

    def asked(method: str, settings: str = "") -> bool:
        return not given.only or method in given.only or f"{method}, {settings}" in given.only

    if given.choose:
        for name in filter(asked, AMONG):
            for how in AMONG[name]:
                if any(text in str(how) for text in given.how):
                    keep({"method": name, "how": str(how)} | wanted | table.row(MAKE[name](how)))
    else:
        for row in rows():
            if asked(row.name, row.settings):
                named = {"method": row.name, "settings": row.settings}
                keep(named | wanted | table.row(row.of()))
        if asked("LIPE", "chosen"):
            keep(by_lipe(table, 200, seed) | wanted)
    if sheet:
        sheet.page().save(given.picture)
    before = {"rows": json.loads(given.kept.read_text(encoding="utf-8")) if given.kept else []}
    result = joined(before, {"rows": found})["rows"]
    print(json.dumps(result, indent=1 if given.json else 2))


if __name__ == "__main__":
    main()
