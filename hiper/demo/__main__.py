"""`python -m hiper.demo`: learn one drawn animal's tail and put it behind other prompts."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from .captions import nameless_coat, prompt, random_scene
from .drawing import draw
from .measures import measured
from .showing import Showing, show


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hiper.demo", description=__doc__)
    parser.add_argument("--image", type=Path, help="your own picture instead of a drawn animal")
    parser.add_argument("--prompt", help="what the source picture shows, in the demo's words")
    parser.add_argument("--tokens", type=int, default=5, help="N, how many vectors (5)")
    parser.add_argument("--strength", type=float, default=Showing.strength, help="α (paper: 0.8)")
    parser.add_argument("--steps", type=int, default=Showing.steps, help="steps of learning")
    parser.add_argument("--seed", type=int, default=0, help="which animal, and the noise")
    parser.add_argument("--out", type=Path, default=Path("hiper-demo.png"), help="the sheet")
    parser.add_argument("--json", action="store_true", help="print one object of measures")
    return parser.parse_args()


def check_out(out: Path) -> None:
    """Find out before learning whether the sheet can be written."""
    if out.suffix.lower() not in Image.registered_extensions():
        raise ValueError(f"--out {out} has no ending of a picture: name it {out.stem}.png.")
    out.parent.mkdir(parents=True, exist_ok=True)


def main() -> None:
    given = arguments()
    started = time.perf_counter()
    rng = random.Random(f"demo animal {given.seed}")
    scene = random_scene(rng, nameless_coat(rng))
    said = (
        "a picture of an animal" if given.image else prompt(scene.animal, scene.pose, scene.ground)
    )
    try:
        check_out(given.out)
        source = Image.open(given.image).convert("RGB") if given.image else draw(scene)
        showing = Showing(
            source=source,
            prompt=given.prompt or said,
            tokens=given.tokens,
            strength=given.strength,
            seed=given.seed,
            steps=given.steps,
        )
        shown = show(showing, quiet=given.json)
    except (OSError, UnidentifiedImageError, ValueError) as error:
        sys.exit(f"hiper.demo: {error}")
    shown.sheet.save(given.out)
    if not given.json:
        print(given.out)
        return
    facts = {
        **asdict(measured(showing, shown, None if given.image else scene)),
        "loss_first": round(shown.learned.first_loss, 4),
        "loss_last": round(shown.learned.last_loss, 4),
        "seconds_learning": round(shown.seconds_learning, 2),
        "seconds": round(time.perf_counter() - started, 2),
        "out": str(given.out),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
