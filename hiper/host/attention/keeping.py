"""Two subjects in one picture: each tail looked at only from where its own subject is.

What is added to the likeness of its columns is the logarithm of the region's share, so that the
attention they get is multiplied by it. It hangs in one conditioning's own hooks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from comfy.hooks import EnumHookScope, Hook, HookGroup, TransformerOptionsHook
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...attention.calls import CROSS, AttentionCall, shares_of
from ...attention.regions import LEAST, at_size, regions
from ...prompts.families import Family
from ...prompts.tails import ROUNDINGS, TailMark
from ..families import family_of
from .layouts import ModelCall, around, layout_of, patches

KEY = "hiper_kept"  # the option that tells which tails of an entry are kept to a region


@dataclass(frozen=True)
class Kept:
    """One tail `(N, C)` as it stands in a prompt of `length` tokens from `start`, and what it is
    kept to: the columns of its words, or a mask `(B, h, w)`."""

    start: int
    vectors: Tensor
    length: int
    word: tuple[int, ...] = ()
    region: Tensor | None = None

    def moved(self, by: int) -> Kept:
        return replace(self, start=self.start + by, word=tuple(column + by for column in self.word))

    def stands_in(self, context: Tensor) -> bool:
        """Whether these columns of a context `(B, T, C)` are still this tail, in any strength."""
        found = context[:, self.start : self.start + len(self.vectors)]
        if found.shape[1] != len(self.vectors):
            return False
        own = self.vectors.to(found)
        times = (found * own).sum((1, 2), keepdim=True) / own.square().sum()
        near = ROUNDINGS * torch.finfo(found.dtype).eps * own.abs().max() * times.abs()
        return bool(((found - times * own).abs() <= near).all() & (times != 0).all())


def check_keepable(family: Family | None) -> None:
    """One sentence on a family whose attention can't be steered."""
    if family is not None and (family.hidden or family.unseen):
        raise ValueError(
            f"The attention of {family.name} can't be reached by a node, so that a tail can't be "
            "kept to a place: clear keep_to and disconnect region."
        )


@dataclass(frozen=True)
class Keeping:
    """What one model call adds: it answers each attention call to the prompt."""

    kept: tuple[Kept, ...]
    maps: dict[str, list[Tensor]]  # of this call's layers so far, `(B, h, w)` a subject

    steers = True

    def __call__(self, call: AttentionCall) -> Tensor | None:
        if call.kind != CROSS:
            return None
        length = (call.columns.stop or call.k.shape[-2]) - (call.columns.start or 0)
        own = [self._looked_at(call, one, length) for one in self.kept]
        self.maps[call.layer] = [one.unflatten(-1, call.size) for one in own]
        so_far = [
            torch.stack([at_size(each[n], call.size) for each in self.maps.values()]).mean(0)
            for n in range(len(self.kept))
        ]
        added = torch.zeros(len(call.q), call.q.shape[-2], length, device=call.q.device)
        for one, region in zip(self.kept, regions(so_far), strict=True):
            columns = slice(one.start, one.start + len(one.vectors))
            added[..., columns] = region.log()[..., None]
        return added

    @staticmethod
    def _looked_at(call: AttentionCall, one: Kept, length: int) -> Tensor:
        """Where its words are looked at from, or its mask, as the mean of places is 1: `(B, L)`."""
        if one.region is not None:
            region = one.region.to(call.q.device, torch.float32)
            found = at_size(region, call.size).clamp(0, 1).expand(len(call.q), -1)
        else:
            found = shares_of(call, tuple(c - length for c in one.word)).sum(-1)
        return found / found.mean(-1, keepdim=True).clamp(min=LEAST)


class Keeper:
    """A wrapper around a conditioning's model calls that keeps its tails where they belong."""

    def __init__(self, kept: Sequence[Kept]) -> None:
        self._kept = tuple(kept)

    def __call__(
        self, executor, x, t, c_concat=None, c_crossattn=None, control=None, options=None, **kwargs
    ):
        options = options if options is not None else kwargs.pop("transformer_options", {})
        base = executor.class_obj
        layout = layout_of(family_of(base.current_patcher))
        kept = () if c_crossattn is None or layout is None else self._there(c_crossattn)
        if not kept:
            return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)
        layout.begin(ModelCall(c_crossattn, patches(base, x)))
        options = layout.installed(options, Keeping(kept, {}))
        with around(layout):
            return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)

    def _there(self, context: Tensor) -> tuple[Kept, ...]:
        """The tails that are where they were, or behind columns that the model put before them."""
        found = []
        for one in self._kept:
            for each in (one, one.moved(context.shape[1] - one.length)):
                if each.stands_in(context):
                    found.append(each)
                    break
        return tuple(found)


def keep(
    options: dict[str, Any],
    mark: TailMark,
    vectors: Tensor,
    length: int,
    word: tuple[int, ...] = (),
    region: Tensor | None = None,
) -> None:
    """Keep a tail `(N, C)` of an entry to its word's columns or to a mask, beside those that are
    kept already: one hook knows them all, so that they can contend for a place."""
    before: tuple[tuple[Kept, ...], Hook | None] = options.get(KEY, ((), None))
    kept = (*before[0], Kept(mark.start, vectors.detach(), length, word, region))
    wrappers = {WrappersMP.APPLY_MODEL: {KEY: [Keeper(kept)]}}
    hook = TransformerOptionsHook({"wrappers": wrappers}, EnumHookScope.HookedOnly)
    hooks = HookGroup()
    for each in options["hooks"].hooks if options.get("hooks") is not None else ():
        if each != before[1]:
            hooks.add(each)
    hooks.add(hook)
    options["hooks"] = hooks
    options[KEY] = (kept, hook)
