"""Raw maps in a file and back, and words for files that are something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hiper.attention.maps import AttentionMaps, Part, Prompt, SamplingStep, Token
from hiper.files.maps import METADATA, read, write
from hiper.prompts.placement import TailMark


def maps() -> AttentionMaps:
    words = (Token(0, "‹start›", "special"), Token(1, "犬", "word", 0, "犬"))
    prompts = (
        Prompt("positive", 1, 4, (0, 1, 2, 3), (TailMark(2, 2, 0.8),), None, words),
        Prompt("negative", 1, 4, (2, 3), (), (4, 6, 2, 0)),
    )
    steps = (SamplingStep(0, 14.6, 999.0), SamplingStep(2, 0.03, 0.5))
    parts = tuple(
        Part(n, step, f"layer {step}", 2, torch.rand(2, k, 4, 6).to(dtype))
        for n, k, dtype in ((0, 4, torch.float16), (1, 2, torch.float32))
        for step in (0, 2)
    )
    return AttentionMaps(prompts, steps, parts, (8, 12), 8, 3, "head 2", "SD15")


def test_there_and_back(tmp_path: Path) -> None:
    before = maps()
    after = read(write(before, tmp_path / "folder" / "maps.safetensors"))
    for name in ("prompts", "steps", "latent_size", "cell", "total_steps", "heads", "model"):
        assert getattr(after, name) == getattr(before, name)
    for one, other in zip(before.parts, after.parts, strict=True):
        assert torch.equal(one.maps, other.maps) and one.maps.dtype == other.maps.dtype
        assert (one.prompt, one.step, one.layer, one.layers) == (
            (other.prompt, other.step, other.layer, other.layers)
        )
    assert list((tmp_path / "folder").iterdir()) == [tmp_path / "folder" / "maps.safetensors"]


def test_others_can_read_what_it_is(tmp_path: Path) -> None:
    path = write(maps(), tmp_path / "maps.safetensors")
    with safe_open(str(path), "pt") as file:
        said = json.loads(file.metadata()[METADATA])
        names = sorted(file.keys())
        first = file.get_tensor(names[0])
    assert said["latent_size"] == [8, 12] and said["heads"] == "head 2"
    assert said["parts"][0] == {"prompt": 0, "step": 0, "layer": "layer 0", "layers": 2}
    assert said["prompts"][0]["words"][1]["label"] == "犬"
    assert len(names) == len(said["parts"]) == 4 and first.shape == (2, 4, 4, 6)


def broken(path: Path, **change) -> Path:
    write(maps(), path)
    with safe_open(str(path), "pt") as file:
        said = json.loads(file.metadata()[METADATA]) | change
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, str(path), {METADATA: json.dumps(said)})
    return path


def test_words_for_other_files(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"weight": torch.zeros(2)}, str(path))
    with pytest.raises(ValueError, match="of something else \\(it holds weight\\): choose a file"):
        read(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        read(path)
    with pytest.raises(ValueError, match="reads 1"):
        read(broken(path, format=2))
    for change in ({"parts": []}, {"prompts": [{}]}, {"latent_size": 8}, {"steps": None}):
        with pytest.raises(ValueError, match="broken description"):
            read(broken(path, **change))
    with pytest.raises(ValueError, match="broken description"):
        read(broken(path, prompts=[{**p, "columns": [0]} for p in json_prompts(tmp_path)]))


def json_prompts(folder: Path) -> list[dict]:
    path = write(maps(), folder / "y.safetensors")
    with safe_open(str(path), "pt") as file:
        return json.loads(file.metadata()[METADATA])["prompts"]
