"""Ways of learning that other papers have, each as a change of the fast recipe with
antithetic noise, which it had until these were compared.

What they are called here: DTI is directional textual inversion (vectors of a fixed length, steps
along the sphere, a prior at the class word), AttnDreamBooth holds the attention's moments to the
class word's, TEA pulls what was learned back to the class prompt after learning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from hiper.attention.calls import CROSS, AttentionCall, shares_of
from hiper.demo.showing import Showing
from hiper.learning.draws import Draw, Draws
from hiper.learning.objective import Prediction
from hiper.learning.optimiser import Average, TailOptimiser
from hiper.learning.recipe import FAST, Recipe
from hiper.learning.terms import EQUATION_4, Weighted

WORD = 3 - 77  # where "a {pose} {animal} …" has its animal, from the prompt's end


class Times(Protocol):
    def __call__(self, u: Tensor) -> Tensor:
        """Even u `(B,)` in [0, 1) to those that are learned at."""


@dataclass(frozen=True)
class Window:
    """Only these of the timesteps."""

    first: float
    last: float

    def __call__(self, u: Tensor) -> Tensor:
        return self.first + (self.last - self.first) * u


@dataclass(frozen=True)
class Normal:
    """u as the logistic function of a normal number, or as near to even log-SNR as its spread makes
    it: on the demo's schedule log-SNR is nearly the logit of u."""

    mean: float = 0.0
    spread: float = 1.0

    def __call__(self, u: Tensor) -> Tensor:
        number = torch.special.ndtri(u.double().clamp(1e-4, 1 - 1e-4))
        return torch.sigmoid(self.mean + self.spread * number).float()


@dataclass(frozen=True)
class Moments:
    """AttnDreamBooth's regularisation: mean and deviation over places of each of the tail's maps,
    as shares of the class word's own."""

    tokens: int

    attention = True

    def __call__(self, prediction: Prediction) -> Tensor:
        calls = [call for call in prediction.attention if call.kind == CROSS]
        return torch.stack([self._apart(call) for call in calls]).mean(0)

    def _apart(self, call: AttentionCall) -> Tensor:
        columns = (*range(-self.tokens, 0), WORD)
        shares = shares_of(call, columns)  # (B, L, N + 1)
        maps, word = shares[..., :-1], shares[..., -1:].detach()
        mean = maps.mean(1) / word.mean(1) - 1
        deviation = maps.std(1) / word.std(1).clamp(min=1e-6) - 1
        return (mean.square() + deviation.square()).mean(1)


@dataclass(frozen=True)
class Sphere:
    """Steps along the sphere of the first lengths, by an angle that falls as the fast recipe's
    rate does; `prior` of each step's direction is towards the class word's."""

    angle: float
    prior: float = 0.0


@dataclass(frozen=True)
class Way:
    """One way, as a change of the fast recipe."""

    name: str
    recipe: Recipe = FAST
    tokens: int = Showing.tokens
    antithetic: bool = True  # as fast had it until these were compared
    times: Times | None = None
    from_word: float = 0.0  # share of the class word's vector in the first tail
    masked: bool = False
    moments: float = 0.0
    sphere: Sphere | None = None
    pull: float = 0.0  # share of the arc to the target prompt's own vectors, after learning
    own_length: bool = False  # and the length that those have
    strength: float = 1.0

    def terms(self) -> tuple[Weighted, ...]:
        more = (Weighted(Moments(self.tokens), self.moments),) if self.moments else ()
        return (*EQUATION_4, *more)

    def begin(self, own: Tensor, word: Tensor) -> Tensor:
        """The first tails `(P, 1, 1, N, C)` from the prompt's own vectors and the word's
        `(P, 1, 1, 1, C)`: some of the former must stay, or N vectors would be one."""
        return torch.lerp(own, word.expand_as(own), self.from_word)

    def optimiser(self, tail: Tensor, word: Tensor, rate: float) -> TailOptimiser | OnSphere:
        if self.sphere is not None:
            return OnSphere(tail, word, self.sphere, self.recipe)
        return TailOptimiser(tail, rate, self.recipe)

    def pulled(self, tails: Tensor, own: Tensor) -> Tensor:
        """Tails `(P, N, C)` nearer to a prompt's own last vectors (TEA)."""
        if not (self.pull or self.own_length):
            return tails
        length = (own if self.own_length else tails).norm(dim=-1, keepdim=True)
        return slerp(tails, own, self.pull) * length


class OtherDraws:
    """The recipe's draws at other timesteps, or every second noise that of the one before, negated
    (antithetic)."""

    def __init__(self, way: Way, seed: int) -> None:
        self._draws, self._way = Draws(way.recipe, seed, 1), way
        self._last: Tensor | None = None

    def next(self, clean: Tensor) -> Draw:
        drawn = self._draws.next(clean)
        if self._way.antithetic:
            noise = drawn.noise if self._last is None else -self._last
            self._last = noise if self._last is None else None
            drawn = replace(drawn, noise=noise)
        return drawn if self._way.times is None else replace(drawn, u=self._way.times(drawn.u))


class OnSphere:
    """DTI's Riemannian descent, with the fast recipe's fall and average."""

    def __init__(self, tail: Tensor, word: Tensor, how: Sphere, recipe: Recipe) -> None:
        self._length = tail.norm(dim=-1, keepdim=True)
        self._own = (tail / self._length).detach()
        self._word = (word / word.norm(dim=-1, keepdim=True)).detach()
        self._how, self._recipe, self._taken = how, recipe, 0
        self._mean = Average(self._own, recipe.average)

    @property
    def tail(self) -> Tensor:
        return (self._own * self._length).requires_grad_(True)

    @property
    def average(self) -> Tensor:
        mean = self._mean.tail
        return mean / mean.norm(dim=-1, keepdim=True) * self._length

    @torch.no_grad()
    def step(self, gradient: Tensor) -> bool:
        down = unit(self._tangent(-gradient))
        if self._how.prior:
            down = unit(down + self._how.prior * unit(self._tangent(self._word)))
        angle = self._how.angle * self._recipe.rate_at(self._taken) / self._recipe.rate
        self._own = self._own * torch.tensor(angle).cos() + down * torch.tensor(angle).sin()
        self._taken += 1
        self._mean.add(self._own)
        return True

    def _tangent(self, vector: Tensor) -> Tensor:
        return vector - (vector * self._own).sum(-1, keepdim=True) * self._own


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Directions on the arc between those of two tensors `(…, C)`."""
    first, second = unit(first), unit(second)
    angle = (first * second).sum(-1, keepdim=True).clamp(-1, 1).acos().clamp(min=1e-6)
    return (((1 - share) * angle).sin() * first + (share * angle).sin() * second) / angle.sin()


NOISIER = Way("noisier, not antithetic", antithetic=False, times=Normal(0.8))
WAYS = (
    Way("fast, antithetic"),
    Way("fast", antithetic=False),
    Way("not averaged", replace(FAST, average=0.0)),
    Way("not bounded", replace(FAST, bound=0.0)),
    Way("from the class word, half", from_word=0.5),
    Way("from the class word, 0.9", from_word=0.9),
    Way("window, 0.3 to 1", times=Window(0.3, 1.0)),
    Way("log-SNR, normal", times=Normal()),
    Way("log-SNR, normal, noisier", times=Normal(0.8)),
    Way("masked loss", masked=True),
    Way("moments, 1e-4", moments=1e-4),
    Way("moments, 1e-3", moments=1e-3),
    Way("moments, 1e-2", moments=1e-2),
    Way("sphere", sphere=Sphere(0.3)),
    Way("sphere, prior 0.1", sphere=Sphere(0.3, 0.1)),
    Way("pull 0.1", pull=0.1),
    Way("pull 0.2", pull=0.2),
    Way("the prompt's own length", own_length=True),
    Way("pull 0.1, own length", pull=0.1, own_length=True),
    Way("α = 0.9", strength=0.9),
    Way("10 tokens", tokens=10, antithetic=False),
    Way("20 tokens", tokens=20, antithetic=False),
    NOISIER,
    replace(NOISIER, name="noisier still, not antithetic", times=Normal(1.4)),
    replace(NOISIER, name="noisier, not antithetic, from the class word", from_word=0.9),
    replace(
        NOISIER,
        name="noisier, not antithetic, twice the rate",
        recipe=replace(FAST, rate=120.0),
    ),
)
