"""A ComfyUI model that gradients can pass through, and that is as it was afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import comfy.model_management
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from comfy.ldm.modules.attention import attention_pytorch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn
from torch._ops import OpOverload, OpOverloadPacket
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

NORMS = (F.layer_norm, F.rms_norm)
SHORTCUTS = ("torch.compile", "easycache", "lazycache")  # keys of core's own wrappers


@contextmanager
def outside_inference_mode() -> Iterator[None]:
    """ComfyUI runs nodes in inference mode, where no gradient can be recorded."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def in_training() -> Iterator[None]:
    """Tell ComfyUI's layers to take their differentiable paths, at full precision on the way back:
    core's trainer may have left 8 bits in force there."""
    management = comfy.model_management
    before = management.in_training, management.training_fp8_bwd
    management.in_training, management.training_fp8_bwd = True, False
    try:
        yield
    finally:
        management.in_training, management.training_fp8_bwd = before


class Differentiable(TorchFunctionMode):
    """Has a model compute the same values in a way that gradients can pass.

    Flux's blocks add to their input in place after a norm has saved it: the norm gets a copy to
    save. Cosmos and Anima call fused kernels that have no backward, but an eager twin that does.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if torch.is_grad_enabled():
            if func in NORMS and args[0].requires_grad:
                return func(args[0].clone(), *args[1:], **kwargs)
            eager = _eager_twin(func)
            if eager is not None:
                return eager(*args, **kwargs)
        return func(*args, **kwargs)


def differentiable_operators(network: nn.Module) -> AbstractContextManager:
    """What a network needs around its calls; a UNet needs nothing, and is spared the cost."""
    return nullcontext() if isinstance(network, UNetModel) else Differentiable()


def _eager_twin(func: Any) -> Callable[..., Any] | None:
    """The differentiable function behind one of comfy_kitchen's fused operators."""
    if not isinstance(func, OpOverload | OpOverloadPacket):
        return None
    namespace, _, name = str(func).partition(".")
    if namespace != "comfy_kitchen":
        return None
    import comfy_kitchen.backends.eager as eager

    return getattr(eager, name.partition(".")[0], None)


def plain_tensors(tensor: Tensor) -> Iterator[Tensor]:
    """The tensor itself, or those that a quantised one is made of."""
    if is_traceable_wrapper_subclass(tensor):
        for name in tensor.__tensor_flatten__()[0]:
            yield from plain_tensors(getattr(tensor, name))
    else:
        yield tensor


def same_memory(tensor: Tensor) -> Tensor:
    """A normal tensor over an inference tensor's memory: autograd takes it, nothing is copied."""
    kind = type(tensor.data)
    if is_traceable_wrapper_subclass(tensor):  # a quantised weight is made of several tensors
        names, context = tensor.__tensor_flatten__()
        inner = {name: same_memory(getattr(tensor, name)) for name in names}
        return kind.__tensor_unflatten__(inner, context, tensor.shape, tensor.stride())
    view = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    view.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.shape, tensor.stride())
    if kind is not Tensor:  # one that knows more than its numbers, as GGUF's do
        view = view.as_subclass(kind)
        view.__dict__.update(tensor.__dict__)
    return view


@contextmanager
def differentiable_weights(module: nn.Module) -> Iterator[None]:
    """Stand normal tensors in for the module's inference tensors; the originals return at the end.

    A checkpoint is loaded in inference mode, and autograd refuses to save such tensors.
    """
    originals: list[tuple[dict[str, Any], str, Tensor]] = []
    try:
        with torch.inference_mode(False):
            for part in module.modules():
                for name, tensor in part._parameters.items():
                    if tensor is not None and tensor.is_inference():
                        originals.append((part._parameters, name, tensor))
                        # no nn.Parameter: that would ask a tensor of another kind for a copy
                        part._parameters[name] = same_memory(tensor)
                for name, tensor in part._buffers.items():
                    if tensor is not None and tensor.is_inference():
                        originals.append((part._buffers, name, tensor))
                        part._buffers[name] = same_memory(tensor)
        yield
    finally:
        for holder, name, tensor in originals:
            holder[name] = tensor


def pytorch_attention(transformer_options: dict[str, Any]) -> None:
    """Pin PyTorch's attention, which is differentiable whichever backend was chosen to start with.

    Another node's override is put aside: it may go its own way whatever backend it is handed, and
    then no gradient passes.
    """

    def override(_backend, *args, **kwargs):
        return attention_pytorch(*args, **kwargs)

    transformer_options["optimized_attention_override"] = override


def without_shortcuts(patcher: ModelPatcher) -> None:
    """Put aside, on a patcher of one's own, what skips steps or compiles the network: the one
    gives out an earlier step's result, the other knows no gradient checkpointing."""
    for wrappers in patcher.wrappers.values():
        for key in SHORTCUTS:
            wrappers.pop(key, None)
    for key, module in list(patcher.object_patches.items()):
        original = getattr(module, "_orig_mod", None)  # of torch.compile
        if original is not None:
            patcher.object_patches[key] = original


def repeated_blocks(model: nn.Module) -> list[nn.Module]:
    """The blocks that a diffusion model is a pile of: what gradient checkpointing recomputes."""
    found: list[nn.Module] = []

    def visit(module: nn.Module) -> None:
        for child in module.children():
            if isinstance(child, nn.ModuleList | nn.Sequential):
                for block in child:
                    take(block)
            else:
                visit(child)

    def take(block: nn.Module) -> None:
        lists = [part for part in block.modules() if isinstance(part, nn.ModuleList)]
        nested = any(len(part) > 0 and any(True for _ in part[0].children()) for part in lists)
        if isinstance(block, nn.Sequential | nn.ModuleList):
            for inner in block:
                take(inner)
        elif nested:
            visit(block)
        elif any(True for _ in block.children()):
            found.append(block)

    visit(model)
    return found


@contextmanager
def gradient_checkpointing(model: nn.Module) -> Iterator[int]:
    """Keep only each block's input and compute the block again on the way back."""
    blocks = repeated_blocks(model)
    with ExitStack() as undo:
        for block in blocks:
            undo.callback(_recompute(block, model))
        yield len(blocks)


def _recompute(block: nn.Module, network: nn.Module):
    forward = block.forward
    had_own = "forward" in block.__dict__
    written: set[int | str] | None = None

    def recomputed(*args, **kwargs):
        nonlocal written
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        # blocks write their index into the options as they run; the second run must read the same
        args = tuple(_frozen_options(value) for value in args)
        kwargs = {key: _frozen_options(value) for key, value in kwargs.items()}
        if written is None:
            written = written_inputs(forward, args, kwargs)
        return torch.utils.checkpoint.checkpoint(
            run, *args, use_reentrant=False, preserve_rng_state=False, **kwargs
        )

    def run(*args, **kwargs):
        # an input that the block adds to must look to the second run as it did to the first
        args = tuple(a.clone() if place in written else a for place, a in enumerate(args))
        kwargs = {key: a.clone() if key in written else a for key, a in kwargs.items()}
        with differentiable_operators(network):  # the second run is in backward, out of its reach
            return forward(*args, **kwargs)

    def undo() -> None:
        if had_own:
            block.forward = forward
        else:
            del block.forward

    block.forward = recomputed
    return undo


def written_inputs(forward: Callable[..., Any], args: tuple, kwargs: dict) -> set[int | str]:
    """The places and names of the tensors that a function writes into, by one run on copies."""
    given = dict(enumerate(args)) | kwargs
    copies = {k: v.detach().clone() for k, v in given.items() if isinstance(v, Tensor)}
    given = {key: copies.get(key, _frozen_options(value)) for key, value in given.items()}
    with torch.no_grad():
        forward(*(given[place] for place in range(len(args))), **{k: given[k] for k in kwargs})
    return {key for key, copy in copies.items() if copy._version > 0}


def _frozen_options(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value
