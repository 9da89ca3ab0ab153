"""A model on its device for learning: others make room, and what was made for it goes again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comfy.model_management
import comfy.sampler_helpers
from comfy.model_patcher import ModelPatcher


@contextmanager
def learning_copy(model: ModelPatcher) -> Iterator[ModelPatcher]:
    """A patcher of one's own. Under dynamic memory, weights are cast into buffers that are used
    again, where autograd would read another layer's: then the model is loaded a second time,
    without it, and leaves the device and its patcher at the end."""
    if not model.is_dynamic():
        yield model.clone()
        return
    if model.cached_patcher_init is None and model.non_dynamic_delegate_model is None:
        raise ValueError(
            "The loader of this model left nothing to load it by again, which learning has to do "
            "under ComfyUI's dynamic memory: use one of ComfyUI's own loaders, or start ComfyUI "
            "with --disable-dynamic-vram."
        )
    before = model.non_dynamic_delegate_model
    delegate = model.get_non_dynamic_delegate()
    try:
        yield delegate
    finally:
        if before is None:
            _unload(delegate)
            model.non_dynamic_delegate_model = None


def _unload(patcher: ModelPatcher) -> None:
    management = comfy.model_management
    for there in list(management.current_loaded_models):
        if there.model is not None and there.model.model is patcher.model:
            there.model_unload()
            management.current_loaded_models.remove(there)


def loaded(
    patcher: ModelPatcher,
    latent_shape: tuple[int, ...],
    conds: dict[str, Any],
    options: dict[str, Any],
    room: float | None,
) -> tuple[dict[str, Any], list]:
    """Load as core's trainer does, everything else leaving the device first: a learning step needs
    more than the inference step that a sampler makes room for."""
    if room is None:
        _, conds, models = comfy.sampler_helpers.prepare_sampling(
            patcher, latent_shape, conds, options, force_full_load=True, force_offload=True
        )
        return conds, models
    models, _ = comfy.sampler_helpers.get_additional_models(conds, patcher.model_dtype())
    models += comfy.sampler_helpers.get_additional_models_from_model_options(options)
    models += patcher.get_nested_additional_models()
    device = patcher.load_device
    if not comfy.model_management.is_device_cpu(device):
        comfy.model_management.free_memory(1e30, device)
    comfy.model_management.load_models_gpu(
        [patcher, *models], memory_required=room, minimum_memory_required=room
    )
    return conds, models
