"""`python -m hiper.demo.train_analyser`: train the analyser on drawn pictures, or test it."""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from .analyser import KINDS, WEIGHTS, Analyser, Reading, load
from .captions import PALETTE
from .data import as_floats, pictures
from .latents import LatentSpace
from .scene import PATTERNS, Scene


def facts(scenes: list[Scene]) -> dict[str, Tensor]:
    """The truth about scenes: indices `(B,)` by kind, colours in [0, 1] `(B, 3)`."""
    truth = {
        kind: torch.tensor([names.index(getattr(_owner(scene, kind), kind)) for scene in scenes])
        for kind, names in KINDS.items()
    }
    truth["base"] = torch.tensor([s.coat.base for s in scenes]) / 255
    truth["second"] = torch.tensor([s.coat.second for s in scenes]) / 255
    return truth


def _owner(scene: Scene, kind: str):
    return scene.coat if kind == "pattern" else scene


def roughen(picture: Tensor, space: LatentSpace, generator: torch.Generator) -> Tensor:
    """Pictures as a model may draw them: through the latent space, and noisy there."""
    latent = space.encode(picture)
    level = 0.3 * torch.rand(len(latent), 1, 1, 1, generator=generator) ** 2
    return space.decode(latent + level * torch.randn(latent.shape, generator=generator))


def loss_of(reading: Reading, truth: dict[str, Tensor]) -> Tensor:
    """Cross-entropy of each kind and the error of each colour; a plain coat has no second one."""
    loss = sum(F.cross_entropy(reading.scores[kind], truth[kind]) for kind in KINDS)
    marked = (truth["pattern"] != PATTERNS.index("plain")).float()[:, None]
    base = (reading.base - truth["base"]).abs().mean()
    second = ((reading.second - truth["second"]).abs() * marked).mean()
    return loss + 8 * (base + second)


def train(out: Path, latents: LatentSpace, steps: int, count: int, seed: int) -> None:
    torch.manual_seed(seed)
    drawn, scenes = pictures(count, seed, of_two=0)
    truth = facts(scenes)
    analyser = Analyser()
    optimiser = torch.optim.AdamW(analyser.parameters(), 3e-3, weight_decay=0.01)
    generator = torch.Generator().manual_seed(seed)
    started = time.time()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 50) * (1 - step / steps)
        chosen = torch.randint(count, (48,), generator=generator)
        with torch.no_grad():
            batch = roughen(as_floats(drawn[chosen]), latents, generator)
        loss = loss_of(analyser(batch), {key: value[chosen] for key, value in truth.items()})
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if (step + 1) % 100 == 0:
            seconds = time.time() - started
            print(f"step {step + 1}/{steps} loss {loss.item():.4f} {seconds:.0f} s", flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    half = {name: tensor.half().contiguous() for name, tensor in analyser.state_dict().items()}
    about = {"steps": steps, "pictures": count, "seed": seed}
    save_file(half, out, {"hiper.demo": json.dumps(about)})


def accuracy(analyser: Analyser, space: LatentSpace, count: int = 2000) -> dict[str, float]:
    """Shares found right, and colour errors, on drawings it never met, redrawn by the decoder."""
    drawn, scenes = pictures(count, random.Random("unseen drawings").randrange(2**31), of_two=0)
    truth = facts(scenes)
    with torch.no_grad():
        redrawn = torch.cat([space.decode(space.encode(as_floats(p))) for p in drawn.split(128)])
        seen = analyser.see(redrawn.clamp(-1, 1))
    found = {
        kind: float((_index(getattr(seen, kind)) == truth[kind]).float().mean()) for kind in KINDS
    }
    palette = torch.tensor(list(PALETTE.values())) / 255
    named = [torch.cdist(colour, palette).argmin(1) for colour in (seen.base, truth["base"])]
    found["base_name"] = float((named[0] == named[1]).float().mean())
    found["base_error"] = float((seen.base - truth["base"]).square().mean(1).sqrt().mean())
    error = (seen.second - truth["second"]).square().mean(1).sqrt()
    found["second_error"] = float(error[truth["pattern"] != PATTERNS.index("plain")].mean())
    return {name: round(value, 4) for name, value in found.items()}


def _index(seen: Tensor) -> Tensor:
    return seen if seen.dim() == 1 else seen.argmax(1)


def main() -> None:
    from .model import load as load_model

    parser = argparse.ArgumentParser(
        prog="python -m hiper.demo.train_analyser", description=__doc__
    )
    parser.add_argument("--test", action="store_true", help="only report how often it is right")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--pictures", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=77)
    given = parser.parse_args()
    latents = load_model().latents
    if not given.test:
        train(given.out, latents, given.steps, given.pictures, given.seed)
    print(json.dumps(accuracy(load(given.out), latents)))


if __name__ == "__main__":
    main()
