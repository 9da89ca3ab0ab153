"""NIMA around ComfyUI's own samplers: what is kept, what may change, and what is refused."""

from __future__ import annotations

import pytest
import torch
from support.tiny_edits import HALF, STEPS, columns, edited, inverted, picture
from support.tiny_unets import text, tiny_unet

pytestmark = pytest.mark.usefixtures("host")


@pytest.mark.parametrize(
    "sampler", ["euler", "ddim", "dpmpp_2m", "euler_ancestral", "heun", "dpm_2", "lcm", "uni_pc"]
)
def test_outside_of_the_mask_not_a_bit_changes(sampler: str) -> None:
    model = tiny_unet()
    found, edit = edited(
        model, inverted(model), sampler, from_source=False, from_target=False, painted=HALF
    )
    inside = HALF.bool().expand_as(found[:, 0])
    for channel in range(found.shape[1]):
        same = found[:, channel] == picture()[:, channel]
        assert bool(same[~inside].all())
        assert not bool(same[inside].any())
    assert len(edit.steps) >= STEPS


def test_the_model_sees_the_inverted_latents_outside_of_the_mask() -> None:
    from comfy.patcher_extension import WrappersMP

    model, seen = tiny_unet().clone(), []
    found = inverted(model)

    def hear(executor, x, t, *args, **kwargs):
        seen.append(x.clone())
        return executor(x, t, *args, **kwargs)

    model.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "seen", hear)
    edited(model, found, from_source=False, from_target=False, painted=HALF)
    outside = ~HALF[0].bool()
    for step, x in enumerate(seen):
        kept = found.latents[step][..., outside]
        assert torch.allclose(x[:1][..., outside], kept, atol=1e-5), step


def test_with_everything_free_it_is_a_replay_under_another_prompt() -> None:
    import comfy.samplers

    from hiper.host.editing.inverting import Prompting, sampled
    from hiper.host.editing.replay import replaying

    model = tiny_unet()
    found = inverted(model)
    free = dict(from_source=False, from_target=False, painted=torch.ones_like(HALF))
    one = edited(model, found, **free)[0]
    prompting = Prompting(text(seed=7), text(seed=2), 5.0)
    sampler = comfy.samplers.sampler_object("euler_ancestral")
    other = sampled(replaying(model, found), prompting, found, sampler, 1)
    assert torch.allclose(one, other, atol=1e-5)


def test_the_noise_mask_is_where_it_may_change_at_most() -> None:
    model = tiny_unet()
    found, _ = edited(
        model,
        inverted(model),
        noise_mask=HALF[:, None],
        from_source=False,
        from_target=False,
        painted=torch.ones_like(HALF),
    )
    outside = ~HALF[0].bool()
    assert torch.equal(found[..., outside], picture()[..., outside])


def test_masks_follow_the_steps() -> None:
    model = tiny_unet()
    _, edit = edited(model, inverted(model))
    assert len(edit.steps) == STEPS
    last = edit.steps[-1]
    assert bool(last.source.any()) and bool(last.target.any())
    assert torch.equal(last.union, torch.maximum(last.source, last.target))


def test_noise_is_another_where_the_subject_was_and_no_longer_is() -> None:
    """There z holds the old animal's outline; elsewhere it leads along the inversion."""
    model = tiny_unet()
    found = inverted(model)
    painted = {"from_source": False, "from_target": False, "painted": torch.ones_like(HALF)}
    one, other = (edited(model, found, seed=seed, **painted)[0] for seed in (1, 2))
    assert torch.equal(one, other)
    one, other = (edited(model, found, seed=seed, from_target=False)[0] for seed in (1, 2))
    assert not torch.equal(one, other)


def test_a_batch_keeps_each_of_its_pictures() -> None:
    model, two = tiny_unet(), picture(batch=2)
    batch, edit = edited(
        model, inverted(model, two), from_source=False, from_target=True, painted=HALF
    )
    free = edit.steps[-1].union[:, None].expand_as(two) > 0
    assert torch.equal(batch[~free], two[~free])
    assert edit.steps[-1].target.shape == (2, 8, 12)


def test_one_inversion_serves_a_batch() -> None:
    import comfy.sample
    import comfy.samplers

    from hiper.host.editing.replay import Blending, replaying

    model = tiny_unet()
    found = inverted(model)
    many = picture().expand(3, -1, -1, -1).contiguous()
    result = comfy.sample.sample_custom(
        replaying(model, found, Blending(from_source=False, from_target=False, painted=HALF)),
        comfy.sample.prepare_noise(many, 0),
        3.0,
        comfy.samplers.sampler_object("dpmpp_2m_sde"),
        found.sigmas,
        text(seed=7),
        text(seed=2),
        many,
        disable_pbar=True,
        seed=0,
    )
    outside = ~HALF[0].bool()
    assert torch.equal(result[..., outside], many[..., outside])
    assert not torch.equal(result[0], result[1])


def test_joined_prompts_keep_their_mark() -> None:
    from hiper.host.editing.identity import identity_columns

    positive = columns(text(seed=7))
    combined = positive + text(seed=9)
    ranged = [[v, o | {"start_percent": 0.0, "end_percent": 0.5}] for v, o in positive]
    assert identity_columns(*combined[0]) == identity_columns(*ranged[0])
    longer = [[torch.cat([v, text(seed=9)[0][0]], 1), o] for v, o in positive]
    model = tiny_unet()
    for each in (combined, ranged, longer):
        result, _ = edited(model, inverted(model), positive=each)
        assert torch.isfinite(result).all()


def test_a_cancelled_run_leaves_the_model_as_it_was() -> None:
    import comfy.samplers

    from hiper.host.editing.inverting import Prompting, sampled
    from hiper.host.editing.replay import Blending, replaying

    model = tiny_unet()
    found = inverted(model)
    options = str(model.model_options)
    sampler = comfy.samplers.sampler_object("euler_ancestral")

    def cancel(*_):
        raise InterruptedError

    own = replaying(model, found, Blending())
    prompting = Prompting(columns(text(seed=7)), text(seed=2), 5.0)
    with pytest.raises(InterruptedError):
        sampled(own, prompting, found, sampler, 1, callback=cancel)
    assert str(model.model_options) == options
    again = sampled(own, prompting, found, sampler, 1)
    assert torch.equal(again, sampled(own, prompting, found, sampler, 1))


def test_another_model_is_refused() -> None:
    from dataclasses import replace

    model = tiny_unet()
    other = replace(inverted(model), model="Flux")
    with pytest.raises(ValueError, match="inverted on Flux, but the sampler's model is"):
        edited(model, other)


def test_a_prompt_without_the_identity_is_refused() -> None:
    model = tiny_unet()
    with pytest.raises(ValueError, match="neither an identity word nor a HiPer tail"):
        edited(model, inverted(model), positive=text(seed=7))


@pytest.mark.parametrize(
    "name", ["SD 1.x", "SDXL", "SD 3", "Flux", "Flux.2", "Z-Image", "Qwen-Image"]
)
def test_families(name: str) -> None:
    """Inverted, found and edited on the families whose attention can be read."""
    from support.tiny_families import TINY
    from support.tiny_models import build, is_known, prompt
    from support.tiny_models import picture as tiny_picture

    tiny = TINY[name]
    if not is_known(tiny):
        pytest.skip("not in this ComfyUI")
    from hiper.host.editing.identity import marked
    from hiper.host.editing.inverting import Prompting, invert, sigmas_of

    model, source = build(tiny), tiny_picture(tiny)
    one, two = prompt(tiny), prompt(tiny, seed=8)
    own = marked(one, [(2,)] * len(one))
    sigmas = sigmas_of(model, "normal", 3)
    found = invert(model, Prompting(own, own), source, sigmas, seed=3)
    assert found.seen is not None and 0 < float(found.seen.mean()) < 1
    result, edit = edited(model, found, positive=marked(two, [(2,)] * len(two)), negative=one)
    free = edit.steps[-1].union > 0
    kept = (~free).reshape(1, *(1,) * (source.ndim - 3), *free.shape[-2:]).expand_as(source)
    assert torch.equal(result[kept], source[kept]) and torch.isfinite(result).all()


def test_a_family_whose_attention_cant_be_read_is_refused() -> None:
    from support.tiny_families import TINY
    from support.tiny_models import build, is_known, prompt

    from hiper.host.editing.identity import check_identity, marked

    tiny = TINY["Anima"]
    if not is_known(tiny):
        pytest.skip("not in this ComfyUI")
    one = prompt(tiny)
    with pytest.raises(ValueError, match=r"attention of this model .* can't be shown"):
        check_identity(build(tiny), marked(one, [(2,)]), "source")


def test_attention_that_is_not_heard_is_said(monkeypatch) -> None:
    """Some families' is only where PyTorch's own function does it."""
    from hiper.attention.identity import IdentityMap

    model = tiny_unet()
    found = inverted(model)
    monkeypatch.setattr(IdentityMap, "hear", lambda *_: None)
    with pytest.raises(RuntimeError, match="No cross-attention to the prompt was seen"):
        edited(model, found)
