"""Sampling runs that follow each other, as one recording of all their steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .maps import AttentionMaps, Part, Prompt, SamplingStep

Area = tuple[int, int, int, int]


@dataclass(frozen=True)
class StageMaps:
    """One run's maps; `texts` tells its prompts' vectors apart from those of another run."""

    maps: AttentionMaps
    texts: tuple[str, ...] = ()

    def text(self, prompt: int) -> str:
        return self.texts[prompt] if prompt < len(self.texts) else ""


def joined(stages: Sequence[StageMaps]) -> AttentionMaps:
    """The maps of all stages, on the last one's latent; a prompt that several share is one."""
    if len(stages) == 1:
        return stages[0].maps
    last = stages[-1].maps
    prompts: list[Prompt] = []
    known: dict[tuple[Prompt, str], int] = {}
    steps: list[SamplingStep] = []
    parts: list[Part] = []
    before = 0
    for stage, one in enumerate(stages, 1):
        maps = one.maps
        places = []
        for number, prompt in enumerate(maps.prompts):
            area = _on(prompt.area, maps.latent_size, last.latent_size)
            key = replace(prompt, area=area), one.text(number)
            if key not in known:
                same_role = sum(each.role == prompt.role for each in prompts)
                known[key] = len(prompts)
                prompts.append(replace(key[0], number=same_role + 1))
            places.append(known[key])
        steps += [replace(step, index=step.index + before, stage=stage) for step in maps.steps]
        parts += [
            replace(part, prompt=places[part.prompt], step=part.step + before)
            for part in maps.parts
        ]
        before += maps.total_steps
    return replace(
        last,
        prompts=tuple(prompts),
        steps=tuple(steps),
        parts=tuple(parts),
        total_steps=before,
        stages=tuple(one.maps.latent_size for one in stages),
    )


def _on(area: Area | None, size: tuple[int, int], other: tuple[int, int]) -> Area | None:
    """An area of one latent on a latent of another size."""
    if area is None or size == other:
        return area
    down, across = other[0] / size[0], other[1] / size[1]
    height, width, top, left = area
    return (
        max(1, round(height * down)),
        max(1, round(width * across)),
        round(top * down),
        round(left * across),
    )
