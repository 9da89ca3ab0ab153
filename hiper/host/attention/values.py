"""Keys and values apart (SeFi-IDE): a tail's own vectors for what the model's values are made of.

A UNet's cross-attention hands its patches the context that keys are made of and the one for values;
in between, the tail's columns of the latter are replaced.
"""

from __future__ import annotations

from typing import Any

import torch
from comfy.hooks import EnumHookScope, HookGroup, TransformerOptionsHook
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...prompts.families import UNETS, Family
from ...prompts.tails import ROUNDINGS, TailMark
from ..families import class_names, family_of

PATCH = "attn2_patch"


def check_two_roles(model: ModelPatcher) -> None:
    """One sentence where keys and values are not read from two contexts."""
    if not isinstance(model.model.diffusion_model, UNetModel):
        family = family_of(model)
        raise ValueError(_one_stream(class_names(model)[0] if family is None else family.name))


def check_two_roles_of(family: Family | None) -> None:
    """The same of a prompt's family, where that is known."""
    if family is not None and family.name not in UNETS:
        raise ValueError(_one_stream(family.name))


def _one_stream(name: str) -> str:
    return (
        f"{name} reads keys and values of its prompt from one stream, so that a tail can't have "
        f"its own for each: turn keys_and_values off, or use {', '.join(UNETS[:-1])} or "
        f"{UNETS[-1]}."
    )


class Values:
    """A patch that gives other vectors `(1 or B, N, C)` for values than for keys at the columns
    from `start`; only where the keys there are still their own, in any strength, if given."""

    def __init__(self, vectors: Tensor, start: int, keys: Tensor | None = None) -> None:
        self._vectors, self._start, self._keys = vectors, start, keys

    def __call__(self, n: Tensor, context: Tensor, value: Tensor, extra_options: dict[str, Any]):
        start, stop = self._start, self._start + self._vectors.shape[1]
        if stop > value.shape[1]:
            return n, context, value
        vectors = self._vectors.to(value).expand(len(value), -1, -1)
        if self._keys is not None:
            keys, found = self._keys.to(context), context[:, start:stop]
            times = (found * keys).sum((1, 2), keepdim=True) / keys.square().sum()
            near = ROUNDINGS * torch.finfo(context.dtype).eps * keys.abs().max() * times.abs()
            same = (found - times * keys).abs().amax((1, 2), keepdim=True) <= near
            vectors = torch.where(same, times * vectors, value[:, start:stop])
        parts = value[:, :start], vectors, value[:, stop:]
        return n, context, torch.cat(parts, dim=1)


def with_values(model_options: dict[str, Any], vectors: Tensor, start: int) -> dict[str, Any]:
    """The options of one call, with values `(1 or B, N, C)` of a tail's own from column `start`."""
    options = model_options["transformer_options"]
    patches = options.get("patches", {})
    own = {**patches, PATCH: [*patches.get(PATCH, ()), Values(vectors, start)]}
    return {**model_options, "transformer_options": {**options, "patches": own}}


def bring_values(options: dict[str, Any], mark: TailMark, vectors: Tensor) -> None:
    """Hang a tail's values, if it has some `(roles, N, C)`, into an entry's own hooks: neither the
    MODEL nor another conditioning knows of them. What the entry already has there stays."""
    if len(vectors) == 1:
        return
    keys, values = vectors
    patch = Values(values[None], mark.start, keys[None])
    hooks = HookGroup()
    hooks.add(TransformerOptionsHook({"patches": {PATCH: [patch]}}, EnumHookScope.HookedOnly))
    options["hooks"] = hooks.clone_and_combine(options.get("hooks"))
