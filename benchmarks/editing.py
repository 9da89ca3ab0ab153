"""Editing drawn animals through ComfyUI's own samplers, and what came of it, in numbers."""

from __future__ import annotations

import copy
import json
import random
import time
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from benchmarks.full_size import find_comfyui
from benchmarks.ghosts import as_picture, background, ghost, located, mask_at
from benchmarks.method import Bench, Case, unseen
from hiper.demo.captions import prompt, random_scene
from hiper.demo.drawing import draw
from hiper.demo.many import learn_many
from hiper.demo.measures import closed, drawn, redrawn
from hiper.demo.model import GUIDANCE
from hiper.demo.scene import Scene
from hiper.demo.showing import Showing
from hiper.demo.text import words_of
from hiper.embedding import split
from hiper.learning.loop import LearningSettings

TOKENS, STEPS, STRENGTH = 5, 25, 1.0
CELLS = 16
REFERENCES = 4


@dataclass(frozen=True)
class Way:
    """One way to edit; what it leaves out is what the ablation asks for."""

    name: str
    method: str | None = "ddpm"  # of inversion; None is fresh noise
    blended: bool = True
    sampler: str = "euler_ancestral"
    power: float = 0.5
    source_threshold: float = 0.4
    threshold: float = 0.3
    grow_source: int = 1
    grow_target: int = 1
    source_mask: bool = True
    target_mask: bool = True
    inpainted: bool = False  # core's own way, under the drawn mask
    tail: bool = True
    source_guidance: float = 1.0
    guidance: float = GUIDANCE


def same_ground(cases: list[Case]) -> list[Case]:
    """The same animals, whose new pose is wanted where they are."""
    return [replace(case, ground=case.scene.ground) for case in cases]


class Editing:
    """Animals, their tails, and ComfyUI with the demo model loaded."""

    def __init__(self, animals: int, seed: int, steps: int, batch: int) -> None:
        find_comfyui()
        from hiper.host.demo import load_clip, load_model

        self.bench, self.steps = Bench(batch, bf16=False), steps
        self.cases = same_ground(unseen(animals, seed))
        self.clean = redrawn(self.bench.model, [case.scene for case in self.cases])
        self.pictures = torch.stack([as_picture(draw(case.scene)) for case in self.cases])
        self.targets = [c.scene.doing(c.pose, c.ground) for c in self.cases]
        self.model, self.clip = load_model(), load_clip()
        plain = self.bench.sampled(self.bench.encoded([c.target for c in self.cases]), 2)
        self.chance = self.bench.judged(self.cases, plain)["identity_distance"]
        self.best = self.bench.best(self.cases)["identity_distance"]

    @cached_property
    def tails(self) -> Tensor:
        """Each animal's own, from its one picture, `(P, N, 128)`."""
        texts = [case.source for case in self.cases]
        return self.bench.tails(self.cases, texts, TOKENS, self.steps)

    def prompts(self, texts: list[str], tails: Tensor | None) -> list:
        """One conditioning for all rows, with the animal's word and its tail marked."""
        from hiper.host.editing.identity import marked

        text, each = self.bench.encoded(texts), zip(texts, self.cases, strict=True)
        columns = {1 + words_of(t).index(c.scene.animal) for t, c in each}
        assert len(columns) == 1, "the animal's word stands at one place in all prompts"
        if tails is not None:
            text = torch.cat([split(text, TOKENS)[0], STRENGTH * tails], 1)
            columns |= set(range(text.shape[1] - TOKENS, text.shape[1]))
        return marked([[text, {}]], [tuple(sorted(columns))])

    def negative(self) -> list:
        return self.clip.encode_from_tokens_scheduled(self.clip.tokenize(""))

    def edited(self, way: Way, tails: Tensor | None) -> tuple[Tensor, dict, float]:
        """Latents of all cases, what the masks were, and the processor's seconds that it took."""
        import comfy.sample
        import comfy.samplers

        from hiper.attention.identity import IdentitySettings, mask_of
        from hiper.host.editing.inverting import Prompting, invert, sampled, sigmas_of
        from hiper.host.editing.replay import Blending, Edit, replaying

        tails = tails if way.tail else None
        source = self.prompts([case.source for case in self.cases], tails)
        target = self.prompts([case.target for case in self.cases], tails)
        sigmas = sigmas_of(self.model, "normal", STEPS)
        sampler = comfy.samplers.sampler_object(way.sampler)
        to = Prompting(target, self.negative(), way.guidance)
        began = time.process_time()
        if way.method is None:
            mask = self._drawn_masks() if way.inpainted else None
            started = self.clean if way.inpainted else torch.zeros_like(self.clean)
            noise = comfy.sample.prepare_noise(self.clean, 2)
            found = comfy.sample.sample_custom(
                self.model, noise, to.guidance, sampler, sigmas, to.positive, to.negative,
                started, noise_mask=mask, disable_pbar=True, seed=2,
            )  # fmt: skip
            return found, {}, time.process_time() - began
        of = Prompting(source, self.negative(), way.source_guidance)
        power = way.power if way.blended else None
        inversion = invert(self.model, of, self.clean, sigmas, way.method, power=power)
        settings = IdentitySettings(way.power, way.threshold)
        blending = Blending(
            settings,
            way.source_threshold,
            way.source_mask,
            way.target_mask,
            way.grow_source,
            way.grow_target,
        )
        edit = Edit()
        model = replaying(self.model, inversion, blending if way.blended else None, edit)
        found = sampled(model, to, inversion, sampler, seed=2)
        seconds = time.process_time() - began
        masks = {}
        size = CELLS, CELLS
        if edit.steps and way.source_mask:
            masks["source"] = mask_of(inversion.seen, size, way.source_threshold)
        if edit.steps and way.target_mask:
            masks["target"] = mask_of(edit.seen, size, way.threshold)
        return found, masks, seconds

    def reconstruction(self) -> dict[str, float]:
        """How far off the stock sampler's replay is, at either guidance, in latents."""
        from hiper.host.editing.inverting import (
            Prompting,
            invert,
            reconstruction_error,
            replayed,
            sigmas_of,
        )

        source = self.prompts([case.source for case in self.cases], self.tails)
        sigmas, found = sigmas_of(self.model, "normal", STEPS), {}
        for guidance in (1.0, 7.5):
            of = Prompting(source, self.negative(), guidance)
            inversion = invert(self.model, of, self.clean, sigmas, power=None)
            error = reconstruction_error(inversion, replayed(self.model, of, inversion))
            found[str(guidance)] = float(f"{error:.2g}")
        return found

    def reference_scenes(self) -> list[list[Scene]]:
        """Each animal's picture and others of it, elsewhere and doing something else."""
        rng = random.Random("references")
        others = [
            [c.scene, *(random_scene(rng, c.scene.coat) for _ in range(REFERENCES - 1))]
            for c in self.cases
        ]
        for scenes in others:
            scenes[1:] = [replace(scene, animal=scenes[0].animal) for scene in scenes[1:]]
        return others

    def references(self, captions: bool) -> Tensor:
        """Tails from four pictures of each animal, with a prompt each or one for all of them."""
        others = self.reference_scenes()
        settings = LearningSettings(
            self.steps, Showing.learning_rate, seed=0, recipe=Showing.recipe
        )
        learned = []
        for first in range(0, len(others), self.bench.batch):
            part = others[first : first + self.bench.batch]
            clean = torch.stack([redrawn(self.bench.model, scenes) for scenes in part])
            texts = [
                [prompt(s.animal, s.pose, s.ground) if captions else f"a {s.animal}" for s in own]
                for own in part
            ]
            learned.append(learn_many(self.bench.model, clean, texts, TOKENS, settings)[:, 0, 0])
        return torch.cat(learned)

    def _drawn_masks(self) -> Tensor:
        """Where either the source's animal is or the new one is drawn."""
        pairs = zip(self.cases, self.targets, strict=True)
        both = [torch.maximum(mask_at(c.scene, CELLS), mask_at(t, CELLS)) for c, t in pairs]
        return (torch.stack(both) > 0.1).float()[:, None]

    def one(self, number: int, model) -> Editing:
        """One animal alone, on a model of its own."""
        alone = copy.copy(self)
        alone.cases, alone.model = self.cases[number : number + 1], model
        alone.clean = self.clean[number : number + 1]
        return alone

    def row(self, way: Way, tails: Tensor | None = None) -> dict:
        return self.told(way, *self.edited(way, self.tails if tails is None else tails))

    def told(self, way: Way, latents: Tensor, masks: dict, seconds: float) -> dict:
        """What came of a way to edit, in numbers."""
        judged = self.bench.judged(self.cases, latents)
        pictures = (drawn(self.bench.model, latents) + 1) / 2
        each = list(zip(pictures, self.pictures, self.cases, self.targets, strict=True))
        ghosts = torch.tensor([ghost(p, c.scene, t) for p, _, c, t in each])
        row = {
            "way": way.name,
            "identity_closed": closed(self.chance, judged["identity_distance"], self.best),
            "pose_found": judged["pose_found"],
            "ground_found": judged["ground_found"],
            "background_error": _mean([background(p, s, c.scene, t) for p, s, c, t in each]),
            "ghost_error": round(float(ghosts.nanmean()), 4),
            "seconds": round(seconds, 1),
        }
        if "source" in masks:
            row["source_mask_iou"] = _iou(masks["source"], [c.scene for c in self.cases])
        if "target" in masks:
            truths = [located_at_cells(p, t) for p, _, _, t in each]
            row["target_mask_iou"] = _iou_with(masks["target"], truths)
        self.bench.say(json.dumps(row))
        self.latest = latents
        return row

    def autoencoder(self) -> dict:
        """What the autoencoder alone makes of the pictures that are asked for."""
        latents = redrawn(self.bench.model, self.targets)
        pictures = (drawn(self.bench.model, latents) + 1) / 2
        each = list(zip(pictures, self.pictures, self.cases, self.targets, strict=True))
        ghosts = torch.tensor([ghost(p, c.scene, t) for p, _, c, t in each])
        # what nobody can know of the ground that the animal stood before: its tufts, its stars
        others = [replace(target, seed=target.seed + 1) for target in self.targets]
        anew = (drawn(self.bench.model, redrawn(self.bench.model, others)) + 1) / 2
        unknown = [ghost(p, c.scene, t) for p, (_, _, c, t) in zip(anew, each, strict=True)]
        return {
            "autoencoder_error": round(float(ghosts.nanmean()), 4),
            "autoencoder_error_other_ground": round(float(torch.tensor(unknown).nanmean()), 4),
            "background_error_autoencoder": _mean(
                [background(p, s, c.scene, t) for p, s, c, t in each]
            ),
        }


def located_at_cells(picture: Tensor, scene: Scene) -> Tensor:
    where = located(picture, scene).float()[None, None]
    return torch.nn.functional.adaptive_avg_pool2d(where, CELLS)[0, 0] > 0.5


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 4)


def _iou(masks: Tensor, scenes: list[Scene]) -> float:
    return _iou_with(masks, [mask_at(scene, CELLS) > 0.5 for scene in scenes])


def _iou_with(masks: Tensor, truths: list[Tensor]) -> float:
    truth, found = torch.stack(truths), masks > 0.5
    both, either = (truth & found).flatten(1).sum(1), (truth | found).flatten(1).sum(1)
    return round(float((both / either.clamp(min=1)).mean()), 4)
