"""A LoRA by ComfyUI's own Train LoRA: one picture under its prompt, drawn by ComfyUI."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.two_subjects import drawn_by_comfyui

from .contender import Meter, Task, one_by_one


@dataclass(frozen=True)
class Lora:
    steps: int = 200
    rate: float = 5e-4
    rank: int = 8


CORE = Lora(steps=16)  # as a fresh node has it


def trained(model, positive: list, latents: Tensor, how: Lora) -> dict[str, Tensor]:
    """What Train LoRA learns from latents `(R, 12, 16, 16)` with a conditioning for each."""
    from comfy_extras.nodes_train import TrainLoraNode

    settings = dict(
        batch_size=1, steps=how.steps, grad_accumulation_steps=1, learning_rate=how.rate,
        rank=how.rank, optimizer="AdamW", loss_function="MSE", seed=0, training_dtype="fp32",
        lora_dtype="fp32", quantized_backward=False, algorithm="LoRA",
        gradient_checkpointing=False, checkpoint_depth=1, offloading=False,
        existing_lora="[None]", bucket_mode=False, bypass_mode=False,
    )  # fmt: skip
    wanted = {each.id for each in TrainLoraNode.GET_SCHEMA().inputs}
    listed = {name: [value] for name, value in settings.items() if name in wanted}
    found = TrainLoraNode.execute(
        model=[model], latents=[{"samples": latents}], positive=positive, **listed
    )
    return found.result[0]


def with_lora(model, lora: dict[str, Tensor]):
    """The model as Load LoRA Model gives it."""
    from comfy_extras.nodes_train import LoraModelLoader

    return LoraModelLoader.execute(model, lora, 1.0).result[0]


def lora(how: Lora):
    from hiper.host.demo import load_clip, load_model

    model, clip = load_model(), load_clip()

    def said(text: str) -> list:
        return clip.encode_from_tokens_scheduled(clip.tokenize(text))

    def learn(task: Task, meter: Meter) -> Tensor:
        (case,) = task.cases
        with meter.running(), torch.enable_grad():
            found = trained(model, [said(case.source)], task.clean, how)
        meter.evaluations += how.steps
        meter.keep(*found.values())
        own = with_lora(model, found)
        return drawn_by_comfyui(own, said(case.target), said(""), 2, task.noise)

    return one_by_one(learn)
