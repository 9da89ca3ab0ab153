"""Maps files that went wrong in the ways files do: read whole, or refused in one sentence."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hiper.attention.maps import AttentionMaps, Part, Prompt, SamplingStep, Token
from hiper.embedding import HiperEmbedding
from hiper.figures.shown import ShownMaps
from hiper.files import embeddings
from hiper.files.maps import METADATA, is_maps, read, write
from hiper.prompts.placement import TailMark

FILES = 400
NONSENSE = (-1, 0, 7, 2**40, 1.5, True, None, "x", [], {}, [[]], float("nan"), "1", [9, 9])


def maps() -> AttentionMaps:
    words = (Token(0, "‹start›", "special"), Token(1, "dog", "word", 0, "dog"))
    prompts = (
        Prompt("positive", 1, 4, (0, 1, 2, 3), (TailMark(2, 2, 0.8),), None, words),
        Prompt("negative", 1, 4, (2, 3), (), (4, 6, 2, 0)),
    )
    steps = (SamplingStep(0, 14.6, 999.0), SamplingStep(2, 0.03, 0.5))
    parts = tuple(
        Part(n, step, f"layer {step}", 2, torch.rand(2, k, 4, 6))
        for n, k in ((0, 4), (1, 2))
        for step in (0, 2)
    )
    return AttentionMaps(prompts, steps, parts, (8, 12), 8, 3, "head 2", "SD15")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write(maps(), tmp_path / "maps.safetensors")


def changed(path: Path, change) -> Path:
    """The same tensors under another description."""
    with safe_open(str(path), "pt") as file:
        description = json.loads(file.metadata()[METADATA])
        names = sorted(file.keys())
        tensors = {name: file.get_tensor(name) for name in names}
    change(description)
    other = path.with_name("changed.safetensors")
    save_file(tensors, str(other), {METADATA: json.dumps(description)})
    return other


def put(address: str, value: Any):
    def change(description: dict) -> None:
        *way, last = (int(part) if part.isdigit() else part for part in address.split("."))
        for part in way:
            description = description[part]
        description[last] = value

    return change


@pytest.mark.parametrize(
    ("address", "value", "said"),
    [
        ("parts.0.prompt", 2, "prompt 2, but there are 2"),
        ("parts.0.prompt", -1, "prompt -1, but there are 2"),
        ("parts.0.step", 1, "a map of step 1"),
        ("parts.0.layers", 0, "0 layers"),
        ("prompts.0.columns", [0, 1, 2, 4], "token 4, but there are 4"),
        ("prompts.0.tails.0.start", 3, "tail 4, but there are 4"),
        ("prompts.0.words.1.index", 9, "word 9, but there are 4"),
        ("prompts.1.area", [4, 6], "an area"),
        ("latent_size", [0, 12], "a latent 12×0"),
        ("parts", [], "strict|longer|shorter"),
    ],
)
def test_a_bad_index_is_one_sentence(whole: Path, address: str, value, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        read(changed(whole, put(address, value)))
    assert str(refused.value).startswith("changed.safetensors has a broken description (")
    assert str(refused.value).endswith("save it again with this pack.")


def test_what_a_later_version_adds_is_passed_over(whole: Path) -> None:
    def more(description: dict) -> None:
        description["later"] = description["prompts"][0]["later"] = 1
        description["steps"][0]["later"] = description["prompts"][0]["tails"][0]["later"] = 1
        description["prompts"][0]["words"][0]["later"] = 1

    assert read(changed(whole, more)).prompts == maps().prompts


def test_broken_maps_are_whole_or_refused(whole: Path) -> None:
    """What is read can be shown; what is refused names the file, in one line."""
    chance, good = random.Random(0), whole.read_bytes()
    refused = 0
    for _ in range(FILES):
        path = whole.with_name("broken.safetensors")
        if chance.random() < 0.5:
            path = changed(whole, lambda described: spoil(described, chance))
        else:
            data = bytearray(good[: chance.choice((len(good), chance.randrange(len(good))))])
            for _ in range(chance.randint(1, 20)):
                if data:
                    data[chance.randrange(min(len(data), 600))] = chance.randrange(256)
            path.write_bytes(bytes(data))
        try:
            found = read(path)
        except ValueError as error:
            refused += 1
            assert path.name in str(error) and "\n" not in str(error) and len(str(error)) < 700
            continue
        ShownMaps(found, tuple(range(len(found.prompts)))).grids()
    assert refused > FILES / 2


def spoil(description: dict, chance: random.Random) -> None:
    """Nonsense at some place, however deep; what is merely read out stays a text."""
    while True:
        inside: Any = description
        while True:
            keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(inside[key], dict | list) and chance.random() < 0.8:
                inside = inside[key]
                continue
            inside[key] = chance.choice(NONSENSE)
            return


def test_a_maps_file_is_known_by_its_first_bytes(whole: Path) -> None:
    other = whole.with_name("other.safetensors")
    save_file({"a": torch.zeros(1)}, str(other), {"format": "pt"})
    (whole.parent / "folder.safetensors").mkdir()
    assert is_maps(whole)
    assert not is_maps(other) and not is_maps(whole.parent / "folder.safetensors")
    assert not is_maps(whole.with_name("nothing.safetensors"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask to speak of")
def test_files_get_the_umasks_mode(tmp_path: Path) -> None:
    for mask, mode in ((0o022, 0o644), (0o002, 0o664), (0o077, 0o600)):
        before = os.umask(mask)
        try:
            tail = HiperEmbedding(torch.zeros(1, 1, 2, 4))
            one = embeddings.write(tail, tmp_path / "tail.safetensors", overwrite=True)
            other = write(maps(), tmp_path / "maps.safetensors")
        finally:
            os.umask(before)
        assert {path.stat().st_mode & 0o777 for path in (one, other)} == {mode}
