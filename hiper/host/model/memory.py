"""How much memory a learning step needs, measured before it is tried, and what there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from ...learning.terms import EQUATION_4, Weighted, loss
from .denoiser import HostDenoiser
from .gradients import plain_tensors, repeated_blocks

EVERYTHING = 1e20  # bytes; what core's trainer asks for
MARGIN = 1.15  # workspace and fragments beside what autograd keeps


class Frugality(IntEnum):
    """What a step does to need less memory, each on top of the one before."""

    NONE = 0
    RECOMPUTED = 1  # every block is computed again on the way back
    OFFLOADED = 2  # only as many weights on the device as leave room for a recomputed step
    BARE = 3  # no weight stays on the device for longer than its layer runs


@dataclass(frozen=True)
class StepMemory:
    """Bytes of a step beside the weights, kept whole or recomputed block by block."""

    whole: int
    recomputed: int


@dataclass
class _Kept:
    """What one step keeps for its gradient; nothing is really kept, so the probe needs no more
    than a recomputed step. A storage's weak reference tells it from one that takes its place."""

    weights: set[int]
    block: int | None = None
    blocks: dict[int, int] = field(default_factory=dict)  # bytes by block
    inputs: dict[StorageWeakRef, int] = field(default_factory=dict)  # of blocks
    seen: dict[StorageWeakRef, int] = field(default_factory=dict)

    def pack(self, tensor: Tensor) -> None:
        place = -1 if self.block is None else self.block
        for plain in plain_tensors(tensor):
            storage = plain.untyped_storage()
            key = StorageWeakRef(storage)
            if storage.data_ptr() in self.weights or key in self.seen:
                continue
            self.seen[key] = storage.nbytes()
            self.blocks[place] = self.blocks.get(place, 0) + storage.nbytes()

    def enter(self, number: int, given: tuple) -> None:
        self.block = number
        for tensor in given:
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self.inputs[StorageWeakRef(storage)] = storage.nbytes()

    def leave(self) -> None:
        self.block = None

    def memory(self) -> StepMemory:
        outside = self.blocks.get(-1, 0)
        within = [size for number, size in self.blocks.items() if number >= 0]
        recomputed = outside + sum(self.inputs.values()) + max(within, default=0)
        return StepMemory(outside + sum(within), recomputed)


def step_memory(
    denoiser: HostDenoiser,
    clean: Tensor,
    tail: Tensor,
    batch_size: int,
    terms: tuple[Weighted, ...] = EQUATION_4,
    region: Tensor | None = None,
) -> StepMemory:
    """What one step for the latents `(1, C, H, W)` keeps, by one call at its full size."""
    kept = _Kept(denoiser.weight_storages())
    hooks = []
    for number, block in enumerate(repeated_blocks(denoiser.network)):
        hooks.append(
            block.register_forward_pre_hook(
                lambda _block, args, kwargs, number=number: kept.enter(
                    number, (*args, *kwargs.values())
                ),
                with_kwargs=True,
            )
        )
        hooks.append(block.register_forward_hook(lambda *_: kept.leave()))
    many, where = (
        None if each is None else each[:1].expand(batch_size, *each.shape[1:])
        for each in (clean, region)
    )
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(many.shape, generator=generator).to(clean.device)
    u = torch.full((batch_size,), 0.5, device=clean.device)
    tail = tail.detach().to(clean.device).requires_grad_(True)
    try:
        with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda _: None):
            loss(terms, denoiser, many, u, noise, tail, region=where)
    finally:
        for hook in hooks:
            hook.remove()
    return kept.memory()


class MemoryPlan:
    """How frugal a step has to be on one model's device: measured first, and on an out of memory
    one level more."""

    def __init__(self, model: ModelPatcher, checkpointing: str) -> None:
        self._model, self._choice = model, checkpointing
        self._memory: StepMemory | None = None
        self.frugality = Frugality.RECOMPUTED if checkpointing == "on" else Frugality.NONE
        if checkpointing != "off" and not weights_fit(model):
            self.frugality = Frugality.OFFLOADED

    def __str__(self) -> str:
        if not self.recompute:
            return "with every activation kept"
        weights = {Frugality.OFFLOADED: "part of the weights", Frugality.BARE: "all weights"}
        off = weights.get(self.frugality)
        return "with gradient checkpointing" + (f" and {off} off the device" if off else "")

    @property
    def recompute(self) -> bool:
        return self.frugality >= Frugality.RECOMPUTED

    @property
    def room(self) -> float | None:
        """Bytes to leave free beside the weights; None for all of the weights on the device."""
        if self.frugality < Frugality.OFFLOADED:
            return None
        if self.frugality == Frugality.BARE or self._memory is None:
            return EVERYTHING
        return self._memory.recomputed * MARGIN

    @property
    def measurable(self) -> bool:
        """Whether what a step needs would change anything."""
        return self._choice == "auto" or self.frugality == Frugality.OFFLOADED

    def measure(
        self,
        denoiser: HostDenoiser,
        clean: Tensor,
        tail: Tensor,
        batch_size: int,
        terms: tuple[Weighted, ...] = EQUATION_4,
        region: Tensor | None = None,
    ) -> None:
        """Take the least that fits, by what a step keeps and what is free beside the weights."""
        self._memory = step_memory(denoiser, clean, tail, batch_size, terms, region)
        if self.frugality == Frugality.OFFLOADED:
            return
        free = comfy.model_management.get_free_memory(denoiser.device)
        if self._memory.whole * MARGIN > free:
            self.frugality = max(self.frugality, Frugality.RECOMPUTED)
        if self._memory.recomputed * MARGIN > free and _can_offload(denoiser.device):
            self.frugality = Frugality.OFFLOADED

    def save_more(self) -> bool:
        """One level more; False where there is none, or the person forbade it."""
        last = Frugality.BARE if _can_offload(self._model.load_device) else Frugality.RECOMPUTED
        if self._choice == "off" or self.frugality >= last:
            return False
        self.frugality = Frugality(self.frugality + 1)
        return True


def _can_offload(device: torch.device) -> bool:
    return not comfy.model_management.is_device_cpu(device)


def weights_fit(patcher: ModelPatcher) -> bool:
    """Whether the whole model can be on its device, beside what ComfyUI needs for any step, once
    everything else has left."""
    if not _can_offload(patcher.load_device):
        return True
    needed = patcher.model_size() + comfy.model_management.minimum_inference_memory()
    return needed <= comfy.model_management.get_total_memory(patcher.load_device)
