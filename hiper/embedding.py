"""The learned embedding: a prompt's last N token vectors, and how they join a prompt (eq. 3, 6)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor

PLACEMENTS = ("replace", "append")
HAIR = 3.7e-5  # of the sampling: less than half a step of any schedule of 10,000


@dataclass(frozen=True)
class EmbeddingDetails:
    """What a learned tail knows of itself; it travels in the file beside the vectors."""

    architecture: str = "unknown"
    family: str = ""  # as hiper.families names it; empty where that knows none
    placement: str = "replace"
    source_prompt: str = ""
    steps: int = 0
    seed: int = 0
    learning_rate: float = 0.0
    recipe: str = "paper"
    batch_size: int = 1
    references: int = 1
    width: int = 0
    height: int = 0
    first_loss: float = float("nan")  # of the steps themselves, a tenth's mean
    last_loss: float = float("nan")
    first_fixed_loss: float = float("nan")  # on timesteps and noise that stay the same
    last_fixed_loss: float = float("nan")
    strength: float = 0.8
    clip_layer: int = 0  # CLIP's last layer in use, from -1; 0 where that isn't known
    focus: float = 0.0  # λ of the attention loss
    focused_on: str = ""  # what that held the tail's attention to


@dataclass(frozen=True)
class HiperEmbedding:
    """A learned tail `(stages, roles, N, C)`; the paper's is `(1, 1, N, C)`.

    `starts` says how much of the sampling is done when each stage begins; equal parts if unsaid.
    """

    tail: Tensor
    details: EmbeddingDetails = field(default_factory=EmbeddingDetails)
    starts: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "tail", checked_tail(self.tail))
        if self.details.placement not in PLACEMENTS:
            raise ValueError(
                f"The embedding's placement is {self.details.placement!r}; "
                f"this version knows {' and '.join(PLACEMENTS)}: update the pack or learn it again."
            )

        starts = self.starts or equal_starts(len(self.tail))
        object.__setattr__(self, "starts", checked_starts(starts, len(self.tail)))

    @property
    def stages(self) -> int:
        return self.tail.shape[0]

    @property
    def roles(self) -> int:
        return self.tail.shape[1]

    @property
    def tokens(self) -> int:
        return self.tail.shape[2]

    @property
    def context_width(self) -> int:
        return self.tail.shape[3]

    def scaled(self, strength: float) -> HiperEmbedding:
        """α · tail, the strength of eq. 6."""
        return replace(self, tail=self.tail * strength)

    def parts(self) -> tuple[tuple[float, float], ...]:
        """From where to where in the sampling each stage is in force."""
        return tuple(pairwise((*begins(self.starts), 1.0)))


def checked_tail(tail: Tensor) -> Tensor:
    """The tail `(stages, roles, N, C)` as float32 on the CPU, or one sentence on what is wrong."""
    if tail.ndim != 4:
        raise ValueError(
            f"The embedding's tensor has shape {tuple(tail.shape)}; wanted (stages, roles, N, C): "
            "load a file that this pack saved."
        )
    if 0 in tail.shape:
        raise ValueError(
            f"The embedding's tensor has shape {tuple(tail.shape)} and so holds nothing: "
            "learn it with at least one token."
        )
    if tail.shape[1] not in (1, 2):
        raise ValueError(
            f"The embedding has {tail.shape[1]} roles; wanted 1 (shared) or 2 (keys and values): "
            "load a file that this pack saved."
        )
    tail = tail.detach().to(device="cpu", dtype=torch.float32, copy=True)
    broken = int((~torch.isfinite(tail)).sum())
    if broken:
        raise ValueError(
            f"{broken} of the embedding's {tail.numel()} numbers are NaN or infinite: "
            "learn it again."
        )
    return tail


def equal_starts(stages: int) -> tuple[float, ...]:
    """Where each of so many equal parts of the sampling begins, the noisiest first."""
    return tuple(stage / stages for stage in range(stages))


def begins(starts: tuple[float, ...]) -> tuple[float, ...]:
    """From where on each stage is in force: a hair early, so that no σ of a schedule lies on a
    boundary, where two stages would be."""
    return tuple(max(0.0, start - HAIR) for start in starts)


def checked_starts(starts: tuple[float, ...], stages: int) -> tuple[float, ...]:
    """One start a stage, rising from 0, all before the end, or one sentence on what is wrong."""
    rising = all(before < after for before, after in pairwise((*starts, 1.0)))
    if len(starts) != stages or starts[0] != 0.0 or not rising:
        raise ValueError(
            f"The embedding has {stages} stages that start at {', '.join(map(str, starts))}; "
            "wanted one start a stage, rising from 0 to below 1: load a file that this pack saved."
        )
    return starts


def in_force(tail: Tensor, sigma: Tensor, starts: Tensor) -> Tensor:
    """The vectors `(B, roles, N, C)` of a tail `(stages, roles, N, C)`, or of one a sample
    `(B, stages, …)`, at σ `(B,)`, where `starts` `(stages,)` are the σ at which stages begin; one
    `(1, roles, N, C)` for all samples that share it."""
    stage = (sigma[:, None] <= starts[None, 1:]).sum(1)
    if tail.ndim == 5:
        return tail[torch.arange(len(tail), device=tail.device), stage]
    return tail if len(tail) == 1 else tail[stage]


def keys_and_values(vectors: Tensor) -> tuple[Tensor, Tensor | None]:
    """`(B, roles, N, C)` as what keys are made of `(B, N, C)`, and what values are, where that is
    another (P^K and P^V of SeFi-IDE)."""
    return vectors[:, 0], vectors[:, 1] if vectors.shape[1] == 2 else None


def exchanged(
    one: HiperEmbedding, other: HiperEmbedding, stages: tuple[int, ...], roles: tuple[int, ...]
) -> HiperEmbedding:
    """One tail with these stages' keys (0) or values (1) from another (SeFi-IDE's Figure 4); where
    only one of them has parts, the other's vectors are all of its parts."""
    if (one.tokens, one.context_width) != (other.tokens, other.context_width):
        raise ValueError(
            f"The embeddings have {one.tokens} tokens of width {one.context_width} and "
            f"{other.tokens} of width {other.context_width}; wanted two alike: learn both with the "
            "same number of tokens on models of one family."
        )
    if one.stages != other.stages and 1 not in (one.stages, other.stages):
        raise ValueError(
            f"The embeddings have {one.stages} and {other.stages} stages; wanted as many in both, "
            "or one in either: learn both with the same number."
        )
    many = one if one.stages >= other.stages else other
    shared = one.roles == other.roles == 1 and roles == (0, 1)
    shape = many.stages, 1 if shared else 2
    tail, taken = (each.tail.expand(*shape, -1, -1) for each in (one, other))
    tail = tail.clone()
    for role in (0,) if shared else roles:
        tail[list(stages), role] = taken[list(stages), role]
    return replace(one, tail=tail, starts=many.starts)


def split(embedding: Tensor, tokens: int) -> tuple[Tensor, Tensor]:
    """Equation 3: `(…, T, C)` into head `(…, T − N, C)` and tail `(…, N, C)`."""
    length = embedding.shape[-2]
    if not 0 < tokens < length:
        raise ValueError(
            f"tokens is {tokens}, but the prompt's embedding is {length} tokens long: "
            f"choose 1 to {length - 1}."
        )
    return embedding[..., : length - tokens, :], embedding[..., length - tokens :, :]


def join(head: Tensor, tail: Tensor) -> Tensor:
    """Equation 3 read backwards: `[head | tail]` along the tokens."""
    if head.shape[-1] != tail.shape[-1]:
        raise ValueError(
            f"The tail is {tail.shape[-1]} wide and the prompt's embedding {head.shape[-1]}: "
            "use a tail that was learned on the same family of models."
        )
    samples = torch.broadcast_shapes(head.shape[:-2], tail.shape[:-2])
    return torch.cat([part.expand(*samples, *part.shape[-2:]) for part in (head, tail)], dim=-2)
