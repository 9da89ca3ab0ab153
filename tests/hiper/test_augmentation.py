"""One picture as many: what comes out is the picture again, in its mask, and nothing else."""

from __future__ import annotations

import pytest
import torch

from hiper.augmentation import Augmentation, augmented, placed, recoloured

PICTURE = torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(0))
MASK = torch.zeros(40, 60)
MASK[10:30, 5:35] = 1


def drawn(count: int = 12, seed: int = 0, mask=MASK, **how):
    generator = torch.Generator().manual_seed(seed)
    return augmented(PICTURE, mask, count, Augmentation(**how), generator)


def test_the_first_is_the_picture_as_it_is() -> None:
    pictures, masks = drawn(1)
    assert torch.equal(pictures[0], PICTURE) and torch.equal(masks[0], MASK)


def test_nothing_asked_for_changes_nothing() -> None:
    pictures, masks = drawn(flip=0.0, smallest=1.0)
    assert all(torch.equal(one, PICTURE) for one in pictures)
    assert all(torch.equal(one, MASK) for one in masks)


def test_a_mirrored_picture_has_a_mirrored_mask() -> None:
    pictures, masks = drawn(flip=1.0, smallest=1.0)
    assert all(torch.equal(one, PICTURE.flip(-1)) for one in pictures[1:])
    assert all(torch.equal(one, MASK.flip(-1)) for one in masks[1:])
    some = drawn(200, flip=0.5, smallest=1.0)[0]
    mirrored = sum(torch.equal(one, PICTURE.flip(-1)) for one in some)
    assert 70 < mirrored < 130


def test_what_scaling_leaves_empty_is_outside_the_mask() -> None:
    everything = torch.ones(40, 60)
    pictures, masks = drawn(50, mask=everything, smallest=0.2)
    for picture, mask in zip(pictures[1:], masks[1:], strict=True):
        outside = picture[:, mask == 0]
        assert outside.numel() == 0 or (outside - outside[:, :1]).abs().max() == 0
        assert bool(((mask == 0) | ((mask - 1).abs() < 1e-5)).all()) and bool(mask.any())
    shares = masks.mean((1, 2)).sqrt()
    assert float(shares.min()) + 0.02 >= 0.2 and float(shares.max()) <= 1.0
    assert float(shares[1:].std()) > 0.1


def test_it_lies_wholly_within_the_frame() -> None:
    one = placed(torch.ones(1, 40, 60), 0.5, (1.0, 1.0), torch.zeros(1))
    assert float(one.sum()) == 20 * 30 and float(one[:, 20:, 30:].sum()) == 20 * 30


def test_jitter_changes_colours_and_no_shape() -> None:
    pictures, masks = drawn(flip=0.0, smallest=1.0, jitter=0.3)
    assert all(torch.equal(one, MASK) for one in masks)
    assert all(one.min() >= 0 and one.max() <= 1 for one in pictures)
    assert all((one - PICTURE).abs().max() > 1e-3 for one in pictures[1:])
    same = recoloured(PICTURE, 0.3, [0.5, 0.5, 0.5, 0.5])
    assert (same - PICTURE).abs().max() < 1e-5, "no change is no change"


def test_a_seed_means_the_same_pictures() -> None:
    one, again, other = drawn(seed=1), drawn(seed=1), drawn(seed=2)
    assert torch.equal(one[0], again[0]) and torch.equal(one[1], again[1])
    assert not torch.equal(one[0], other[0])


@pytest.mark.parametrize("wrong", [{"flip": 1.5}, {"smallest": 0.0}, {"jitter": -0.1}])
def test_wrong_settings_are_one_sentence(wrong: dict) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is .*: choose"):
        Augmentation(**wrong)
