"""Equation 6: `[e'_tgt, α · tail]` over every shape a conditioning can have."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hiper.embedding import EmbeddingDetails, HiperEmbedding
from hiper.prompts.placement import TAILS, check_conditioning, compose, tail_marks
from hiper.prompts.tails import tails_in


def embedding(tokens: int, width: int, value: float = 1.0, **details) -> HiperEmbedding:
    return HiperEmbedding(torch.full((1, 1, tokens, width), value), EmbeddingDetails(**details))


entries = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from([77, 154, 231]), st.booleans(), st.booleans()),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60)
@given(
    shapes=entries,
    tokens=st.integers(1, 32),
    strength=st.floats(0, 2, width=32),
    placement=st.sampled_from(["replace", "append"]),
)
def test_compose_changes_the_tail_and_nothing_else(shapes, tokens, strength, placement) -> None:
    conditioning = []
    for batch, length, pooled, area in shapes:
        options = {"anything": object()}
        if pooled:
            options["pooled_output"] = torch.randn(batch, 4)
        if area:
            options["area"] = (8, 8, 0, 0)
        conditioning.append([torch.randn(batch, length, 6), options])
    before = [(entry[0].clone(), dict(entry[1])) for entry in conditioning]
    tail = HiperEmbedding(torch.randn(1, 1, tokens, 6), EmbeddingDetails(placement=placement))

    composed = compose(conditioning, tail, strength)

    assert len(composed) == len(conditioning)
    for (new, options), (old, old_options), entry in zip(
        composed, before, conditioning, strict=True
    ):
        kept = old.shape[1] - (tokens if placement == "replace" else 0)
        assert new.shape[1] == kept + tokens
        assert torch.equal(new[:, :kept], old[:, :kept])
        assert torch.equal(new[:, kept:], (tail.tail[0, 0] * strength).expand(len(old), -1, -1))
        assert {key: options[key] for key in old_options} == old_options
        (mark,) = tail_marks(options)
        assert list(mark.columns) == list(range(kept, kept + tokens))
        assert torch.equal(entry[0], old) and entry[1] == old_options


def test_strength_one_of_the_prompts_own_tail_is_the_prompt() -> None:
    prompt = torch.randn(1, 77, 8)
    own = HiperEmbedding(prompt[:, None, 72:])
    assert torch.equal(compose([[prompt, {}]], own, 1.0)[0][0], prompt)


@pytest.mark.parametrize("off", [0.0, 1e-6])
def test_a_tail_that_is_the_prompts_own_padding_is_not_found_in_other_prompts(off: float) -> None:
    """One that was hardly learned: elsewhere the same padding is nobody's tail."""
    prompt = torch.randn(1, 77, 6)
    own = prompt[:, -5:][None] * (1 + off)
    ((placed, options),) = compose([[prompt, {}]], HiperEmbedding(own, EmbeddingDetails()), 1.0)
    assert not tails_in(prompt, {})
    (mark,) = tails_in(placed, options)
    assert list(mark.columns) == [72, 73, 74, 75, 76]


def test_two_subjects_stand_side_by_side() -> None:
    prompt = torch.zeros(1, 77, 8)
    once = compose([[prompt, {}]], embedding(5, 8, 1.0), 1.0)
    twice = compose(once, embedding(3, 8, 2.0), 1.0)
    ((new, options),) = twice
    assert new.shape == prompt.shape
    assert (new[0, 72:] == 1).all() and (new[0, 69:72] == 2).all() and (new[0, :69] == 0).all()
    assert [(mark.start, mark.tokens) for mark in tail_marks(options)] == [(69, 3), (72, 5)]
    assert len(tail_marks(once[0][1])) == 1


def test_appending_two_subjects_grows_the_mask_with_them() -> None:
    conditioning = [[torch.zeros(1, 9, 8), {"attention_mask": torch.ones(1, 9)}]]
    one = compose(conditioning, embedding(5, 8, 1.0, placement="append"), 1.0)
    two = compose(one, embedding(3, 8, 2.0, placement="append"), 1.0)
    ((new, options),) = two
    assert new.shape[1] == options["attention_mask"].shape[1] == 17
    assert (new[0, 9:14] == 1).all() and (new[0, 14:] == 2).all()
    assert conditioning[0][1]["attention_mask"].shape == (1, 9)


def test_a_masked_padding_token_is_seen_once_it_is_a_tail() -> None:
    mask = torch.cat([torch.ones(1, 10), torch.zeros(1, 67)], dim=1)
    ((_, options),) = compose(
        [[torch.zeros(1, 77, 8), {"attention_mask": mask}]], embedding(5, 8), 1.0
    )
    assert options["attention_mask"][0, 72:].tolist() == [1.0] * 5
    assert mask[0, 72:].sum() == 0


def test_a_tail_of_another_family_is_refused_by_both_names() -> None:
    with pytest.raises(ValueError, match=r"learned on SDXL \(width 2048\).*SD 1.x \(width 768\)"):
        compose([[torch.zeros(1, 77, 768), {}]], embedding(5, 2048, architecture="SDXL"), 1.0)


def test_more_tails_than_room_are_refused() -> None:
    conditioning = [[torch.zeros(1, 77, 8), {}]]
    for _ in range(2):
        conditioning = compose(conditioning, embedding(30, 8), 1.0)
    with pytest.raises(ValueError, match=r"tail has 30 tokens, but only 17 of the prompt's 77"):
        compose(conditioning, embedding(30, 8), 1.0)


@pytest.mark.parametrize(
    ("conditioning", "sentence"),
    [
        ([], "conditioning is empty"),
        ([[None, {}]], "holds no text"),
        ([[torch.zeros(1, 768), {}]], r"text of \(1, 768\)"),
        ([[torch.zeros(1, 0, 768), {}]], r"text of \(1, 0, 768\)"),
    ],
)
def test_conditioning_without_text_is_refused(conditioning: list, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_conditioning(conditioning)


def test_marks_are_not_shared_between_entries() -> None:
    options = {"x": 1}
    first = compose([[torch.zeros(1, 77, 8), options]] * 2, embedding(5, 8), 0.5)
    assert TAILS not in options
    assert first[0][1] is not first[1][1]
    assert copy.deepcopy(first[0][1][TAILS]) == first[1][1][TAILS]
