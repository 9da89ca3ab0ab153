"""Inversion: what comes out is drawn again by ComfyUI's own samplers, on every kind of model."""

from __future__ import annotations

import pytest
import torch
from support import tiny_unets
from support.tiny_families import TINY
from support.tiny_models import build, is_known, prompt
from support.tiny_models import picture as tiny_picture
from support.tiny_unets import text, tiny_unet

pytestmark = pytest.mark.usefixtures("host")
EXACT = 1e-4  # of latents whose mean size is about 0.8


def picture(batch: int = 1) -> torch.Tensor:
    return tiny_unets.picture(batch=batch)["samples"]


def inverted(
    model, positive, source, guidance=1.0, method="ddpm", steps=8, scheduler="normal", **k
):
    from hiper.host.editing.inverting import Prompting, invert, sigmas_of

    prompting = Prompting(positive, [[torch.zeros_like(positive[0][0]), positive[0][1]]], guidance)
    sigmas = sigmas_of(model, scheduler, steps)
    return prompting, invert(model, prompting, source, sigmas, method, seed=3, **k)


def off_by(model, prompting, inversion) -> float:
    from hiper.host.editing.inverting import reconstruction_error, replayed

    return reconstruction_error(inversion, replayed(model, prompting, inversion))


@pytest.mark.parametrize("guidance", [1.0, 7.5])
@pytest.mark.parametrize("name", ["SD 1.x", "SD 2.x", "SDXL", "SD 3", "Flux", "Qwen-Image"])
def test_ddpm_is_exact(name: str, guidance: float) -> None:
    tiny = TINY[name]
    if not is_known(tiny):
        pytest.skip("not in this ComfyUI")
    model = build(tiny)
    source = tiny_picture(tiny)
    prompting, found = inverted(model, prompt(tiny), source, guidance, power=None)
    assert off_by(model, prompting, found) < EXACT


def test_v_prediction_is_exact() -> None:
    import comfy.model_sampling

    class VPrediction(
        comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.V_PREDICTION
    ):
        pass

    model = tiny_unet().clone()
    model.add_object_patch("model_sampling", VPrediction(model.model.model_config))
    prompting, found = inverted(model, text(), picture(), 7.5, power=None)
    assert off_by(model, prompting, found) < EXACT


@pytest.mark.parametrize("scheduler", ["normal", "karras", "simple", "ddim_uniform", "beta"])
def test_any_scheduler(scheduler: str) -> None:
    prompting, found = inverted(tiny_unet(), text(), picture(), 3.0, scheduler=scheduler)
    assert off_by(tiny_unet(), prompting, found) < EXACT


def test_the_replay_does_not_depend_on_the_samplers_seed_or_latent() -> None:
    import comfy.samplers

    from hiper.host.editing.inverting import sampled
    from hiper.host.editing.replay import replaying

    model = tiny_unet()
    prompting, found = inverted(model, text(), picture(), power=None)
    own = replaying(model, found)
    sampler = comfy.samplers.sampler_object("euler_ancestral")
    one, two = (sampled(own, prompting, found, sampler, seed) for seed in (0, 5))
    assert torch.equal(one, two)


def test_asking_again_makes_the_deterministic_way_better() -> None:
    model, errors = tiny_unet(), []
    for refinements in (0, 4):
        prompting, found = inverted(
            model,
            text(),
            picture(),
            method="deterministic",
            steps=60,
            refinements=refinements,
            power=None,
        )
        errors.append(off_by(model, prompting, found))
    assert errors[1] < 0.5 * errors[0]


def test_a_part_of_the_schedule_begins_where_it_was() -> None:
    import comfy.sample
    import comfy.samplers

    from hiper.host.editing.replay import replaying

    model = tiny_unet()
    prompting, found = inverted(model, text(), picture(), power=None)
    late = comfy.sample.sample_custom(
        replaying(model, found),
        comfy.sample.prepare_noise(picture(), 0),
        1.0,
        comfy.samplers.sampler_object("euler_ancestral"),
        found.sigmas[4:],
        prompting.positive,
        prompting.negative,
        torch.zeros_like(picture()),
        disable_pbar=True,
        seed=0,
    )
    assert (late - picture()).abs().mean() < EXACT


@pytest.mark.parametrize(
    ("sigmas", "sentence"),
    [
        ([1.0], "has 1 σs, so no step"),
        ([1.0, 2.0, 0.0], "do not fall"),
        ([3.0, 2.0, 1.0], "ends at σ 1 and not at 0"),
    ],
)
def test_a_schedule_that_cant_be_gone_back_along(sigmas: list[float], sentence: str) -> None:
    from hiper.editing.inversion import check_sigmas

    with pytest.raises(ValueError, match=sentence):
        check_sigmas(torch.tensor(sigmas))
