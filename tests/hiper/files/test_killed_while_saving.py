"""Killed at any moment while saving, the file is the old one or the new one, and whole."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from itertools import count
from pathlib import Path

import pytest
import torch

from hiper.embedding import EmbeddingDetails, HiperEmbedding
from hiper.files.embeddings import EXTENSIONS, read, write

pytestmark = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(),
    reason="killing a saving process needs fork, which this system lacks",
)


def embedding(number: int) -> HiperEmbedding:
    """Every number of the tail is the file's own number, so that a mixed file shows."""
    tail = torch.full((1, 1, 20, 2048), float(number))
    return HiperEmbedding(tail, EmbeddingDetails(steps=number))


def keep_saving(path: Path, first: int, started) -> None:
    torch.set_num_threads(1)  # the threads of the process it was forked from are not in this one
    for number in count(first):
        write(embedding(number), path, overwrite=True)
        started.set()


def test_every_kill_leaves_a_whole_file(tmp_path: Path, thorough: bool) -> None:
    path = tmp_path / "subject.safetensors"
    write(embedding(0), path)
    fork = multiprocessing.get_context("fork")
    chance = random.Random(0)
    last = 0
    for _ in range(50 if thorough else 12):
        started = fork.Event()
        saving = fork.Process(target=keep_saving, args=(path, last + 1, started))
        saving.start()
        assert started.wait(20), "the process saved nothing"
        time.sleep(chance.uniform(0, 0.02))
        os.kill(saving.pid, signal.SIGKILL)
        saving.join()

        found = read(path)
        assert found.details.steps > last
        assert (found.tail == found.details.steps).all()
        last = found.details.steps
        # what a kill leaves half-written has a name that no list of embeddings shows
        assert [p for p in tmp_path.iterdir() if p.suffix in EXTENSIONS] == [path]
