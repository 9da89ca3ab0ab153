"""A tail's stages while sampling: exactly one in force at each call, and the right one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from support.tiny_families import TINY
from support.tiny_models import build, is_known, prompt
from support.tiny_unets import CONTEXT, sample, text, tiny_unet
from support.tiny_unets import picture as unet_picture

from hiper.embedding import EmbeddingDetails, HiperEmbedding, begins, in_force
from hiper.prompts.placement import compose

pytestmark = pytest.mark.usefixtures("host")
TOKENS = 4
FAMILIES = ("SD 1.x", "SD 2.x", "SDXL", "SD 3", "Flux", "Z-Image", "Qwen-Image")


def staged(stages: int, width: int, placement: str = "replace", roles: int = 1) -> HiperEmbedding:
    generator = torch.Generator().manual_seed(1000 + stages)  # no prompt's
    tail = torch.randn(stages, roles, TOKENS, width, generator=generator)
    return HiperEmbedding(tail, EmbeddingDetails(placement=placement))


def heard(model, run: Callable) -> list[tuple[float, torch.Tensor]]:
    """σ and context of every model call, as the network is given them."""
    from comfy.patcher_extension import WrappersMP

    calls: list[tuple[float, torch.Tensor]] = []

    def spy(executor, x, t, c_concat=None, c_crossattn=None, *args, **kwargs):
        calls.append((float(t.flatten()[0]), c_crossattn.clone()))
        return executor(x, t, c_concat, c_crossattn, *args, **kwargs)

    own = model.clone()
    own.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "spy", spy)
    run(own)
    return calls


def stage_at(context: torch.Tensor, tails: torch.Tensor) -> list[int]:
    """Which stages' vectors stand at the end of each row."""
    found = []
    for row in context:
        ends = row[-TOKENS:]
        near = [(ends - tail[0]).abs().max() < 1e-4 for tail in tails]
        found += [near.index(True)] if any(near) else []
    return found


def wanted(model, sigma: float, tails: torch.Tensor, starts: tuple[float, ...]) -> int:
    sampling = model.model.model_sampling
    at = torch.tensor([sampling.percent_to_sigma(start) for start in begins(starts)])
    vectors = in_force(tails, torch.tensor([sigma]), at)
    return next(i for i, tail in enumerate(tails) if torch.equal(tail, vectors[0]))


@pytest.mark.parametrize("stages", [2, 3, 5, 10])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "heun", "euler_ancestral", "dpm_2"])
def test_one_stage_is_in_force_at_each_call(sampler: str, stages: int) -> None:
    model, embedding = tiny_unet(), staged(stages, CONTEXT)
    positive = compose(text(), embedding, 1.0)
    assert len(positive) == stages

    def run(own) -> None:
        sample(own, positive, text(seed=2), unet_picture(), sampler, steps=9)

    seen = set()
    plain = heard(model, lambda m: sample(m, text(), text(seed=2), unet_picture(), sampler, 9))
    calls = heard(model, run)
    assert len(calls) == len(plain), "sampling by stages costs no further call of the model"
    for sigma, context in calls:
        assert len(context) == 2  # positive and negative
        (found,) = stage_at(context, embedding.tail)
        assert found == wanted(model, sigma, embedding.tail, embedding.starts)
        seen.add(found)
    assert seen == set(range(stages)) or stages > 9


@pytest.mark.parametrize(
    "scheduler",
    [
        "simple",
        "normal",
        "karras",
        "sgm_uniform",
        "ddim_uniform",
        "beta",
        "exponential",
        "linear_quadratic",
        "kl_optimal",
    ],
)
@pytest.mark.parametrize("name", FAMILIES)
def test_no_sigma_of_any_schedule_lies_between_stages(name: str, scheduler: str) -> None:
    """Every schedule of 1 to 60 steps, on every kind of model sampling, flow's shift included."""
    import comfy.samplers

    tiny = TINY[name]
    if not is_known(tiny):
        pytest.skip(f"this ComfyUI has no {tiny.kind} yet")
    sampling = build(tiny).model.model_sampling
    for stages in (2, 4, 5, 10):
        parts = staged(stages, 8).parts()
        limits = [tuple(map(sampling.percent_to_sigma, part)) for part in parts]
        for steps in range(2, 61):  # of one step core's kl_optimal is no number
            for sigma in comfy.samplers.calculate_sigmas(sampling, scheduler, steps)[:-1]:
                active = [not (sigma > start or sigma < end) for start, end in limits]
                assert sum(active) == 1, (name, scheduler, stages, steps, float(sigma))


@pytest.mark.parametrize("name", [n for n in TINY if n in FAMILIES])
def test_each_family_samples_by_stages(name: str) -> None:
    from support.family_checks import sample as sampled

    tiny = TINY[name]
    if not is_known(tiny):
        pytest.skip(f"this ComfyUI has no {tiny.kind} yet")
    model, encoded = build(tiny), prompt(tiny)
    from hiper.host.families import family_of
    from hiper.prompts.placement import placement_of

    placement = placement_of(family_of(model), *encoded[0], TOKENS)
    embedding = staged(3, encoded[0][0].shape[-1], placement)
    calls = heard(model, lambda m: sampled(tiny, m, compose(encoded, embedding, 1.0), 6))
    assert calls
    found = [stage_at(context, embedding.tail) for _, context in calls]
    assert {stage for stages in found for stage in stages} == {0, 1, 2}
    assert all(len(stages) <= 1 for stages in found)


def test_a_range_before_and_after_cuts_the_stages() -> None:
    """As Set Timestep Range writes it: on either side of Compose."""
    embedding = staged(5, CONTEXT)
    ranged = {"start_percent": 0.3, "end_percent": 0.7}
    before = compose([[text()[0][0], dict(ranged)]], embedding, 1.0)
    after = [[vectors, options | ranged] for vectors, options in compose(text(), embedding, 1.0)]
    model = tiny_unet()
    for positive in (before, after):
        calls = heard(
            model, lambda m, p=positive: sample(m, p, text(seed=2), unet_picture(), steps=20)
        )
        sampling = model.model.model_sampling
        first, last = sampling.percent_to_sigma(0.3), sampling.percent_to_sigma(0.7)
        for sigma, context in calls:
            found = stage_at(context, embedding.tail)
            if last <= sigma <= first:
                assert found == [wanted(model, sigma, embedding.tail, embedding.starts)]
            else:
                assert found == []


def test_two_staged_tails_are_cut_with_each_other() -> None:
    one, two = staged(2, CONTEXT), staged(5, CONTEXT)
    both = compose(compose(text(), one, 1.0), two, 1.0)
    ranges = [(o["clip_start_percent"], o["clip_end_percent"]) for _, o in both]
    assert len(both) == 6 and ranges == sorted(ranges)
    assert all(end == start for (_, end), (start, _) in pairwise(ranges))
    calls = heard(tiny_unet(), lambda m: sample(m, both, text(seed=2), unet_picture(), steps=20))
    for _, context in calls:
        assert len(context) == 2
        assert len(stage_at(context[:, :-TOKENS], one.tail)) <= 1


def test_a_recording_shows_the_tail_by_stage(tmp_path) -> None:
    from hiper.attention.gathering import Wish
    from hiper.figures.shown import named
    from hiper.files import maps as files
    from hiper.host.attention.recording import Recording, watched

    recording = Recording(Wish(dtype=torch.float32))
    model = watched(tiny_unet(), recording)
    sample(model, compose(text(), staged(3, CONTEXT), 1.0), text(seed=2), unet_picture(), steps=9)
    found = recording.maps()
    own = [number for number, prompt in enumerate(found.prompts) if prompt.role == "positive"]
    titles = [named(found.prompts[number]) for number in own]
    assert titles == [f"positive, stage {stage} of 3" for stage in (1, 2, 3)]
    active = [step.index for number in own for step in found.steps_of(number)]
    assert sorted(active) == list(range(9)), "each step has one stage"
    assert all(found.prompts[number].tails for number in own)
    again = files.read(files.write(found, tmp_path / "maps.safetensors"))
    assert again.prompts == found.prompts
