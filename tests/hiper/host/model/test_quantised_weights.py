"""Checkpoints whose linear layers are stored in 8 bits with a scale, as ComfyUI loads them."""

from __future__ import annotations

import json

import pytest
import torch
from support.family_checks import learn, sample
from support.tiny_families import TINY
from support.tiny_models import Tiny, build, prompt

pytestmark = pytest.mark.usefixtures("host")

BLOCKS = ("_block", "layers.")
FORMATS = {  # as ComfyUI names them: how numbers are stored, and the largest of them
    "float8_e4m3fn": (torch.float8_e4m3fn, 448.0),
    "int8_tensorwise": (torch.int8, 127.0),
}


def quantised(tiny: Tiny, name: str):
    """The tiny model with its blocks' weights in 8 bits; ComfyUI finds a format beside each."""
    import comfy.model_patcher
    import comfy.supported_models

    storage, largest = FORMATS[name]
    weights = {}
    for key, value in build(tiny).model.diffusion_model.state_dict().items():
        weights[key] = value
        layer = key.removesuffix(".weight")
        if layer == key or value.ndim != 2 or not any(block in key for block in BLOCKS):
            continue
        scale = value.abs().max() / largest
        scaled = value / scale
        weights[key] = (scaled.round() if storage is torch.int8 else scaled).to(storage)
        weights[f"{layer}.weight_scale"] = scale
        described = json.dumps({"format": name}).encode()
        weights[f"{layer}.comfy_quant"] = torch.tensor(list(described), dtype=torch.uint8)
    family = getattr(comfy.supported_models, tiny.kind)(tiny.config)
    family.quant_config = {"mixed_ops": True}
    family.set_inference_dtype(torch.float32, None)
    model = family.get_model({}).eval().requires_grad_(False)
    missing, unexpected = model.diffusion_model.load_state_dict(weights, strict=False, assign=True)
    assert not missing and not unexpected
    device = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, device, device)


@pytest.mark.parametrize("name", FORMATS)
def test_quantised_weights_are_lent_without_a_copy(name: str) -> None:
    """The numbers and their scales lie where they lay, and the originals come back."""
    from comfy.quant_ops import QUANT_ALGOS, QuantizedTensor

    from hiper.host.model.gradients import differentiable_weights, plain_tensors

    if name not in QUANT_ALGOS:
        pytest.skip(f"this ComfyUI has no {name} yet")
    with torch.inference_mode():
        model = quantised(TINY["Flux"], name).model.diffusion_model
        for part in model.modules():
            for key, weight in part._parameters.items():
                if isinstance(weight, QuantizedTensor):
                    part._parameters[key] = weight.clone()  # an inference tensor, as loaders give
    before = {key: weight for key, weight in model.named_parameters()}
    quantised_ones = [key for key, weight in before.items() if isinstance(weight, QuantizedTensor)]
    assert quantised_ones
    with differentiable_weights(model):
        lent = dict(model.named_parameters())
        for key in quantised_ones:
            assert isinstance(lent[key], QuantizedTensor) and not lent[key].is_inference()
            pairs = zip(plain_tensors(lent[key]), plain_tensors(before[key]), strict=True)
            assert all(one.data_ptr() == other.data_ptr() for one, other in pairs)
    assert all(weight is before[key] for key, weight in model.named_parameters())


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("family", ["Flux", "Z-Image", "Qwen-Image"])
def test_learning_through_quantised_layers(family: str, name: str) -> None:
    """The tail is nearly the unquantised model's own, and the weights stay as they were."""
    from comfy.quant_ops import QUANT_ALGOS, QuantizedTensor

    if name not in QUANT_ALGOS:
        pytest.skip(f"this ComfyUI has no {name} yet")
    tiny = TINY[family]
    with torch.inference_mode():
        model = quantised(tiny, name)
        before = sample(tiny, model, prompt(tiny, seed=2))
        tail = learn(tiny, model, steps=5).embedding.tail
        after = sample(tiny, model, prompt(tiny, seed=2))
        whole = learn(tiny, build(tiny), steps=5).embedding.tail
    assert any(isinstance(p, QuantizedTensor) for p in model.model.diffusion_model.parameters())
    assert torch.equal(before, after)
    start = prompt(tiny)[0][0][:, -tail.shape[2] :][None]
    ours, exact = tail - start, whole - start
    assert not torch.equal(ours, exact)
    # Adam's first steps are of one length: what differs is a coordinate's sign
    assert float((ours.sign() == exact.sign()).float().mean()) > 0.9
