"""Parts of two tails exchanged: which vectors are whose, and what is refused."""

from __future__ import annotations

import pytest
import torch

from hiper.embedding import HiperEmbedding, exchanged


def tail(stages: int, roles: int, start: float, tokens: int = 2) -> HiperEmbedding:
    count = stages * roles * tokens * 3
    return HiperEmbedding(start + torch.arange(count).float().view(stages, roles, tokens, 3))


def test_values_of_one_stage() -> None:
    one, other = tail(5, 2, 0.0), tail(5, 2, 1000.0)
    found = exchanged(one, other, (3,), (1,)).tail
    assert torch.equal(found[3, 1], other.tail[3, 1])
    found = found.clone()
    found[3, 1] = one.tail[3, 1]
    assert torch.equal(found, one.tail)


def test_a_shared_tail_gives_all_its_parts() -> None:
    one, other = tail(5, 2, 0.0), tail(1, 1, 1000.0)
    found = exchanged(one, other, tuple(range(5)), (0,)).tail
    assert torch.equal(found[:, 0], other.tail[:, 0].expand(5, -1, -1))
    assert torch.equal(found[:, 1], one.tail[:, 1])
    back = exchanged(other, one, (0,), (0, 1))
    assert back.stages == 5 and back.roles == 2 and back.starts == one.starts


def test_two_plain_tails_stay_plain() -> None:
    assert exchanged(tail(1, 1, 0.0), tail(1, 1, 9.0), (0,), (0, 1)).roles == 1


def test_unlike_embeddings_are_refused() -> None:
    with pytest.raises(ValueError, match="2 tokens of width 3 and 4 of width 3; wanted two alike"):
        exchanged(tail(1, 1, 0.0), tail(1, 1, 0.0, tokens=4), (0,), (0,))
    with pytest.raises(ValueError, match="5 and 3 stages; wanted as many in both"):
        exchanged(tail(5, 1, 0.0), tail(3, 1, 0.0), (0,), (0,))
