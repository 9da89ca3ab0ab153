"""Two learned animals in one picture: each in its own coat, through ComfyUI's own sampling.

A picture is right when both classes are found where the prompt names them, and of what is no ground
in its half more than half of the pixels wear the animal's own colours, and more its own than the
other's. Drawings with known answers come through the same measure.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from torch import Tensor

from benchmarks.full_size import find_comfyui
from hiper.demo.captions import distance, nameless_coat
from hiper.demo.drawing import ground_of
from hiper.demo.grounding import inside
from hiper.demo.judging import load as load_judge
from hiper.demo.measures import drawn
from hiper.demo.model import GUIDANCE, STEPS
from hiper.demo.pairs import Pair, draw_picture, plain_prompt_of_two, random_pair
from hiper.demo.scene import CLASSES, Coat, Scene
from hiper.demo.text import words_of
from hiper.embedding import HiperEmbedding
from hiper.learning.focus import Focus
from hiper.learning.terms import EQUATION_4, Weighted
from hiper.prompts.placement import compose

TOKENS = 5
NEAR = 0.15  # root mean square of channels; colours by chance are 0.37 apart
OFF_GROUND = 0.12
APART = 0.25  # at least, of the base colours of a pair
UNLIKE = 0.18  # at least, of its colours and those of the ground
MOST = 0.5  # of an animal's pixels
FEW = 30  # pixels of a colour that is drawn on purpose
SIDES = ("left", "right")


@dataclass(frozen=True)
class Case:
    """A scene of two that is asked for, and the picture that each animal is learned from."""

    pair: Pair
    sources: tuple[Scene, Scene]

    @property
    def prompt(self) -> str:
        return plain_prompt_of_two(self.pair)


def unseen_pairs(count: int, seed: int) -> list[Case]:
    """Two animals of different classes in coats that no caption names and a program tells apart."""
    rng = random.Random(f"unseen pairs {seed}")
    cases: list[Case] = []
    while len(cases) < count:
        pair = random_pair(rng)
        left, right = (replace(s, coat=nameless_coat(rng)) for s in (pair.left, pair.right))
        case = Case(Pair(left, right), (alone(left, rng), alone(right, rng)))
        if left.animal != right.animal and told_apart(case.pair):
            cases.append(case)
    return cases


def told_apart(pair: Pair) -> bool:
    """Whether the two coats are unlike each other and unlike the ground."""
    coats = (pair.left.coat, pair.right.coat)
    worn = [torch.tensor([coat.base, coat.second]) / 255 for coat in coats]
    off_ground = _near(torch.cat(worn).T, ground_colours(pair.ground)).min()
    return distance(coats[0].base, coats[1].base) > APART and float(off_ground) > UNLIKE


def alone(scene: Scene, rng: random.Random) -> Scene:
    """The same animal in a picture of its own, as it is learned from."""
    return Scene(scene.animal, "standing", "grass", scene.coat, rng.random() < 0.5)


def ground_colours(ground: str) -> Tensor:
    """The few colours that a place is drawn in, `(K, 3)` in 0 … 1."""
    flat = ground_of(Scene("cat", "standing", ground, Coat((0, 0, 0), (0, 0, 0), "plain")), 128)
    counted = sorted(flat.getcolors(128 * 128), reverse=True)
    return torch.tensor([colour for count, colour in counted if count > FEW]) / 255


def share_in(picture: Tensor, ground: Tensor, coat: Coat) -> float:
    """The share of what is no ground, of pixels `(3, L)` in 0 … 1, that is of a coat's colours."""
    animal = _near(picture, ground) > OFF_GROUND
    worn = [coat.base] if coat.pattern == "plain" else [coat.base, coat.second]
    return float((_near(picture[:, animal], torch.tensor(worn) / 255) < NEAR).float().mean())


def _near(pixels: Tensor, colours: Tensor) -> Tensor:
    """How far each pixel `(3, L)` is from the nearest of some colours `(K, 3)`."""
    off = (pixels.T[:, None] - colours[None]).square().mean(-1).sqrt()
    return off.amin(1)


def coats_right(picture: Tensor, pair: Pair) -> bool:
    """Whether either half of a picture `(3, 128, 128)` shows its own animal's coat."""
    ground = ground_colours(pair.ground)
    halves = ((picture.clamp(-1, 1) + 1) / 2).chunk(2, dim=-1)
    both = (pair.left.coat, pair.right.coat)
    for half, own, other in zip(halves, both, both[::-1], strict=True):
        pixels = half.flatten(1)
        found = share_in(pixels, ground, own)
        if not found > max(MOST, share_in(pixels, ground, other)):
            return False
    return True


def judged(pictures: Tensor, pairs: list[Pair]) -> dict[str, float]:
    """Shares of pictures with both coats right, both classes, and both at once."""
    coats = torch.tensor([coats_right(p, q) for p, q in zip(pictures, pairs, strict=True)])
    found = load_judge("pairs").judge(pictures)
    classes = torch.ones(len(pairs), dtype=torch.bool)
    for side in SIDES:
        asked = torch.tensor([CLASSES.index(getattr(pair, side).animal) for pair in pairs])
        classes &= found[f"{side} animal"] == asked
    return {
        "both": round(float((coats & classes).float().mean()), 4),
        "coats": round(float(coats.float().mean()), 4),
        "classes": round(float(classes.float().mean()), 4),
    }


WAYS = {"plain prompt": None, "chained": "", "kept to its word": "word", "kept to its half": "half"}


AMONG = (1.0, 1.25, 1.5)  # strengths
WAY, STRENGTH = "kept to its word", 1.25  # chosen: `sefi.py --choose`


def two_subjects(
    bench,
    pairs: int,
    steps: int,
    seed: int = 0,
    strengths: tuple[float, ...] = (1.0,),
    focus: float = 0.0,
    ways: tuple[str, ...] = tuple(WAYS),
) -> list[dict]:
    """Plain prompts, chained Compose, tails kept to their words or halves, of tails that were
    learned with a weight of focus."""
    find_comfyui()
    from hiper.host.attention.keeping import keep
    from hiper.host.demo import load_clip, load_model

    cases = unseen_pairs(pairs, seed)
    tails = learned(bench, cases, steps, focus)
    model, clip = load_model(), load_clip()
    negative = clip.encode_from_tokens_scheduled(clip.tokenize(""))

    def encoded(case: Case) -> list:
        return clip.encode_from_tokens_scheduled(clip.tokenize(case.prompt))

    halves = torch.zeros(2, 1, 16, 16)
    halves[0, ..., :8], halves[1, ..., 8:] = 1, 1

    def chained(case: Case, own: Tensor, kept_to: str | None, strength: float) -> list:
        conditioning = encoded(case)
        if kept_to is None:
            return conditioning
        for number, scene in enumerate((case.pair.left, case.pair.right)):
            word = 1 + words_of(case.prompt).index(scene.animal)
            place = {
                "word": {"word": (word,)},
                "half": {"region": halves[number]},
            }.get(kept_to)

            def bring(_number: int, entry: list, mark, vectors: Tensor, place=place) -> None:
                if place is not None:
                    keep(entry[1], mark, vectors[0], entry[0].shape[1], **place)

            conditioning = compose(conditioning, HiperEmbedding(own[number]), strength, bring)
        return conditioning

    each = list(zip(cases, tails, strict=True))
    rows = []
    for name, strength in product(ways, strengths):
        latents = [
            drawn_by_comfyui(model, chained(*one, WAYS[name], strength), negative, number)
            for number, one in enumerate(each)
        ]
        row = {"way": name, "strength": strength, "focus": focus}
        pictures = drawn(bench.model, torch.cat(latents))
        rows.append(row | judged(pictures, [case.pair for case in cases]))
        bench.say(str(rows[-1]))
    return rows


def known(pairs: int, seed: int = 0) -> list[dict]:
    """What the measure says of drawings whose right answer is known."""
    cases = [case.pair for case in unseen_pairs(pairs, seed)]
    pictures = [np.asarray(draw_picture(pair), dtype=np.float32) / 127.5 - 1 for pair in cases]
    truth = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    other = [exchanged(pair) for pair in cases]
    return [
        {"way": "drawn by the program", **judged(truth, cases)},
        {"way": "drawn, coats exchanged", **judged(truth, other)},
    ]


def pairs_chosen(
    bench, pairs: int, steps: int, weights: list[float], strengths: list[float]
) -> dict[str, list[dict]]:
    """How to learn and how strong, on at most 25 pairs of the choosing set."""
    few, ways, rows = min(pairs, 25), tuple(WAYS)[2:], []
    for weight in weights:
        rows += two_subjects(bench, few, steps, 1, tuple(strengths), weight, ways)
    return {"two_subjects_chosen": rows}


def pairs_measured(bench, pairs: int, steps: int, weights: list[float]) -> dict[str, object]:
    """Tails learned with each weight of focus, each way to compose them, and what the measure says
    of drawings."""
    rows = known(pairs)
    for weight in weights:
        # plain tails as they are chained without this paper; the rest is what was chosen
        strength, ways = (STRENGTH, tuple(WAYS)) if weight else (1.0, ("chained",))
        rows += two_subjects(bench, pairs, steps, 0, (strength,), weight, ways)
    return {"pairs": pairs, "two_subjects_table": rows}


def by_name(table: list[dict], focus: float) -> dict[str, float]:
    """What was chosen, and the same tails in a chained Compose that keeps them to nothing."""
    both = {(row["way"], row.get("strength"), row.get("focus")): row["both"] for row in table}
    keys = {
        "two_subjects": (WAY, STRENGTH, focus),
        "two_subjects_chained": ("chained", STRENGTH, focus),
    }
    return {name: both[key] for name, key in keys.items() if key in both}


def exchanged(pair: Pair) -> Pair:
    """Each animal in the other's coat: what must not be taken for right."""
    return Pair(replace(pair.left, coat=pair.right.coat), replace(pair.right, coat=pair.left.coat))


def learned(bench, cases: list[Case], steps: int, focus: float = 0.0) -> Tensor:
    """Each subject's own tail, `(P, 2, 1, 1, N, 128)`, from its own picture; held to where the
    subject is with weight `focus`."""
    from benchmarks.method import Case as One

    scenes = [scene for case in cases for scene in case.sources]
    ones = [One(scene, scene.pose, scene.ground) for scene in scenes]
    texts, region, terms = [one.source for one in ones], None, EQUATION_4
    if focus:
        region = torch.stack([inside(scene, 16) for scene in scenes])[:, None]
        terms = (*EQUATION_4, Weighted(Focus(TOKENS, to_mask=True), focus))
    tails = bench.tails(ones, texts, TOKENS, steps, region=region, terms=terms)
    return tails.unflatten(0, (-1, 2))[:, :, None, None]


def drawn_by_comfyui(
    model, positive: list, negative: list, number: int, noise: Tensor | None = None
) -> Tensor:
    """What KSampler draws: one picture's latents."""
    import comfy.sample

    empty = torch.zeros(1, 12, 16, 16)
    return comfy.sample.sample(
        model,
        comfy.sample.prepare_noise(empty, number) if noise is None else noise,
        STEPS,
        GUIDANCE,
        "euler",
        "normal",
        positive,
        negative,
        empty,
        disable_pbar=True,
        seed=number,
    )
