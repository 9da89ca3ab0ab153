"""Exchange HiPer Parts: which stages are meant."""

from __future__ import annotations

import sys

import pytest


@pytest.mark.parametrize(
    ("written", "meant"), [("all", (0, 1, 2)), ("2", (1,)), ("1, 2-3", (0, 1, 2))]
)
def test_stages_as_written(host, written: str, meant: tuple[int, ...]) -> None:
    assert numbers_of(host, written, 3) == meant


@pytest.mark.parametrize("written", ["", "0", "4", "3-2", "x", "1,,2"])
def test_stages_that_are_not_there(host, written: str) -> None:
    with pytest.raises(ValueError, match="but the embeddings have 3"):
        numbers_of(host, written, 3)


def numbers_of(host, written: str, many: int) -> tuple[int, ...]:
    own = host.NODE_CLASS_MAPPINGS["HiPerExchangeParts"]
    return sys.modules[own.__module__].numbers(written, many)
