"""Gathering maps while a model runs: what to keep, and never more bytes than were allowed."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from .maps import AttentionMaps, Part, Prompt, SamplingStep

EACH, BY_SIZE = "each layer", "mean of equal sizes"


@dataclass(frozen=True)
class Wish:
    """What is to be kept of a run; decided before anything is stored."""

    roles: tuple[str, ...] | None = None  # None: every conditioning
    tail_only: bool = False
    head: int | None = None  # None: the mean
    layers: str = BY_SIZE
    every: int = 1  # steps
    limit: int = 512 * 2**20  # bytes
    dtype: torch.dtype = torch.float16

    def wants_role(self, role: str) -> bool:
        return self.roles is None or role in self.roles

    def columns(self, length: int, tails: tuple) -> tuple[int, ...]:
        if not self.tail_only:
            return tuple(range(length))
        return tuple(column for mark in tails for column in mark.columns if column < length)


@dataclass
class _Mean:
    total: Tensor
    count: int = 1
    layers: set[str] = field(default_factory=set)

    def add(self, maps: Tensor, layer: str) -> None:
        self.total += maps.to(self.total.device)
        self.count += 1
        self.layers.add(layer)


class Gathering:
    """Maps of one run: a step's are summed where they arise, then kept once as their mean.

    A sampler that calls the model twice in a step thus takes no more room than one that calls once.
    """

    def __init__(self, wish: Wish, steps: int) -> None:
        self.wish = wish
        self.stride = max(1, wish.every)
        self.held = 0
        self.skipped: set[int] = set()
        self.problem: str | None = None  # why nothing fits, for whoever looks at it later
        self._steps = steps
        self._prompts: list[Prompt] = []
        self._taken: dict[int, SamplingStep] = {}
        self._parts: list[Part] = []
        self._open: dict[tuple[int, str, tuple[int, ...]], _Mean] = {}
        self._step: SamplingStep | None = None

    def prompt(self, prompt: Prompt) -> int:
        """The number that a prompt's maps are filed under."""
        self._prompts.append(prompt)
        return len(self._prompts) - 1

    def wants(self, step: int) -> bool:
        """Whether this step is to be recorded; a finished one is filed first, as it decides."""
        if self._step is not None and step != self._step.index:
            self.close_step()
        return self._due(step)

    def _due(self, step: int) -> bool:
        return step % self.stride == 0 or step == self._steps - 1

    def start(self, step: SamplingStep) -> None:
        self._step = step

    def add(self, prompt: int, layer: str, maps: Tensor) -> None:
        """One layer's maps `(B, K, h, w)` of the step that was started."""
        group = layer
        if self.wish.layers == BY_SIZE:
            group = f"{maps.shape[-1]}×{maps.shape[-2]}"
        key = (prompt, group, tuple(maps.shape))
        if key in self._open:
            self._open[key].add(maps, layer)
        else:
            self._open[key] = _Mean(maps, layers={layer})

    def close_step(self) -> None:
        """File the open step, unless the limit forbids it; the first tells how many steps fit."""
        step, opened = self._step, self._open
        self._step, self._open = None, {}
        if step is None or not opened:
            return
        size = torch.empty(0, dtype=self.wish.dtype).element_size()
        needed = sum(mean.total.numel() for mean in opened.values()) * size
        if not self._taken:
            self._plan(needed)
        if self.held + needed > self.wish.limit:
            self.skipped.add(step.index)
            return
        self._taken[step.index] = step
        self.held += needed
        for (prompt, group, _), mean in opened.items():
            kept = (mean.total / mean.count).to(self.wish.dtype).cpu()
            self._parts.append(Part(prompt, step.index, group, len(mean.layers), kept))

    def _plan(self, bytes_a_step: int) -> None:
        """Rather than stop halfway, take steps evenly when all of them would be too much."""
        fits = self.wish.limit // max(bytes_a_step, 1)
        if fits == 0:
            self.problem = (
                f"One step's attention maps take {bytes_a_step / 2**20:.1f} MB, more than the "
                f"limit of {self.wish.limit / 2**20:.1f} MB: raise memory_limit, or record only "
                "the tail or only one of positive and negative."
            )
        while self.stride < self._steps and sum(map(self._due, range(self._steps))) > fits:
            self.stride += 1

    def maps(self, latent_size: tuple[int, int], cell: int, model: str) -> AttentionMaps:
        self.close_step()
        head = self.wish.head
        return AttentionMaps(
            tuple(self._prompts),
            tuple(self._taken[index] for index in sorted(self._taken)),
            tuple(self._parts),
            latent_size,
            cell,
            self._steps,
            "mean of heads" if head is None else f"head {head + 1}",
            model,
        )
