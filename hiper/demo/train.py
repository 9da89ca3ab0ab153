"""`python -m hiper.demo.train`: draws the data and trains the demo model.

It goes on from the weights that come with the pack, or starts from nothing with `--anew`; the
latent space comes from `python -m hiper.demo.train_latents`.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from .coat_vectors import CoatVectors, chosen
from .data import as_floats, random_picture, sentence
from .grounding import Grounding, parts_of
from .latents import CHANNELS, LatentSpace
from .model import WEIGHTS, split_weights
from .pairs import Picture, draw_picture
from .schedule import TIMESTEPS, sigmas
from .text import TextEncoder, tokens_of
from .train_latents import latent_space
from .unet import UNet, Watch

GROUNDED = 0.1  # weight of the grounding term beside the loss of v
SEEN = 0.01  # weight of what keeps the class word's map from being the faintest
NOISY = 0.75  # power of the evenly spread timesteps: below 1, more where an animal is decided
HELD = 2  # every so many pictures of a batch are grounded


@dataclass(frozen=True)
class Plan:
    """What a training is; all but `steps` must stay the same where it goes on."""

    steps: int
    batch: int
    pictures: int
    seed: int
    rate: float
    anew: bool
    bf16: bool


class Average:
    """An exponential moving average of weights."""

    def __init__(self, *modules: nn.Module) -> None:
        self.modules = modules
        self.kept = [[p.detach().clone() for p in m.parameters()] for m in modules]

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(0.998, (step + 1) / (step + 10))
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
    bf16: bool = False,
) -> Tensor:
    """‖v − v_θ‖² at timesteps spread over the batch, more of them noisy than not."""
    count = len(clean)
    u = ((torch.arange(count) + torch.rand(count, generator=generator)) / count) ** NOISY
    timestep = (u * TIMESTEPS).long().clamp(max=TIMESTEPS - 1)
    sigma = sigma_table[timestep].view(-1, 1, 1, 1)
    alpha = 1 / (sigma**2 + 1).sqrt()
    noise = torch.randn(clean.shape, generator=generator)
    noisy = alpha * clean + sigma * alpha * noise
    target = alpha * noise - sigma * alpha * clean
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        predicted = unet(noisy, timestep, context(), watch)
    return F.mse_loss(predicted.float(), target)


@dataclass(frozen=True)
class Data:
    """What the pictures show, their latents `(count, 12, 16, 16)` and whose each cell is
    `(count, 3, 16, 16)`, both in half precision."""

    shown: list[Picture]
    clean: Tensor
    parts: Tensor


def data(count: int, seed: int, space: LatentSpace, kept: Path) -> Data:
    """Draw the pictures, or take their latents from the file `kept` of a run before."""
    rng = random.Random(seed)
    shown = [random_picture(rng) for _ in range(count)]
    if kept.exists():
        return Data(shown, *torch.load(kept, weights_only=True))
    clean, parts = [], []
    for picture in shown:
        pixels = torch.from_numpy(np.asarray(draw_picture(picture))).permute(2, 0, 1)
        clean.append(space.encode(as_floats(pixels)[None])[0].half())
        parts.append(parts_of(picture, clean[-1].shape[-1]).half())
    drawn = torch.stack(clean), torch.stack(parts)
    torch.save(drawn, kept)
    return Data(shown, *drawn)


def nets(plan: Plan) -> tuple[UNet, TextEncoder]:
    unet, text = UNet(), TextEncoder()
    if not plan.anew:
        weights = split_weights(WEIGHTS)
        unet.load_state_dict(weights["unet"])
        text.load_state_dict(weights["text"])
        return unet, text
    with torch.no_grad():
        unet.out[-1].weight.zero_()
        for embedding in (
            text.text_model.embeddings.token_embedding,
            text.text_model.embeddings.position_embedding,
        ):
            embedding.weight.mul_(0.3)
    return unet, text


def rate_at(step: int, plan: Plan) -> float:
    """A short rise, then level, and down over the last 35 %."""
    now = plan.rate * min(1, (step + 1) / 100) * min(1, (1 - step / plan.steps) / 0.35)
    return max(now, plan.rate * 0.01)


def train(out: Path, plan: Plan) -> None:
    """The whole training; it goes on from `<out>/state.pt` where there is one."""
    out.mkdir(parents=True, exist_ok=True)

    def log(line: str) -> None:
        print(line, flush=True)
        with open(out / "training.log", "a") as file:
            print(line, file=file)

    torch.manual_seed(plan.seed)
    space = latent_space(out)
    seen = data(plan.pictures, plan.seed, space, out / f"data-{plan.seed}-{plan.pictures}.pt")
    log(json.dumps(asdict(plan)))
    unet, text = nets(plan)
    coats = CoatVectors()
    modules = (unet, text, coats)
    parameters = [p for module in modules for p in module.parameters()]
    size = sum(p.numel() for module in (unet, text) for p in module.parameters())
    log(f"{size / 1e6:.2f} M parameters, {CHANNELS}×16×16 latents, batch {plan.batch}")
    optimiser = torch.optim.AdamW(parameters, plan.rate, (0.9, 0.99), weight_decay=0.01)
    average = Average(unet, text)
    table, first = sigmas(), 0
    state_file = out / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        for module, name in zip(modules, ("unet", "text", "coats"), strict=True):
            module.load_state_dict(state[name])
        optimiser.load_state_dict(state["optimiser"])
        average.kept = state["average"]
        first = state["step"]
        log(f"going on from step {first}")
    recent, started = [], time.time()
    for step in range(first, plan.steps):
        generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
        rng = random.Random(plan.seed * 1_000_003 + step)
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, plan)
        picked = torch.randint(plan.pictures, (plan.batch,), generator=generator)
        shown = [seen.shown[i] for i in picked.tolist()]
        texts = [sentence(picture, rng) for picture in shown]
        told = [chosen(picture, said, rng) for picture, said in zip(shown, texts, strict=True)]
        ids = torch.tensor([tokens_of(said) for said in texts])
        # timesteps rise along the batch: each part of it has every noise level among them
        some = slice(step % HELD, None, HELD)
        grounding = Grounding(texts, told, seen.parts[picked], some)

        def context(ids: Tensor = ids, told=told, rng: random.Random = rng) -> Tensor:
            return coats(text(ids), told, rng)

        loss = v_loss(
            unet, context, seen.clean[picked].float(), table, generator, grounding, plan.bf16
        )
        optimiser.zero_grad()
        (loss + GROUNDED * grounding.loss + SEEN * grounding.faint).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        average.update(step)
        recent.append((loss.item(), grounding.loss.item(), grounding.faint.item()))
        if (step + 1) % 50 == 0:
            pace = (time.time() - started) / (step + 1 - first)
            error, astray, faint = np.mean(recent[-50:], axis=0)
            log(
                f"step {step + 1}/{plan.steps} loss {error:.4f} words astray {astray:.4f} "
                f"faint {faint:.3f} {pace:.3f} s a step"
            )
        if (step + 1) % 100 == 0 or step + 1 == plan.steps:
            state = {"step": step + 1, "optimiser": optimiser.state_dict()}
            state |= {"average": average.kept, "coats": coats.state_dict()}
            state |= {"unet": unet.state_dict(), "text": text.state_dict()}
            torch.save(state, state_file.with_suffix(".part"))
            state_file.with_suffix(".part").replace(state_file)
            save_weights(average, space, out / "demo.safetensors", step + 1, plan)


def save_weights(average: Average, space: LatentSpace, path: Path, step: int, plan: Plan) -> None:
    """UNet, text encoder and decoder in one half-precision file."""
    unet, text = average.states()
    tensors = {f"unet.{name}": tensor for name, tensor in unet.items()}
    tensors |= {f"text.{name}": tensor for name, tensor in text.items()}
    tensors |= {f"latents.{name}": tensor for name, tensor in space.state_dict().items()}
    half = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    save_file(half, path, {"hiper.demo": json.dumps({"steps": step, "seed": plan.seed})})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hiper.demo.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-training"), help="folder")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--pictures", type=int, default=16000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=6e-4, help="AdamW's learning rate")
    parser.add_argument("--anew", action="store_true", help="start from random weights")
    parser.add_argument("--bf16", action="store_true", help="faster where the CPU has bfloat16")
    given = vars(parser.parse_args())
    train(given.pop("out"), Plan(**given))


if __name__ == "__main__":
    main()
