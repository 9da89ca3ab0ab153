"""The optimisation of eq. 4: Adam over the tail, everything else frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .objective import Denoiser, squared_error
from .recipe import PAPER, Average, Bound, Draws, Recipe
from .stopping import FixedLoss, Look, Plateau, StopRule


@dataclass(frozen=True)
class LearningSettings:
    """The paper's recipe: 1,000 steps of Adam, learning rate 5e-3, one sample a step."""

    steps: int = 1000
    learning_rate: float = 5e-3
    batch_size: int = 1
    seed: int = 0
    recipe: Recipe = PAPER
    stop: StopRule | None = None  # None takes every step

    def __post_init__(self) -> None:
        for name, value, least in (
            ("steps", self.steps, 1),
            ("batch_size", self.batch_size, 1),
        ):
            if value < least:
                raise ValueError(f"{name} is {value}: choose {least} or more.")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}: choose one above 0.")


@dataclass(frozen=True)
class Learned:
    """The tail `(stages, roles, N, C)`, the loss of every step taken `(steps,)`, both on the CPU,
    and the fixed loss as often as it was looked at."""

    tail: Tensor
    losses: Tensor
    looks: tuple[Look, ...] = ()

    @property
    def first_loss(self) -> float:
        """The mean over the first tenth of the steps."""
        return float(self.losses[: self._tenth].mean())

    @property
    def last_loss(self) -> float:
        """The mean over the last tenth of the steps."""
        return float(self.losses[-self._tenth :].mean())

    @property
    def _tenth(self) -> int:
        return max(1, len(self.losses) // 10)


class LossNotFiniteError(RuntimeError):
    """The loss is NaN or infinite; `learned` holds the last good tail, or None at the first."""

    def __init__(self, step: int, learned: Learned | None) -> None:
        super().__init__(
            f"The loss is not a finite number at step {step + 1}, most likely because the "
            "precision is too low: choose precision fp32, or a lower learning_rate."
        )
        self.step = step
        self.learned = learned


@dataclass(frozen=True)
class Step:
    """One finished step; loss and tail stay on the device, so that looking is what costs."""

    index: int
    loss: Tensor
    tail: Tensor


def learn(
    denoiser: Denoiser,
    clean: Tensor,
    tail: Tensor,
    settings: LearningSettings,
    on_step: Callable[[Step], None] | None = None,
    loss_scale: float = 1.0,
    check_every: int | None = None,
) -> Learned:
    """Learn the tail `(stages, roles, N, C)` of the latents `(R, C, …)`, one a sample (eq. 4).

    `check_every` steps the loss is looked at; None looks each step on the CPU, each 16th elsewhere.
    `loss_scale` is a power of two that keeps half-precision gradients from vanishing.
    """
    device = clean.device
    draws = Draws(settings.recipe, settings.seed, settings.batch_size)
    tail = tail.detach().to(device, torch.float32, copy=True).requires_grad_(True)
    adam = torch.optim.Adam([tail], lr=settings.learning_rate)
    average, bound = Average(tail, settings.recipe.average), Bound(tail, settings.recipe.bound)
    losses = torch.zeros(settings.steps, device=device)
    check_every = check_every or (1 if device.type == "cpu" else 16)
    good_tail, good_steps = tail.detach().clone(), 0
    watch = _Stop(settings.stop, denoiser, clean, tail, settings.batch_size)

    for index in range(settings.steps):
        sample = draws.next(clean)
        picture = clean if len(clean) == 1 else clean[sample.reference.to(device)]
        picture = picture.expand(settings.batch_size, *clean.shape[1:])
        loss = squared_error(
            denoiser,
            picture,
            sample.u.to(device, non_blocking=True),
            sample.noise.to(device, non_blocking=True),
            tail,
        ).mean()
        (gradient,) = torch.autograd.grad(loss * loss_scale, [tail])
        tail.grad = gradient / loss_scale
        for group in adam.param_groups:
            group["lr"] = settings.learning_rate * settings.recipe.rate_at(index)
        adam.step()
        bound.hold(tail)
        average.add(tail)
        losses[index] = loss.detach()

        last = index + 1 == settings.steps
        if last or (index + 1) % check_every == 0:
            finite = torch.isfinite(losses[good_steps : index + 1]).all()
            if not bool(finite & torch.isfinite(tail).all()):
                kept = Learned(good_tail.cpu(), losses[:good_steps].cpu()) if good_steps else None
                raise LossNotFiniteError(index, kept)
            good_tail.copy_(average.tail)
            good_steps = index + 1
        if on_step is not None:
            on_step(Step(index, losses[index], average.tail))
        if watch.done(index + 1, average.tail):
            return Learned(watch.tail.cpu(), losses[: index + 1].cpu(), tuple(watch.looks))
    return Learned(good_tail.cpu(), losses.cpu(), tuple(watch.looks))


class _Stop:
    """Looks at the fixed loss now and then; keeps the tail that did best there."""

    def __init__(
        self, rule: StopRule | None, denoiser: Denoiser, clean: Tensor, tail: Tensor, chunk: int
    ) -> None:
        self._rule = rule
        self.looks: list[Look] = []
        if rule is None:
            return
        self._fixed = FixedLoss(denoiser, clean, rule.pairs, chunk)
        self.looks.append(Look(0, self._fixed(tail.detach())))
        self._plateau = Plateau(rule, self.looks[0].loss)
        self.tail = tail.detach().clone()

    def done(self, steps: int, tail: Tensor) -> bool:
        if self._rule is None or steps % self._rule.every:
            return False
        self.looks.append(Look(steps, self._fixed(tail)))
        if self.looks[-1].loss < self._plateau.best:
            self.tail.copy_(tail)
        return self._plateau.add(self.looks[-1].loss)
