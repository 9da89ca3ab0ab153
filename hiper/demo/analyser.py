"""A small classifier of drawn pictures: which animal, pose, ground and coat it sees."""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .drawing import CLASSES, GROUNDS, PATTERNS, POSES, Scene
from .latents import LatentSpace

WEIGHTS = Path(__file__).with_name("weights") / "analyser.safetensors"
HEADS = {
    "animal": len(CLASSES),
    "pose": len(POSES),
    "ground": len(GROUNDS),
    "pattern": len(PATTERNS),
    "base": 3,
    "second": 3,
}


@dataclass(frozen=True)
class Seen:
    """What the analyser sees in pictures: class indices `(B,)`, the coat as numbers `(B, …)`."""

    animal: Tensor
    pose: Tensor
    ground: Tensor
    pattern: Tensor  # probabilities (B, 3)
    base: Tensor  # RGB in [0, 1]
    second: Tensor

    def coat_distance(self, other: Seen) -> Tensor:
        """How different two coats look, `(B,)`: base colour, pattern, and the second colour as far
        as the first of the two has one."""
        patterned = 1 - self.pattern[:, 0]
        base = (self.base - other.base).square().mean(1).sqrt()
        second = (self.second - other.second).square().mean(1).sqrt() * patterned
        pattern = (self.pattern - other.pattern).abs().sum(1) / 2
        return base + 0.5 * second + 0.25 * pattern


class Analyser(nn.Module):
    """Pictures `(B, 3, 64, 64)` in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 40, 56, 64)
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(8, width) for width in widths[1:])
        self.hidden = nn.Linear(64 * 16, 48)
        self.heads = nn.ModuleDict({name: nn.Linear(48, size) for name, size in HEADS.items()})

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        x = picture
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.silu(norm(layer(x)))
        x = F.silu(self.hidden(x.flatten(1)))
        return {name: head(x) for name, head in self.heads.items()}

    @torch.no_grad()
    def see(self, picture: Tensor) -> Seen:
        out = self(picture)
        return Seen(
            animal=out["animal"].argmax(1),
            pose=out["pose"].argmax(1),
            ground=out["ground"].argmax(1),
            pattern=out["pattern"].softmax(1),
            base=out["base"],
            second=out["second"],
        )


def load(path: Path = WEIGHTS) -> Analyser:
    analyser = Analyser()
    analyser.load_state_dict({name: t.float() for name, t in load_file(path).items()})
    return analyser.eval().requires_grad_(False)


def facts(scenes: list[Scene]) -> dict[str, Tensor]:
    """The truth about scenes, as the analyser's targets."""
    names = {"animal": CLASSES, "pose": POSES, "ground": GROUNDS}
    truth = {
        key: torch.tensor([options.index(getattr(scene, key)) for scene in scenes])
        for key, options in names.items()
    }
    truth["pattern"] = torch.tensor([PATTERNS.index(s.coat.pattern) for s in scenes])
    truth["base"] = torch.tensor([s.coat.base for s in scenes]) / 255
    truth["second"] = torch.tensor([s.coat.second for s in scenes]) / 255
    return truth


def roughen(picture: Tensor, space: LatentSpace, generator: torch.Generator) -> Tensor:
    """Pictures as a model draws them: through the latent space, a little noisy."""
    latent = space.encode(picture)
    level = 0.12 * torch.rand(len(latent), 1, 1, 1, generator=generator)
    redrawn = space.decode(latent + level * torch.randn(latent.shape, generator=generator))
    plain = torch.rand(len(latent), 1, 1, 1, generator=generator) < 0.2
    return torch.where(plain, picture, redrawn)


def train(out: Path, latents: LatentSpace, steps: int, count: int, seed: int) -> None:
    """Train on drawn pictures and report on others."""
    from .train import as_floats, pictures

    torch.manual_seed(seed)
    drawn, scenes = pictures(count, seed + 1)
    truth = facts(scenes)
    analyser = Analyser()
    optimiser = torch.optim.AdamW(analyser.parameters(), 2e-3, weight_decay=0.01)
    generator = torch.Generator().manual_seed(seed)
    started = time.time()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 100) * (1 - step / steps)
        chosen = torch.randint(count, (48,), generator=generator)
        with torch.no_grad():
            batch = roughen(as_floats(drawn[chosen]), latents, generator)
        seen = analyser(batch)
        loss = sum(
            F.cross_entropy(seen[key], truth[key][chosen])
            for key in ("animal", "pose", "ground", "pattern")
        )
        loss = loss + 20 * F.mse_loss(seen["base"], truth["base"][chosen])
        has_second = (truth["pattern"][chosen] > 0)[:, None]
        error = (seen["second"] - truth["second"][chosen]).square() * has_second
        loss = loss + 10 * error.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if (step + 1) % 250 == 0:
            print(f"analyser {step + 1}/{steps} {loss.item():.4f} {time.time() - started:.0f} s")
    state = {k: v.half().contiguous() for k, v in analyser.state_dict().items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, out)
    print(accuracy(load(out), latents))


def accuracy(analyser: Analyser, space: LatentSpace, count: int = 2000) -> dict[str, float]:
    """Shares found right, and colour errors, on drawings it never met, redrawn by the decoder."""
    from .train import as_floats, pictures

    drawn, scenes = pictures(count, seed=random.Random("unseen drawings").randrange(2**31))
    truth = facts(scenes)
    right: dict[str, float] = {}
    with torch.no_grad():
        redrawn = torch.cat([space.decode(space.encode(as_floats(p))) for p in drawn.split(256)])
        seen = analyser.see(redrawn)
    for key in ("animal", "pose", "ground"):
        right[key] = float((getattr(seen, key) == truth[key]).float().mean())
    right["pattern"] = float((seen.pattern.argmax(1) == truth["pattern"]).float().mean())
    right["base_error"] = float((seen.base - truth["base"]).square().mean(1).sqrt().mean())
    patterned = truth["pattern"] > 0
    error = (seen.second - truth["second"]).square().mean(1).sqrt()
    right["second_error"] = float(error[patterned].mean())
    return right


def main() -> None:
    from .model import load as load_model

    parser = argparse.ArgumentParser(prog="python -m hiper.demo.analyser", description=__doc__)
    parser.add_argument("--train", action="store_true", help="train it anew, else report on it")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--pictures", type=int, default=30000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    latents = load_model().latents
    if given.train:
        train(given.out, latents, given.steps, given.pictures, given.seed)
    else:
        print(accuracy(load(), latents))


if __name__ == "__main__":
    main()
