"""What LIPE shows on the demo model: `python benchmarks/lipe.py --json`.

A drawn picture's pose is changed on its own ground. Everything runs through ComfyUI's own samplers;
each figure stands beside HiPer from fresh noise, inversion without blending and core's inpainting.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # before an installed copy

from benchmarks.editing import STEPS, STRENGTH, Editing, Way
from benchmarks.parts import joined, kept
from hiper.demo.drawing import draw
from hiper.figures.grid import Labels, picture_grid

DOCS = range(12)  # by their number, good or bad
LOOKED_AT = 50
LIPE = Way("LIPE")
FRESH = Way("HiPer from fresh noise", None, False, "euler")
UNBLENDED = Way("inversion without blending", blended=False)
INPAINTED = Way("core's inpainting, drawn mask", None, False, "euler", inpainted=True)
WAYS = (
    FRESH,
    UNBLENDED,
    INPAINTED,
    LIPE,
    Way("LIPE without the source's mask", source_mask=False),
    Way("LIPE without the target's mask", target_mask=False),
    Way("LIPE without self-attention", power=0.0),
    Way("LIPE, masks not grown", grow_source=0, grow_target=0),
    Way("LIPE, deterministic, euler", "deterministic", sampler="euler"),
    Way("LIPE, euler", sampler="euler"),
    Way("LIPE without a tail", tail=False),
)
CHOICES = tuple(
    Way(
        f"λ {power}, source {source}, target {target}, source grown by {grown}",
        power=power,
        source_threshold=source,
        threshold=target,
        grow_source=grown,
    )
    for power in (0.25, 0.5, 1.0)
    for source in (0.3, 0.4, 0.5)
    for target in (0.2, 0.3, 0.4)
    for grown in (1, 2)
)


def measured(editing: Editing, ways: list[Way], docs: Path, look: Path | None) -> dict:
    """All ways on the same animals, and what is asked of LIPE by name."""
    rows, drawn = {}, {}
    for way in ways:
        rows[way.name] = editing.row(way)
        drawn[way.name] = editing.latest
    result = {"ways": list(rows.values())}
    if LIPE.name in rows and FRESH.name in rows:
        own, fresh = rows[LIPE.name], rows[FRESH.name]
        result |= {key: value for key, value in own.items() if key not in ("way", "seconds")}
        for key in ("identity_closed", "background_error", "ghost_error", "pose_found"):
            result[f"{key}_fresh"] = fresh[key]
        result["edit_over_sampling"] = round(own["seconds"] / fresh["seconds"], 3)
        both = {name: drawn[name] for name in (FRESH.name, LIPE.name)}
        save_pictures(editing, both, docs, DOCS)
        if look is not None:
            for first in range(0, min(len(editing.cases), LOOKED_AT), 10):
                save_pictures(editing, both, look / f"{first}.png", range(first, first + 10))
        result |= editing.autoencoder()
        result["reconstruction_error"] = editing.reconstruction()
    return result


def several(editing: Editing, one: dict[str, dict]) -> list[dict]:
    """An edit with a tail from one picture, from four with a caption each, or with one for all."""
    both = (FRESH, LIPE)
    rows = [{"prior": "one picture", **one[way.name]} for way in both if way.name in one]
    for name, captions in (
        ("four pictures, a prompt each", True),
        ("four pictures, one prompt for all", False),
    ):
        tails = editing.references(captions)
        rows += [{"prior": name, **editing.row(way, tails)} for way in both]
    return rows


def save_pictures(
    editing: Editing, rows: dict[str, Tensor], path: Path, numbers: Iterable[int]
) -> None:
    """Some animals by their number: the picture, HiPer from fresh noise, the edit."""
    few = [n for n in numbers if n < len(editing.cases)]
    pictures = [draw(editing.cases[n].scene) for n in few]
    for latents in rows.values():
        pictures += editing.bench.model.decode(latents[few])
    labels = Labels(
        rows=("the picture", *rows),
        columns=tuple(f"{editing.cases[n].pose}" for n in few),
    )
    page = picture_grid(pictures, (1 + len(rows), len(few)), labels, 128)
    page.save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/lipe.py", description=__doc__)
    parser.add_argument("--animals", type=int, default=100)
    parser.add_argument("--steps", type=int, default=300, help="of learning each animal's tail")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--choose", action="store_true", help="λ and threshold, on the choosing set"
    )
    parser.add_argument("--among", nargs="*", default=[], help="names of choices; all else")
    parser.add_argument("--only", nargs="*", default=[way.name for way in WAYS])
    parser.add_argument("--no-priors", action="store_true", help="leave out several pictures")
    parser.add_argument("--docs", type=Path, default=Path("docs/lipe.png"))
    parser.add_argument("--look", type=Path, help="a folder for fifty animals' pictures")
    parser.add_argument("--kept", type=Path, help="what other parts of this run gave already")
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args()
    seed = 1 if given.choose else given.seed
    editing = Editing(given.animals, seed, given.steps, given.batch)
    settings = {"animals": given.animals, "steps": given.steps, "seed": seed}
    settings |= {"sampling_steps": STEPS, "strength": STRENGTH}
    found = kept(given.kept, settings) | settings
    if given.choose:
        among = [way for way in CHOICES if way.name in given.among or not given.among]
        found = joined(found, {"chosen": [editing.row(way) for way in among]})
    else:
        ways = [way for way in WAYS if way.name in given.only]
        found = joined(found, measured(editing, ways, given.docs, given.look))
        if not given.no_priors:
            found["priors"] = several(editing, {row["way"]: row for row in found["ways"]})
    print(json.dumps(found, indent=1 if given.json else 2, ensure_ascii=False))


if __name__ == "__main__":
    main()
