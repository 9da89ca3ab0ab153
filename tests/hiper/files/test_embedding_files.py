"""One embedding, one file: whole, exact, and safe to open."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from hiper.embedding import EmbeddingDetails, HiperEmbedding
from hiper.files import embeddings as storage

DETAILS = EmbeddingDetails(
    architecture="SD15",
    source_prompt="a standing dog, 서 있는 개",
    steps=1000,
    seed=2**63,
    learning_rate=5e-3,
    width=512,
    height=768,
    first_loss=0.2,
    last_loss=0.1,
    first_fixed_loss=0.15,
    last_fixed_loss=0.1,
)


@pytest.fixture
def embedding() -> HiperEmbedding:
    generator = torch.Generator().manual_seed(0)
    return HiperEmbedding(torch.randn(1, 1, 5, 768, generator=generator), DETAILS)


def test_round_trip_is_exact_byte_for_byte(embedding: HiperEmbedding, tmp_path: Path) -> None:
    path = storage.write(embedding, tmp_path / "dog.safetensors")
    read = storage.read(path)
    assert torch.equal(read.tail, embedding.tail)
    assert read.details == DETAILS
    again = storage.write(read, tmp_path / "again.safetensors")
    assert again.read_bytes() == path.read_bytes()
    assert os.listdir(tmp_path).__len__() == 2


def test_a_file_of_five_tokens_is_about_15_kb(embedding: HiperEmbedding, tmp_path: Path) -> None:
    size = storage.write(embedding, tmp_path / "dog.safetensors").stat().st_size
    assert 5 * 768 * 4 <= size < 5 * 768 * 4 + 1024


def test_the_bytes_are_the_same_in_another_process(embedding: HiperEmbedding) -> None:
    code = (
        "import sys, torch; sys.path.append(sys.argv[1]);"
        "from hiper.embedding import HiperEmbedding, EmbeddingDetails;"
        "from hiper.files import embeddings as storage;"
        "sys.stdout.buffer.write(storage.to_bytes("
        "HiperEmbedding(torch.zeros(1, 1, 5, 8), EmbeddingDetails(steps=3))))"
    )
    root = str(Path(storage.__file__).parents[2])
    run = subprocess.run([sys.executable, "-c", code, root], capture_output=True, check=True)
    here = storage.to_bytes(HiperEmbedding(torch.zeros(1, 1, 5, 8), EmbeddingDetails(steps=3)))
    assert run.stdout == here


def test_an_existing_file_is_not_replaced_unasked(
    embedding: HiperEmbedding, tmp_path: Path
) -> None:
    path = storage.write(embedding, tmp_path / "dog.safetensors")
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"dog.safetensors already exists"):
        storage.write(embedding.scaled(0.5), path)
    assert path.read_bytes() == before
    storage.write(embedding.scaled(0.5), path, overwrite=True)
    assert torch.equal(storage.read(path).tail, embedding.tail * 0.5)
    assert [p.name for p in tmp_path.iterdir()] == ["dog.safetensors"]


@pytest.mark.parametrize("shape", [(1, 5, 768), (5, 768)])
def test_the_published_tensor_is_read(shape: tuple, tmp_path: Path) -> None:
    tensor = torch.randn(*shape)
    torch.save(tensor, tmp_path / "hper.pt")
    assert torch.equal(storage.read(tmp_path / "hper.pt").tail[0, 0], tensor.reshape(5, 768))


class Harmful:
    def __reduce__(self):
        return (os.system, ("touch HARM",))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_not_run(zipped: bool, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pt"
    if zipped:
        torch.save({"x": Harmful()}, path)
    else:
        path.write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(ValueError, match=r"evil.pt holds more than a tensor"):
        storage.read(path)
    assert not (tmp_path / "HARM").exists()


@pytest.mark.parametrize("content", [{"a": torch.zeros(1)}, [1, 2], "text"])
def test_a_pt_of_something_else_is_refused(content, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"x.pt holds a .*wanted one tensor"):
        storage.read(tmp_path / "x.pt")


@pytest.mark.parametrize(
    "tensor", [torch.zeros(2, 5, 8), torch.zeros(8), torch.zeros(1, 5, 8).int()]
)
def test_a_pt_of_another_shape_is_refused(tensor, tmp_path: Path) -> None:
    torch.save(tensor, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"x.pt holds a .*wanted floats \(1, N, C\)"):
        storage.read(tmp_path / "x.pt")


@pytest.mark.parametrize("keep", [0, 7, 8, 100, 400, -1])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_truncated_file_is_refused(
    keep: int, suffix: str, embedding: HiperEmbedding, tmp_path: Path
) -> None:
    path = tmp_path / f"cut{suffix}"
    if suffix == ".pt":
        torch.save(embedding.tail[0], path)
    else:
        storage.write(embedding, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=rf"cut{suffix} .*(copy or download|save it) "):
        storage.read(path)


def test_a_foreign_safetensors_is_refused(tmp_path: Path) -> None:
    save_file({"lora_up.weight": torch.zeros(2)}, tmp_path / "lora.safetensors")
    with pytest.raises(ValueError, match=r"something else \(it holds lora_up.weight\)"):
        storage.read(tmp_path / "lora.safetensors")


def test_a_renamed_file_is_refused(embedding: HiperEmbedding, tmp_path: Path) -> None:
    torch.save(embedding.tail[0], tmp_path / "pickle.safetensors")
    storage.write(embedding, tmp_path / "dog.safetensors").rename(tmp_path / "dog.pt")
    (tmp_path / "note.txt").write_text("hello")
    for name, sentence in (
        ("pickle.safetensors", "not a whole safetensors"),
        ("dog.pt", "dog.pt"),
        ("note.txt", r"ends in .txt; wanted one of"),
        ("nothing.pt", "There is no embedding"),
    ):
        with pytest.raises(ValueError, match=sentence):
            storage.read(tmp_path / name)


@pytest.mark.parametrize(
    ("description", "sentence"),
    [
        ("{", "broken description"),
        ("[]", "broken description"),
        (json.dumps({"format": 2}), "format 2; this version of the pack reads 1: update"),
        (json.dumps({"format": 1, "details": 3}), "broken description"),
        (json.dumps({"format": 1, "details": {"steps": "many"}}), "steps = 'many'; wanted a int"),
    ],
)
def test_a_broken_description_is_refused(description: str, sentence: str, tmp_path: Path) -> None:
    save_file(
        {"hiper": torch.zeros(1, 1, 5, 8)}, tmp_path / "x.safetensors", {"hiper": description}
    )
    with pytest.raises(ValueError, match=sentence):
        storage.read(tmp_path / "x.safetensors")


def test_details_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    details = {**asdict(EmbeddingDetails(steps=7, first_loss=1.0, last_loss=0.5)), "mood": "good"}
    description = json.dumps({"format": 1, "details": details})
    save_file(
        {"hiper": torch.zeros(1, 1, 5, 8)}, tmp_path / "x.safetensors", {"hiper": description}
    )
    assert storage.read(tmp_path / "x.safetensors").details.steps == 7


def test_a_whole_model_is_not_opened_as_an_embedding(tmp_path: Path) -> None:
    with open(tmp_path / "model.safetensors", "wb") as file:
        file.truncate(storage.LARGEST_FILE + 1)
    with pytest.raises(ValueError, match=r"256 MB; .*looks like a model"):
        storage.read(tmp_path / "model.safetensors")


def test_numbers_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    torch.save(torch.full((1, 5, 8), float("inf")), tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"x.pt: 40 of the embedding's 40 numbers"):
        storage.read(tmp_path / "x.pt")


def test_a_picture_is_kept_only_if_one_is_given(embedding: HiperEmbedding, tmp_path: Path) -> None:
    picture = Image.linear_gradient("L").resize((640, 480))
    plain, covered, again = (tmp_path / f"{name}.safetensors" for name in ("a", "b", "c"))
    storage.write(embedding, plain)
    for path in (covered, again):
        storage.write(embedding, path, cover=picture)
    assert b"ssmd_cover_images" not in plain.read_bytes()
    assert covered.read_bytes() == again.read_bytes()
    assert covered.stat().st_size < plain.stat().st_size + 16 * 1024
    read = storage.read(covered)
    assert torch.equal(read.tail, embedding.tail) and read.details == DETAILS
    assert torch.equal(load_file(covered)["hiper"], embedding.tail)  # whole, for others as well
    assert storage.to_bytes(read) == plain.read_bytes()  # saved again it holds no picture
