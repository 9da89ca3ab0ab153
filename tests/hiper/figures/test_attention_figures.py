"""Pictures of maps: one scale, every token, masks, overlays, comparisons, time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from hiper.attention.maps import AttentionMaps, Part, Prompt, SamplingStep, Token
from hiper.figures.attention import PAGE_WIDTH, Named, tile_size, token_grid, whole_tails
from hiper.figures.comparison import comparison, in_blocks
from hiper.figures.heat import coloured, common_scale, laid_over, mask_of, signed_tile, tile
from hiper.figures.page import MARGIN, Heading
from hiper.figures.palette import BLANK, HEAT, SIGNED
from hiper.figures.shown import ShownMaps, evenly, same_shape
from hiper.prompts.placement import TailMark


def tokens(words: int = 3, tail: int = 2, pads: int = 5) -> list[Token]:
    made = [Token(0, "‹start›", "special")]
    made += [Token(n, f"word{n}", "word", n, f"word{n}") for n in range(1, words + 1)]
    made += [Token(len(made) + n, str(n), "pad") for n in range(pads)]
    return made + [Token(len(made) + n, f"hiper {n + 1}", "tail") for n in range(tail)]


def values(count: int, height: int = 8, width: int = 8, seed: int = 0) -> torch.Tensor:
    """The first token takes most, as a sequence's start does."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(count, height, width, generator=generator)
    maps[0] += 30
    return maps / maps.sum(dim=0)


def test_colours_run_from_the_first_to_the_last() -> None:
    ramp = coloured(np.linspace(0, 1, 101))
    assert bytes(ramp[0]).hex() == HEAT[0][1:]
    assert bytes(ramp[-1]).hex() == HEAT[-1][1:]
    brightness = ramp.astype(float) @ (0.299, 0.587, 0.114)
    assert (np.diff(brightness) > 0).all()  # more is always brighter
    assert bytes(coloured(np.array(0.5), SIGNED)).hex() == SIGNED[2][1:]


def test_one_scale_leaves_the_start_out() -> None:
    named, maps = tokens(), values(11)
    scale = common_scale([(named, maps), (named, maps * 0.5)])
    rest = [row for row, token in enumerate(named) if token.kind in ("word", "tail")]
    assert scale == pytest.approx(float(maps[rest].max()))
    assert float(maps[0].max()) > scale
    assert common_scale([(named, torch.zeros_like(maps))]) > 0


def test_an_even_map_looks_even() -> None:
    """Nothing is subtracted: small differences on a high floor stay small."""
    even = torch.full((1, 8, 8), 0.013) + 0.0001 * torch.rand(1, 8, 8)
    soft = mask_of(even, (16, 16))
    assert soft.max() == 1 and soft.min() > 0.98
    picture = np.asarray(tile(even[0].numpy(), 0.0131, (8, 8)), dtype=int)
    assert np.ptp(picture, axis=(0, 1)).max() <= 4


def test_masks() -> None:
    maps = torch.zeros(2, 8, 12)
    maps[0, 2:4, 3:6] = 0.2
    maps[1, 6:, 9:] = 0.7
    mask = mask_of(maps, (16, 24), 0.5)
    assert mask.shape == (2, 16, 24) and set(mask.unique().tolist()) == {0.0, 1.0}
    assert mask[0, 5, 9] == 1 and mask[0, 14, 20] == 0
    assert mask[1, 14, 20] == 1 and mask[1, 5, 9] == 0
    assert (mask_of(torch.zeros(1, 4, 4), (8, 8)) == 0).all()


def test_an_overlay_shows_the_picture_where_nothing_is_looked_at() -> None:
    picture = Image.new("RGB", (24, 16), "#3399ff")
    shown = np.zeros((8, 12))
    shown[:, 6:] = 1.0
    over = np.asarray(laid_over(picture, shown, 1.0), dtype=int)
    assert over.shape == (16, 24, 3)
    plain = np.array([0x33, 0x99, 0xFF])
    assert np.abs(over[8, 0] - plain).sum() < np.abs(over[8, 23] - plain).sum()
    assert np.abs(np.asarray(laid_over(picture, shown, 0.0), dtype=int) - plain).max() <= 1


def tiles_like(page: Image.Image, colour: tuple[int, int, int], least: int) -> int:
    """How many separate plain squares of a colour the page holds."""
    match = (np.asarray(page) == colour).all(axis=-1)
    count = 0
    while match.any():
        y, x = np.argwhere(match)[0]
        down = y + int(np.argmin(np.append(match[y:, x], False)))
        right = x + int(np.argmin(np.append(match[y, x:], False)))
        count += (down - y) >= least and (right - x) >= least
        match[y:down, x:right] = False
    return count


def test_the_grid_has_a_tile_for_every_token_and_one_for_the_whole_tail() -> None:
    """Each map one plain colour of its own kind, then counted on the page."""
    named = tokens(words=13, tail=5, pads=58)
    level = {"special": 0.8, "word": 0.6, "tail": 0.1, "pad": 0.2, "whole tail": 0.5}
    maps = torch.stack([torch.full((8, 8), level[token.kind]) for token in named])
    page = token_grid(Named("x", named, maps), 1.0, Heading("Title", "subtitle"))
    assert page.width == PAGE_WIDTH
    for kind, count in (("special", 1), ("word", 13), ("tail", 5), ("pad", 58), ("whole tail", 1)):
        colour = tuple(int(n) for n in coloured(np.array(level[kind])))
        assert tiles_like(page, colour, 20) == count, kind


def test_a_tail_of_one_token_is_not_shown_twice() -> None:
    maps = torch.full((1, 8, 8), 0.3)
    page = token_grid(Named("x", tokens(words=0, tail=1, pads=0)[-1:], maps), 1.0, Heading("Title"))
    assert tiles_like(page, tuple(int(n) for n in coloured(np.array(0.3))), 20) == 1


def test_each_of_two_tails_is_added_up_for_itself() -> None:
    labels = ["hiper 1-1", "hiper 1-2", "hiper 2-1", "hiper 2-2", "hiper 2-3"]
    rows = [(Token(n, label, "tail"), np.full((2, 2), n)) for n, label in enumerate(labels)]
    whole = [(token.label, values[0, 0]) for token, values in whole_tails(rows)]
    assert whole == [("hiper 1 · all", 0 + 1), ("hiper 2 · all", 2 + 3 + 4)]


def test_tiles_have_the_maps_shape() -> None:
    assert tile_size(torch.zeros(1, 8, 16)) == (100, 50)
    width, height = tile_size(torch.zeros(1, 64, 16))
    assert height <= 170 and height == 4 * width + (height - 4 * width)
    assert abs(height / width - 4) < 0.2


def test_a_comparison_has_rows_and_differences() -> None:
    named, maps = tokens(), values(11)
    three = [Named(name, named, maps) for name in ("source", "source + tail", "target + tail")]
    page = comparison(three, Heading("Compared"))
    same = tuple(int(n) for n in coloured(np.array(0.5), SIGNED))
    # no difference anywhere: words and tail, twice; the start has no colour
    assert tiles_like(page, same, 50) == 2 * 5
    two = comparison(three[:2], Heading("Compared"))
    assert two.height < page.height
    everything = comparison(three, Heading("Compared"), everything=True)
    assert tiles_like(everything, same, 50) == 2 * 10


def test_a_comparison_has_a_scale_for_each_block_and_none_for_the_start() -> None:
    """The tail's brightest cell is as bright as the words', however far below them it is."""
    named, maps = tokens(), values(11)
    maps[-2:] *= 0.01
    page = comparison([Named(name, named, maps) for name in "ab"], Heading("Compared"))
    brightest = tuple(int(n) for n in bytes.fromhex(HEAT[-1][1:]))
    pixels = np.asarray(page)
    found = np.argwhere(np.abs(pixels.astype(int) - brightest).max(axis=-1) < 12)
    rows = found[:, 0] / page.height
    assert (rows < 0.5).any() and (rows > 0.5).any()
    blank = tuple(int(n) for n in bytes.fromhex(BLANK[1:]))
    assert tiles_like(page, blank, 50) == 3  # two maps and a difference


def test_a_comparison_leaves_no_third_of_its_page_empty() -> None:
    named, maps = tokens(words=5, tail=5), values(16)
    page = comparison([Named(name, named, maps) for name in "abc"], Heading("Compared"))
    columns = np.flatnonzero((np.asarray(page) != 255).any(axis=(0, 2)))
    assert columns.max() > 0.9 * page.width


def test_long_names_push_no_scale_over_the_edge() -> None:
    named, maps = tokens(words=2, tail=2), values(10)
    names = "learned from 'a dog'", "the same with focus on 'dog'"
    page = comparison([Named(name, named, maps) for name in names], Heading("Compared"))
    margin = np.asarray(page)[:, -MARGIN // 2 :]  # half of the last number reaches into it
    assert (margin == margin[0, 0]).all()


def test_comparisons_break_before_the_tail() -> None:
    assert in_blocks(range(8), 5, 11) == [range(5), range(5, 8)]
    assert in_blocks(list(range(14)), 9, 11) == [list(range(9)), [9, 10, 11, 12, 13]]
    assert [len(block) for block in in_blocks(list(range(30)), 25, 11)] == [11, 11, 3, 5]


def test_a_difference_is_signed() -> None:
    low, none, high = (
        np.asarray(signed_tile(np.full((4, 4), v), 1.0, (4, 4)))[0, 0] for v in (-1.0, 0.0, 1.0)
    )
    assert low[2] > low[0] and high[0] > high[2] and np.ptp(none.astype(int)) <= 4


def shown_maps(steps: int = 1, batch: int = 1, prompts: int = 1) -> ShownMaps:
    words = tuple(token for token in tokens() if token.kind != "tail")
    made = [
        Prompt("positive", n + 1, 11, tuple(range(11)), (TailMark(9, 2),), None, words)
        for n in range(prompts)
    ]
    parts = [
        Part(
            n,
            step,
            "x",
            1,
            torch.stack([values(11, 8, 12, 9 * step + b + n) for b in range(batch)]),
        )
        for n in range(prompts)
        for step in range(steps)
    ]
    moments = tuple(SamplingStep(n, 9.0 - n, 999.0 - 10 * n) for n in range(steps))
    maps = AttentionMaps(tuple(made), moments, tuple(parts), (8, 12), total_steps=steps)
    return ShownMaps(maps, tuple(range(prompts)))


def test_every_picture_of_a_batch_and_every_prompt() -> None:
    shown = shown_maps(batch=3, prompts=2)
    one = shown_maps(batch=1, prompts=1)
    assert len(shown.grids()) == 3
    assert shown.grids()[0].height == 2 * one.grids()[0].height
    assert shown.mask("tail", (64, 96), None).shape == (3, 64, 96)
    assert len(shown.overlays("word1", [Image.new("RGB", (96, 64))], 0.5)) == 3
    assert one.entries[0].title == "word1 word2 word3 + tail"


def test_union_adds_up() -> None:
    shown = shown_maps()
    mean = shown.means[0]
    torch.testing.assert_close(shown.chosen_map("tail"), mean[:, 9:].sum(dim=1))
    torch.testing.assert_close(shown.chosen_map("word1, word3"), mean[:, [1, 3]].sum(dim=1))
    torch.testing.assert_close(shown.chosen_map("all"), torch.ones(1, 8, 12))


def test_time_is_shown_at_ten_moments_on_one_scale() -> None:
    shown = shown_maps(steps=23)
    strip = shown.strip("word1")
    assert strip.width > shown_maps(steps=3).strip("word1").width
    assert evenly(tuple(range(23)), 10)[::9] == [0, 22]
    assert len(list(shown.over_time("tail", [Image.new("RGB", (96, 64))], 0.7))) == 23
    highest = max(
        float(shown.mean(shown.entries[0], step)[:, [1, 2, 3, 9, 10]].max())
        for step in shown.maps.steps
    )
    assert shown.scale_of_frames == pytest.approx(highest)


def test_the_same_frame_to_one_cell() -> None:
    assert same_shape((64, 96), (8, 12))
    assert same_shape((1000, 1504), (125, 188))
    assert same_shape((100, 150), (8, 12))  # another size, the same shape
    assert not same_shape((64, 64), (8, 12))
    assert not same_shape((96, 64), (8, 12))
