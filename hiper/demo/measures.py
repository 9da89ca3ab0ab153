"""Identity and edit as numbers: what the analyser sees in HiPer's pictures, plain ones and the best
possible ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .analyser import Analyser, Seen
from .analyser import load as load_analyser
from .drawing import draw
from .judging import load as load_judge
from .malformed import SOUND, STATES
from .model import DemoModel, load
from .pairs import Pair
from .scene import CLASSES, GROUNDS, POSES, Scene
from .showing import Showing, Shown


@dataclass(frozen=True)
class Measures:
    """`identity_closed` is the share of the way from chance (plain prompts) to best (the source
    itself redrawn in that pose); None where no drawing tells what is best."""

    identity_closed: float | None
    identity_distance: float
    identity_distance_plain: float
    identity_distance_best: float | None
    pose_found: float
    pose_found_plain: float
    ground_found: float
    ground_found_plain: float


def look(analyser: Analyser, model: DemoModel, latents: Tensor) -> Seen:
    """What is seen in the pictures of latents `(B, 12, 16, 16)`."""
    return analyser.see(drawn(model, latents))


@torch.no_grad()
def drawn(model: DemoModel, latents: Tensor) -> Tensor:
    """The pictures of latents, some at a time."""
    return torch.cat([model.latents.decode(part).clamp(-1, 1) for part in latents.split(64)])


def malformed(model: DemoModel, latents: Tensor) -> float:
    """The share of the latents' pictures whose animal is not sound."""
    state = load_judge("soundness").judge(drawn(model, latents))["state"]
    return round(float((state != STATES.index(SOUND)).float().mean()), 4)


def of_two(model: DemoModel, latents: Tensor, pairs: list[Pair]) -> dict[str, float]:
    """How often both classes asked for are found, and both poses with them."""
    found = load_judge("pairs").judge(drawn(model, latents))
    right = {"classes_found": torch.ones(len(pairs), dtype=torch.bool)}
    for side in ("left", "right"):
        wanted = [getattr(pair, side).animal for pair in pairs]
        right["classes_found"] &= found[f"{side} animal"] == _indices(wanted, CLASSES)
    right["poses_found"] = right["classes_found"].clone()
    for side in ("left", "right"):
        wanted = [getattr(pair, side).pose for pair in pairs]
        right["poses_found"] &= found[f"{side} pose"] == _indices(wanted, POSES)
    return {name: round(float(each.float().mean()), 4) for name, each in right.items()}


def _indices(asked: list[str], names: tuple[str, ...]) -> Tensor:
    return torch.tensor([names.index(name) for name in asked])


def share(found: Tensor, asked: list[str], names: tuple[str, ...]) -> float:
    """How often the asked-for name is what was found."""
    return round(float((found == _indices(asked, names)).float().mean()), 4)


def closed(chance: float, reached: float, best: float) -> float:
    """The share of the way from chance to best."""
    return round((chance - reached) / max(chance - best, 1e-9), 4)


def redrawn(model: DemoModel, scenes: list[Scene]) -> Tensor:
    """Drawn scenes as latents."""
    return torch.cat([model.encode(draw(scene)) for scene in scenes])


def measured(showing: Showing, shown: Shown, scene: Scene | None) -> Measures:
    """The demo's own run in numbers; over its prompts, not over many animals."""
    model, analyser = load(), load_analyser()
    count = len(showing.asked)
    source = look(analyser, model, model.encode(showing.source).expand(count, -1, -1, -1))
    with_tail = look(analyser, model, shown.latents[showing.strength])
    plain = look(analyser, model, shown.latents[0.0])
    reached = float(source.coat_distance(with_tail).mean())
    chance = float(source.coat_distance(plain).mean())
    best = None
    if scene is not None:
        scenes = [replace(scene, animal=a).doing(p, g) for a, p, g in showing.asked]
        ideal = look(analyser, model, redrawn(model, scenes))
        best = float(source.coat_distance(ideal).mean())
    poses = [pose for _, pose, _ in showing.asked]
    grounds = [ground for _, _, ground in showing.asked]
    return Measures(
        identity_closed=None if best is None else closed(chance, reached, best),
        identity_distance=round(reached, 4),
        identity_distance_plain=round(chance, 4),
        identity_distance_best=None if best is None else round(best, 4),
        pose_found=share(with_tail.pose, poses, POSES),
        pose_found_plain=share(plain.pose, poses, POSES),
        ground_found=share(with_tail.ground, grounds, GROUNDS),
        ground_found_plain=share(plain.ground, grounds, GROUNDS),
    )
