"""Keys and values apart, carried by one conditioning alone."""

from __future__ import annotations

import pytest
import torch
from support.tiny_families import TINY
from support.tiny_models import build, is_known, prompt
from support.tiny_unets import CONTEXT, sample, text, tiny_unet
from support.tiny_unets import picture as unet_picture

from hiper.embedding import EmbeddingDetails, HiperEmbedding
from hiper.prompts.placement import compose
from hiper.prompts.tails import TailMark

pytestmark = pytest.mark.usefixtures("host")


def embedding(width: int, same: bool = False, stages: int = 1) -> HiperEmbedding:
    generator = torch.Generator().manual_seed(1003)  # no prompt's
    tail = torch.randn(stages, 2, 5, width, generator=generator)
    if same:
        tail[:, 1] = tail[:, 0]
    return HiperEmbedding(tail, EmbeddingDetails(placement="replace"))


def shared(found: HiperEmbedding) -> HiperEmbedding:
    return HiperEmbedding(found.tail[:, :1], found.details)


def composed(found: HiperEmbedding, prompt: list | None = None) -> list:
    from hiper.host.attention.values import bring_values

    def bring(_number, entry, mark, vectors) -> None:
        bring_values(entry[1], mark, vectors)

    return compose(prompt or text(), found, 0.8, bring)


def drawn(positive: list, model=None, **given) -> torch.Tensor:
    return sample(model or tiny_unet(), positive, text(seed=2), unet_picture(), **given)


def test_equal_keys_and_values_are_the_shared_tail() -> None:
    two = drawn(composed(embedding(CONTEXT, same=True)))
    one = drawn(composed(shared(embedding(CONTEXT, same=True))))
    assert (two - one).abs().max() < 2e-5 * one.abs().max()


def test_values_of_their_own_change_the_picture() -> None:
    apart = drawn(composed(embedding(CONTEXT)))
    one = drawn(composed(shared(embedding(CONTEXT))))
    assert (apart - one).abs().max() > 1e-3 * one.abs().max()


def test_it_is_what_the_network_would_read_of_two_contexts() -> None:
    """Against a patch on the MODEL that puts the vectors for values there itself."""
    found, model = embedding(CONTEXT), tiny_unet()
    keys = composed(shared(found))
    by_hand = model.clone()

    def patch(n, context, value, options):
        rows = [i for i, c in enumerate(options["cond_or_uncond"]) if c == 0]
        each = len(value) // len(options["cond_or_uncond"])
        value = value.clone()
        for row in rows:
            value[row * each : (row + 1) * each, -5:] = 0.8 * found.tail[0, 1]
        return n, context, value

    by_hand.set_model_attn2_patch(patch)
    wanted = drawn(keys, by_hand)
    assert (drawn(composed(found), model) - wanted).abs().max() < 2e-5 * wanted.abs().max()


def test_model_and_negative_are_not_touched() -> None:
    model = tiny_unet()
    before = drawn(text(), model)
    options = repr(model.model_options)
    drawn(composed(embedding(CONTEXT)), model)
    assert torch.equal(drawn(text(), model), before)
    assert repr(model.model_options) == options
    # at guidance 0 the negative alone is drawn, whatever the positive's values are
    plain, with_values = (drawn(p, model, cfg=0.0) for p in (text(), composed(embedding(CONTEXT))))
    assert (plain - with_values).abs().max() < 2e-5 * plain.abs().max()


def combined(positive: list) -> list:
    return positive + text(seed=9)


def in_an_area(positive: list) -> list:
    return [[v, o | {"area": (4, 6, 2, 3), "strength": 0.9}] for v, o in positive]


def masked(positive: list) -> list:
    mask = torch.zeros(1, 8, 12)
    mask[..., :6] = 1
    return [
        [v, o | {"mask": mask, "mask_strength": 1.0, "set_area_to_bounds": False}]
        for v, o in positive
    ]


@pytest.mark.parametrize("change", [combined, in_an_area, masked])
def test_it_survives(change) -> None:
    """Beside another prompt, in an area, under a mask: K = V is the shared tail, K ≠ V is not."""
    same, one = (
        drawn(change(composed(e)))
        for e in (embedding(CONTEXT, same=True), shared(embedding(CONTEXT, same=True)))
    )
    assert (same - one).abs().max() < 2e-5 * one.abs().max()
    assert (drawn(change(composed(embedding(CONTEXT)))) - one).abs().max() > 1e-4


@pytest.mark.parametrize("times", [0.5, 0.0, -1.0])
def test_a_prompt_made_weaker_makes_its_values_weaker(times: float) -> None:
    found = embedding(CONTEXT, same=True)
    weaker = [[v * times, o] for v, o in composed(found)]
    one = [[v * times, o] for v, o in composed(shared(found))]
    assert (drawn(weaker) - drawn(one)).abs().max() < 2e-5 * drawn(one).abs().max()


def test_columns_that_are_no_longer_the_tail_keep_what_they_are() -> None:
    found = embedding(CONTEXT)
    other = text(seed=9)[0][0]
    mixed = [[0.5 * v + 0.5 * other, o] for v, o in composed(found)]
    plain = [[0.5 * v + 0.5 * other, {}] for v, _ in composed(shared(found))]
    assert (drawn(mixed) - drawn(plain)).abs().max() < 2e-5 * drawn(plain).abs().max()


def test_hooks_that_are_there_stay() -> None:
    from comfy.hooks import EnumHookScope, HookGroup, TransformerOptionsHook

    called = []

    def patch(n, context, value, options):
        called.append(len(context))
        return n, context, value

    hooks = HookGroup()
    hooks.add(
        TransformerOptionsHook({"patches": {"attn2_patch": [patch]}}, EnumHookScope.HookedOnly)
    )
    own = [[text()[0][0], {"hooks": hooks}]]
    positive = composed(embedding(CONTEXT), own)
    assert len(own[0][1]["hooks"]) == 1 and len(positive[0][1]["hooks"]) == 2
    drawn(positive)
    assert called


def test_two_tails_each_bring_their_own_values() -> None:
    found, same = embedding(CONTEXT), embedding(CONTEXT, same=True)
    twice = composed(found, composed(same))
    assert len(twice[0][1]["hooks"]) == 2
    once = composed(found, composed(shared(same)))
    assert (drawn(twice) - drawn(once)).abs().max() < 2e-5 * drawn(once).abs().max()


def test_by_stages_too() -> None:
    found = embedding(CONTEXT, same=True, stages=3)
    two, one = drawn(composed(found), steps=7), drawn(composed(shared(found)), steps=7)
    assert (two - one).abs().max() < 2e-5 * one.abs().max()


@pytest.mark.parametrize("name", ["SD 1.x", "SD 2.x", "SDXL"])
def test_unets_of_real_kinds(name: str) -> None:
    from support.family_checks import sample as sampled

    tiny = TINY[name]
    model, encoded = build(tiny), prompt(tiny)
    width = encoded[0][0].shape[-1]
    same, one = (
        sampled(tiny, model, composed(e, encoded))
        for e in (embedding(width, same=True), shared(embedding(width, same=True)))
    )
    assert (same - one).abs().max() < 1e-4 * one.abs().max()
    apart = sampled(tiny, model, composed(embedding(width), encoded))
    assert (apart - one).abs().max() > 1e-4 * one.abs().max()


@pytest.mark.parametrize("name", ["SD 3", "Flux", "Z-Image"])
def test_one_stream_is_refused_in_a_sentence(name: str) -> None:
    from hiper.host.attention.values import check_two_roles, check_two_roles_of
    from hiper.prompts.families import family_named

    if not is_known(TINY[name]):
        pytest.skip("not in this ComfyUI")
    with pytest.raises(ValueError, match=f"{name} reads keys and values .* keys_and_values off"):
        check_two_roles(build(TINY[name]))
    with pytest.raises(ValueError, match=f"{name} reads keys and values"):
        check_two_roles_of(family_named(name))


def test_the_patch_itself() -> None:
    from hiper.host.attention.values import Values

    keys, values = torch.randn(1, 2, 4), torch.randn(1, 2, 4)
    context = torch.randn(3, 9, 4)
    context[1, 5:7] = 0.5 * keys[0]
    patch = Values(values, TailMark(5, 2).start, keys)
    _, _, value = patch(context, context, context, {})
    assert torch.equal(value[0], context[0]) and torch.equal(value[2], context[2])
    assert torch.allclose(value[1, 5:7], 0.5 * values[0])
    assert torch.equal(value[1, :5], context[1, :5])
