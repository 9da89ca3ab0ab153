"""Cross-attention maps as they are kept, and the mean of them that a person looks at (Figure 3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ..prompts.tails import TailMark


@dataclass(frozen=True)
class Token:
    """One column of a prompt; pieces of one word share its number in `word`."""

    index: int
    label: str
    kind: str  # special, word, tail or pad
    word: int | None = None
    text: str = ""  # of the whole word, to choose it by


@dataclass(frozen=True)
class Prompt:
    """One conditioning entry as the model saw it; `columns` are the tokens whose maps were kept."""

    role: str  # "positive", "negative", or what a comparison calls it
    number: int  # among the entries of that role, from 1
    length: int  # T
    columns: tuple[int, ...]
    tails: tuple[TailMark, ...] = ()
    area: tuple[int, int, int, int] | None = None  # height, width, top, left in latent cells
    words: tuple[Token, ...] = ()  # what a tokenizer made of its text, where that is known
    part: tuple[tuple[int, int], ...] = ()  # of its tails' stages, which of how many

    @property
    def title(self) -> str:
        alone = self.number in (1, *(stage for stage, _ in self.part))
        name = self.role if alone else f"{self.role} {self.number}"
        return f"{name}{self.of_stage} (area)" if self.area else name + self.of_stage

    @property
    def of_stage(self) -> str:
        """Which of its tails' stages are in force, for a title."""
        return "".join(f", stage {stage} of {stages}" for stage, stages in self.part)


@dataclass(frozen=True)
class SamplingStep:
    """One step of a sampler, or the single timestep of a view."""

    index: int
    sigma: float
    timestep: float
    stage: int = 1  # of sampling runs that follow each other


@dataclass(frozen=True)
class Part:
    """The mean map `(B, K, h, w)` of some layers at one step for one prompt's K kept tokens."""

    prompt: int
    step: int
    layer: str
    layers: int
    maps: Tensor


@dataclass(frozen=True)
class AttentionMaps:
    """What was recorded of one or more model calls; sizes are height before width."""

    prompts: tuple[Prompt, ...]
    steps: tuple[SamplingStep, ...]
    parts: tuple[Part, ...]
    latent_size: tuple[int, int]
    cell: int = 8  # pixels of the picture a latent cell stands for
    total_steps: int = 1
    heads: str = "mean of heads"
    model: str = "unknown"
    stages: tuple[tuple[int, int], ...] = ()  # their latents' sizes, where there are several

    @property
    def batch(self) -> int:
        return max((part.maps.shape[0] for part in self.parts), default=0)

    @property
    def bytes(self) -> int:
        return sum(part.maps.numel() * part.maps.element_size() for part in self.parts)

    @property
    def picture_size(self) -> tuple[int, int]:
        return self.latent_size[0] * self.cell, self.latent_size[1] * self.cell

    @cached_property
    def shrinks(self) -> tuple[int, ...]:
        """The map sizes there are, as what the latent's size is divided by: 1, 2, 4, 8."""
        return tuple(sorted({self.shrink(part) for part in self.parts}))

    def shrink(self, part: Part) -> int:
        """How much smaller than the latent a part's maps are; sizes that don't divide round up."""
        height, width = self._cells(part.prompt)
        cells = height * width * self._share(part.step)
        ratio = (cells / (part.maps.shape[-2] * part.maps.shape[-1])) ** 0.5
        return 2 ** round(torch.log2(torch.tensor(max(ratio, 1.0))).item())

    def _share(self, step: int) -> float:
        """How many cells the latent had at a step, as a share of those it has at the end."""
        if not self.stages:
            return 1.0
        height, width = self.stages[self._stage_of[step] - 1]
        return height * width / (self.latent_size[0] * self.latent_size[1])

    @cached_property
    def _stage_of(self) -> dict[int, int]:
        return {step.index: step.stage for step in self.steps}

    def steps_of(self, prompt: int) -> tuple[SamplingStep, ...]:
        """The steps in which a prompt was active and recorded."""
        active = {part.step for part in self.parts if part.prompt == prompt}
        return tuple(step for step in self.steps if step.index in active)

    def prompts_of(self, role: str) -> tuple[int, ...]:
        return tuple(i for i, prompt in enumerate(self.prompts) if prompt.role == role)

    def titled(self, names: dict[str, str]) -> AttentionMaps:
        """The same maps with other names for the roles."""
        prompts = (replace(p, role=names.get(p.role, p.role)) for p in self.prompts)
        return replace(self, prompts=tuple(prompts))

    def mean(
        self, prompt: int, steps: Collection[int] | None = None, shrink: int | None = None
    ) -> Tensor:
        """The mean over layers, then steps: `(B, K, H, W)`, over the whole latent.

        Each layer's map is enlarged bilinearly, which keeps a cell's tokens summing to 1.
        """
        parts = [p for p in self.parts if p.prompt == prompt and (steps is None or p.step in steps)]
        if not parts:
            raise ValueError(
                f"Nothing was recorded of the {self.prompts[prompt].title} conditioning at the "
                "chosen steps: choose steps inside its timestep range."
            )
        sizes = tuple(sorted({self.shrink(part) for part in parts}))
        if shrink is not None:
            parts = [part for part in parts if self.shrink(part) == shrink]
            if not parts:
                there = ", ".join(f"1/{size}" for size in sizes)
                raise ValueError(
                    f"No cross-attention map is 1/{shrink} of the latent's size; there are "
                    f"{there}: choose one of these, or all layers."
                )
        layers: dict[int, int] = {}
        for part in parts:
            layers[part.step] = layers.get(part.step, 0) + part.layers
        sums: dict[tuple[int, int], Tensor] = {}
        for part in parts:
            size = (part.maps.shape[-2], part.maps.shape[-1])
            weighted = part.maps.float() * (part.layers / layers[part.step] / len(layers))
            sums[size] = sums[size] + weighted if size in sums else weighted
        finest = max(sums, key=lambda size: size[0] * size[1])
        mean = sum(enlarged(maps, finest) for maps in sums.values())
        return self._on_the_latent(mean, prompt)

    def _cells(self, prompt: int) -> tuple[int, int]:
        area = self.prompts[prompt].area
        return area[:2] if area else self.latent_size

    def _on_the_latent(self, maps: Tensor, prompt: int) -> Tensor:
        """An area's maps in their place; outside it nothing is looked at."""
        area = self.prompts[prompt].area
        if area is None:
            return maps
        height, width, top, left = area
        scale = maps.shape[-2] / height, maps.shape[-1] / width
        size = [max(1, round(n * s)) for n, s in zip(self.latent_size, scale, strict=True)]
        y, x = round(top * scale[0]), round(left * scale[1])
        y, x = min(y, size[0] - 1), min(x, size[1] - 1)
        whole = maps.new_zeros(*maps.shape[:2], *size)
        seen = maps[..., : size[0] - y, : size[1] - x]
        whole[..., y : y + seen.shape[-2], x : x + seen.shape[-1]] = seen
        return whole


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps `(B, K, h, w)` at another size, bilinearly: bicubic would go below zero."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
