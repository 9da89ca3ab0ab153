"""A model too big for the device: ComfyUI leaves part of it behind and fetches it by layers."""

from __future__ import annotations

import pytest
import torch
from support.family_checks import learn, sample
from support.tiny_families import TINY
from support.tiny_models import Tiny, build, prompt

pytestmark = pytest.mark.usefixtures("host")


def patched(model):
    """The model with a difference on every matrix, as a LoRA's, which an offloaded layer adds anew
    at each call."""
    generator = torch.Generator().manual_seed(3)
    differences = {
        f"diffusion_model.{name}": (0.1 * torch.randn(weight.shape, generator=generator),)
        for name, weight in model.model.diffusion_model.named_parameters()
        if weight.ndim == 2
    }
    model.add_patches(differences)
    return model


def too_big(tiny: Tiny, share: float):
    """The patched model on a device that has room for this share of its weights."""
    from comfy.model_patcher import ModelPatcher

    class TooBig(ModelPatcher):
        def partially_load(self, device_to, extra_memory=0, force_patch_weights=False):
            room = self.model_size() * share - self.model.model_loaded_weight_memory
            return super().partially_load(
                device_to, min(extra_memory, max(room, 0.1)), force_patch_weights
            )

    device = torch.device("cpu")
    return patched(TooBig(build(tiny).model, device, device))


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("family", ["SD 1.x", "SDXL", "SD 3", "Flux", "Z-Image", "Qwen-Image"])
def test_learning_through_offloaded_layers(family: str, share: float) -> None:
    """The tail is the one that the whole model gives; the model samples afterwards as before."""
    tiny = TINY[family]
    with torch.inference_mode():
        model = too_big(tiny, share)
        before = sample(tiny, model, prompt(tiny, seed=2))
        assert model.model.model_lowvram and model.model.lowvram_patch_counter > 0
        held = model.model.model_loaded_weight_memory
        assert held < 0.6 * model.model_size()
        tail = learn(tiny, model, steps=5).embedding.tail
        assert model.model.model_lowvram and model.model.model_loaded_weight_memory == held
        after = sample(tiny, model, prompt(tiny, seed=2))
        whole = learn(tiny, patched(build(tiny)), steps=5).embedding.tail
    assert torch.equal(before, after)
    torch.testing.assert_close(tail, whole, rtol=0, atol=1e-4)
