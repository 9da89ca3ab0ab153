"""What the demo shows: a tail learned from one picture, behind six prompts, at several α."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from ..embedding import join, split
from ..learning.learned import Learned, LearningStep
from ..learning.loop import LearningSettings, learn
from ..learning.recipe import FAST, Recipe
from .attention_maps import attention_maps
from .captions import prompt as prompt_of
from .drawing import SIZE
from .model import GUIDANCE, STEPS, DemoDenoiser, DemoModel, load, sample, starting_noise
from .scene import CLASSES
from .sheet import Row, TokenMaps, contact_sheet
from .text import words_of

# poses and grounds asked for of the source's own animal, and last of another
PAPER_STRENGTH = 0.8
ASKED = (
    ("standing", "snow"),
    ("sitting", "grass"),
    ("jumping", "beach"),
    ("sleeping", "night"),
    ("sitting", "beach"),
    ("standing", "grass"),
)


@dataclass(frozen=True)
class Showing:
    """One run of the demo."""

    source: Image.Image
    prompt: str
    tokens: int = 5
    strength: float = 1.0  # the paper's is 0.8; chosen on other animals
    seed: int = 0
    steps: int = 500
    learning_rate: float = 5e-3
    recipe: Recipe = FAST

    @property
    def animal(self) -> str:
        return next((word for word in words_of(self.prompt) if word in CLASSES), "animal")

    @property
    def asked(self) -> list[tuple[str, str, str]]:
        """Animal, pose and ground of each prompt."""
        other = "cat" if self.animal != "cat" else "dog"
        animals = [self.animal] * (len(ASKED) - 1) + [other]
        return [(a, pose, ground) for a, (pose, ground) in zip(animals, ASKED, strict=True)]

    @property
    def strengths(self) -> list[float]:
        """The α asked for among two others."""
        return sorted({0.5, PAPER_STRENGTH, self.strength})


@dataclass(frozen=True)
class Shown:
    """What came of it; pictures are the latents `(6, 12, 16, 16)` at each α, 0 for plain."""

    sheet: Image.Image
    latents: dict[float, Tensor]
    learned: Learned
    seconds_learning: float


def show(showing: Showing, quiet: bool = False) -> Shown:
    """Learn, compose, sample, and lay it out."""
    model = load()
    source = model.encode(showing.source)
    with torch.no_grad():
        head, initial = split(model.text.encode(showing.prompt), showing.tokens)
    bar = None if quiet else _bar("learning", showing.steps)
    started = time.perf_counter()
    learned = learn(
        DemoDenoiser(model, head),
        source,
        initial[None],
        LearningSettings(
            showing.steps, showing.learning_rate, seed=showing.seed, recipe=showing.recipe
        ),
        on_step=bar,
    )
    seconds = time.perf_counter() - started

    prompts = [prompt_of(*asked) for asked in showing.asked]
    with torch.no_grad():
        plain = model.text.encode(*prompts)
    noise = starting_noise(len(prompts), showing.seed)
    contexts = {0.0: plain}
    for strength in showing.strengths:
        targets = split(plain, showing.tokens)[0]
        contexts[strength] = join(targets, strength * learned.tail[0, 0])
    bar = None if quiet else _bar("sampling", len(contexts) * STEPS)
    latents = {}
    for number, (strength, context) in enumerate(contexts.items()):
        report = None if bar is None else (lambda step, n=number: bar(_Mark(n * STEPS + step)))
        latents[strength] = sample(model, context, noise, STEPS, GUIDANCE, report)

    rows = [
        Row("plain prompt" if not strength else f"HiPer, α = {strength:g}", model.decode(latent))
        for strength, latent in latents.items()
    ]
    token_maps = _token_maps(model, showing, contexts, latents, rows, prompts)
    sheet = contact_sheet(
        model.decode(source)[0] if showing.source.size != (SIZE, SIZE) else showing.source,
        showing.prompt,
        showing.tokens,
        [prompt.removeprefix("a ") for prompt in prompts],
        rows,
        token_maps,
    )
    return Shown(sheet, latents, learned, seconds)


def _token_maps(
    model: DemoModel,
    showing: Showing,
    contexts: dict[float, Tensor],
    latents: dict[float, Tensor],
    rows: list[Row],
    prompts: list[str],
) -> TokenMaps:
    """The maps of one prompt's words and of the tail's tokens."""
    chosen = 1
    latent = latents[showing.strength][chosen : chosen + 1]
    context = contexts[showing.strength][chosen : chosen + 1]
    maps = attention_maps(model, latent, context, starting_noise(1, showing.seed))
    words = words_of(prompts[chosen])
    named = [(word, maps[1 + i], False) for i, word in enumerate(words) if word not in ("a", "on")]
    tail = maps[-showing.tokens :]
    named += [(f"hiper {i + 1}", each, True) for i, each in enumerate(tail[:6])]
    if len(tail) > 1:
        named.append((f"all {len(tail)}", tail.sum(0), True))
    row = list(latents).index(showing.strength)
    title = f'Where the model looks: "{prompts[chosen]}" and the learned tail, one scale'
    return TokenMaps(rows[row].pictures[chosen], title, named)


@dataclass(frozen=True)
class _Mark:
    index: int
    loss: Tensor | None = None


def _bar(name: str, steps: int):
    """A progress bar on the terminal, with the mean loss of late where there is one."""
    recent: list[float] = []

    def update(step: LearningStep | _Mark) -> None:
        done = step.index + 1
        if step.loss is not None:
            recent.append(float(step.loss))
        if done % 10 and done != steps:
            return
        filled = 30 * done // steps
        loss = f"  loss {sum(recent[-100:]) / len(recent[-100:]):.4f}" if recent else ""
        line = f"\r{name} [{'#' * filled}{'.' * (30 - filled)}] {done}/{steps}{loss}"
        print(line, end="\n" if done == steps else "", file=sys.stderr, flush=True)

    return update
