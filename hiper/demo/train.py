"""`python -m hiper.demo.train`: draws the data and trains the demo model from nothing."""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from .captions import caption, random_scene
from .drawing import Scene, draw
from .grounding import Grounding
from .latents import CHANNELS, LatentSpace
from .schedule import TIMESTEPS, sigmas
from .text import TextEncoder, tokens_of
from .unet import UNet, Watch

GROUNDED = 0.1  # weight of the grounding term beside the loss of v


def pictures(count: int, seed: int) -> tuple[Tensor, list[Scene]]:
    """Drawn pictures as bytes `(count, 3, 64, 64)` and what they show."""
    rng = random.Random(seed)
    scenes = [random_scene(rng) for _ in range(count)]
    drawn = np.stack([np.asarray(draw(scene)) for scene in scenes])
    return torch.from_numpy(drawn).permute(0, 3, 1, 2).contiguous(), scenes


def as_floats(drawn: Tensor) -> Tensor:
    """Bytes to [-1, 1]."""
    return drawn.float() / 127.5 - 1


def train_latents(drawn: Tensor, steps: int, log) -> LatentSpace:
    """Measure the encoder's means and deviations, then train the decoder to undo it."""
    space = LatentSpace()
    raw = torch.cat([space.encode(as_floats(part)) for part in drawn[:8192].split(512)])
    space.mean.copy_(raw.mean((0, 2, 3)))
    space.deviation.copy_(raw.std((0, 2, 3)))
    optimiser = torch.optim.AdamW(space.parameters(), 2e-3, weight_decay=1e-4)
    generator = torch.Generator().manual_seed(1)
    started = time.time()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 50) * (1 - step / steps)
        batch = as_floats(drawn[torch.randint(len(drawn), (16,), generator=generator)])
        latent = space.encode(batch)
        latent = latent + 0.06 * torch.randn(latent.shape, generator=generator)
        redrawn = space.decode(latent)
        loss = F.mse_loss(redrawn, batch) + 0.2 * F.l1_loss(redrawn, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if (step + 1) % 100 == 0:
            log(f"latents {step + 1}/{steps} loss {loss.item():.5f} {time.time() - started:.0f} s")
    return space.train(False).requires_grad_(False)


class Average:
    """An exponential moving average of weights."""

    def __init__(self, *modules: nn.Module) -> None:
        self.modules = modules
        self.kept = [[p.detach().clone() for p in m.parameters()] for m in modules]

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(0.9992, (step + 1) / (step + 10))
        for kept, module in zip(self.kept, self.modules, strict=True):
            torch._foreach_lerp_(kept, list(module.parameters()), 1 - decay)

    def states(self) -> list[dict[str, Tensor]]:
        return [
            {name: kept.clone() for (name, _), kept in zip(m.named_parameters(), k, strict=True)}
            for m, k in zip(self.modules, self.kept, strict=True)
        ]


def v_loss(
    unet: UNet,
    context: Callable[[], Tensor],
    clean: Tensor,
    sigma_table: Tensor,
    generator: torch.Generator,
    watch: Watch | None = None,
) -> Tensor:
    """‖v − v_θ‖² at timesteps spread evenly over the batch."""
    count = len(clean)
    u = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    timestep = (u * TIMESTEPS).long()
    sigma = sigma_table[timestep].view(-1, 1, 1, 1)
    alpha = 1 / (sigma**2 + 1).sqrt()
    noise = torch.randn(clean.shape, generator=generator)
    noisy = alpha * clean + sigma * alpha * noise
    target = alpha * noise - sigma * alpha * clean
    with torch.autocast("cpu", torch.bfloat16):
        predicted = unet(noisy, timestep, context(), watch)
    return F.mse_loss(predicted.float(), target)


def train(out: Path, steps: int, batch: int, count: int, seed: int, rate: float) -> None:
    """The whole training; it goes on from `<out>/state.pt` where there is one."""
    out.mkdir(parents=True, exist_ok=True)

    def log(line: str) -> None:
        print(line, flush=True)
        with open(out / "training.log", "a") as file:
            print(line, file=file)

    torch.manual_seed(seed)
    drawn, scenes = pictures(count, seed)
    log(f"drew {count} pictures, seed {seed}")
    latents_file = out / "latents.pt"
    if latents_file.exists():
        space = LatentSpace()
        space.load_state_dict(torch.load(latents_file, weights_only=True))
        space.train(False).requires_grad_(False)
    else:
        space = train_latents(drawn, 1500, log)
        torch.save(space.state_dict(), latents_file)
    clean = torch.cat([space.encode(as_floats(part)).half() for part in drawn.split(1024)])
    del drawn
    unet, text = UNet(), TextEncoder()
    with torch.no_grad():
        unet.out[-1].weight.zero_()
        for embedding in (
            text.text_model.embeddings.token_embedding,
            text.text_model.embeddings.position_embedding,
        ):
            embedding.weight.mul_(0.3)
    parameters = [*unet.parameters(), *text.parameters()]
    size = sum(p.numel() for p in parameters)
    log(f"{size / 1e6:.2f} M parameters, {CHANNELS}×16×16 latents, batch {batch}")
    optimiser = torch.optim.AdamW(parameters, rate, (0.9, 0.99), weight_decay=0.01)
    average = Average(unet, text)
    table, first = sigmas(), 0
    state_file = out / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        unet.load_state_dict(state["unet"])
        text.load_state_dict(state["text"])
        optimiser.load_state_dict(state["optimiser"])
        average.kept = state["average"]
        first = state["step"]
        log(f"going on from step {first}")
    recent, started = [], time.time()
    for step in range(first, steps):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        rng = random.Random(seed * 1_000_003 + step)
        progress = step / steps
        now = rate * min(1, (step + 1) / 200) * min(1, (1 - progress) / 0.35)
        for group in optimiser.param_groups:
            group["lr"] = max(now, rate * 0.01)
        chosen = torch.randint(count, (batch,), generator=generator)
        shown = [scenes[i] for i in chosen.tolist()]
        texts = [caption(scene, rng) for scene in shown]
        ids = torch.tensor([tokens_of(sentence) for sentence in texts])
        picked = clean[chosen].float()
        # timesteps rise along the batch: every fourth picture has every noise level among them
        some = slice(step % 4, None, 4)
        grounding = Grounding(texts, shown, some, picked.shape[-1])
        loss = v_loss(unet, lambda ids=ids: text(ids), picked, table, generator, grounding)
        optimiser.zero_grad()
        (loss + GROUNDED * grounding.loss).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        average.update(step)
        recent.append((loss.item(), grounding.loss.item()))
        if (step + 1) % 50 == 0:
            pace = (time.time() - started) / (step + 1 - first)
            error, astray = np.mean(recent[-50:], axis=0)
            log(
                f"step {step + 1}/{steps} loss {error:.4f} words astray {astray:.4f} "
                f"{pace:.3f} s a step"
            )
        if (step + 1) % 250 == 0 or step + 1 == steps:
            state = {"unet": unet.state_dict(), "text": text.state_dict(), "step": step + 1}
            state |= {"optimiser": optimiser.state_dict(), "average": average.kept}
            torch.save(state, state_file.with_suffix(".part"))
            state_file.with_suffix(".part").replace(state_file)
            save_weights(average, space, out / "demo.safetensors", step + 1, seed)


def save_weights(average: Average, space: LatentSpace, path: Path, step: int, seed: int) -> None:
    """UNet, text encoder and decoder in one half-precision file."""
    unet, text = average.states()
    tensors = {f"unet.{name}": tensor for name, tensor in unet.items()}
    tensors |= {f"text.{name}": tensor for name, tensor in text.items()}
    tensors |= {f"latents.{name}": tensor for name, tensor in space.state_dict().items()}
    half = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    save_file(half, path, {"hiper.demo": json.dumps({"steps": step, "seed": seed})})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hiper.demo.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-training"), help="folder")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--pictures", type=int, default=40000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1e-3, help="AdamW's learning rate")
    given = parser.parse_args()
    train(given.out, given.steps, given.batch, given.pictures, given.seed, given.rate)


if __name__ == "__main__":
    main()
