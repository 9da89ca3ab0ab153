"""Eq. 4's loss is of what the model itself predicts, at σ of its own schedule, nodes included."""

from __future__ import annotations

import pytest
import torch
from support.tiny_families import TINY, V_PREDICTION
from support.tiny_models import build, picture, prompt
from torch import Tensor

from hiper.learning.terms import squared_error

pytestmark = pytest.mark.usefixtures("host")

TOKENS = 4


def sd1():
    return build(TINY["SD 1.x"])


def discrete(kind: str, zsnr: bool = False):
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    return ModelSamplingDiscrete().patch(sd1(), kind, zsnr)[0]


def continuous(kind: str):
    from comfy_extras.nodes_model_advanced import ModelSamplingContinuousEDM

    return ModelSamplingContinuousEDM().patch(sd1(), kind, 80.0, 0.002)[0]


def flow(shift: float):
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3

    return ModelSamplingSD3().patch(build(TINY["SD 3"]), shift)[0]


def flux(width: int):
    from comfy_extras.nodes_model_advanced import ModelSamplingFlux

    return ModelSamplingFlux().patch(build(TINY["Flux"]), 1.15, 0.5, width, width)[0]


def noise_of(x0: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    return noise


def velocity_of(x0: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """v = √ᾱ·ε − √(1 − ᾱ)·x0, with ᾱ = 1 / (1 + σ²)."""
    return (noise - sigma * x0) / (1 + sigma**2).sqrt()


def flow_of(x0: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    return noise - x0


def edm_of(x0: Tensor, noise: Tensor, sigma: Tensor, data: float = 0.5) -> Tensor:
    """F of Karras et al. (2022), table 1: (x0 − c_skip·x) / c_out."""
    skip = data**2 / (sigma**2 + data**2)
    return (x0 - skip * (x0 + sigma * noise)) / (sigma * data / (sigma**2 + data**2).sqrt())


def cosmos_of(x0: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """x̂0 = (1 − s)·x − s·prediction, with x = x0 + σ·ε and s = σ / (1 + σ)."""
    return noise - x0


CASES = {
    "eps": (lambda: sd1(), noise_of),
    "eps of a node": (lambda: discrete("eps"), noise_of),
    "v": (lambda: build(TINY["SD 2.x"]), velocity_of),
    "v of a node": (lambda: discrete("v_prediction"), velocity_of),
    "v, zero terminal SNR": (lambda: discrete("v_prediction", zsnr=True), velocity_of),
    "EDM": (lambda: continuous("edm"), edm_of),
    "EDM v": (lambda: continuous("v_prediction"), velocity_of),
    "EDM eps": (lambda: continuous("eps"), noise_of),
    "rectified flow as EDM": (lambda: continuous("cosmos_rflow"), cosmos_of),
    "flow, shift 3": (lambda: build(TINY["SD 3"]), flow_of),
    "flow, shift 9": (lambda: flow(9.0), flow_of),
    "Flux": (lambda: build(TINY["Flux"]), flow_of),
    "Flux at 512": (lambda: flux(512), flow_of),
}


@pytest.mark.parametrize("case", CASES)
def test_the_loss_is_of_the_models_own_prediction(case: str) -> None:
    from hiper.host.model.denoiser import frozen_denoiser

    make, target_of = CASES[case]
    model = make()
    tiny = next(t for t in TINY.values() if t.kind == type(model.model.model_config).__name__)
    predicted: list[Tensor] = []
    model.model.diffusion_model.register_forward_hook(
        lambda module, given, output: predicted.append(output)
    )
    clean = torch.cat([picture(tiny, seed) for seed in range(4)])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    u = torch.tensor([0.05, 0.4, 0.7, 0.999])
    source = prompt(tiny)
    with frozen_denoiser(model, source, clean.shape, "replace") as denoiser, torch.no_grad():
        tail = source[0][0][:1, -TOKENS:][None]
        error = squared_error(denoiser, clean, u, noise, tail)
        sigma = denoiser.sigmas(u)
    wide = sigma.view(-1, 1, 1, 1)
    expected = (predicted[-1] - target_of(clean, noise, wide)).square().flatten(1).mean(1)
    # at the least noise a prediction is a small difference of large numbers, in float32
    torch.testing.assert_close(error, expected, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_timesteps_are_uniform_in_the_models_own_schedule(case: str) -> None:
    """The node's schedule is the one in force, and every σ of it is as likely as every other."""
    from hiper.host.model.denoiser import frozen_denoiser

    model = CASES[case][0]()
    schedule = model.get_model_object("model_sampling").sigmas
    tiny = next(t for t in TINY.values() if t.kind == type(model.model.model_config).__name__)
    count = len(schedule)
    with frozen_denoiser(model, prompt(tiny), (1, 4, 8, 8), "replace") as denoiser:
        drawn = denoiser.sigmas((torch.arange(count) + 0.5) / count)
    assert torch.equal(drawn, schedule.float())
    assert model.model.model_sampling.sigmas.shape == schedule.shape


def test_a_model_that_reads_v_off_its_weights_predicts_v() -> None:
    from comfy.model_base import ModelType

    assert TINY["SD 2.x"].weights == V_PREDICTION
    assert build(TINY["SD 2.x"]).model.model_type == ModelType.V_PREDICTION
