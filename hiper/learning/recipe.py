"""How eq. 4's expectation is drawn and its steps are taken: the paper's way, and a faster one."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """What may differ from the paper; the defaults are the paper's."""

    spread: bool = False  # timesteps from a low-discrepancy sequence instead of by chance
    average: float = 0.0  # share of the running mean of tails that each step keeps
    rate: float = 1.0  # what the learning rate is multiplied by at first
    relative: bool = False  # to the size of the vectors: text encoders differ by a factor of 100
    settles: float = 0.0  # steps after which the rate falls as 1/√; 0 keeps it as it is
    bound: float = 0.0  # how many times as long as at first a vector may get; 0 is any length
    strength: float = 0.8  # α that its tails do best at

    def __post_init__(self) -> None:
        if not 0 <= self.average < 1:
            raise ValueError(f"average is {self.average}: choose one from 0 to below 1.")
        if self.settles < 0:
            raise ValueError(f"settles is {self.settles}: choose 0 for a steady rate, or more.")
        if self.bound < 0:
            raise ValueError(f"bound is {self.bound}: choose 0 for none, or more.")

    def rate_at(self, step: int) -> float:
        """Large steps at first, smaller ones as the tail comes near; steps count from 0."""
        return self.rate / math.sqrt(1 + step / self.settles) if self.settles else self.rate


PAPER = Recipe()
# large steps first; averaging makes them bearable, and the bound keeps what was learned from
# drowning the head
FAST = Recipe(
    spread=True,
    average=0.98,
    rate=60.0,
    relative=True,
    settles=30.0,
    bound=1.0,
    strength=1.0,  # of 0.7 to 1.1 the first that closes most and keeps every edit
)
RECIPES = {"fast": FAST, "paper": PAPER}
