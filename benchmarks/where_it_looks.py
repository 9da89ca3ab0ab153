"""How much more the demo model looks for a token inside the drawn animal than outside of it."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hiper.attention.maps import AttentionMaps, enlarged
from hiper.demo.captions import nameless_coat, prompt, random_scene
from hiper.demo.drawing import draw
from hiper.demo.grounding import inside, inside_over_outside
from hiper.demo.many import learn_many
from hiper.demo.model import load
from hiper.demo.showing import Showing
from hiper.demo.text import words_of
from hiper.demo.unet import HEADS
from hiper.embedding import split
from hiper.host.attention.view import Moment, view
from hiper.host.demo import load_model
from hiper.learning.loop import LearningSettings

TOKENS = 5  # of a tail
LENGTH = 77
MOMENTS = (1.0, 0.75, 0.5)  # how much of the sampling is done; the first is the viewer's default


@dataclass(frozen=True)
class Animal:
    """A drawn picture, what a caption can say of it, and where the animal is."""

    prompt: str
    word: int  # the column of the animal's class
    latent: Tensor  # (1, 12, 16, 16)
    inside: Tensor  # (16, 16), the share of each cell that is animal


def animals(demo, count: int) -> list[Animal]:
    """Unseen ones: of a random stream that no training had, in coats that no caption names."""
    rng = random.Random("where it looks")
    found = []
    for _ in range(count):
        scene = random_scene(rng, nameless_coat(rng))
        text = prompt(scene.animal, scene.pose, scene.ground)
        latent = demo.encode(draw(scene))
        word = 1 + words_of(text).index(scene.animal)
        found.append(Animal(text, word, latent, inside(scene, latent.shape[-1])))
    return found


def ratio(maps: Tensor, animal: Animal) -> float:
    """Of one map `(16, 16)`."""
    return float(inside_over_outside(maps, animal.inside))


def brightness(maps: Tensor, animal: Animal) -> float:
    """The class word's brightest place over that of the faintest other word of the prompt; all maps
    of a picture are shown on one scale, so below 1 the class word is the faintest."""
    words = range(1, 1 + len(words_of(animal.prompt)))
    brightest = {word: float(maps[word].max()) for word in words}
    return brightest.pop(animal.word) / min(brightest.values())


def summary(ratios: list[float]) -> dict[str, float]:
    """Ratios are averaged as logarithms: twice as much and half as much come to even."""
    logs = np.log(ratios)
    error = logs.std(ddof=1) / len(logs) ** 0.5 if len(logs) > 1 else 0.0
    low, high = np.exp([logs.mean() - 1.96 * error, logs.mean() + 1.96 * error])
    return {
        "pictures": len(ratios),
        "mean": round(float(np.exp(logs.mean())), 3),
        "from": round(float(low), 3),
        "to": round(float(high), 3),
        "median": round(statistics.median(ratios), 3),
        "above_1": round(sum(one > 1 for one in ratios) / len(ratios), 3),
    }


def everywhere(
    pictures: int, tails: int, steps: int, say: Callable[[str], None]
) -> dict[str, object]:
    """For the class word, the learned tail, and a token drawn at random of all 77."""
    demo = load()
    model = load_model()
    seen = animals(demo, pictures)
    rng = random.Random("a random token")
    drawn = [rng.randrange(LENGTH) for _ in seen]
    found: dict[str, object] = {}
    for progress in MOMENTS:
        maps = [looked(model, demo.text.encode(one.prompt), one, progress) for one in seen]
        say(f"looked at {pictures} pictures at {progress:.0%}")
        words = [ratio(each[one.word], one) for each, one in zip(maps, seen, strict=True)]
        visible = [brightness(each, one) for each, one in zip(maps, seen, strict=True)]
        others = [
            ratio(each[token], one) for each, token, one in zip(maps, drawn, seen, strict=True)
        ]
        found[f"at {progress:.0%}"] = {
            "class word": summary(words),
            "random token": summary(others),
            "class word beside the faintest other word": summary(visible),
        }
    found["head by head"] = most_localised_head(model, demo, seen)
    say("looked at each head for itself")
    for progress, tail in learned_tails(model, demo, seen[:tails], steps, say).items():
        found[f"at {progress:.0%}"] |= tail
    return found


def most_localised_head(model, demo, seen: list[Animal]) -> dict[str, object]:
    """The class word in the layer and head that are best on one half of the pictures, measured on
    the other half: what the mean over all of them hides."""
    contexts = [demo.text.encode(one.prompt) for one in seen]
    ratios: dict[tuple[str, int], list[float]] = {}
    for context, one in zip(contexts, seen, strict=True):
        for head in range(HEADS):
            maps = recorded(model, context, one, Moment(head=head))
            for part in maps.parts:
                each = enlarged(part.maps.float(), one.inside.shape)[0, one.word]
                ratios.setdefault((part.layer, head), []).append(ratio(each, one))
    half = len(seen) // 2
    best = max(ratios, key=lambda key: np.log(ratios[key][:half]).mean())
    layer, head = best
    return {"layer": layer, "head": head + 1, "class word": summary(ratios[best][half:])}


def learned_tails(model, demo, seen: list[Animal], steps: int, say) -> dict[float, dict]:
    """The mean map of the tail's tokens behind the prompt that it was learned with; before it the
    padding that stood there, which is the tail before the first step."""
    clean = torch.cat([one.latent for one in seen])
    prompts = [one.prompt for one in seen]
    settings = LearningSettings(steps, Showing.learning_rate, recipe=Showing.recipe)
    tails = learn_many(demo, clean, prompts, TOKENS, settings)[:, 0, 0]
    say(f"learned {len(seen)} tails of {TOKENS} tokens in {steps} steps")
    contexts = [demo.text.encode(one.prompt) for one in seen]
    heads = [split(context, TOKENS)[0] for context in contexts]
    learned = [
        torch.cat([head, tail[None]], dim=1) for head, tail in zip(heads, tails, strict=True)
    ]
    found = {}
    for progress in MOMENTS:
        found[progress] = {
            name: summary(
                [
                    ratio(looked(model, context, one, progress)[-TOKENS:].mean(0), one)
                    for context, one in zip(given, seen, strict=True)
                ]
            )
            for name, given in (("learned tail", learned), ("same padding, not learned", contexts))
        }
    return found


def looked(model, context: Tensor, animal: Animal, progress: float) -> Tensor:
    """The maps `(77, 16, 16)` that Attention Map Viewer shows of this picture."""
    return recorded(model, context, animal, Moment(progress)).mean(0)[0]


def recorded(model, context: Tensor, animal: Animal, moment: Moment) -> AttentionMaps:
    conditionings = {"positive": [[context, {}]]}
    with torch.inference_mode():
        return view(model, conditionings, {"samples": animal.latent.clone()}, moment)
