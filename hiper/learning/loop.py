"""The optimisation of eq. 4: Adam over the tail, everything else frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draws
from .objective import Denoiser
from .optimiser import TailOptimiser
from .recipe import PAPER, Recipe
from .stopping import FixedLoss, FixedLossAt, Plateau, StopRule
from .terms import EQUATION_4, Weighted, loss


@dataclass(frozen=True)
class LearningSettings:
    """The paper's recipe: 1,000 steps of Adam, learning rate 5e-3, one sample a step."""

    steps: int = 1000
    learning_rate: float = 5e-3
    batch_size: int = 1
    seed: int = 0
    recipe: Recipe = PAPER
    stop: StopRule | None = None  # None takes every step
    terms: tuple[Weighted, ...] = EQUATION_4

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
    and the fixed loss as often as it was taken."""

    tail: Tensor
    losses: Tensor
    fixed_losses: tuple[FixedLossAt, ...] = ()

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
class LearningStep:
    """One finished step; loss and tail stay on the device, so that reading it is what costs."""

    index: int
    loss: Tensor
    tail: Tensor


def learn(
    denoiser: Denoiser,
    clean: Tensor,
    tail: Tensor,
    settings: LearningSettings,
    on_step: Callable[[LearningStep], None] | None = None,
    loss_scale: float = 1.0,
    check_every: int | None = None,
) -> Learned:
    """Learn the tail `(stages, roles, N, C)` of the latents `(R, C, …)`, one a sample (eq. 4).

    Every `check_every` steps the loss is read; None is each step on the CPU, each 16th elsewhere.
    `loss_scale` is a power of two that keeps half-precision gradients from vanishing.
    """
    device = clean.device
    draws = Draws(settings.recipe, settings.seed, settings.batch_size)
    tail = tail.detach().to(device, torch.float32)
    optimiser = TailOptimiser(tail, settings.learning_rate, settings.recipe)
    losses = torch.zeros(settings.steps, device=device)
    check_every = check_every or (1 if device.type == "cpu" else 16)
    good_tail, good_steps = tail.clone(), 0
    stopping = _Stopping(settings.stop, denoiser, clean, tail, settings.batch_size)

    for index in range(settings.steps):
        sample = draws.next(clean)
        picture = clean if len(clean) == 1 else clean[sample.reference.to(device)]
        picture = picture.expand(settings.batch_size, *clean.shape[1:])
        u = sample.u.to(device, non_blocking=True)
        noise = sample.noise.to(device, non_blocking=True)
        error = loss(settings.terms, denoiser, picture, u, noise, optimiser.tail).mean()
        (gradient,) = torch.autograd.grad(error * loss_scale, [optimiser.tail])
        optimiser.step(gradient / loss_scale)
        losses[index] = error.detach()

        last = index + 1 == settings.steps
        if last or (index + 1) % check_every == 0:
            finite = torch.isfinite(losses[good_steps : index + 1]).all()
            if not bool(finite & torch.isfinite(optimiser.tail).all()):
                kept = Learned(good_tail.cpu(), losses[:good_steps].cpu()) if good_steps else None
                raise LossNotFiniteError(index, kept)
            good_tail.copy_(optimiser.average)
            good_steps = index + 1
        if on_step is not None:
            on_step(LearningStep(index, losses[index], optimiser.average))
        if stopping.done(index + 1, optimiser.average):
            return Learned(stopping.tail.cpu(), losses[: index + 1].cpu(), stopping.seen)
    return Learned(good_tail.cpu(), losses.cpu(), stopping.seen)


class _Stopping:
    """Takes the fixed loss now and then; keeps the tail that did best there."""

    def __init__(
        self, rule: StopRule | None, denoiser: Denoiser, clean: Tensor, tail: Tensor, chunk: int
    ) -> None:
        self._rule = rule
        self.seen: tuple[FixedLossAt, ...] = ()
        if rule is None:
            return
        self._fixed = FixedLoss(denoiser, clean, rule.pairs, chunk)
        first = FixedLossAt(0, self._fixed(tail))
        self.seen = (first,)
        self._plateau = Plateau(rule, first.loss)
        self.tail = tail.clone()

    def done(self, steps: int, tail: Tensor) -> bool:
        if self._rule is None or steps % self._rule.every:
            return False
        now = FixedLossAt(steps, self._fixed(tail))
        self.seen = (*self.seen, now)
        if now.loss < self._plateau.best:
            self.tail.copy_(tail)
        return self._plateau.add(now.loss)
