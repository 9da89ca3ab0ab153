"""Twenty prompts as an older checkout of the pack draws them, and as this one does:
`python benchmarks/old_and_new.py --old ../older-checkout --out docs/demo_old_and_new.png`.

Prompts and noise are the same; none is picked. A picture is shown in the size that a viewer gives
it, so fewer pixels are larger ones.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # before an installed copy

from hiper.demo.captions import prompt, random_scene
from hiper.figures.lettering import lettering

PACK = Path(__file__).resolve().parents[1]
COUNT, SEED = 20, 5
TILE, GAP, LINE, COLUMNS = 128, 8, 24, 5
DRAWN_BY = """
import json, sys, torch
from hiper.demo.model import load, sample, starting_noise
texts, seed, folder = json.loads(sys.argv[1])
model = load()
with torch.no_grad():
    context = torch.cat([model.text.encode(text) for text in texts])
drawn = sample(model, context, starting_noise(len(texts), seed))
for number, picture in enumerate(model.decode(drawn)):
    picture.save(f"{folder}/{number:02}.png")
"""


def prompts() -> list[str]:
    rng = random.Random("old and new")
    scenes = [random_scene(rng) for _ in range(COUNT)]
    return [prompt(scene.animal, scene.pose, scene.ground) for scene in scenes]


def drawn_by(checkout: Path, texts: list[str]) -> list[Image.Image]:
    """What the pack in that folder draws, by its own code and weights."""
    with tempfile.TemporaryDirectory() as folder:
        given = json.dumps([texts, SEED, folder])
        subprocess.run([sys.executable, "-c", DRAWN_BY, given], cwd=checkout, check=True)
        return [Image.open(path).convert("RGB") for path in sorted(Path(folder).iterdir())]


def page(old: list[Image.Image], new: list[Image.Image], texts: list[str]) -> Image.Image:
    """Old and new in pairs, the prompt above each pair."""
    width, height = 2 * TILE + 3 * GAP, LINE + TILE + GAP
    rows = -(-len(texts) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width + GAP, 2 * LINE + rows * height), "white")
    pen = ImageDraw.Draw(sheet)
    title, font = lettering("Each pair: the older model on the left, this one on the right", 17)
    pen.text((2 * GAP, 12), title, "#22262e", font)
    for number, text in enumerate(texts):
        x = 2 * GAP + number % COLUMNS * width
        y = 2 * LINE + number // COLUMNS * height
        words, font = lettering(text, 13)
        pen.text((x, y - 2), words, "#6b7280", font)
        for side, picture in enumerate((old[number], new[number])):
            large = picture.resize((TILE, TILE), Image.Resampling.NEAREST)
            sheet.paste(large, (x + side * (TILE + 2), y + LINE - 6))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=Path, required=True, help="a checkout of an older version")
    parser.add_argument("--out", type=Path, default=PACK / "docs" / "demo_old_and_new.png")
    given = parser.parse_args()
    texts = prompts()
    page(drawn_by(given.old, texts), drawn_by(PACK, texts), texts).save(given.out)
    print(given.out)


if __name__ == "__main__":
    main()
