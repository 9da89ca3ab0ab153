"""`python -m hiper.demo.train_latents`: trains the decoder, which draws pictures of latents."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .data import as_floats, pictures
from .latents import CELL, LatentSpace
from .model import WEIGHTS, split_weights

NOISE = (0.02, 0.2)  # the latent's noise in training, at least and at most: a model's errors
CROP, MARGIN = 8, 1  # cells of a close look at an animal, and those around it that aren't judged


def edges(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Differences between neighbours, across and down."""
    return picture.diff(dim=-1), picture.diff(dim=-2)


def drawing_loss(redrawn: Tensor, drawn: Tensor) -> Tensor:
    """Pixels and edges: a squared error alone blurs every edge whose place it doubts."""
    pixels = F.l1_loss(redrawn, drawn) + F.mse_loss(redrawn, drawn)
    across, down = (F.l1_loss(a, b) for a, b in zip(edges(redrawn), edges(drawn), strict=True))
    return pixels + across + down


def close_looks(picture: Tensor, latent: Tensor, generator: torch.Generator) -> tuple:
    """A square of each picture and its latent where animals are, which is where decoders fail:
    pictures `(B, 3, 64, 64)` and latents `(B, 12, 10, 10)`, wider by the margin on every side."""
    size = CROP + 2 * MARGIN
    looks = []
    for one, its in zip(picture, latent, strict=True):
        across, down = torch.randint(0, latent.shape[-1] - size + 1, (2,), generator=generator)
        down = torch.maximum(down, torch.tensor(2))  # above is sky
        x, y = int(across), int(down)
        inner = slice((y + MARGIN) * CELL, (y + MARGIN + CROP) * CELL)
        wide = slice((x + MARGIN) * CELL, (x + MARGIN + CROP) * CELL)
        looks.append((one[:, inner, wide], its[:, y : y + size, x : x + size]))
    pictures, latents = zip(*looks, strict=True)
    return torch.stack(pictures), torch.stack(latents)


def inner(redrawn: Tensor) -> Tensor:
    """A redrawn close look without its margin."""
    cut = slice(MARGIN * CELL, -MARGIN * CELL)
    return redrawn[..., cut, cut]


def roughen(latent: Tensor, generator: torch.Generator) -> Tensor:
    """Latents as a model may leave them: most nearly clean, some far from it."""
    least, most = NOISE
    level = torch.rand(len(latent), 1, 1, 1, generator=generator) ** 2
    level = least + (most - least) * level
    return latent + level * torch.randn(latent.shape, generator=generator)


def measured(drawn: Tensor) -> LatentSpace:
    """A latent space whose channels have mean 0 and deviation 1 over the drawings."""
    space = LatentSpace()
    raw = torch.cat([space.encode(as_floats(part)) for part in drawn.split(512)])
    space.mean.copy_(raw.mean((0, 2, 3)))
    space.deviation.copy_(raw.std((0, 2, 3)))
    return space


def trained_before() -> LatentSpace:
    """An untrained decoder over the latents that the weights beside this file were trained on."""
    space, before = LatentSpace(), split_weights(WEIGHTS)["latents"]
    space.mean.copy_(before["mean"])
    space.deviation.copy_(before["deviation"])
    return space


def latent_space(folder: Path) -> LatentSpace:
    """The one in the folder of a training; without one, the latents of the pack's weights, whose
    decoder may come later: nets learn from the encoder's side alone."""
    file = folder / "latents.pt"
    space = LatentSpace() if file.exists() else trained_before()
    if file.exists():
        space.load_state_dict(torch.load(file, weights_only=True))
    return space.train(False).requires_grad_(False)


def train_decoder(
    space: LatentSpace,
    drawn: Tensor,
    steps: int,
    batch: int,
    state_file: Path,
    log: Callable[[str], None],
    rate: float = 2e-3,
) -> LatentSpace:
    """Train the decoder to undo the encoder; it goes on from `state_file` where there is one."""
    optimiser = torch.optim.AdamW(space.parameters(), rate, weight_decay=1e-4)
    first = 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        space.load_state_dict(state["space"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
        log(f"latents: going on from step {first}")
    recent, started = [], time.time()
    for step in range(first, steps):
        generator = torch.Generator().manual_seed(1_000_003 + step)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 50) * max(1 - step / steps, 0.01)
        near = step % 4 > 0  # a close look costs less than half of the whole
        chosen = torch.randint(len(drawn), (2 * batch if near else batch,), generator=generator)
        picked = as_floats(drawn[chosen])
        latent = roughen(space.encode(picked), generator)
        if near:
            picked, latent = close_looks(picked, latent, generator)
        redrawn = space.decode(latent)
        loss = drawing_loss(inner(redrawn) if near else redrawn, picked)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(space.parameters(), 1.0)
        optimiser.step()
        recent.append(loss.item())
        if (step + 1) % 100 == 0 or step + 1 == steps:
            pace = (time.time() - started) / (step + 1 - first)
            log(f"latents {step + 1}/{steps} loss {np.mean(recent[-100:]):.5f} {pace:.2f} s a step")
            state = {"space": space.state_dict(), "step": step + 1}
            state |= {"optimiser": optimiser.state_dict()}
            torch.save(state, state_file.with_suffix(".part"))
            state_file.with_suffix(".part").replace(state_file)
    return space.train(False).requires_grad_(False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hiper.demo.train_latents", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-training"), help="folder")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    drawn, _ = pictures(given.pictures, given.seed)
    space, state_file = trained_before(), given.out / "latents_state.pt"
    train_decoder(space, drawn, given.steps, given.batch, state_file, partial(print, flush=True))
    torch.save(space.state_dict(), given.out / "latents.pt")


if __name__ == "__main__":
    main()
