"""Attention maps: probabilities, repeats, the mean over layers and steps, and what is kept."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hiper.attention.calls import probabilities, without_repeats
from hiper.attention.gathering import EACH, Gathering, Wish
from hiper.attention.maps import AttentionMaps, Part, Prompt, SamplingStep, enlarged
from hiper.prompts.placement import TailMark


def random_maps(seed: int, tokens: int, height: int, width: int, batch: int = 1) -> torch.Tensor:
    """Probabilities over tokens, `(B, K, h, w)`."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, tokens, height, width, generator=generator).softmax(dim=1)


def maps_of(parts: list[Part], prompts: list[Prompt], latent=(16, 24), steps=(0,)) -> AttentionMaps:
    return AttentionMaps(
        tuple(prompts),
        tuple(SamplingStep(n, 10.0 - n, 999.0 - n) for n in steps),
        tuple(parts),
        latent,
        total_steps=max(steps) + 1,
    )


def prompt(length: int = 7, **change) -> Prompt:
    given = {"role": "positive", "number": 1, "length": length, "columns": tuple(range(length))}
    return Prompt(**(given | change))


def test_probabilities_are_softmax_of_q_and_k() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 3, 10, 4, generator=generator), torch.randn(2, 3, 7, 4)
    wanted = (q @ k.transpose(-2, -1) / 2.0).softmax(dim=-1)
    torch.testing.assert_close(probabilities(q, k), wanted.mean(dim=1))
    torch.testing.assert_close(probabilities(q, k, head=2), wanted[:, 2])
    torch.testing.assert_close(probabilities(q, k, scale=0.5), wanted.mean(dim=1))


def test_chunked_queries_give_the_same_maps() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 3, 50, 4, generator=generator), torch.randn(2, 3, 7, 4)
    chunked = probabilities(q, k, cells_at_once=2 * 3 * 7 * 8)
    torch.testing.assert_close(chunked, probabilities(q, k), atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("kind", [torch.bool, torch.float32])
def test_masked_keys_get_nothing(kind: torch.dtype) -> None:
    q, k = torch.randn(1, 2, 5, 4), torch.randn(1, 2, 6, 4)
    seen = torch.ones(1, 1, 5, 6, dtype=torch.bool)
    seen[..., 4:] = False
    mask = seen if kind == torch.bool else torch.where(seen, 0.0, -torch.inf)
    found = probabilities(q, k, mask=mask, cells_at_once=2 * 6 * 2)
    assert found[..., 4:].abs().max() == 0
    torch.testing.assert_close(found[..., :4], probabilities(q, k[:, :, :4]))


def test_repeated_text_is_summed() -> None:
    """ComfyUI repeats the shorter prompt: the copies share what the one would have had."""
    q, k = torch.randn(1, 2, 5, 4), torch.randn(1, 2, 7, 4)
    once = probabilities(q, k)
    thrice = probabilities(q, k.repeat(1, 1, 3, 1))
    torch.testing.assert_close(without_repeats(thrice, 7), once)
    assert torch.equal(without_repeats(once, 7), once)


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    up=st.integers(1, 20),
    wide=st.integers(1, 20),
)
def test_enlarging_keeps_the_tokens_sum(height: int, width: int, up: int, wide: int) -> None:
    maps = random_maps(height * 10 + width, 5, height, width)
    large = enlarged(maps, (up, wide))
    assert (large.sum(dim=1) - 1).abs().max() < 1e-5
    assert large.min() >= 0


def test_mean_over_layers_weighs_each_layer_the_same() -> None:
    """Kept as the mean of two equal layers, or each for itself: the same."""
    a, b, c = (random_maps(n, 7, 16, 24) for n in range(3))
    small = random_maps(9, 7, 8, 12)
    each = [Part(0, 0, f"layer {n}", 1, maps) for n, maps in enumerate((a, b, c, small))]
    by_size = [Part(0, 0, "24×16", 3, (a + b + c) / 3), Part(0, 0, "12×8", 1, small)]
    wanted = (a + b + c + enlarged(small, (16, 24))) / 4
    for parts in (each, by_size):
        maps = maps_of(parts, [prompt()])
        torch.testing.assert_close(maps.mean(0), wanted)
        assert maps.shrinks == (1, 2)
        torch.testing.assert_close(maps.mean(0, shrink=2), small)


def test_mean_over_steps_weighs_each_step_the_same() -> None:
    """A step that was seen in more layers counts no more than another."""
    a, b, c = (random_maps(n, 7, 16, 24) for n in range(3))
    parts = [Part(0, 0, "x", 1, a), Part(0, 2, "x", 1, b), Part(0, 2, "y", 1, c)]
    maps = maps_of(parts, [prompt()], steps=(0, 2))
    torch.testing.assert_close(maps.mean(0), (a + (b + c) / 2) / 2)
    torch.testing.assert_close(maps.mean(0, steps=(2,)), (b + c) / 2)
    with pytest.raises(ValueError, match="choose steps inside its timestep range"):
        maps.mean(0, steps=(1,))


def test_sizes_that_do_not_divide_round_up() -> None:
    """A 13 × 9 latent is halved to 7 × 5 and 4 × 3."""
    parts = [Part(0, 0, f"{h}", 1, random_maps(h, 7, h, w)) for h, w in ((13, 9), (7, 5), (4, 3))]
    maps = maps_of(parts, [prompt()], latent=(13, 9))
    assert maps.shrinks == (1, 2, 4)
    assert (maps.mean(0).sum(dim=1) - 1).abs().max() < 1e-5
    with pytest.raises(ValueError, match=r"there are 1/1, 1/2, 1/4: choose one of these"):
        maps.mean(0, shrink=8)


def test_an_area_lies_where_it_is() -> None:
    area = prompt(area=(8, 12, 8, 4))
    maps = maps_of([Part(0, 0, "x", 1, random_maps(0, 7, 4, 6))], [area])
    seen = maps.mean(0).sum(dim=1)[0]  # halved: the area's rows 4–8 and columns 2–8
    assert seen.shape == (8, 12)
    assert (seen[4:8, 2:8] - 1).abs().max() < 1e-5
    assert float(seen.sum()) == pytest.approx(24, abs=1e-3)
    assert maps.shrinks == (2,)


def gather(
    wish: Wish, steps: int, calls: int = 1, layers: int = 2
) -> tuple[Gathering, AttentionMaps]:
    """A made-up run: `calls` model calls a step, `layers` layers of 4×6 maps of five tokens."""
    gathering = Gathering(wish, steps)
    number = gathering.prompt(prompt(5))
    for step in range(steps):
        for call in range(calls):
            if not gathering.wants(step):
                continue
            gathering.start(SamplingStep(step, float(steps - step), 0.0))
            for layer in range(layers):
                maps = random_maps(100 * step + 10 * call + layer, 5, 4, 6)
                gathering.add(number, f"layer {layer}", maps)
    return gathering, gathering.maps((4, 6), 8, "made up")


def test_two_calls_in_a_step_are_averaged() -> None:
    _, maps = gather(Wish(dtype=torch.float32, layers=EACH), 3, calls=2)
    assert len(maps.parts) == 3 * 2
    wanted = (random_maps(100, 5, 4, 6) + random_maps(110, 5, 4, 6)) / 2
    (found,) = [p for p in maps.parts if p.step == 1 and p.layer == "layer 0"]
    torch.testing.assert_close(found.maps, wanted)


def test_equal_sizes_are_kept_as_one() -> None:
    _, apart = gather(Wish(dtype=torch.float32, layers=EACH), 2)
    _, joined = gather(Wish(dtype=torch.float32), 2)
    assert (len(apart.parts), len(joined.parts)) == (4, 2)
    torch.testing.assert_close(joined.mean(0), apart.mean(0))


@settings(max_examples=30, deadline=None)
@given(
    steps=st.integers(1, 20),
    fits=st.floats(0.0, 25.0),
    every=st.integers(1, 7),
    calls=st.integers(1, 2),
)
def test_never_more_bytes_than_allowed(steps: int, fits: float, every: int, calls: int) -> None:
    one_step = 5 * 4 * 6 * 2
    wish = Wish(limit=int(fits * one_step), every=every)
    gathering, maps = gather(wish, steps, calls)
    assert gathering.held == maps.bytes <= wish.limit
    if wish.limit < one_step:
        assert not maps.parts and "raise memory_limit" in gathering.problem
    else:
        kept = [step.index for step in maps.steps]
        assert kept[0] == 0 and kept == sorted(set(kept))
        if wish.limit >= 2 * one_step:
            assert kept[-1] == steps - 1
        if wish.limit >= steps * one_step and every == 1:
            assert kept == list(range(steps))


def test_half_precision_still_sums_to_one() -> None:
    _, maps = gather(Wish(), 4)
    assert maps.parts[0].maps.dtype == torch.float16
    assert (maps.mean(0).sum(dim=1) - 1).abs().max() < 5e-4


def test_only_the_tails_columns() -> None:
    marks = (TailMark(3, 2), TailMark(6, 1))
    assert Wish(tail_only=True).columns(7, marks) == (3, 4, 6)
    assert Wish(tail_only=True).columns(7, ()) == ()
    assert Wish().columns(3, marks) == (0, 1, 2)
