"""The identity's columns in a conditioning, and hearing of them while ComfyUI samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP

from ...attention.calls import CROSS, SELF, AttentionCall
from ...attention.identity import IdentityMap
from ...prompts.tails import plain, tails_in
from ..attention.observer import Observer, Owner
from ..attention.predictions import Predictions
from ..families import why_unseen

KEY = "hiper_identity"  # also the option that holds an entry's columns of the identity's words


def marked(conditioning: list, columns: Sequence[tuple[int, ...]]) -> list:
    """The conditioning with each entry's identity words, by their columns."""
    return [
        [prompt, {**options, KEY: (prompt.shape[1], own)}]
        for (prompt, options), own in zip(conditioning, columns, strict=True)
    ]


def identity_columns(prompt: Any, options: dict[str, Any]) -> tuple[int, ...]:
    """The columns of an entry's identity words and its tails, counted from the prompt's end."""
    length, words = options.get(KEY, (prompt.shape[1], ()))
    tails = [c for mark in plain(tails_in(prompt, options)) for c in mark.columns]
    found = {column - length for column in words}
    found |= {column - prompt.shape[1] for column in tails}
    return tuple(sorted(found))


class IdentityWatch:
    """Tells an identity map of one sampling run's attention, the positive entries' alone."""

    def __init__(self, guider, identity: IdentityMap) -> None:
        self._guider, self._identity = guider, identity
        self._observer = Observer(guider.model_patcher, (CROSS, SELF))
        self._columns: dict[Any, tuple[int, ...]] = {}

    def install(self, model_options: dict[str, Any]) -> None:
        Predictions(self._listening).install(KEY, model_options)
        self._observer.install(model_options)

    def _listening(self, *_) -> AbstractContextManager:
        for entry in self._guider.conds.get("positive", ()):
            whole = entry.get("area") is None  # of a part of the picture the map has no place
            text = entry.get("cross_attn")
            if whole and text is not None and entry["uuid"] not in self._columns:
                self._columns[entry["uuid"]] = identity_columns(text, entry)
        return self._observer.listening(self._whose)

    def _whose(self, owners: Sequence[Owner]) -> Callable[[AttentionCall], None] | None:
        wanted = [self._columns.get(uuid, ()) for uuid, _ in owners]
        if not any(wanted):
            return None

        def hear(call: AttentionCall) -> None:
            each = call.q.shape[0] // len(wanted)
            for row, columns in enumerate(wanted):
                if columns:
                    self._identity.hear(call.of_rows(slice(row * each, (row + 1) * each)), columns)

        return hear


def watching(model: ModelPatcher, identity: IdentityMap) -> ModelPatcher:
    """The same model, whose next runs tell the identity map of their attention."""

    def outer_sample(executor, *args, **kwargs):
        guider = executor.class_obj
        IdentityWatch(guider, identity).install(guider.model_options)
        return executor(*args, **kwargs)

    patcher = model.clone()
    patcher.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, outer_sample)
    return patcher


def has_identity(conditioning: list) -> bool:
    """Whether an identity word or a tail says in any entry what the subject is."""
    return any(identity_columns(prompt, options) for prompt, options in conditioning)


def check_identity(model: ModelPatcher, conditioning: list, whose: str) -> None:
    """One sentence on a conditioning that has nothing by which its subject is found."""
    if not has_identity(conditioning):
        raise ValueError(
            f"The {whose} conditioning has neither an identity word nor a HiPer tail, so it isn't "
            "known where its subject is: put Identity Word or Compose behind its prompt, or paint "
            "a mask and set masks to one that leaves this prompt's out."
        )
    if Observer(model).deaf:
        raise ValueError(why_unseen(model))
