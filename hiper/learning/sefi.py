"""SeFi-IDE's settings: what is learned apart, and what the tail's attention is held to."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .focus import LAYERS, REDUCTIONS

MOST_STAGES = 10
PAPER_FOCUS = 0.003  # λ, of the paper's own reduction


@dataclass(frozen=True)
class SefiSettings:
    """How a subject is learned in its own region, by stages, keys and values apart."""

    stages: int = 1  # equal parts of the timesteps, each with vectors of its own (the paper: 5)
    keys_and_values: bool = False  # apart (the paper: yes)
    focus: float = 0.0  # λ, how much the attention loss counts
    word: str = ""  # of the prompt, which stands for the subject
    region: Tensor | None = None  # MASK `(B, H, W)`, in the word's place
    layers: str = "all"
    reduction: str = "relative"

    def __post_init__(self) -> None:
        if not 1 <= self.stages <= MOST_STAGES:
            raise ValueError(f"stages is {self.stages}: choose 1 to {MOST_STAGES}.")
        if not self.focus >= 0:
            raise ValueError(f"focus is {self.focus}: choose 0 for none, or more.")
        if self.focus and not self.word.strip() and self.region is None:
            raise ValueError(
                f"focus is {self.focus:g}, but there is nothing to hold the tail's attention to: "
                "write the word of the prompt that stands for the subject, connect its region, or "
                "set focus to 0."
            )
        if self.focus and self.word.strip() and self.region is not None:
            raise ValueError(
                f"The tail's attention can be held to the word {self.word.strip()!r} or to a "
                "region, not to both: clear the word, or disconnect the region."
            )
        for name, value, known in (
            ("layers", self.layers, LAYERS),
            ("reduction", self.reduction, REDUCTIONS),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}: choose one of {', '.join(known)}.")

    @property
    def roles(self) -> int:
        return 2 if self.keys_and_values else 1
