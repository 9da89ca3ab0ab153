"""Which columns of a prompt's embedding are a learned tail: told by what stands in them.

An entry's options say where Compose has put tails, but nodes that join prompts keep the options of
one side only, and those that mix or mute vectors keep options that are no longer true. The vectors
themselves can't be wrong, so columns are compared with every tail that is known.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

TAILS = "hiper_tails"  # the option that tells which columns are learned
STAGE = "hiper_stage"  # and of which stage they are, (number, stages) a tail that has some
ROUNDINGS = 16  # of the embedding's own type, as a share of a vector: what scaling may add up to
ALIKE = 0.999  # cosine, far below what rounding makes of a vector and itself
MOST_KNOWN = 256  # tails that are remembered, of about 15 KB each


@dataclass(frozen=True)
class TailMark:
    """Columns `start … start + tokens − 1` of an embedding `(B, T, C)` are one learned tail, of
    these vectors `(N, C)` before their strength, where they are known."""

    start: int
    tokens: int
    strength: float = 1.0
    vectors: Tensor | None = field(default=None, compare=False, repr=False)

    @property
    def columns(self) -> range:
        return range(self.start, self.start + self.tokens)


@dataclass(frozen=True)
class Tail:
    """A tail's vectors `(N, C)`, and by what it is looked for."""

    key: str
    vectors: Tensor
    largest: int
    unit: Tensor  # the direction of its largest vector

    @classmethod
    def of(cls, vectors: Tensor) -> Tail:
        vectors = vectors.detach().float().cpu().contiguous()
        key = hashlib.sha256(vectors.numpy().tobytes()).hexdigest()
        largest = int(vectors.square().sum(-1).argmax())
        return cls(key, vectors, largest, F.normalize(vectors[largest], dim=0))


class KnownTails:
    """Tails by content, the latest so many.

    One of a process: a conditioning from ComfyUI's cache may hold a tail whose embedding and whose
    options are long gone. Nothing depends on the order in which tails came here.
    """

    def __init__(self, most: int = MOST_KNOWN) -> None:
        self._tails: OrderedDict[str, Tail] = OrderedDict()
        self._most = most

    def remember(self, vectors: Tensor) -> Tensor:
        """Keep a tail `(N, C)`; the one kept already where there is one alike."""
        tail = Tail.of(vectors.clone())
        tail = self._tails.setdefault(tail.key, tail)
        self._tails.move_to_end(tail.key)
        if len(self._tails) > self._most:
            self._tails.popitem(last=False)
        return tail.vectors

    def of_width(self, width: int) -> list[Tail]:
        return [tail for tail in self._tails.values() if tail.vectors.shape[-1] == width]


PLACED = KnownTails()


def tail_marks(options: dict[str, Any]) -> tuple[TailMark, ...]:
    """The tails that an entry's options speak of, left to right, whether or not they are there."""
    return tuple(options.get(TAILS, ()))


def tails_in(
    embedding: Tensor, options: dict[str, Any], silent: bool = False
) -> tuple[TailMark, ...]:
    """The tails that stand in an entry's embedding `(B, T, C)`, left to right.

    A mark without vectors is believed. With `silent`, a tail of strength 0 counts where its columns
    are still zero: they are nobody else's.
    """
    marks = tail_marks(options)
    length, width = embedding.shape[1:]
    believed = [m for m in marks if m.vectors is None and m.start + m.tokens <= length]
    vectors = [mark.vectors for mark in marks if mark.vectors is not None]
    tails = [Tail.of(found) for found in vectors if found.shape[-1] == width]
    tails = list({tail.key: tail for tail in tails + PLACED.of_width(width)}.values())
    rows = embedding[0].detach().float()
    rounding = ROUNDINGS * torch.finfo(embedding.dtype).eps
    found = [mark for tail in _alike(rows, tails) for mark in _places(rows, tail, rounding)]
    if silent:
        muted = [m for m in marks if m.strength == 0 and m.vectors is not None]
        found += [m for m in muted if m.columns.stop <= length and not rows[m.columns].any()]
    said = {(mark.start, mark.tokens): mark for mark in marks}
    kept: list[TailMark] = []
    for mark in sorted([*believed, *found], key=lambda mark: (mark.start, -mark.tokens)):
        if kept and mark.start < kept[-1].columns.stop:
            continue
        same = said.get((mark.start, mark.tokens))
        close = same is not None and abs(same.strength - mark.strength) < 1e-3
        kept.append(same if close else mark)
    return tuple(kept)


def holds(embedding: Tensor, vectors: Tensor) -> bool:
    """Whether a prompt `(B, T, C)` has these vectors `(N, C)` in it already: a tail that was hardly
    learned is a prompt's own padding, and tells nothing apart."""
    rows = embedding[0].detach().float()
    return bool(_places(rows, Tail.of(vectors), ROUNDINGS * torch.finfo(embedding.dtype).eps))


def plain(marks: Iterable[TailMark]) -> tuple[TailMark, ...]:
    """Marks without vectors, as they are shown and kept in files."""
    return tuple(TailMark(mark.start, mark.tokens, mark.strength) for mark in marks)


def _alike(rows: Tensor, tails: list[Tail]) -> list[Tail]:
    """The tails whose largest vector has about the direction of any column `(T, C)`."""
    if not tails:
        return []
    largest = torch.stack([tail.unit for tail in tails]).to(rows)
    towards = F.normalize(rows, dim=-1) @ largest.T
    return [tails[n] for n in (towards.abs().amax(0) > ALIKE).nonzero().flatten().tolist()]


def _places(rows: Tensor, tail: Tail, rounding: float) -> list[TailMark]:
    """Where columns `(T, C)` are a tail `(N, C)` at any one strength but 0."""
    vectors, at, tokens = tail.vectors.to(rows), tail.largest, len(tail.vectors)
    reach = rows[at : max(0, len(rows) - tokens + 1) + at]
    strengths = reach @ vectors[at] / vectors[at].square().sum()
    off = (reach - strengths[:, None] * vectors[at]).abs().amax(-1)
    near = (strengths != 0) & (off <= rounding * strengths.abs() * vectors.abs().max())
    places = []
    for start in near.nonzero().flatten().tolist():
        strength = strengths[start]
        error = (rows[start : start + tokens] - strength * vectors).abs().max()
        if error <= rounding * strength.abs() * vectors.abs().max():
            share = round(float(strength), 4)
            places.append(TailMark(start, tokens, share, tail.vectors))
    return places
