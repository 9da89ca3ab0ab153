"""A ComfyUI MODEL and CONDITIONING as the frozen denoiser of eq. 4."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.sampler_helpers
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ...attention.calls import CROSS, SELF, AttentionCall
from ...embedding import begins, equal_starts, in_force, keys_and_values
from ...prompts.placement import place_tail
from ..attention.observer import Observer
from ..attention.values import with_values
from .gradients import (
    differentiable_operators,
    differentiable_weights,
    gradient_checkpointing,
    in_training,
    outside_inference_mode,
    plain_tensors,
    pytorch_attention,
    without_shortcuts,
)
from .loading import learning_copy, loaded

PRECISIONS = {
    "auto": None,
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


@dataclass(frozen=True)
class _Encoded:
    """What the model is told: the text under `key`, and the rest, which no step changes."""

    key: str
    kind: type
    rest: dict[str, Any]


class HostDenoiser:
    """The loaded model with one encoded prompt: ComfyUI's own prediction and model sampling."""

    def __init__(
        self,
        patcher: ModelPatcher,
        model_options: dict[str, Any],
        entries: list[dict[str, Any]],
        placement: str,
    ) -> None:
        self._model = patcher.model
        self._options = model_options
        self._observer = Observer(patcher, (CROSS, SELF))
        self._observer.install(model_options)
        self._placement = placement
        self.device = patcher.load_device
        self._others = [{k: v for k, v in e.items() if k != "cross_attn"} for e in entries]
        self._prompts = [e["cross_attn"].to(self.device, torch.float32) for e in entries]
        self._encoded: dict[tuple[int, int], _Encoded] = {}  # by prompt and samples in a call
        self._reference: Tensor | None = None

    @property
    def sampling(self):
        return self._model.model_sampling

    def noise(self, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        return self.sampling.noise_scaling(sigma, noise, clean)

    def sigmas(self, u: Tensor) -> Tensor:
        schedule = self.sampling.sigmas
        index = (u * len(schedule)).long().clamp(max=len(schedule) - 1)
        return schedule.to(u.device)[index].float()

    def error_weight(self, sigma: Tensor) -> Tensor:
        """1 / c², where x0 = a·x + c·prediction; c is read off the model's own parametrisation."""
        ones = torch.ones(len(sigma), 1, 1, 1, device=sigma.device)
        zeros = torch.zeros_like(ones)
        with torch.no_grad():
            c = self.sampling.calculate_denoised(sigma, ones, zeros)
            c = c - self.sampling.calculate_denoised(sigma, zeros, zeros)
        return 1.0 / c.flatten().square()

    def loss_scale(self, clean: Tensor) -> float:
        """A power of two that keeps half-precision gradients, each one pixel's share, from zero."""
        if self._model.get_dtype_inference() != torch.float16:
            return 1.0
        return float(2 ** (clean[0].numel().bit_length() - 1))

    @property
    def network(self) -> nn.Module:
        return self._model.diffusion_model

    def weight_storages(self) -> set[int]:
        """Where the model's weights lie, to tell them from activations."""
        return {
            plain.untyped_storage().data_ptr()
            for weight in self._model.parameters()
            for plain in plain_tensors(weight)
        }

    def denoise(self, noisy: Tensor, sigma: Tensor, tail: Tensor) -> Tensor:
        starts = [self.sampling.percent_to_sigma(at) for at in begins(equal_starts(len(tail)))]
        vectors = in_force(tail, sigma, torch.tensor(starts, device=sigma.device))
        told = [0] if self._reference is None else self._reference.tolist()
        if len(self._prompts) == 1 or len(set(told)) == 1:
            number = told[0] if len(self._prompts) > 1 else 0
            return self._graded(self._estimated(number, noisy, sigma, vectors), tail)
        alone = []  # a call for each sample: their prompts may differ in length
        for row, number in enumerate(told):
            one = slice(row, row + 1)
            own = vectors if len(vectors) == 1 else vectors[one]
            alone.append(self._estimated(number, noisy[one], sigma[one], own))
        return self._graded(torch.cat(alone), tail)

    def _estimated(self, number: int, noisy: Tensor, sigma: Tensor, vectors: Tensor) -> Tensor:
        """x_0 of samples that one prompt is for, the tail's `(B, roles, N, C)` behind it."""
        keys, values = keys_and_values(vectors)
        entry = self._with_tail(number, noisy, keys)
        options = self._options
        if values is not None:
            start = entry["model_conds"]["c_crossattn"].cond.shape[1] - values.shape[1]
            options = with_values(options, values, start)
        return comfy.samplers.calc_cond_batch(self._model, [[entry]], noisy, sigma, options)[0]

    def _graded(self, estimate: Tensor, tail: Tensor) -> Tensor:
        if tail.requires_grad and torch.is_grad_enabled() and not estimate.requires_grad:
            name = type(self._model.model_config).__name__
            raise RuntimeError(
                f"What {name} draws does not depend on the prompt's token vectors, so there is "
                "nothing to learn: use a model that reads its prompt through attention."
            )
        return estimate

    @contextmanager
    def watched(self, tell: Callable[[AttentionCall], None]) -> Iterator[None]:
        with self._observer.listening(lambda _owners: tell):
            yield

    @contextmanager
    def of_pictures(self, reference: Tensor) -> Iterator[None]:
        self._reference = reference
        try:
            yield
        finally:
            self._reference = None

    def _with_tail(self, number: int, noisy: Tensor, tail: Tensor) -> dict[str, Any]:
        """A prompt's entry with the tail `(1, N, C)`, or `(B, N, C)` of one a sample; what does not
        follow the tail is encoded once."""
        prompt = self._prompts[number].expand(len(tail), -1, -1)
        context, options = place_tail(prompt, self._others[number], tail, self._placement)
        known = self._encoded.get((number, len(noisy)))
        if known is not None:
            return {**options, "model_conds": {**known.rest, known.key: known.kind(context)}}
        encoded = self._encode({**options, "cross_attn": context}, noisy)
        if context.requires_grad:
            follows = [key for key, cond in encoded.items() if _requires_grad(cond.cond)]
            if len(follows) == 1 and encoded[follows[0]].cond is context:
                (key,) = follows
                rest = {name: cond for name, cond in encoded.items() if name != key}
                self._encoded[number, len(noisy)] = _Encoded(key, type(encoded[key]), rest)
        return {**options, "model_conds": encoded}

    def _encode(self, entry: dict[str, Any], noisy: Tensor) -> dict[str, Any]:
        """What ComfyUI tells the model beside the text: pooled vectors, sizes, guidance."""
        (encoded,) = comfy.samplers.encode_model_conds(
            self._model.extra_conds,
            [entry],
            noisy,
            self.device,
            "positive",
            latent_image=torch.zeros_like(noisy),  # an inpainting model paints the whole picture
            denoise_mask=None,
            seed=0,
        )
        return encoded["model_conds"]


def _requires_grad(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_requires_grad(inner) for inner in value)
    return isinstance(value, Tensor) and value.requires_grad


@contextmanager
def frozen_denoiser(
    model: ModelPatcher,
    conditioning: list,
    latent_shape: tuple[int, ...],
    placement: str,
    precision: str = "auto",
    checkpointing: bool = False,
    room: float | None = None,
) -> Iterator[HostDenoiser]:
    """Load the model, let gradients pass, and leave no trace of either.

    `room` is the bytes to leave free beside its weights, of which the rest is fetched layer by
    layer; None loads it whole.
    """
    with learning_copy(model) as patcher:
        without_shortcuts(patcher)
        if PRECISIONS[precision] is not None:
            patcher.set_model_compute_dtype(PRECISIONS[precision])
        conds = {"positive": comfy.sampler_helpers.convert_cond(conditioning)}
        options = comfy.model_patcher.create_model_options_clone(patcher.model_options)
        hook_mode = patcher.hook_mode
        models: list = []
        try:
            comfy.sampler_helpers.prepare_model_patcher(patcher, conds, options)
            conds, models = loaded(patcher, latent_shape, conds, options, room)
            real_model = patcher.model
            comfy.samplers.cast_to_load_options(
                options, device=patcher.load_device, dtype=patcher.model_dtype()
            )
            patcher.pre_run()
            pytorch_attention(options["transformer_options"])
            options["transformer_options"]["sample_sigmas"] = real_model.model_sampling.sigmas
            network = real_model.diffusion_model
            recompute = gradient_checkpointing(network) if checkpointing else nullcontext()
            with (
                comfy.model_management.cuda_device_context(patcher.load_device),
                outside_inference_mode(),
                in_training(),
                differentiable_weights(real_model),
                differentiable_operators(network),
                recompute,
            ):
                yield HostDenoiser(patcher, options, _normal_tensors(conds["positive"]), placement)
        finally:
            comfy.samplers.cast_to_load_options(options, device=patcher.offload_device)
            patcher.hook_mode = hook_mode
            patcher.restore_hook_patches()
            patcher.cleanup()
            comfy.sampler_helpers.cleanup_models(conds, models)


def _normal_tensors(value: Any) -> Any:
    """What came through a node's inputs was made in inference mode: copy it out of there."""
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if isinstance(value, dict):
        return {key: _normal_tensors(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_normal_tensors(inner) for inner in value]
    return value
