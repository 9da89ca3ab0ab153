"""Where text and picture sit in the attention calls of each kind of model.

A UNet's cross-attention asks with the picture and answers with the text. A joint-attention model
would be a second class here: text first in both sequences, and its own count of the layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Found:
    """One cross-attention call: q `(B, H, L, D)`, k `(B, H, S, D)`, the map's size (h, w)."""

    layer: str
    q: Tensor
    k: Tensor
    size: tuple[int, int]
    text: slice  # the columns of S that are text
    scale: float | None = None
    mask: Tensor | None = None  # broadcasts to (B, H, L, S)


class CrossAttention:
    """SD 1.x, 2.x, XL: `attn2` of each transformer block, keys are the text.

    Nothing in the call itself tells it from self-attention, so a patch that runs just before it
    leaves a mark. Another node may replace the call: then its replacement is what is wrapped.
    """

    def __init__(self) -> None:
        self.seen = 0
        self._mark: tuple[Any, Any, int] | None = None
        self._text = 0

    def begin(self, context: Tensor | None) -> None:
        self._mark = None
        self._text = 0 if context is None else context.shape[1]

    def installed(self, options: dict[str, Any], tell: Callable[[Found], None]) -> dict[str, Any]:
        """A copy of one model call's options that reports; whatever is in them stays in force."""
        chained = options.get("optimized_attention_override")
        patches = options.get("patches", {})
        replacements = options.get("patches_replace", {})

        def attention(backend, *args, **kwargs):
            mark, self._mark = self._mark, None
            if mark is not None:
                found = self._found(mark, args, kwargs)
                if found is not None:
                    self.seen += 1
                    tell(found)
            if chained is not None:
                return chained(backend, *args, **kwargs)
            return backend(*args, **kwargs)

        def replaced(replacement):
            def attn2(q, k, v, extra_options, *args, **kwargs):
                self._mark = None
                found = self._replaced_call(q, k, extra_options)
                if found is not None:
                    self.seen += 1
                    tell(found)
                return replacement(q, k, v, extra_options, *args, **kwargs)

            return attn2

        return {
            **options,
            "optimized_attention_override": attention,
            "patches": {**patches, "attn2_patch": [*patches.get("attn2_patch", ()), self._leave]},
            "patches_replace": {
                **replacements,
                "attn2": {
                    block: replaced(patch) for block, patch in replacements.get("attn2", {}).items()
                },
            },
        }

    def _leave(self, n: Tensor, context: Tensor, value: Tensor, extra_options: dict[str, Any]):
        """The patch: the next attention call of this block, with as many keys, is the one."""
        self._mark = extra_options.get("block"), extra_options.get("block_index"), context.shape[1]
        return n, context, value

    def _found(self, mark: tuple, args: tuple, kwargs: dict[str, Any]) -> Found | None:
        options = kwargs.get("transformer_options") or {}
        given = dict(zip(("q", "k", "v", "heads", "mask"), args, strict=False)) | kwargs
        q, k = given["q"], given["k"]
        keys = k.shape[-2]
        if mark != (options.get("block"), options.get("block_index"), keys):
            return None
        if not given.get("skip_reshape", False):
            q, k = in_heads(q, given["heads"]), in_heads(k, given["heads"])
        return self._named(options, q, k, given.get("scale"), as_four(given.get("mask")))

    def _replaced_call(self, q: Tensor, k: Tensor, options: dict[str, Any]) -> Found | None:
        heads = options["n_heads"]
        return self._named(options, in_heads(q, heads), in_heads(k, heads), None, None)

    def _named(
        self, options: dict[str, Any], q: Tensor, k: Tensor, scale: float | None, mask: Any
    ) -> Found | None:
        size = tuple(options.get("activations_shape", ())[-2:])
        if len(size) != 2 or size[0] * size[1] != q.shape[-2]:
            return None  # a node has merged or cut the picture's cells: they have no place
        block, index = options.get("block"), options.get("block_index", 0)
        layer = f"{block[0]} {block[1]}.{index}" if block else f"layer {self.seen}"
        return Found(layer, q, k, size, slice(0, self._text or k.shape[-2]), scale, mask)


def in_heads(tensor: Tensor, heads: int) -> Tensor:
    """`(B, L, H·D)` as `(B, H, L, D)`."""
    return tensor.unflatten(-1, (heads, -1)).transpose(1, 2)


def as_four(mask: Tensor | None) -> Tensor | None:
    """An attention mask `(L, S)`, `(B, L, S)` or `(B, H, L, S)`, so that it broadcasts."""
    if mask is None or mask.ndim == 4:
        return mask
    return mask[None, None] if mask.ndim == 2 else mask[:, None]
