"""From recorded maps to what a person sees: tokens chosen, pictures drawn, one scale throughout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor

from ..attention.maps import AttentionMaps, Prompt, SamplingStep, Token
from ..attention.tokens import TAIL, WORD, chosen, tokens_of
from .attention import Named, strip_over_time, token_grid
from .heat import common_scale, laid_over, mask_of, union
from .page import Heading, below_each_other

MOST_MOMENTS = 10  # columns of a strip over time
MOST_ROWS = 12
SIDES = ("positive", "negative")
LONGEST_TITLE = 72


@dataclass(frozen=True)
class ShownEntry:
    """One conditioning entry that is shown, with its tokens."""

    prompt: int
    title: str
    tokens: list[Token]


class ShownMaps:
    """Some entries of recorded maps: every picture of them that the nodes give out."""

    def __init__(
        self, maps: AttentionMaps, prompts: tuple[int, ...], shrink: int | None = None
    ) -> None:
        self.maps, self.shrink = maps, shrink
        self.entries = [
            ShownEntry(prompt, named(maps.prompts[prompt]), tokens_of(maps.prompts[prompt]))
            for prompt in prompts
            if maps.steps_of(prompt)
        ]

    @property
    def recorded(self) -> bool:
        """Whether these are maps of a sampling run rather than of one call."""
        return self.maps.total_steps > 1

    def mean(self, entry: ShownEntry, step: SamplingStep | None = None) -> Tensor:
        """The maps `(B, K, H, W)` of one entry, of one step or of all."""
        steps = None if step is None else (step.index,)
        return self.maps.mean(entry.prompt, steps, self.shrink)

    @cached_property
    def means(self) -> list[Tensor]:
        return [self.mean(entry) for entry in self.entries]

    @cached_property
    def scale(self) -> float:
        """What the brightest colour of the mean maps stands for."""
        return self._scale(self.means)

    @cached_property
    def scale_of_frames(self) -> float:
        """What the brightest colour stands for where steps are shown one by one."""
        if not self.recorded:
            return self.scale
        return max(
            self._scale_of(entry, self.mean(entry, step))
            for entry in self.entries
            for step in self.maps.steps_of(entry.prompt)
        )

    def _scale(self, means: list[Tensor]) -> float:
        return max(map(self._scale_of, self.entries, means))

    @staticmethod
    def _scale_of(entry: ShownEntry, maps: Tensor) -> float:
        return common_scale([(entry.tokens, one) for one in maps])

    # in words

    @property
    def subtitle(self) -> str:
        maps = self.maps
        steps = maps.steps
        if self.recorded:
            stages = f" in {len(maps.stages)} stages" if maps.stages else ""
            when = f"mean of {len(steps)} of {maps.total_steps} steps{stages}"
        else:
            when = f"t = {steps[0].timestep:.4g} (0 is the finished picture)"
        if self.shrink is None:
            where = f"mean of all {self.layers} layers"
        else:
            where = (
                f"layers at 1/{self.shrink} of the latent" if self.shrink > 1 else "finest layers"
            )
        height, width = self.means[0].shape[-2:]
        return f"{when}  ·  {where}  ·  {maps.heads}  ·  map {width} x {height}  ·  {maps.model}"

    @property
    def layers(self) -> int:
        """How many layers were looked at, whichever way they were kept."""
        maps, seen = self.maps, self.entries[0].prompt
        step = maps.steps_of(seen)[0].index
        return sum(part.layers for part in maps.parts if (part.prompt, part.step) == (seen, step))

    def title_of(self, entry: ShownEntry, picture: int) -> str:
        return entry.title + (f"  ·  picture {picture + 1}" if self.maps.batch > 1 else "")

    # pictures

    def grids(self) -> list[Image.Image]:
        """One figure for each picture of the batch, its conditionings below each other."""
        pages = []
        for picture in range(self.maps.batch):
            parts = []
            for entry, mean in zip(self.entries, self.means, strict=True):
                title = f"Cross-attention  ·  {self.title_of(entry, picture)}"
                shown = Named(entry.title, entry.tokens, mean[picture])
                parts.append(token_grid(shown, self.scale, Heading(title, self.subtitle)))
            pages.append(below_each_other(parts))
        return pages

    def picked(self, choice: str) -> list[list[Token]]:
        """The chosen tokens of each entry; a word need only be in one of them."""
        found, problem = [], None
        for entry in self.entries:
            try:
                found.append(chosen(entry.tokens, choice))
            except ValueError as error:
                problem = error
                found.append([])
        if problem and not any(found):
            raise problem
        return found

    def chosen_map(self, choice: str, step: SamplingStep | None = None) -> Tensor:
        """How likely each cell looks at any chosen token, `(B, H, W)`; of more entries the most."""
        unions: list[Tensor] = []
        for place, (entry, picked) in enumerate(
            zip(self.entries, self.picked(choice), strict=True)
        ):
            if not picked:
                continue
            if step is None:
                mean = self.means[place]
            elif any(s.index == step.index for s in self.maps.steps_of(entry.prompt)):
                mean = self.mean(entry, step)
            else:
                continue
            unions.append(union(entry.tokens, picked, mean))
        if not unions:
            return torch.zeros(self.maps.batch, *self.means[0].shape[-2:])
        largest = max((one.shape[-2:] for one in unions), key=lambda size: size[0] * size[1])
        resized = [
            torch.nn.functional.interpolate(one[None], size=tuple(largest), mode="bilinear")[0]
            for one in unions
        ]
        return torch.stack(resized).amax(dim=0)

    def mask(self, choice: str, size: tuple[int, int], threshold: float | None) -> Tensor:
        return mask_of(self.chosen_map(choice), size, threshold)

    def overlays(
        self, choice: str, pictures: list[Image.Image], opacity: float
    ) -> list[Image.Image]:
        """The chosen tokens' map over each picture; the brightest colour is its own peak."""
        maps = self.chosen_map(choice).cpu().numpy()
        return [
            laid_over(pictures[n % len(pictures)], values / max(values.max(), 1e-12), opacity)
            for n, values in enumerate(maps)
        ]

    def over_time(
        self, choice: str, pictures: list[Image.Image], opacity: float
    ) -> Iterator[Image.Image]:
        """The first picture's overlay at every step, all on one scale."""
        maps = [self.chosen_map(choice, step)[0].cpu().numpy() for step in self.maps.steps]
        highest = max([float(values.max()) for values in maps] + [1e-12])
        for values in maps:
            yield laid_over(pictures[0], values / highest, opacity)

    def strip(self, choice: str) -> Image.Image:
        """The chosen tokens, else the words, then the tail's mean, at up to ten moments."""
        parts = []
        for entry, picked in zip(self.entries, self.picked(choice), strict=True):
            if not choice.strip():
                words = [token for token in entry.tokens if token.kind == WORD and token.text]
                picked = words or picked
            steps = evenly(self.maps.steps_of(entry.prompt), MOST_MOMENTS)
            if picked and steps:
                parts.append(self._strip(entry, picked, steps))
        return below_each_other(parts)

    def _strip(
        self, entry: ShownEntry, picked: list[Token], steps: list[SamplingStep]
    ) -> Image.Image:
        words = [(t.label, False, [t]) for t in picked if t.kind != TAIL][:MOST_ROWS]
        tail = [token for token in entry.tokens if token.kind == TAIL]
        if tail:
            words.append((f"tail (mean of {len(tail)})", True, tail))
        means = [self.mean(entry, step)[:1] for step in steps]
        rows = []
        for label, learned, tokens in words:
            maps = [union(entry.tokens, tokens, mean)[0] / len(tokens) for mean in means]
            maps = [one.cpu().numpy() for one in maps]
            rows.append((label, learned, maps))
        scale = max(float(values.max()) for _, _, maps in rows for values in maps)
        moments = [f"t = {step.timestep:.4g}" for step in steps]
        if self.recorded:
            pairs = zip(steps, moments, strict=True)
            moments = [f"step {step.index + 1}\n{moment}" for step, moment in pairs]
        heading = Heading(f"Cross-attention over time  ·  {entry.title}", self.subtitle)
        return strip_over_time(rows, moments, max(scale, 1e-12), heading)


def named(prompt: Prompt) -> str:
    """A prompt's own words where they are known and it has no better name."""
    if prompt.role not in SIDES or not prompt.words:
        return prompt.title
    words = {token.word: token.text for token in prompt.words if token.text}
    text = " ".join(words.values()) or "(no words)"
    text = text if len(text) <= LONGEST_TITLE else text[:LONGEST_TITLE].rstrip() + "…"
    tail = (" + tail" if prompt.tails else "") + prompt.of_stage
    area = " (area)" if prompt.area else ""
    side = "" if prompt.role == SIDES[0] else f"{prompt.role}: "
    return f"{side}{text}{tail}{area}"


def evenly(items: tuple, most: int) -> list:
    """At most so many of the items, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(n * (len(items) - 1) / (most - 1))] for n in range(most)]


def same_shape(image: tuple[int, int], latent: tuple[int, int]) -> bool:
    """Whether picture and latent (height, width) show the same frame, to one latent cell."""
    (height, width), (rows, columns) = image, latent
    cell = max(height / rows, width / columns)
    return abs(width - height * columns / rows) <= cell
