"""SeFi-IDE's attention loss: the tail looks where its subject is (eq. 4, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attention.calls import CROSS, AttentionCall, shares_of
from .objective import Prediction

LAYERS = ("all", "first half", "second half", "coarsest", "finest")
REDUCTIONS = ("relative", "paper")


@dataclass(frozen=True)
class Focus:
    """`‖A_r − A_t‖²`: the maps A_t of a tail's N tokens held to the map A_r of its concept's word
    in the same call, or to where a mask `(R, 1, …)` says that the subject is.

    "relative" divides each map by its mean over places and takes the mean over places, tokens and
    layers, so that a weight means the same for any resolution, number of layers and N; "paper"
    takes the sum over places as the attention stands. Columns count from the prompt's end, since a
    model may put some of its own before it.
    """

    tokens: int
    word: tuple[int, ...] = ()  # columns, from −1; a word of several has their sum for its map
    to_mask: bool = False
    layers: str = "all"
    reduction: str = "relative"

    attention = True

    def __post_init__(self) -> None:
        if not self.word and not self.to_mask:
            raise ValueError(
                "Focus has no word and no mask to hold the tail's attention to: name the word of "
                "the prompt that stands for the subject, or connect a mask."
            )
        for name, value, known in (
            ("layers", self.layers, LAYERS),
            ("reduction", self.reduction, REDUCTIONS),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}: choose one of {', '.join(known)}.")

    def __call__(self, prediction: Prediction) -> Tensor:
        calls = of_layers([c for c in prediction.attention if c.kind == CROSS], self.layers)
        if not calls:
            raise RuntimeError(
                "No attention to the prompt was seen in this model, so that focus has nothing to "
                "hold: set focus to 0, or use a model whose attention the viewer shows."
            )
        return torch.stack([self._apart(call, prediction) for call in calls]).mean(0)

    def _apart(self, call: AttentionCall, prediction: Prediction) -> Tensor:
        """How far the maps of one layer are from where they should be, `(B,)`."""
        tail = tuple(range(-self.tokens, 0))
        shares = shares_of(call, (*tail, *self.word))  # (B, L, N + word)
        maps = shares[..., : self.tokens]
        if self.to_mask:  # it says where to look, not how: a tail's own map, cut to it
            wanted = maps * self._where(prediction, call.size)
        else:
            wanted = shares[..., self.tokens :].sum(-1, keepdim=True)
        wanted = wanted.detach()
        if self.reduction == "paper":
            return (maps - wanted).square().sum(1).mean(-1)
        return (relative(maps) - relative(wanted)).square().mean((1, 2))

    @staticmethod
    def _where(prediction: Prediction, size: tuple[int, int]) -> Tensor:
        """The subject's region at a layer's size, `(B, L, 1)`."""
        region = prediction.region
        if region is None:
            raise RuntimeError("Focus is to hold to a mask, and learning was given none.")
        region = region.flatten(0, -4) if region.ndim > 4 else region
        return F.adaptive_avg_pool2d(region.float(), size).flatten(2).transpose(1, 2)


def relative(maps: Tensor) -> Tensor:
    """Maps `(B, L, K)` by their own mean over places."""
    return maps / maps.mean(1, keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)


def of_layers(calls: list[AttentionCall], layers: str) -> list[AttentionCall]:
    """Those of a call's layers, in the model's order, that count."""
    if layers == "first half":
        return calls[: -(-len(calls) // 2)]
    if layers == "second half":
        return calls[len(calls) // 2 :]
    if layers == "all" or not calls:
        return calls
    cells = [call.size[0] * call.size[1] for call in calls]
    chosen = min(cells) if layers == "coarsest" else max(cells)
    return [call for call, size in zip(calls, cells, strict=True) if size == chosen]
