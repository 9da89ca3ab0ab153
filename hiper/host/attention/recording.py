"""Recording the attention of sampling runs that follow each other; a picture tells which."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...attention.gathering import Wish
from ...attention.maps import AttentionMaps
from ...attention.stages import StageMaps, joined
from ..graph import running_prompt, running_turn
from .observer import KEY
from .run import Run

MOST_STAGES = 64
ALIKE = 0.7  # correlation of a picture with itself, enlarged
NOTHING_RAN = (
    "The recording holds nothing: either no sampler uses the MODEL that Record Cross-Attention "
    "gives out, or the sampler's picture came from ComfyUI's cache. Wire that MODEL to the sampler "
    "and change its seed, so that it runs again."
)
ANOTHER_RUN = (
    "The recording is not of this latent: no run of the recorded model ended with it. Connect the "
    "LATENT that the sampler behind Record Cross-Attention gives out (of several outputs, the "
    "first), before any other node changes it."
)


@dataclass(frozen=True)
class Stage:
    """One sampling run: whose, from which latents to which, and what was seen of it."""

    turn: tuple[str | None, int | None]  # the sampler's node, and which item of a list it was at
    prompt: str | None
    started: Tensor
    result: Tensor | None
    found: StageMaps | None
    held: int = 0
    problem: str = ""


class Recording:
    """The sampling runs of the model it is wired to, one a sampler; keeps maps, and of a run no
    more than the latents that it began and ended with."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self._stages: list[Stage] = []
        self._running = False

    @property
    def held(self) -> int:
        """Bytes of all maps."""
        return sum(stage.held for stage in self._stages)

    def outer_sample(self, executor, noise, latent_image, sampler, sigmas, *args, **kwargs):
        """Watch one sampling run; a second wrapper of the same recording passes it on."""
        if self._running:
            return executor(noise, latent_image, sampler, sigmas, *args, **kwargs)
        wish = replace(self.wish, limit=self._make_room(latent_image))
        run = Run(wish, executor.class_obj, sigmas, tuple(latent_image.shape))
        run.watch(executor.class_obj.model_options)
        self._running, result = True, None
        try:
            result = executor(noise, latent_image, sampler, sigmas, *args, **kwargs)
            return result
        finally:
            self._running = False
            self._keep(run, latent_image, result)

    def _make_room(self, started: Tensor) -> int:
        """Bytes for the coming run. What it ran before is replaced; what neither belongs to this
        prompt nor leads up to it goes first where room is short."""
        turn, prompt = running_turn(), running_prompt()
        self._stages = [stage for stage in self._stages if stage.turn != turn]
        spare = [
            stage
            for stage in self._stages
            if stage.prompt != prompt and not _same(stage.result, started)
        ]
        for stage in spare:
            if self.held > self.wish.limit // 2 or len(self._stages) >= MOST_STAGES:
                self._stages.remove(stage)
        return max(0, self.wish.limit - self.held)

    def _keep(self, run: Run, started: Tensor, result: Tensor | None) -> None:
        found = run.maps()
        problem = run.gathering.problem or ("" if found.maps.parts else run.why_nothing())
        self._stages.append(
            Stage(
                running_turn(),
                running_prompt(),
                started,
                result,
                None if problem else found,
                run.gathering.held,
                problem,
            )
        )

    def ended_with(self, samples: Tensor) -> bool:
        """Whether these latents are what a recorded run gave out."""
        return any(_same(stage.result, samples) for stage in self._stages)

    def stages(
        self, samples: Tensor | None = None, before: Collection[str] = ()
    ) -> list[tuple[StageMaps, str | None]]:
        """The runs that led to these latents, first to last, each with its sampler's node: the one
        that ended with them, those that it went on from, and through other nodes (an upscaler)
        those of the nodes `before` that it resembles. Without latents, the latest run's.
        """
        if not self._stages:
            raise ValueError(NOTHING_RAN)
        ending = [s for s in self._stages if samples is None or _same(s.result, samples)]
        if not ending:
            raise ValueError(ANOTHER_RUN)
        if ending[-1].found is None:
            raise ValueError(ending[-1].problem)
        chain = [ending[-1]]
        while (earlier := self._before(chain, before)) is not None:
            chain.insert(0, earlier)
        return [(stage.found, stage.turn[0]) for stage in chain if stage.found is not None]

    def maps(self, samples: Tensor | None = None, before: Collection[str] = ()) -> AttentionMaps:
        return joined([found for found, _ in self.stages(samples, before)])

    def _before(self, chain: list[Stage], nodes: Collection[str]) -> Stage | None:
        """The run that another went on from; one that starts from nothing begins anew."""
        first = chain[0]
        others = [stage for stage in self._stages if all(stage is not one for one in chain)]
        if not first.started.any():
            return None
        led = [stage for stage in others if _same(stage.result, first.started)]
        led = led or [stage for stage in others if stage.turn[0] in nodes and _alike(stage, first)]
        return led[-1] if led else None


def _same(one: Tensor | None, other: Tensor) -> bool:
    nested = getattr(one, "is_nested", False) or getattr(other, "is_nested", False)
    if one is None or nested or one.shape != other.shape:
        return False
    return torch.equal(one.to(other), other)


def _alike(earlier: Stage, later: Stage) -> bool:
    """Whether a run may have begun with what another ended with, at another size."""
    one, other = earlier.result, later.started
    if one is None or getattr(one, "is_nested", False) or getattr(other, "is_nested", False):
        return False
    one, other = (latents.flatten(0, -4).float().cpu() for latents in (one, other))
    if one.shape[:2] != other.shape[:2]:
        return False
    other = F.interpolate(other, size=one.shape[-2:], mode="area")
    both = torch.stack([latents.flatten() for latents in (one, other)])
    return float(torch.corrcoef(both)[0, 1]) > ALIKE


def watched(model: ModelPatcher, recording: Recording, alone: bool = False) -> ModelPatcher:
    """The same model, looked at in every sampling run that uses it; `alone`, by nobody else.

    One clone and no clone of a clone: ComfyUI's list of loaded models falls back on the parent.
    """
    patcher = model.clone()
    if alone:
        patcher.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, KEY)
    patcher.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, recording.outer_sample)
    return patcher
