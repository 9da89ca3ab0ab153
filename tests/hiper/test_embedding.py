"""Equation 3: the decomposition is exact."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hiper.embedding import EmbeddingDetails, HiperEmbedding, join, split


@given(
    batch=st.integers(1, 3),
    length=st.integers(2, 160),
    width=st.integers(1, 16),
    share=st.floats(0, 1, exclude_max=True),
)
def test_join_undoes_split(batch: int, length: int, width: int, share: float) -> None:
    embedding = torch.randn(batch, length, width)
    tokens = 1 + int(share * (length - 1))
    head, tail = split(embedding, tokens)
    assert tail.shape == (batch, tokens, width)
    assert torch.equal(join(head, tail), embedding)


@pytest.mark.parametrize("tokens", [0, -1, 77, 100])
def test_split_leaves_a_head_and_a_tail(tokens: int) -> None:
    with pytest.raises(ValueError, match=rf"tokens is {tokens}, .*77 tokens long.*1 to 76"):
        split(torch.zeros(1, 77, 8), tokens)


def test_join_refuses_another_width() -> None:
    with pytest.raises(ValueError, match=r"2048 wide and the prompt's embedding 768"):
        join(torch.zeros(1, 72, 768), torch.zeros(5, 2048))


@pytest.mark.parametrize(
    ("tail", "sentence"),
    [
        (torch.zeros(5, 8), r"shape \(5, 8\); wanted \(stages, roles, N, C\)"),
        (torch.zeros(1, 1, 0, 8), "holds nothing"),
        (torch.zeros(1, 3, 5, 8), "3 roles"),
        (torch.full((1, 1, 5, 8), float("nan")), "40 of the embedding's 40 numbers"),
    ],
)
def test_a_broken_tail_is_refused(tail: torch.Tensor, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        HiperEmbedding(tail)


def test_an_unknown_placement_is_refused() -> None:
    with pytest.raises(ValueError, match=r"placement is 'prepend'.*update the pack"):
        HiperEmbedding(torch.zeros(1, 1, 5, 8), EmbeddingDetails(placement="prepend"))


def test_strength_scales_the_tail_alone() -> None:
    embedding = HiperEmbedding(torch.ones(1, 1, 5, 8))
    assert torch.equal(embedding.scaled(0.8).tail, torch.full((1, 1, 5, 8), 0.8))
    assert torch.equal(embedding.tail, torch.ones(1, 1, 5, 8))


def test_stages_share_the_sampling_without_a_gap() -> None:
    parts = HiperEmbedding(torch.zeros(5, 2, 5, 8)).parts()
    assert parts[0][0] == 0 and parts[-1][1] == 1
    assert all(end == start for (_, end), (start, _) in pairwise(parts))
    assert all(abs(start - n / 5) < 1e-4 for n, (start, _) in enumerate(parts))
