"""Where text and picture sit in the attention calls of each kind of model.

In cross-attention the picture asks and the text answers. In joint attention both stand in one
sequence that asks and answers itself; what the picture gives the text is a part of each row.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..families import Family, JointText

PLAIN = JointText()
Tell = Callable[["Found"], None]


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
    joint: bool = False  # the prompt's columns share the row with others


@dataclass(frozen=True)
class Call:
    """One model call: the text `(B, T, C)` it is given, and the picture's size in patches."""

    context: Tensor | None
    size: tuple[int, int]


def patches(model: Any, noisy: Tensor) -> tuple[int, int]:
    """The height and width of a latent `(B, C, …, H, W)` in the model's patches."""
    network = model.diffusion_model
    names = ("patch_size", "patch_spatial", "patch")
    size = next((found for name in names if (found := getattr(network, name, None))), 1)
    size = size[-1] if isinstance(size, list | tuple) else size
    height, width = (-(-cells // size) for cells in noisy.shape[-2:])
    return height, width


class CrossAttention:
    """SD 1.x, 2.x, XL, Cosmos: `attn2` of each transformer block, keys are the text.

    Nothing in the call itself tells it from self-attention, so a patch that runs just before it
    leaves a mark. Another node may replace the call: then its replacement is what is wrapped.
    """

    def __init__(self) -> None:
        self.seen = 0
        self._mark: tuple[Any, Any, int] | None = None
        self._call = Call(None, (0, 0))

    def begin(self, call: Call) -> None:
        self._mark = None
        self._call = call

    def installed(self, options: dict[str, Any], tell: Tell) -> dict[str, Any]:
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

    def _leave(
        self, n: Tensor, context: Tensor, value: Tensor, extra_options: dict[str, Any], **others
    ):
        """The patch: the next attention call of this block, with as many keys, is the one.

        A UNet asks for the three tensors back; a transformer, which gives more, for what changed.
        """
        self._mark = extra_options.get("block"), extra_options.get("block_index"), context.shape[1]
        return {} if others else (n, context, value)

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
        size = tuple(options.get("activations_shape", self._call.size)[-2:])
        if len(size) != 2 or size[0] * size[1] != q.shape[-2]:
            return None  # a node has merged or cut the picture's cells: they have no place
        block, index = options.get("block"), options.get("block_index", 0)
        layer = f"{block[0]} {block[1]}.{index}" if block else f"block {index}"
        context = self._call.context
        text = slice(0, k.shape[-2] if context is None else context.shape[1])
        return Found(layer, q, k, size, text, scale, mask)


class JointAttention:
    """Text and picture in one sequence: SD 3, Flux, Z-Image, Qwen-Image and their like.

    A call is one of these when its sequence has room for both; the others are of the text or of
    the picture alone. What stands behind the picture (padding, reference pictures) only answers.
    """

    def __init__(self, facts: JointText = PLAIN) -> None:
        self.seen = 0
        self._facts = facts
        self._call = Call(None, (0, 0))
        self._layer = 0

    def begin(self, call: Call) -> None:
        self._call, self._layer = call, 0

    def installed(self, options: dict[str, Any], tell: Tell) -> dict[str, Any]:
        """A copy of one model call's options that reports; whatever is in them stays in force."""
        chained = options.get("optimized_attention_override")

        def attention(backend, *args, **kwargs):
            found = self._found(args, kwargs)
            if found is not None:
                self.seen += 1
                tell(found)
            if chained is not None:
                return chained(backend, *args, **kwargs)
            return backend(*args, **kwargs)

        return {**options, "optimized_attention_override": attention}

    def _found(self, args: tuple, kwargs: dict[str, Any]) -> Found | None:
        given = dict(zip(("q", "k", "v", "heads", "mask"), args, strict=False)) | kwargs
        q, k = given["q"], given["k"]
        if self._call.context is None or len(q) != len(self._call.context):
            return None
        cells = self._call.size[0] * self._call.size[1]
        tokens, multiple = self._call.context.shape[1], self._facts.multiple
        before = self._facts.registers
        block = before + -(-tokens // multiple) * multiple
        if q.shape[-2] != k.shape[-2] or q.shape[-2] < block + cells:
            return None
        if not given.get("skip_reshape", False):
            q, k = in_heads(q, given["heads"]), in_heads(k, given["heads"])
        first = 0 if self._facts.picture_first else block
        if self._facts.picture_last:
            first = q.shape[-2] - cells
        start = cells + before if self._facts.picture_first else before
        text = slice(start, start + tokens)
        mask = as_four(given.get("mask"))
        if mask is not None and mask.shape[-2] > 1:
            mask = mask[..., first : first + cells, :]
        k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)  # heads that share their keys
        self._layer += 1
        picture = q[..., first : first + cells, :]
        name = f"joint {self._layer}"
        return Found(name, picture, k, self._call.size, text, given.get("scale"), mask, joint=True)


class HiddenAttention(TorchFunctionMode):
    """PixArt, HunyuanDiT: no node is told of their attention, but PyTorch's own function hears it.

    It is cross-attention when the picture asks and something else answers, the prompt first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self._call = Call(None, (0, 0))
        self._layer = 0
        self._tell: Tell | None = None

    def begin(self, call: Call) -> None:
        self._call, self._layer = call, 0

    def installed(self, options: dict[str, Any], tell: Tell) -> dict[str, Any]:
        self._tell = tell
        return options

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            self._hear(*args[:2], kwargs.get("attn_mask"), kwargs.get("scale"))
        return func(*args, **kwargs)

    def _hear(self, q: Tensor, k: Tensor, mask: Tensor | None, scale: float | None) -> None:
        context, (height, width) = self._call.context, self._call.size
        queries, keys = q.shape[-2], k.shape[-2]
        if context is None or queries != height * width or keys == queries:
            return
        tokens = context.shape[1]
        if keys < tokens or self._tell is None:
            return
        self.seen += 1
        self._layer += 1
        name, text = f"cross {self._layer}", slice(0, tokens)
        others = keys > tokens
        self._tell(Found(name, q, k, (height, width), text, scale, as_four(mask), joint=others))


Layout = CrossAttention | JointAttention | HiddenAttention


def layout_of(family: Family | None) -> Layout | None:
    """How a family's attention is read, if it can be; a family that is not known, as a UNet's."""
    if family is None:
        return CrossAttention()
    if family.unseen:
        return None
    if family.joint is not None:
        return JointAttention(family.joint)
    return HiddenAttention() if family.hidden else CrossAttention()


def listening(layout: Layout) -> AbstractContextManager:
    """What has to be around a model call, beside what was put into its options."""
    return layout if isinstance(layout, HiddenAttention) else nullcontext()


def in_heads(tensor: Tensor, heads: int) -> Tensor:
    """`(B, L, H·D)` as `(B, H, L, D)`."""
    return tensor.unflatten(-1, (heads, -1)).transpose(1, 2)


def as_four(mask: Tensor | None) -> Tensor | None:
    """An attention mask `(L, S)`, `(B, L, S)` or `(B, H, L, S)`, so that it broadcasts."""
    if mask is None or mask.ndim == 4:
        return mask
    return mask[None, None] if mask.ndim == 2 else mask[:, None]
