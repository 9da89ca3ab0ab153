"""What other packs and core's trainer leave on a model or in force is put aside while learning."""

from __future__ import annotations

import pytest
import torch
from support.family_checks import learn
from support.tiny_families import TINY
from support.tiny_models import build

pytestmark = pytest.mark.usefixtures("host")


@pytest.mark.parametrize("name", ["SDXL", "SD 3", "Flux", "Z-Image", "Qwen-Image"])
def test_learning_runs_on_pytorchs_attention(name: str) -> None:
    """An override that goes its own way and passes no gradient changes nothing, and stays."""
    tiny = TINY[name]
    plain = learn(tiny, build(tiny), steps=2).embedding.tail
    model = build(tiny)

    def deaf(backend, *args, **kwargs):
        with torch.no_grad():
            return backend(*args, **kwargs).detach()

    model.model_options["transformer_options"]["optimized_attention_override"] = deaf
    assert torch.equal(learn(tiny, model, steps=2).embedding.tail, plain)
    assert model.model_options["transformer_options"]["optimized_attention_override"] is deaf


def test_what_skips_steps_or_compiles_is_put_aside_and_stays_on_the_model() -> None:
    from comfy.patcher_extension import WrappersMP

    tiny = TINY["SDXL"]
    plain = learn(tiny, build(tiny), steps=2).embedding.tail
    model = build(tiny)

    def in_the_way(executor, *args, **kwargs):
        raise AssertionError("this was to be put aside")

    for kind, key in (
        (WrappersMP.APPLY_MODEL, "torch.compile"),
        (WrappersMP.DIFFUSION_MODEL, "easycache"),
        (WrappersMP.CALC_COND_BATCH, "easycache"),
        (WrappersMP.PREDICT_NOISE, "lazycache"),
    ):
        model.add_wrapper_with_key(kind, key, in_the_way)
    compiled = torch.nn.Module()
    compiled._orig_mod = model.model.diffusion_model
    model.add_object_patch("diffusion_model", compiled)
    assert torch.equal(learn(tiny, model, steps=2).embedding.tail, plain)
    assert model.get_wrappers(WrappersMP.APPLY_MODEL, "torch.compile") == [in_the_way]
    assert model.object_patches["diffusion_model"] is compiled


def test_eight_bits_on_the_way_back_are_put_aside_and_come_back(monkeypatch) -> None:
    import comfy.model_management as management

    from hiper.host.model.gradients import in_training

    monkeypatch.setattr(management, "training_fp8_bwd", True)
    with in_training():
        assert management.in_training and not management.training_fp8_bwd
    assert management.training_fp8_bwd and not management.in_training


class Ggml(torch.Tensor):
    """As GGUF's: it knows its real shape, and its clone is itself."""

    def clone(self, *args, **kwargs):
        return self

    def detach(self, *args, **kwargs):
        return self


def test_a_tensor_that_knows_more_than_its_numbers_is_lent_without_a_copy() -> None:
    from hiper.host.model.gradients import differentiable_weights

    with torch.inference_mode():
        weight = torch.randn(4, 3).as_subclass(Ggml)
    weight.tensor_shape = torch.Size((4, 3))
    layer = torch.nn.Linear(3, 4)
    layer._parameters["weight"] = weight
    with differentiable_weights(layer):
        lent = layer.weight
        assert type(lent) is Ggml and not lent.is_inference()
        assert lent.tensor_shape == (4, 3) and lent.data_ptr() == weight.data_ptr()
    assert layer.weight is weight
