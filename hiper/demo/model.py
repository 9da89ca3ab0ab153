"""The trained demo model: load it, denoise with it, sample from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from ..attention.calls import AttentionCall, in_heads
from ..embedding import begins, equal_starts, in_force, join, keys_and_values
from .drawing import SIZE
from .latents import CELL, CHANNELS, LatentSpace
from .schedule import TIMESTEPS, clean_from_v, sigmas
from .text import TextEncoder
from .unet import HEADS, Context, UNet, Watch

WEIGHTS = Path(__file__).with_name("weights") / "demo.safetensors"
ARCHITECTURE = "HiPerDemo"
STEPS = 25
GUIDANCE = 3.0


@dataclass(frozen=True)
class DemoModel:
    """The three nets and the noise schedule `(1000,)`."""

    unet: UNet
    text: TextEncoder
    latents: LatentSpace
    sigmas: Tensor

    def encode(self, picture: Image.Image) -> Tensor:
        """A picture of any size as latents `(1, 12, 16, 16)`."""
        return self.latents.encode(to_tensor(picture)[None])

    def decode(self, latent: Tensor) -> list[Image.Image]:
        drawn = self.latents.decode(latent).clamp(-1, 1).add(1).mul(127.5).round()
        pixels = drawn.permute(0, 2, 3, 1).byte().numpy()
        return [Image.fromarray(one) for one in pixels]


def to_tensor(picture: Image.Image) -> Tensor:
    """The middle square of a picture, `(3, 128, 128)` in [-1, 1]."""
    picture = picture.convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    if side != SIZE:
        square = square.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(square, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)


def split_weights(path: Path = WEIGHTS) -> dict[str, dict[str, Tensor]]:
    """The file's tensors in single precision, by net: unet, text, latents."""
    nets: dict[str, dict[str, Tensor]] = {"unet": {}, "text": {}, "latents": {}}
    for name, tensor in load_file(path).items():
        net, key = name.split(".", 1)
        nets[net][key] = tensor.float()
    return nets


def load(path: Path = WEIGHTS) -> DemoModel:
    if not path.is_file():
        raise ValueError(
            f"There are no demo weights at {path}: install the pack again, or train them with "
            "python -m hiper.demo.train."
        )
    weights = split_weights(path)
    nets = UNet(), TextEncoder(), LatentSpace()
    for net, name in zip(nets, weights, strict=True):
        net.load_state_dict(weights[name])
        net.train(False).requires_grad_(False)
    return DemoModel(*nets, sigmas())


class DemoDenoiser:
    """The demo model and the head `(…, 77 − N, 128)` of one prompt, or of one a picture; tails
    `(stages, roles, N, 128)`, or `(B, stages, …)` of one a picture."""

    def __init__(self, model: DemoModel, head: Tensor) -> None:
        self._model, self._head = model, head
        self._tell: Callable[[AttentionCall], None] | None = None
        self._reference: Tensor | None = None

    def noise(self, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        return clean + noise * sigma.view(-1, 1, 1, 1)

    def sigmas(self, u: Tensor) -> Tensor:
        return self._model.sigmas[(u * TIMESTEPS).long().clamp(max=TIMESTEPS - 1)]

    def error_weight(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + 1) / sigma**2

    def denoise(self, noisy: Tensor, sigma: Tensor, tail: Tensor) -> Tensor:
        starts = [self.sigma_at(start) for start in begins(equal_starts(tail.shape[-4]))]
        vectors = in_force(tail, sigma, torch.tensor(starts))
        head = self._head
        if self._reference is not None and len(head) > 1:
            head = head[self._reference]
        keys, values = (
            None if each is None else join(head, each).expand(len(noisy), -1, -1)
            for each in keys_and_values(vectors)
        )
        watch = None if self._tell is None else self._seen
        context = keys if values is None else (keys, values)
        return denoise(self._model, noisy, sigma, context, watch)

    def sigma_at(self, done: float) -> float:
        """σ where so much of the sampling is done, between the table's own as in ComfyUI."""
        return float(sigmas_at(self._model, torch.tensor([(1 - done) * (TIMESTEPS - 1)])))

    @contextmanager
    def watched(self, tell: Callable[[AttentionCall], None]) -> Iterator[None]:
        self._tell = tell
        try:
            yield
        finally:
            self._tell = None

    @contextmanager
    def of_pictures(self, reference: Tensor) -> Iterator[None]:
        self._reference = reference
        try:
            yield
        finally:
            self._reference = None

    def _seen(self, q: Tensor, k: Tensor, height: int) -> None:
        q, k = in_heads(q, HEADS), in_heads(k, HEADS)
        size, columns = (height, q.shape[-2] // height), slice(0, k.shape[-2])
        self._tell(AttentionCall(f"{height} high", q, k, size, columns))


def denoise(
    model: DemoModel, noisy: Tensor, sigma: Tensor, context: Context, watch: Watch | None = None
) -> Tensor:
    """x0_hat of `(B, 12, H, W)` at σ `(B,)` for the prompts `(B, 77, 128)`, or a pair of them for
    keys and for values."""
    timestep = (sigma.log()[:, None] - model.sigmas.log()[None]).abs().argmin(1)
    entering = noisy / (sigma**2 + 1).sqrt().view(-1, 1, 1, 1)
    return clean_from_v(noisy, model.unet(entering, timestep, context, watch), sigma)


def sampling_sigmas(model: DemoModel, steps: int) -> Tensor:
    """σ from the schedule's end to 0 in even timesteps, as ComfyUI's "normal" scheduler."""
    return torch.cat([sigmas_at(model, torch.linspace(TIMESTEPS - 1, 0, steps)), torch.zeros(1)])


def sigmas_at(model: DemoModel, timesteps: Tensor) -> Tensor:
    """σ at timesteps that may lie between two of the table's, as ComfyUI's model sampling does."""
    low, share = timesteps.floor().long(), timesteps.frac()
    logs = model.sigmas.log()
    return ((1 - share) * logs[low] + share * logs[timesteps.ceil().long()]).exp()


@torch.no_grad()
def sample(
    model: DemoModel,
    context: Context | Callable[[Tensor], Context],
    noise: Tensor,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """DDIM without added noise (ComfyUI's euler) for prompts `(B, 77, 128)`, or for what they are
    at each σ, from noise `(B, …)`."""
    nothing = model.text.encode("").expand(len(noise), -1, -1)
    told = context if callable(context) else lambda _: context
    schedule = sampling_sigmas(model, steps)
    x = noise * (1 + schedule[0] ** 2).sqrt()
    for index, (now, after) in enumerate(pairwise(schedule)):
        both = beside(nothing, told(now))
        estimates = denoise(model, x.repeat(2, 1, 1, 1), now.expand(2 * len(x)), both)
        without, given = estimates.chunk(2)
        clean = without + guidance * (given - without)
        x = x + (x - clean) / now * (after - now)
        if on_step is not None:
            on_step(index)
    return x


def beside(nothing: Tensor, given: Context) -> Context:
    """No words at all and a prompt, for guidance, in one batch."""
    if isinstance(given, tuple):
        keys, values = given
        return torch.cat([nothing, keys]), torch.cat([nothing, values])
    return torch.cat([nothing, given])


def starting_noise(count: int, seed: int) -> Tensor:
    """Noise `(count, 12, 16, 16)` on the CPU, as ComfyUI draws it from a seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, CHANNELS, SIZE // CELL, SIZE // CELL, generator=generator)
