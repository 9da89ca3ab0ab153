"""LIPE's identity mask (eqs. 1 and 2) on attention whose answer is known."""

from __future__ import annotations

import pytest
import torch

from hiper.attention.calls import CROSS, SELF, AttentionCall
from hiper.attention.identity import IdentityMap, IdentitySettings, mask_of

SIZE = (6, 8)
CELLS = SIZE[0] * SIZE[1]


def call_of(shares: torch.Tensor, kind: str, size: tuple[int, int] = SIZE) -> AttentionCall:
    """A call whose probabilities `(L, S)` are these: k tells all columns apart."""
    q = shares.clamp(min=1e-9).log()[None, None]
    k = torch.eye(shares.shape[1])[None, None]
    return AttentionCall(kind, q, k, size, slice(0, None), 1.0, kind=kind)


def subject() -> torch.Tensor:
    """The subject's cells: the left half."""
    where = torch.zeros(SIZE)
    where[:, :4] = 1
    return where.flatten()


def looking_at(word: torch.Tensor) -> AttentionCall:
    """Cross-attention to three columns, the second of them the identity's word."""
    shares = torch.stack([1 - word, word, torch.zeros_like(word)], 1) * 0.9 + 0.1 / 3
    return call_of(shares, CROSS)


def belonging_together() -> AttentionCall:
    """Self-attention in which each half looks at itself."""
    inside = subject()
    same = (inside[:, None] == inside[None]).float() + 0.01
    return call_of(same / same.sum(1, keepdim=True), SELF)


def test_the_words_map_and_no_other() -> None:
    seen = IdentityMap(0.0)
    seen.hear(looking_at(subject()), (-2,))
    assert torch.allclose(seen.map()[0], subject().view(SIZE), atol=1e-4)


def test_self_attention_fills_what_the_word_sees_a_part_of() -> None:
    part = subject().view(SIZE).clone()
    part[2:] = 0  # the word is seen from the head alone
    for power, least in ((0.0, False), (1.0, True)):
        seen = IdentityMap(power)
        seen.hear(looking_at(part.flatten()), (-2,))
        seen.hear(belonging_together(), ())
        mask = mask_of(seen.map(), SIZE, 0.5)[0]
        assert bool((mask == subject().view(SIZE)).all()) is least


def test_it_is_the_mean_of_all_so_far() -> None:
    seen = IdentityMap(0.0)
    seen.hear(looking_at(subject()), (-2,))
    for _ in range(9):
        seen.hear(looking_at(1 - subject()), (-2,))
    assert torch.equal(mask_of(seen.map(), SIZE, 0.5)[0], 1 - subject().view(SIZE))


def test_large_self_attention_is_left_to_smaller_maps_or_brought_to_their_size() -> None:
    cells = 80 * 60
    q = torch.randn(1, 2, cells, 4, generator=torch.Generator().manual_seed(0))
    alone = AttentionCall("joint", q, q, (60, 80), slice(0, None), joint=True, kind=SELF)
    seen = IdentityMap(0.5)
    seen.hear(looking_at(subject()), (-2,))
    for _ in range(4):
        seen.hear(alone, ())
    assert seen.map().shape == (1, 30, 40)


def test_growing_reaches_the_neighbours() -> None:
    seen = torch.zeros(1, 5, 5)
    seen[0, 2, 2] = 1
    assert [int(mask_of(seen, (5, 5), 0.5, grow).sum()) for grow in (0, 1, 2)] == [1, 9, 25]


@pytest.mark.parametrize(("power", "threshold"), [(-1.0, 0.4), (5.0, 0.4), (0.5, 0.0), (0.5, 1.0)])
def test_settings_that_cant_be_meant(power: float, threshold: float) -> None:
    with pytest.raises(ValueError, match="choose"):
        IdentitySettings(power, threshold)
