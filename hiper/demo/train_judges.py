"""`python -m hiper.demo.train_judges soundness` (or `pairs`): train a judge on drawings with known
answers, or with `--test` report how often it is right on drawings that it never met."""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from .captions import random_scene
from .data import as_floats
from .judging import ASKED, SEEN_AT, Judge, load, weights_of
from .latents import LatentSpace
from .malformed import FAULTS, SOUND, draw_state
from .model import load as load_model
from .pairs import draw_picture, random_pair
from .train_latents import roughen

UNSEEN = 2000  # drawings to report on
REDRAWN = 0.6  # share of the training's pictures that went through the latent space


def example(which: str, rng: random.Random) -> tuple[Image.Image, list[int]]:
    """A drawing and the right answers: every second animal is sound."""
    if which == "soundness":
        state = SOUND if rng.random() < 0.5 else rng.choice(FAULTS)
        picture = draw_state(random_scene(rng), state, rng)
        return picture, [ASKED[which]["state"].index(state)]
    pair = random_pair(rng)
    facts = (pair.left.animal, pair.left.pose, pair.right.animal, pair.right.pose)
    names = ASKED[which].values()
    return draw_picture(pair), [all_.index(one) for all_, one in zip(names, facts, strict=True)]


@torch.no_grad()
def examples(
    which: str, count: int, seed: int, space: LatentSpace, redrawn: float
) -> tuple[Tensor, Tensor]:
    """Pictures as bytes `(count, 3, 64, 64)`, some as the decoder draws them, and the answers."""
    rng = random.Random(f"{which} {seed}")
    generator = torch.Generator().manual_seed(seed)
    pictures, answers = [], []
    for _ in range(count):
        drawn, right = example(which, rng)
        picture = as_floats(torch.from_numpy(np.array(drawn)).permute(2, 0, 1))[None]
        if rng.random() < redrawn:
            picture = space.decode(roughen(space.encode(picture), generator)).clamp(-1, 1)
        small = F.adaptive_avg_pool2d(picture, SEEN_AT)[0]
        pictures.append(((small + 1) * 127.5).round().byte())
        answers.append(right)
    return torch.stack(pictures), torch.tensor(answers)


def roughened(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """As a model may draw: blurred here, noisy there, a little lighter or darker."""
    count = len(pictures)
    blurred = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = torch.rand(count, 1, 1, 1, generator=generator) ** 2
    pictures = pictures.lerp(blurred, share)
    level = 0.12 * torch.rand(count, 1, 1, 1, generator=generator) ** 2
    lighter = 0.06 * torch.randn(count, 3, 1, 1, generator=generator)
    return pictures + level * torch.randn(pictures.shape, generator=generator) + lighter


def mirrored(which: str, pictures: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right exchanged, in the answers as well."""
    return pictures.flip(-1), answers[:, [2, 3, 0, 1]] if which == "pairs" else answers


def train(which: str, out: Path, space: LatentSpace, steps: int, count: int, seed: int) -> None:
    torch.manual_seed(seed)
    pictures, answers = examples(which, count, seed, space, REDRAWN)
    print(f"{which}: drew {count} pictures, seed {seed}", flush=True)
    judge = Judge(which)
    optimiser = torch.optim.AdamW(judge.parameters(), 3e-3, weight_decay=0.05)
    generator = torch.Generator().manual_seed(seed)
    started = time.time()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 50) * (1 - step / steps)
        chosen = torch.randint(count, (48,), generator=generator)
        batch, right = as_floats(pictures[chosen]), answers[chosen]
        if step % 2:
            batch, right = mirrored(which, batch, right)
        scores = judge(roughened(batch, generator)).values()
        loss = sum(F.cross_entropy(s, right[:, i]) for i, s in enumerate(scores))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if (step + 1) % 200 == 0:
            seconds = time.time() - started
            print(f"step {step + 1}/{steps} loss {loss.item():.4f} {seconds:.0f} s", flush=True)
    half = {name: tensor.half().contiguous() for name, tensor in judge.state_dict().items()}
    save_file(half, out, {"hiper.demo": json.dumps({"steps": steps, "pictures": count})})


def accuracy(which: str, judge: Judge, space: LatentSpace, count: int = UNSEEN) -> dict[str, float]:
    """Shares right on unseen drawings, as drawn and as the decoder redraws them."""
    found: dict[str, float] = {"drawings": count}
    for name, redrawn in (("drawn", 0.0), ("redrawn", 1.0)):
        seed = random.Random(f"unseen {which} {name}").randrange(2**31)
        pictures, answers = examples(which, count, seed, space, redrawn)
        given = torch.stack(list(judge.judge(as_floats(pictures)).values()), 1)
        right = (given == answers).float().mean(0)
        found |= {
            f"{question}, {name}": round(float(share), 4)
            for question, share in zip(judge.asked, right, strict=True)
        }
        if which == "soundness":
            malformed = given[:, 0] > 0, answers[:, 0] > 0
            found[f"malformed or not, {name}"] = round(
                float((malformed[0] == malformed[1]).float().mean()), 4
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hiper.demo.train_judges", description=__doc__)
    parser.add_argument("which", choices=list(ASKED))
    parser.add_argument("--test", action="store_true", help="only report how often it is right")
    parser.add_argument("--out", type=Path, help="file of weights")
    parser.add_argument("--latents", type=Path, help="latents.pt of a training under way")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--pictures", type=int, default=26000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    if given.latents:
        space = LatentSpace()
        space.load_state_dict(torch.load(given.latents, weights_only=True))
        space.train(False).requires_grad_(False)
    else:
        space = load_model().latents
    out = given.out or weights_of(given.which)
    if not given.test:
        train(given.which, out, space, given.steps, given.pictures, given.seed)
    print(json.dumps(accuracy(given.which, load(given.which, out), space)))


if __name__ == "__main__":
    main()
