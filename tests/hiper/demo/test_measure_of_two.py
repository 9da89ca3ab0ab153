"""The measure of two subjects, on drawings whose right answer is known."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.two_subjects import exchanged, judged, unseen_pairs
from hiper.demo.pairs import draw_picture


def test_drawings_are_right_and_exchanged_coats_are_not() -> None:
    pairs = [case.pair for case in unseen_pairs(40, seed=3)]
    drawn = [torch.from_numpy(np.asarray(draw_picture(p), dtype=np.float32)) for p in pairs]
    pictures = (torch.stack(drawn) / 127.5 - 1).permute(0, 3, 1, 2)
    right = judged(pictures, pairs)
    assert right["coats"] >= 0.95 and right["classes"] >= 0.95
    assert judged(pictures, [exchanged(pair) for pair in pairs])["coats"] <= 0.05
