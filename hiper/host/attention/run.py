"""One sampling run looked at: which entry, which step, which layer.

The wrapper around a whole run hangs more into that run's own options: one tells the sampler's own
predictions, which know the conditioning entries, and the observer looks on next to the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...attention.calls import AttentionCall, without_repeats
from ...attention.gathering import Gathering, Wish
from ...attention.maps import Prompt, SamplingStep
from ...attention.stages import StageMaps
from ...prompts.tails import STAGE, plain, tails_in
from ..families import family_of, why_unseen
from .observer import KEY, Observer, Owner, Tell
from .predictions import Predictions


@dataclass(frozen=True)
class _Row:
    """Who owns a stretch of rows in the current model call."""

    number: int  # of the prompt in the gathering
    length: int  # as the model is given it
    before: int  # columns that the model itself has put before the prompt's
    columns: Tensor | None


class Run:
    """One sampling run: which entry, which step, which layer, and the maps gathered."""

    def __init__(self, wish: Wish, guider, sigmas: Tensor, shape: tuple[int, ...]) -> None:
        self.gathering = Gathering(wish, max(1, len(sigmas) - 1))
        self.calls = 0
        self._wish, self._guider, self._shape = wish, guider, shape
        self._sigmas = [float(sigma) for sigma in sigmas]
        self._own = {name: {c["uuid"] for c in cs} for name, cs in guider.conds.items()}
        self._numbers: dict[tuple[Any, str], _Row | None] = {}
        self._counts: dict[str, int] = {}
        self._entries: dict[tuple[Any, int], tuple[str, dict]] = {}
        self._in_force = False
        self._rows: list[_Row | None] = []
        self._family = family_of(guider.model_patcher)
        self._observer = Observer(guider.model_patcher)
        self._shared = False  # the prompt's columns with others
        self._texts: list[str] = []  # what each prompt's vectors are, to know them in another run

    def watch(self, model_options: dict[str, Any]) -> None:
        """Install into this run's copy of the options; they are thrown away with the run."""
        Predictions(self._listening).install(KEY, model_options)
        self._observer.install(model_options)

    def maps(self) -> StageMaps:
        model = self._guider.model_patcher.model
        cell = getattr(model.latent_format, "spacial_downscale_ratio", 8)
        name = type(model.model_config).__name__
        found = self.gathering.maps(self._shape[-2:], cell, name)
        if self._shared:
            found = replace(found, heads=f"{found.heads}, of the attention to text")
        return StageMaps(found, tuple(self._texts))

    def why_nothing(self) -> str:
        if self._family is not None and self._family.unseen:
            return why_unseen(self._guider.model_patcher)
        if not self.calls:
            return (
                "The sampler never called the model, so there is nothing to show: give it at least "
                "one step."
            )
        wanted = self._wish.roles or ()
        if wanted and not any(role in wanted for _, role in self._numbers):
            return (
                f"The sampler used no {' or '.join(wanted)} conditioning (guidance 1 leaves the "
                "negative one out): record both, or raise the guidance."
            )
        if self._wish.tail_only and not any(self._numbers.values()):
            return (
                "No conditioning had a HiPer tail in it, and only the tail was to be recorded: "
                "put Compose HiPer Conditioning before the sampler, or record all tokens."
            )
        if any(self._numbers.values()) and not self._in_force:
            return (
                "The conditioning is not in force at the timestep looked at, because its timestep "
                "range leaves that out: choose a timestep inside the range, or take the range off."
            )
        return why_unseen(self._guider.model_patcher)

    # looking on, from the outside in

    def _listening(self, model, conds, x_in, timestep) -> AbstractContextManager:
        """Around one prediction of the sampler's: its step, and whether that is wanted."""
        self.calls += 1
        sigma = float(timestep.flatten()[0])
        step = self._step_at(sigma)
        if not self.gathering.wants(step):
            return nullcontext()
        moment = float(model.model_sampling.timestep(timestep.flatten()[:1])[0])
        self.gathering.start(SamplingStep(step, sigma, moment))
        self._entries = {}
        for index, entries in enumerate(conds):
            role = self._role(entries, index)
            for entry in entries or ():
                self._entries[entry["uuid"], index] = role, entry
        for owner in self._entries:  # in the person's order: the model is called in another
            self._row(owner, x_in.device)
        self._device = x_in.device
        return self._observer.listening(self._hear)

    def _hear(self, owners: Sequence[Owner]) -> Tell | None:
        """Whose rows the coming model call has, and whether any of them are wanted."""
        self._rows = [self._row(owner, self._device) for owner in owners]
        self._in_force = self._in_force or any(self._rows)
        return self._seen if any(self._rows) else None

    # what they found out

    def _step_at(self, sigma: float) -> int:
        """The step whose stretch of the schedule holds σ: samplers call between its σs, too."""
        above = [i for i, start in enumerate(self._sigmas[:-1]) if start >= sigma * (1 - 1e-5)]
        return above[-1] if above else 0

    def _role(self, entries: list | None, index: int) -> str:
        for name, known in self._guider.conds.items():
            if entries is known:
                return name
        uuids = {entry["uuid"] for entry in entries or ()}
        for name, known in self._own.items():
            if uuids & known:
                return name
        return f"conditioning {index + 1}"

    def _row(self, owner: tuple[Any, int], device: torch.device) -> _Row | None:
        """An entry's row, made when it first appears; its area may share the uuid of another's."""
        role, entry = self._entries.get(owner, ("", {}))
        text = entry.get("model_conds", {}).get("c_crossattn")
        if text is None or not self._wish.wants_role(role):
            return None
        key = owner[0], role
        if key not in self._numbers:
            tails = plain(tails_in(entry["cross_attn"], entry))
            given = text.cond.shape[1]
            length = given
            if self._family is not None and self._family.joint is not None:
                length = entry["cross_attn"].shape[1]  # Flux.2 puts zeros before a short prompt
            columns = self._wish.columns(length, tails)
            if not columns:
                self._numbers[key] = None
                return None
            self._counts[role] = self._counts.get(role, 0) + 1
            area = entry.get("area")
            prompt = Prompt(
                role,
                self._counts[role],
                length,
                columns,
                tails,
                self._clipped(area),
                part=tuple(entry.get(STAGE, ())),
            )
            index = None
            if len(columns) < length:
                index = torch.tensor(columns, device=device)
            number = self.gathering.prompt(prompt)
            vectors = entry["cross_attn"].detach().float().cpu().contiguous()
            self._texts.append(hashlib.sha256(vectors.numpy().tobytes()).hexdigest())
            self._numbers[key] = _Row(number, given, given - length, index)
        return self._numbers[key]

    def _clipped(self, area) -> tuple[int, int, int, int] | None:
        """An area as the sampler cuts it at the latent's edge: height, width, top, left."""
        if area is None or len(area) != 4:
            return None
        height, width = self._shape[-2:]
        h, w, y, x = (int(n) for n in area)
        clipped = min(h, height - y), min(w, width - x), y, x
        return None if clipped == (height, width, 0, 0) else clipped

    def _seen(self, call: AttentionCall) -> None:
        """One cross-attention call: each wanted entry's rows, turned into maps."""
        each = call.q.shape[0] // len(self._rows)
        for index, row in enumerate(self._rows):
            if row is None:
                continue
            own = call.of_rows(slice(index * each, (index + 1) * each))
            maps = without_repeats(own.shares(self._head(call)), row.length)[..., row.before :]
            self._shared = self._shared or call.joint
            if call.joint:  # of what the picture gives the text, so that tokens sum to 1
                maps = maps / maps.sum(-1, keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
            if row.columns is not None:
                maps = maps.index_select(-1, row.columns.to(maps.device))
            maps = maps.transpose(-2, -1).unflatten(-1, call.size)
            self.gathering.add(row.number, call.layer, maps)

    def _head(self, call: AttentionCall) -> int | None:
        head = self._wish.head
        if head is not None and head >= call.q.shape[1]:
            raise ValueError(
                f"head is {head + 1}, but {call.layer} of this model has {call.q.shape[1]} "
                f"heads: choose 1 to {call.q.shape[1]}, or 0 for their mean."
            )
        return head
