"""What a method of Table 1 is given, and what it has to give."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from benchmarks.method import Bench, Case
from hiper.demo.model import DemoModel, denoise, sample
from hiper.demo.unet import Context
from hiper.learning.draws import Draws
from hiper.learning.recipe import RECIPES


@dataclass
class Meter:
    """What learning took: the net's rows, forward and backward, and the processor's seconds."""

    evaluations: int = 0
    seconds: float = 0.0
    bytes: int = 0  # that are kept of each subject
    _began: float = field(default=0.0, repr=False)

    @contextmanager
    def running(self) -> Iterator[Meter]:
        self._began = time.process_time()
        try:
            yield self
        finally:
            self.seconds += time.process_time() - self._began

    def keep(self, *tensors: Tensor) -> None:
        self.bytes += sum(tensor.numel() * 2 for tensor in tensors)  # 16 bits


@dataclass(frozen=True)
class Task:
    """The animals, their pictures as latents, and the noise that each target is drawn from."""

    bench: Bench
    cases: list[Case]
    clean: Tensor  # (P, 12, 16, 16)
    noise: Tensor  # (P, 12, 16, 16)

    @property
    def model(self) -> DemoModel:
        return self.bench.model

    def part(self, first: int, count: int) -> Task:
        part = slice(first, first + count)
        return Task(self.bench, self.cases[part], self.clean[part], self.noise[part])

    def targets(self) -> Tensor:
        return self.bench.encoded([case.target for case in self.cases])

    def drawn(self, model: DemoModel, context: Context) -> Tensor:
        return sample(model, context, self.noise)


# a method learns every animal of a task and draws each one's target prompt
Method = Callable[[Task, Meter], Tensor]


class Trainer:
    """Draws timesteps and noise, and says how far the model is off, whatever is learned."""

    def __init__(self, seed: int, draws: int = 1) -> None:
        self._draws = Draws(RECIPES["paper"], seed, draws)

    def losses(self, model: DemoModel, clean: Tensor, context: Tensor, meter: Meter) -> Tensor:
        """Of pictures `(P, 12, 16, 16)` under prompts `(P, 77, 128)`, as `(P,)`; a timestep and a
        noise for each, or of one draw the same for all."""
        drawn = self._draws.next(clean)
        steps = (drawn.u * len(model.sigmas)).long().clamp(max=len(model.sigmas) - 1)
        sigma = model.sigmas[steps].view(-1, 1, 1, 1)
        noisy = clean + drawn.noise * sigma
        found = denoise(model, noisy, sigma.flatten().expand(len(clean)), context)
        meter.evaluations += len(clean)
        error = (found - clean).square() * (sigma**2 + 1) / sigma**2
        return error.flatten(1).mean(1)


def tuned_copy(model: DemoModel) -> DemoModel:
    """The same model, whose UNet's weights may be learned without touching the first one's."""
    unet = copy.deepcopy(model.unet).requires_grad_(True)
    return replace(model, unet=unet)


def frozen(model: DemoModel) -> DemoModel:
    model.unet.requires_grad_(False)
    return model


def some_at_a_time(learn: Callable[[Task, Meter], Tensor], most: int | None = None) -> Method:
    """A method that leaves the weights alone, so that several animals share a batch."""

    def method(task: Task, meter: Meter) -> Tensor:
        found, count = [], most or task.bench.batch
        for first in range(0, len(task.cases), count):
            kept, meter.bytes = meter.bytes, 0
            some = task.part(first, count)
            found.append(learn(some, meter))
            meter.bytes = max(kept, meter.bytes)
            done = first + len(some.cases)
            if done % 10 == 0:
                task.bench.say(f"{done} of {len(task.cases)} animals")
        return torch.cat(found)

    return method


def one_by_one(learn: Callable[[Task, Meter], Tensor]) -> Method:
    """A method whose weights are each animal's own."""
    return some_at_a_time(learn, most=1)
