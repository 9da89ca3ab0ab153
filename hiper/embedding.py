"""The learned embedding: a prompt's last N token vectors, and how they join a prompt (eq. 3, 6)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

PLACEMENTS = ("replace", "append")


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
    first_loss: float = float("nan")
    last_loss: float = float("nan")
    strength: float = 0.8


@dataclass(frozen=True)
class HiperEmbedding:
    """A learned tail `(stages, roles, N, C)`; the paper's is `(1, 1, N, C)`."""

    tail: Tensor
    details: EmbeddingDetails = field(default_factory=EmbeddingDetails)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tail", checked_tail(self.tail))
        if self.details.placement not in PLACEMENTS:
            raise ValueError(
                f"The embedding's placement is {self.details.placement!r}; "
                f"this version knows {' and '.join(PLACEMENTS)}: update the pack or learn it again."
            )

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

    def vectors(self) -> Tensor:
        """The paper's tail as `(N, C)`; refuses one that is split by stage or by key and value."""
        if self.stages != 1 or self.roles != 1:
            raise ValueError(
                f"This embedding has {self.stages} timestep stages and {self.roles} roles; "
                "one of each can be put behind a prompt: learn it with Learn HiPer Embedding."
            )
        return self.tail[0, 0]


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
    return torch.cat([head, tail.expand(*head.shape[:-2], *tail.shape[-2:])], dim=-2)
