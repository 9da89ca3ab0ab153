"""The optimisation of eq. 4: Adam over the tail, everything else frozen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draw, Draws
from .learned import Learned, LearningStep
from .objective import Denoiser
from .optimiser import optimiser_of
from .recipe import PAPER, Recipe
from .stopping import FixedLoss, FixedLossAt, Plateau, StopRule
from .terms import EQUATION_4, Weighted, loss

MOST_SKIPPED = 24  # overflowing steps in a row: by then a scale of 2^24 is 1
MOST_HALVINGS = 8
EARLIER_RESULT = ("second time", "not have been used in the graph")  # as autograd says it


@dataclass(frozen=True)
class LearningSettings:
    """The paper's recipe: 1,000 steps of Adam, learning rate 5e-3, one sample a step."""

    steps: int = 1000
    learning_rate: float = 5e-3
    batch_size: int = 1
    seed: int = 0
    recipe: Recipe = PAPER
    stop: StopRule | None = None  # None takes every step, and never the fixed loss
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


class LossNotFiniteError(RuntimeError):
    """The loss is NaN or infinite; `learned` holds the last good tail, or None at the first."""

    def __init__(self, step: int, learned: Learned | None) -> None:
        super().__init__(
            f"The loss is not a finite number at step {step + 1}, most likely because the "
            "precision is too low: choose precision fp32, or a lower learning_rate."
        )
        self.step = step
        self.learned = learned


class NoGradientError(RuntimeError):
    """What the model draws does not follow the tail, in the first step or in a later one."""

    def __init__(self, numbers: int) -> None:
        super().__init__(
            f"The gradient is zero in each of the tail's {numbers} numbers, so nothing is learned: "
            "what the model draws does not follow the prompt's last vectors. A node on the MODEL "
            "may stand in for its attention or give out an earlier step's result: take it off; "
            "with precision fp16 choose bf16 or fp32."
        )


def learn(
    denoiser: Denoiser,
    clean: Tensor,
    tail: Tensor,
    settings: LearningSettings,
    on_step: Callable[[LearningStep], None] | None = None,
    loss_scale: float = 1.0,
    check_every: int | None = None,
) -> Learned:
    """Learn the tail `(stages, roles, N, C)` of the latents `(R, C, …)`, one a sample (eq. 4)."""
    run = LearningRun(clean, tail, settings, loss_scale, check_every)
    return run.go_on(denoiser, clean, on_step)


class LearningRun:
    """A learning that can be taken up again where an error left it, with the same draws.

    Every `check_every` steps the loss is read; None is each step on the CPU, each 16th elsewhere.
    `loss_scale` is a power of two that keeps half-precision gradients from vanishing, and is
    lowered where it makes them overflow. `size` is the root mean square of the prompt's vectors,
    for a tail that begins at zero. Inside `mask` `(R, 1, …)` a picture counts, else all of it;
    `region`, of the same shape, is where its subject is, for a term that asks.
    """

    def __init__(
        self,
        clean: Tensor,
        tail: Tensor,
        settings: LearningSettings,
        loss_scale: float = 1.0,
        check_every: int | None = None,
        size: float = 1.0,
        mask: Tensor | None = None,
        region: Tensor | None = None,
    ) -> None:
        self.settings = settings
        self._mask, self._region = mask, region
        self._first = tail.detach().to(clean.device, torch.float32)
        self._loss_scale, self._size = loss_scale, size
        self._check_every = check_every or (1 if clean.device.type == "cpu" else 16)
        self.halvings = 0
        self._by_hand = False
        self._begin()

    def _begin(self) -> None:
        settings = self.settings
        rate = settings.learning_rate / 2**self.halvings
        self._draws = Draws(settings.recipe, settings.seed, settings.batch_size)
        self._optimiser = optimiser_of(
            self._first, rate, settings.recipe, self._loss_scale, self._size
        )
        self._losses = torch.zeros(settings.steps, device=self._first.device)
        self._good_tail, self._good_steps = self._first.clone(), 0
        self._best_tail = self._first.clone()
        self._sample: Draw | None = None  # drawn, but its step not yet taken
        self._stepped = False  # ever
        self._skipped = 0  # steps in a row
        self._blind = torch.tensor(False, device=self._first.device)  # a gradient of zeros
        self._plateau: Plateau | None = None
        self._readings: tuple[FixedLossAt, ...] = ()
        self.taken = 0

    @property
    def learned(self) -> Learned | None:
        """What there is so far, the last tail that is known to be good; None before the first."""
        if not (self._stepped and self._good_steps):
            return None
        losses = self._losses[: self._good_steps].cpu()
        return Learned(self._good_tail.cpu(), losses, self._readings, self.halvings)

    def finish(self) -> None:
        """Take no step after this one: what there is by then is what was learned."""
        self._by_hand = True

    def go_on(
        self,
        denoiser: Denoiser,
        clean: Tensor,
        on_step: Callable[[LearningStep], None] | None = None,
    ) -> Learned:
        """Take the steps that are left; an error leaves all that was learned before it in place."""
        rule, steps = self.settings.stop, self.settings.steps
        count = self.settings.batch_size
        fixed = rule and FixedLoss(denoiser, clean, rule.pairs, count, self._mask)
        while True:
            if fixed and self._is_read(rule):
                if self._read(fixed):
                    break
                continue  # it may have begun the run again
            if self.taken == steps or self._by_hand:
                break
            self._step(denoiser, clean)
            if self.taken == steps or self.taken % self._check_every == 0 or self._is_read(rule):
                self._check()
            if on_step is not None:
                index = self.taken - 1
                now = self._losses[index], self._optimiser.average
                on_step(LearningStep(index, *now, self._readings))
        if self._good_steps < self.taken:
            self._check()
        gained = None if self._plateau is None else self._plateau.best < self._plateau.first
        if self._by_hand and not gained:
            gained = None  # who ends it wants what there is
        tail = self._good_tail if gained is None else self._best_tail
        losses = self._losses[: self.taken].cpu()
        return Learned(tail.cpu(), losses, self._readings, self.halvings, gained, self._by_hand)

    def _step(self, denoiser: Denoiser, clean: Tensor) -> None:
        device = clean.device
        if self._sample is None:
            self._sample = self._draws.next(clean)
        sample = self._sample
        picture, mask, region = (
            None if each is None else of_samples(each, sample.reference.to(device))
            for each in (clean, self._mask, self._region)
        )
        u, noise = sample.u.to(device), sample.noise.to(device)
        tail = self._optimiser.tail
        terms = self.settings.terms
        with denoiser.of_pictures(sample.reference):
            error = loss(terms, denoiser, picture, u, noise, tail, mask, region).mean()
        gradient = _gradient(self._optimiser.scaled(error), tail)
        if self.taken == 0 and not bool(gradient.any()):
            raise NoGradientError(tail.numel())
        self._blind = self._blind | ~gradient.any()
        stepped = self._optimiser.step(gradient)
        self._skipped = 0 if stepped else self._skipped + 1
        self._stepped = self._stepped or stepped
        self._losses[self.taken] = error.detach() if stepped else torch.nan
        self._sample = None
        self.taken += 1

    def _is_read(self, rule: StopRule | None) -> bool:
        """Whether the fixed loss is due: at the start, now and then, and at the end."""
        if rule is None or (self._readings and self._readings[-1].steps == self.taken):
            return False
        return self.taken % rule.every == 0 or self.taken == self.settings.steps or self._by_hand

    def _check(self) -> None:
        """The steps since the last check were all finite, but for those that were skipped."""
        losses = self._losses[self._good_steps : self.taken]
        bad = losses.isinf() if self._loss_scale != 1.0 else ~losses.isfinite()
        tail = self._optimiser.average
        vain = self._skipped and (self._skipped == self.settings.steps)
        if bool(bad.any() | ~tail.isfinite().all()) or vain or self._skipped > MOST_SKIPPED:
            raise LossNotFiniteError(self.taken - max(self._skipped, 1), self.learned)
        if bool(self._blind):
            raise NoGradientError(tail.numel())
        self._good_tail.copy_(tail)
        self._good_steps = self.taken

    def _read(self, fixed: FixedLoss) -> bool:
        """Take the fixed loss, keep the tail that does best there; whether to stop. A rate that
        only makes it rise is halved, and the run begins again, where the recipe's rate is bold."""
        tail = self._optimiser.average
        now = FixedLossAt(self.taken, fixed(tail))
        if not math.isfinite(now.loss):
            raise LossNotFiniteError(max(self.taken - 1, 0), self.learned)
        self._readings = (*self._readings, now)
        if not self.settings.stop.stops:
            return False
        if self._plateau is None:
            self._plateau = Plateau(self.settings.stop, now.loss)
            return False
        if now.loss < self._plateau.best:
            self._best_tail.copy_(tail)
        stop = self._plateau.add(now.loss)
        rises = not self._plateau.gained and now.loss > self._plateau.first
        if self._by_hand:
            return True
        if rises and self.settings.recipe.relative and self.halvings < MOST_HALVINGS:
            self.halvings += 1
            self._begin()
        return stop


def _gradient(error: Tensor, tail: Tensor) -> Tensor:
    try:
        (gradient,) = torch.autograd.grad(error, [tail])
    except RuntimeError as problem:
        if not any(sign in str(problem) for sign in EARLIER_RESULT):
            raise
        raise RuntimeError(
            "A node on the MODEL gives out what an earlier step computed, as caches that skip "
            "steps do, and no gradient passes through that: take it off while learning."
        ) from None
    return gradient


def of_samples(each: Tensor, reference: Tensor) -> Tensor:
    """Those of the references' own `(R, …)` that the samples `(B,)` drew."""
    return each.expand(len(reference), *each.shape[1:]) if len(each) == 1 else each[reference]
