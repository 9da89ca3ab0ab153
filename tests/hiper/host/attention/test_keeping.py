"""Two tails of one prompt, each looked at only from where its own subject is."""

from __future__ import annotations

import pytest
import torch
from support.family_checks import sample as sampled
from support.tiny_families import TINY
from support.tiny_models import build, is_known, prompt
from support.tiny_unets import CONTEXT, picture, sample, text, tiny_unet

from hiper.attention.calls import CROSS
from hiper.attention.regions import regions
from hiper.embedding import EmbeddingDetails, HiperEmbedding
from hiper.prompts.placement import compose

pytestmark = pytest.mark.usefixtures("host")
LEFT = torch.zeros(1, 8, 12)
LEFT[..., :6] = 1


def tail(width: int = CONTEXT, seed: int = 3, placement: str = "replace") -> HiperEmbedding:
    generator = torch.Generator().manual_seed(1000 + seed)  # no prompt's
    vectors = torch.randn(1, 1, 5, width, generator=generator)
    return HiperEmbedding(vectors, EmbeddingDetails(placement=placement))


def kept(conditioning: list, found: HiperEmbedding, **place) -> list:
    from hiper.host.attention.keeping import keep

    def bring(_number, entry, mark, vectors) -> None:
        keep(entry[1], mark, vectors[0], entry[0].shape[1], **place)

    return compose(conditioning, found, 1.0, bring)


def maps_of(model, positive: list, columns: slice, steps: int = 2) -> torch.Tensor:
    """How much of the attention the columns get from each cell, mean of layers and calls."""
    from hiper.host.attention.observer import Observer

    calls = []
    own = model.clone()
    observer = Observer(own, (CROSS,))
    observer.install(own.model_options)
    with observer.listening(lambda owners: None if owners[0][1] else calls.append):
        sample(own, positive, text(seed=2), picture(), steps=steps, cfg=1.0)
    found = [
        torch.nn.functional.interpolate(
            call.shares()[..., columns].sum(-1).unflatten(-1, call.size)[:, None], (8, 12)
        )
        for call in calls
    ]
    return torch.stack(found).mean((0, 1, 2))


def test_a_tail_is_looked_at_from_its_region_alone() -> None:
    model = tiny_unet()
    free = maps_of(model, compose(text(), tail(), 1.0), slice(-5, None))
    held = maps_of(model, kept(text(), tail(), region=LEFT), slice(-5, None))
    inside, outside = LEFT[0].bool(), ~LEFT[0].bool()
    assert held[outside].mean() < 0.05 * free[outside].mean()
    # at the coarse layers a place at the border is half the region's
    assert held[inside].mean() > 0.8 * free[inside].mean()


def test_a_region_of_everything_changes_nothing() -> None:
    model = tiny_unet()
    free = sample(model, compose(text(), tail(), 1.0), text(seed=2), picture())
    held = kept(text(), tail(), region=torch.ones(1, 8, 12))
    held = sample(model, held, text(seed=2), picture())
    assert (held - free).abs().max() < 1e-4 * free.abs().max()


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "heun", "euler_ancestral", "dpmpp_sde"])
def test_any_sampler(sampler: str) -> None:
    model = tiny_unet()
    free = sample(model, compose(text(), tail(), 1.0), text(seed=2), picture(), sampler)
    held = sample(model, kept(text(), tail(), word=(4,)), text(seed=2), picture(), sampler)
    assert torch.isfinite(held).all() and (held - free).abs().max() > 1e-4


def test_two_words_contend_for_each_place() -> None:
    one, two = torch.rand(2, 3, 40, generator=torch.Generator().manual_seed(0))
    first, second = regions([one, two])
    assert torch.allclose(first + second, torch.ones_like(first), atol=1e-3)
    more = (one / one.amax(-1, keepdim=True)) > (two / two.amax(-1, keepdim=True))
    assert ((first > 0.5) == more).float().mean() > 0.99


def test_two_tails_keep_to_two_sides() -> None:
    model, right = tiny_unet(), LEFT.flip(-1)
    both = kept(kept(text(), tail(), region=LEFT), tail(seed=8), region=right)
    assert len(both[0][1]["hooks"]) == 1, "one hook knows both"
    first = maps_of(model, both, slice(-5, None))
    second = maps_of(model, both, slice(-10, -5))
    half = LEFT[0].bool()
    assert first[~half].mean() < 0.1 * first[half].mean()
    assert second[half].mean() < 0.1 * second[~half].mean()


def test_neither_model_nor_negative_are_touched() -> None:
    model = tiny_unet()
    before = sample(model, text(), text(seed=2), picture())
    held = kept(text(), tail(), region=LEFT)
    sample(model, held, text(seed=2), picture())
    assert torch.equal(sample(model, text(), text(seed=2), picture()), before)
    plain, other = (
        sample(model, positive, text(seed=2), picture(), cfg=0.0) for positive in (text(), held)
    )
    assert (plain - other).abs().max() < 2e-5 * plain.abs().max()


@pytest.mark.parametrize("change", ["combine", "concat", "range", "clip"])
def test_it_survives_what_joins_prompts(change: str) -> None:
    held = kept(text(), tail(), region=LEFT)
    free = compose(text(), tail(), 1.0)

    def changed(positive: list) -> list:
        if change == "combine":
            return positive + text(seed=9)
        if change == "concat":
            return [[torch.cat([v, text(seed=9)[0][0]], 1), o] for v, o in positive]
        if change == "range":
            return [[v, o | {"start_percent": 0.0, "end_percent": 0.6}] for v, o in positive]
        from comfy.hooks import HookGroup

        return [
            [v, o | ({"hooks": HookGroup().clone_and_combine(o["hooks"])} if "hooks" in o else {})]
            for v, o in positive
        ]

    results = [sample(tiny_unet(), changed(each), text(seed=2), picture()) for each in (held, free)]
    assert (results[0] - results[1]).abs().max() > 1e-4


def test_columns_that_are_no_longer_the_tail_are_left_alone() -> None:
    held = [[0.5 * v + 0.5 * text(seed=9)[0][0], o] for v, o in kept(text(), tail(), region=LEFT)]
    plain = [[held[0][0], {}]]
    one, two = (sample(tiny_unet(), p, text(seed=2), picture()) for p in (held, plain))
    assert (one - two).abs().max() < 2e-5 * two.abs().max()


@pytest.mark.parametrize(
    "name", ["SD 1.x", "SDXL", "SD 3", "Flux", "Flux.2", "Z-Image", "Qwen-Image", "Chroma"]
)
def test_families(name: str) -> None:
    from hiper.host.families import family_of
    from hiper.prompts.placement import placement_of

    tiny = TINY[name]
    if not is_known(tiny):
        pytest.skip("not in this ComfyUI")
    model, encoded = build(tiny), prompt(tiny)
    placement = placement_of(family_of(model), *encoded[0], 5)
    found = tail(encoded[0][0].shape[-1], placement=placement)
    everywhere, left = torch.ones(1, *tiny.size[-2:]), torch.ones(1, *tiny.size[-2:])
    left[..., tiny.size[-1] // 2 :] = 0
    free = sampled(tiny, model, compose(encoded, found, 1.0))
    whole = sampled(tiny, model, kept(encoded, found, region=everywhere))
    held = sampled(tiny, model, kept(encoded, found, region=left))
    by_word = sampled(tiny, model, kept(encoded, found, word=(2,)))
    assert (whole - free).abs().max() < 1e-3 * free.abs().max()
    for one in (held, by_word):
        assert torch.isfinite(one).all() and not torch.allclose(one, whole, atol=1e-6)


@pytest.mark.parametrize("name", ["PixArt", "HunyuanDiT", "Anima"])
def test_attention_that_cant_be_reached_is_refused(name: str) -> None:
    from hiper.host.attention.keeping import check_keepable
    from hiper.prompts.families import family_named

    with pytest.raises(ValueError, match=f"attention of {name} can't be reached"):
        check_keepable(family_named(name))
