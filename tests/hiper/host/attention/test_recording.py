"""Looking on while ComfyUI samples: nothing changes, and what is seen is what was computed."""

from __future__ import annotations

import pytest
import torch
from support.tiny_unets import LAYERS, picture, sample, text, tiny_unet

SAMPLERS = (
    "euler",
    "euler_ancestral",
    "heun",
    "dpm_2",
    "lms",
    "dpmpp_2m",
    "dpmpp_sde",
    "dpmpp_2s_ancestral",
    "uni_pc",
    "lcm",
    "ddim",
    "seeds_2",
)


@pytest.fixture(scope="module")
def model(host):
    return tiny_unet()


def recorded(model, **wish):
    """A recording of the model and the model to sample with."""
    from hiper.attention.gathering import Wish
    from hiper.host.attention.recording import Recording, watched

    recording = Recording(Wish(**({"dtype": torch.float32} | wish)))
    return recording, watched(model, recording)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_latents_are_bit_equal_and_every_step_is_there(model, sampler: str) -> None:
    recording, observed = recorded(model)
    plain = sample(model, text(), text(154, 2), picture(), sampler)
    assert torch.equal(sample(observed, text(), text(154, 2), picture(), sampler), plain)
    maps = recording.maps()
    assert [step.index for step in maps.steps] == [0, 1, 2]
    assert recording.ended_with(plain)
    for prompt in range(2):
        mean = maps.mean(prompt)
        assert mean.shape == (1, maps.prompts[prompt].length, 8, 12)
        assert (mean.sum(dim=1) - 1).abs().max() < 1e-5


def test_probabilities_times_values_are_the_attention_output(model) -> None:
    """Per head: P·V is what the backend gave, in the call that the observer found."""
    from hiper.attention.calls import in_heads, probabilities

    worst = []

    def backend_watched(backend, q, k, v, heads, *args, **kwargs):
        out = backend(q, k, v, heads, *args, **kwargs)
        if k.shape[1] == 77:
            mixed = [
                probabilities(in_heads(q, heads), in_heads(k, heads), head)
                @ in_heads(v, heads)[:, head]
                for head in range(heads)
            ]
            worst.append((torch.cat(mixed, dim=-1) - out).abs().max().item())
        return out

    patched = model.clone()
    options = patched.model_options["transformer_options"]
    options["optimized_attention_override"] = backend_watched
    _, observed = recorded(patched)
    sample(observed, text(), text(77, 2), picture(), steps=1)
    assert len(worst) == LAYERS
    assert max(worst) < 1e-5


def test_conditional_rows_are_those_of_a_run_without_guidance(model) -> None:
    """Also where a longer negative prompt makes ComfyUI repeat the positive one."""
    recording, observed = recorded(model)
    seen = {}
    for cfg in (1.0, 5.0):
        sample(observed, text(), text(154, 2), picture(), steps=1, cfg=cfg)
        maps = recording.maps()
        (positive,) = maps.prompts_of("positive")
        assert maps.prompts[positive].length == 77
        seen[cfg] = maps.mean(positive)
    assert len(maps.prompts) == 2
    torch.testing.assert_close(seen[1.0], seen[5.0], atol=1e-6, rtol=1e-5)
    negative = maps.mean(maps.prompts_of("negative")[0])
    assert negative.shape[1] == 154


def test_a_map_with_as_many_cells_as_tokens(model) -> None:
    """7 × 11 = 77: shape alone would take self-attention for cross-attention."""
    recording, observed = recorded(model, layers="each layer")
    sample(observed, text(), text(77, 2), picture(7, 11, batch=2), steps=1)
    maps = recording.maps()
    sizes = [tuple(part.maps.shape[-2:]) for part in maps.parts if part.prompt == 0]
    assert sorted(sizes) == sorted([(7, 11)] * 2 + [(4, 6)] * 3)
    assert maps.shrinks == (1, 2)
    assert maps.batch == 2
    assert (maps.mean(0).sum(dim=1) - 1).abs().max() < 1e-5


def test_second_order_samplers_take_no_more_room(model) -> None:
    held = {}
    for sampler in ("euler", "heun"):
        recording, observed = recorded(model)
        sample(observed, text(), text(77, 2), picture(), sampler, steps=4)
        held[sampler] = recording.held
    assert held["euler"] == held["heun"] > 0


def test_areas_and_combined_prompts_are_told_apart(model) -> None:
    whole = text()
    part = text(77, 3, area=(4, 6, 4, 6), strength=1.0)
    recording, observed = recorded(model)
    plain = sample(model, whole + part, text(77, 2), picture(8, 12))
    assert torch.equal(sample(observed, whole + part, text(77, 2), picture(8, 12)), plain)
    maps = recording.maps()
    first, second = sorted(maps.prompts_of("positive"), key=lambda n: maps.prompts[n].area is None)
    assert maps.prompts[first].area == (4, 6, 4, 6)
    assert maps.prompts[second].area is None
    seen = maps.mean(first).sum(dim=1)
    assert seen[0, :4].abs().max() == 0 and seen[0, :, :6].abs().max() == 0
    assert (seen[0, 4:, 6:] - 1).abs().max() < 1e-5
    # ComfyUI gives the negative prompt an area of its own under the positive one's uuid
    negatives = [maps.prompts[n].area for n in maps.prompts_of("negative")]
    assert sorted(negatives, key=str) == [(4, 6, 4, 6), None]


def test_timestep_ranges_leave_their_steps_out(model) -> None:
    early = text(77, 1, start_percent=0.0, end_percent=0.5)
    late = text(77, 3, start_percent=0.5, end_percent=1.0)
    recording, observed = recorded(model)
    sample(observed, early + late, text(77, 2), picture(), steps=6)
    maps = recording.maps()
    steps = [[step.index for step in maps.steps_of(n)] for n in maps.prompts_of("positive")]
    assert sorted(step for part in steps for step in part) == list(range(6))
    assert all(steps) and max(min(steps)) < min(max(steps))


@pytest.mark.parametrize("order", ["before", "after"])
def test_an_attention_backend_node_wired_before_or_after(model, order: str) -> None:
    """It overwrites the attention function; both it and the recording stay in force."""
    import comfy_extras.nodes_model_advanced as advanced

    if not hasattr(advanced, "ModelAttentionBackend"):
        pytest.skip("this ComfyUI has no node that chooses the attention's backend yet")
    choose = advanced.ModelAttentionBackend().patch
    plain = sample(choose(model, "pytorch attention")[0], text(), text(77, 2), picture())
    if order == "before":
        recording, observed = recorded(choose(model, "pytorch attention")[0])
    else:
        recording, observed = recorded(model)
        observed = choose(observed, "pytorch attention")[0]
    assert torch.equal(sample(observed, text(), text(77, 2), picture()), plain)
    assert len(recording.maps().steps) == 3


@pytest.mark.parametrize("order", ["before", "after"])
def test_chained_patches_stay_in_force(model, order: str) -> None:
    """An attn2 patch, an attn2 replacement in one block and an override, wired on either side."""
    from comfy.ldm.modules.attention import optimized_attention

    calls = {"patch": 0, "replaced": 0, "override": 0}

    def patch(n, context, value, extra_options):
        calls["patch"] += 1
        return n, context * 1.01, value

    def replacement(q, k, v, extra_options):
        calls["replaced"] += 1
        out = optimized_attention(q, k, v, extra_options["n_heads"])
        return out + optimized_attention(q, k.flip(1), v, extra_options["n_heads"])

    def override(backend, *args, **kwargs):
        calls["override"] += 1
        return backend(*args, **kwargs) * 0.99

    def patched(model):
        clone = model.clone()
        clone.set_model_attn2_patch(patch)
        clone.set_model_attn2_replace(replacement, "middle", 0)
        clone.model_options["transformer_options"]["optimized_attention_override"] = override
        return clone

    plain = sample(patched(model), text(), text(77, 2), picture(), steps=2)
    first = dict(calls)
    if order == "before":
        recording, observed = recorded(patched(model), layers="each layer")
    else:
        recording, observed = recorded(model, layers="each layer")
        observed = patched(observed)
    calls.update(dict.fromkeys(calls, 0))
    assert torch.equal(sample(observed, text(), text(77, 2), picture(), steps=2), plain)
    assert calls == first and all(calls.values())
    maps = recording.maps()
    layers = {part.layer for part in maps.parts}
    assert len(layers) == LAYERS and "middle 0.0" in layers
    assert len(maps.parts) == LAYERS * 2 * 2  # layers, prompts, steps: nothing counted twice


def test_extra_model_calls_of_another_node_are_not_recorded(model) -> None:
    """Perturbed-attention guidance calls the model once more in each step."""
    from comfy_extras.nodes_pag import PerturbedAttentionGuidance

    perturbed = PerturbedAttentionGuidance.execute(model, 3.0).result[0]
    seen = []
    for one in (model, perturbed):
        recording, observed = recorded(one)
        sample(observed, text(), text(77, 2), picture(), steps=1)
        maps = recording.maps()
        seen.append(maps.mean(maps.prompts_of("positive")[0]))
    assert torch.equal(*seen)


def test_two_recordings_of_one_model_both_hear(model) -> None:
    first, once = recorded(model)
    second, twice = recorded(once)
    sample(twice, text(), text(77, 2), picture(), steps=2)
    assert torch.equal(first.maps().mean(0), second.maps().mean(0))


def test_only_the_tail_only_one_side(model) -> None:
    from hiper.prompts.placement import TAILS, TailMark

    marked = text(77, 1, **{TAILS: (TailMark(72, 5),)})
    recording, observed = recorded(model, tail_only=True, roles=("positive",))
    sample(observed, marked, text(77, 2), picture(), steps=2)
    tail = recording.maps()
    assert [prompt.role for prompt in tail.prompts] == ["positive"]
    assert tail.prompts[0].columns == (72, 73, 74, 75, 76)
    full, observed = recorded(model)
    sample(observed, marked, text(77, 2), picture(), steps=2)
    everything = full.maps()
    (positive,) = everything.prompts_of("positive")
    assert torch.equal(tail.mean(0), everything.mean(positive)[:, 72:])
    assert recording.held * 2 * 77 == full.held * 5


def test_the_limit_is_kept_and_steps_are_taken_evenly(model) -> None:
    full, observed = recorded(model)
    sample(observed, text(), text(77, 2), picture(), steps=12)
    one_step = full.held // 12
    limit = 4 * one_step
    recording, observed = recorded(model, limit=limit)
    sample(observed, text(), text(77, 2), picture(), steps=12)
    maps = recording.maps()
    assert recording.held <= limit
    steps = [step.index for step in maps.steps]
    assert steps[0] == 0 and steps[-1] == 11 and 3 <= len(steps) <= 4
    tight, observed = recorded(model, limit=one_step // 2)
    sample(observed, text(), text(77, 2), picture(), steps=2)
    with pytest.raises(ValueError, match="raise memory_limit"):
        tight.maps()


def test_nothing_to_see_is_said(model) -> None:
    unused, _ = recorded(model)
    with pytest.raises(ValueError, match="change its seed"):
        unused.maps()
    without = tiny_unet(
        use_spatial_transformer=False,
        transformer_depth=[0, 0],
        transformer_depth_output=[0, 0, 0, 0],
        transformer_depth_middle=-1,
        context_dim=None,
    )
    recording, observed = recorded(without)
    sample(observed, text(), text(77, 2), picture(), steps=1)
    with pytest.raises(ValueError, match="No cross-attention"):
        recording.maps()
    recording, observed = recorded(model, roles=("negative",))
    sample(observed, text(), text(77, 2), picture(), steps=1, cfg=1.0)
    with pytest.raises(ValueError, match="raise the guidance"):
        recording.maps()
    recording, observed = recorded(model, tail_only=True)
    sample(observed, text(), text(77, 2), picture(), steps=1)
    with pytest.raises(ValueError, match="Compose HiPer"):
        recording.maps()
