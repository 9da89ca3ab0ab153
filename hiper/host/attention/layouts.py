"""Where text and picture sit in the attention calls of each kind of model.

In cross-attention the picture asks and the text answers. In joint attention both stand in one
sequence that asks and answers itself; what the picture gives the text is a part of each row. In
self-attention the picture asks itself.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ...attention.calls import SELF, AttentionCall, as_four, in_heads
from ...prompts.families import Family, JointText
from .steering import Override, Tell, seen_by, steered

PLAIN = JointText()


@dataclass(frozen=True)
class ModelCall:
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
    """SD 1.x, 2.x, XL, Cosmos: `attn2` of each transformer block, keys are the text; `attn1`, keys
    are the picture.

    Nothing in the call itself tells which it is, so a patch that runs just before `attn2` leaves a
    mark. Another node may replace the call: then its replacement is what is wrapped.
    """

    def __init__(self) -> None:
        self._mark: tuple[Any, Any, int] | None = None
        self._replaced = False
        self._call = ModelCall(None, (0, 0))

    def begin(self, call: ModelCall) -> None:
        self._mark, self._replaced = None, False
        self._call = call

    def installed(self, options: dict[str, Any], tell: Tell) -> dict[str, Any]:
        """A copy of one model call's options that reports; whatever is in them stays in force."""
        chained = options.get("optimized_attention_override")
        patches = options.get("patches", {})
        replacements = options.get("patches_replace", {})

        def attention(backend, *args, **kwargs):
            mark, self._mark = self._mark, None
            found = None if self._replaced else self._found(mark, args, kwargs)
            if found is not None:
                args, kwargs = steered(args, kwargs, found, tell(seen_by(chained, found)))
            if chained is not None:
                return chained(backend, *args, **kwargs)
            return backend(*args, **kwargs)

        def replaced(replacement, of_picture: bool):
            def attn(q, k, v, extra_options, *args, **kwargs):
                self._mark = None
                heads = extra_options["n_heads"]
                q_by_head, k_by_head = in_heads(q, heads), in_heads(k, heads)
                found = self._named(extra_options, q_by_head, k_by_head, None, None, of_picture)
                if found is not None:
                    tell(found)
                self._replaced = True
                try:
                    return replacement(q, k, v, extra_options, *args, **kwargs)
                finally:
                    self._replaced = False

            return attn

        return {
            **options,
            "optimized_attention_override": Override(attention, tell, chained),
            "patches": {**patches, "attn2_patch": [*patches.get("attn2_patch", ()), self._leave]},
            "patches_replace": replacements
            | {
                name: {
                    block: replaced(patch, name == "attn1")
                    for block, patch in replacements[name].items()
                }
                for name in ("attn1", "attn2")
                if name in replacements
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

    def _found(
        self, mark: tuple | None, args: tuple, kwargs: dict[str, Any]
    ) -> AttentionCall | None:
        options = kwargs.get("transformer_options") or {}
        given = dict(zip(("q", "k", "v", "heads", "mask"), args, strict=False)) | kwargs
        q, k = given["q"], given["k"]
        to_prompt = (options.get("block"), options.get("block_index"), k.shape[-2])
        of_picture = mark is None and k.shape[-2] == q.shape[-2]
        if mark != to_prompt and not of_picture:
            return None
        if not given.get("skip_reshape", False):
            q, k = in_heads(q, given["heads"]), in_heads(k, given["heads"])
        mask = as_four(given.get("mask"))
        return self._named(options, q, k, given.get("scale"), mask, of_picture)

    def _named(
        self,
        options: dict[str, Any],
        q: Tensor,
        k: Tensor,
        scale: float | None,
        mask: Tensor | None,
        of_picture: bool,
    ) -> AttentionCall | None:
        size = tuple(options.get("activations_shape", self._call.size)[-2:])
        if len(size) != 2 or size[0] * size[1] != q.shape[-2]:
            return None  # a node has merged or cut the picture's cells: they have no place
        block, index = options.get("block"), options.get("block_index", 0)
        layer = f"{block[0]} {block[1]}.{index}" if block else f"block {index}"
        if of_picture:
            return AttentionCall(layer, q, k, size, slice(0, None), scale, mask, kind=SELF)
        context = self._call.context
        text = slice(0, k.shape[-2] if context is None else context.shape[1])
        return AttentionCall(layer, q, k, size, text, scale, mask)


class JointAttention:
    """Text and picture in one sequence: SD 3, Flux, Z-Image, Qwen-Image and their like.

    A call is one of these when its sequence has room for both; the others are of the text or of
    the picture alone. What stands behind the picture (padding, reference pictures) only answers.
    """

    def __init__(self, facts: JointText = PLAIN) -> None:
        self._facts = facts
        self._call = ModelCall(None, (0, 0))
        self._layer = 0

    def begin(self, call: ModelCall) -> None:
        self._call, self._layer = call, 0

    def installed(self, options: dict[str, Any], tell: Tell) -> dict[str, Any]:
        """A copy of one model call's options that reports; whatever is in them stays in force."""
        chained = options.get("optimized_attention_override")

        def attention(backend, *args, **kwargs):
            for found in self._found(args, kwargs):
                args, kwargs = steered(args, kwargs, found, tell(seen_by(chained, found)))
            if chained is not None:
                return chained(backend, *args, **kwargs)
            return backend(*args, **kwargs)

        return {**options, "optimized_attention_override": Override(attention, tell, chained)}

    def _found(self, args: tuple, kwargs: dict[str, Any]) -> tuple[AttentionCall, ...]:
        """What the picture's cells give the text, and what they give each other."""
        given = dict(zip(("q", "k", "v", "heads", "mask"), args, strict=False)) | kwargs
        q, k = given["q"], given["k"]
        if self._call.context is None or len(q) != len(self._call.context):
            return ()
        cells = self._call.size[0] * self._call.size[1]
        tokens, multiple = self._call.context.shape[1], self._facts.multiple
        before = self._facts.registers
        block = before + -(-tokens // multiple) * multiple
        if q.shape[-2] != k.shape[-2] or q.shape[-2] < block + cells:
            return ()
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
        to_text = AttentionCall(
            f"joint {self._layer}",
            picture,
            k,
            self._call.size,
            text,
            given.get("scale"),
            mask,
            joint=True,
            first=first,
        )
        return to_text, replace(to_text, columns=slice(first, first + cells), kind=SELF)


class HiddenAttention(TorchFunctionMode):
    """PixArt, HunyuanDiT: no node is told of their attention, but PyTorch's own function hears it.

    It is cross-attention when the picture asks and something else answers, the prompt first.
    """

    def __init__(self) -> None:
        super().__init__()
        self._call = ModelCall(None, (0, 0))
        self._layer = 0
        self._tell: Tell | None = None

    def begin(self, call: ModelCall) -> None:
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
        if context is None or queries != height * width or self._tell is None:
            return
        tokens, size, mask = context.shape[1], (height, width), as_four(mask)
        if keys == queries:
            name, columns = f"self {self._layer}", slice(0, None)
            self._tell(AttentionCall(name, q, k, size, columns, scale, mask, kind=SELF))
        elif keys >= tokens:
            self._layer += 1
            name, text = f"cross {self._layer}", slice(0, tokens)
            joint = keys > tokens
            self._tell(AttentionCall(name, q, k, size, text, scale, mask, joint))


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


def around(layout: Layout) -> AbstractContextManager:
    """What has to be around a model call, beside what was put into its options."""
    return layout if isinstance(layout, HiddenAttention) else nullcontext()
