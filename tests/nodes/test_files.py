"""Save and Load through ComfyUI's own server, with names that try to get out."""

from __future__ import annotations

import io
import os
import urllib.request

import pytest
import torch
from PIL import Image
from support.checkpoints import SD1
from support.comfyui_server import PromptError
from support.graphs import latent, learn, node, prompts

from hiper.files import embeddings as storage

COLOUR = bytes((0x22, 0x66, 0xCC))


def saved(name: str, if_exists: str = "add a number", **change) -> dict:
    graph = prompts(SD1) | {"picture": latent(), "learn": learn(seed=101, **change)}
    graph["save"] = node(
        "HiPerSaveEmbedding", embedding=["learn", 0], name=name, if_exists=if_exists
    )
    return graph


def loaded(name: str) -> dict:
    return {
        "load": node("HiPerLoadEmbedding", name=name),
        "digest": node("HiPerTestDigest", embedding=["load", 0], text=["load", 1]),
    }


def test_a_file_says_what_it_is_and_loads_again(server, checkpoints, base) -> None:
    graph = saved("people/my dog")
    graph["digest"] = node("HiPerTestDigest", embedding=["learn", 0])
    outputs = server.run(graph)
    assert outputs["save"]["text"] == ["Saved as models/hiper/people/my dog.safetensors"]
    path = base / "models" / "hiper" / "people" / "my dog.safetensors"
    details = storage.read(path).details
    assert details.architecture == "SD15" and details.source_prompt == "a standing dog"
    assert (details.width, details.height, details.steps) == (128, 128, 3)
    assert details.placement == "replace" and details.learning_rate == 5e-3

    listed = server.get("/object_info/HiPerLoadEmbedding")["HiPerLoadEmbedding"]
    assert "people/my dog.safetensors" in str(listed["input"])
    assert "people/my dog.safetensors" in server.get("/models/hiper")
    said = server.run(loaded("people/my dog.safetensors"))["digest"]
    assert said["digest"] == outputs["digest"]["digest"]
    assert said["text"][0].startswith("5 tokens of width 768, learned on SD15 in 3 steps")


def test_a_name_that_is_taken_gets_a_number_or_stops(server, checkpoints, base) -> None:
    first = server.run(saved("cat"))
    path = base / "models" / "hiper" / "cat.safetensors"
    before = path.read_bytes()
    assert first["save"]["text"] == ["Saved as models/hiper/cat.safetensors"]
    other = saved("cat", steps=2)
    assert server.run(other)["save"]["text"] == ["Saved as models/hiper/cat_2.safetensors"]
    with pytest.raises(PromptError, match=r"cat.safetensors already exists"):
        server.run(saved("cat", "stop", steps=2))
    assert path.read_bytes() == before
    assert server.run(saved("cat", "overwrite", steps=2))["save"]["text"] == [
        "Saved as models/hiper/cat.safetensors"
    ]
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    "name",
    [
        *("../out", "a/../../out", "/etc/out", "C:\\out", "c:out", "..\\..\\out"),
        *("CON", "nul.safetensors", "lpt1/x", ".hidden", "dot."),
        *("", "  ", "a//b", "x" * 300, "tab\tname", "what?"),
    ],
)
def test_a_name_cant_leave_the_folder(server, checkpoints, base, name: str) -> None:
    before = {path for path in base.parent.rglob("*out*")}
    with pytest.raises(PromptError, match=r"can't be a file's name|leads out of"):
        server.run(saved(name))
    assert {path for path in base.parent.rglob("*out*")} == before


def test_the_published_codes_file_composes(server, checkpoints, base) -> None:
    folder = base / "models" / "hiper"
    folder.mkdir(exist_ok=True)
    torch.save(torch.randn(1, 5, 768), folder / "hper.pt")
    assert server.run(loaded("hper.pt"))["digest"]["shapes"] == [[1, 1, 5, 768]]


class Harmful:
    def __reduce__(self):
        return (os.system, ("touch HARM",))


def test_broken_and_foreign_files_are_refused(server, checkpoints, base) -> None:
    folder = base / "models" / "hiper"
    folder.mkdir(exist_ok=True)
    torch.save(Harmful(), folder / "evil.pt")
    (folder / "cut.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{")
    (folder / "empty.safetensors").write_bytes(b"")
    for name, sentence in (
        ("evil.pt", "holds more than a tensor"),
        ("cut.safetensors", "not a whole safetensors file"),
        ("empty.safetensors", "not a whole safetensors file"),
    ):
        with pytest.raises(PromptError, match=sentence):
            server.run(loaded(name))
    assert not list(base.rglob("HARM"))


def test_a_file_that_is_not_listed_is_not_read(server, checkpoints) -> None:
    for name in ("../checkpoints/sd1.safetensors", "nothing.safetensors"):
        with pytest.raises(PromptError, match="not in"):
            server.run(loaded(name))


def test_a_file_written_anew_is_read_anew(server, checkpoints, base) -> None:
    path = base / "models" / "hiper" / "changing.pt"
    path.parent.mkdir(exist_ok=True)
    digests = []
    for value in (1.0, 2.0):
        torch.save(torch.full((1, 5, 768), value), path)
        digests.append(server.run(loaded("changing.pt"))["digest"]["digest"])
    assert digests[0] != digests[1]


def test_a_thumbnail_is_where_comfyui_looks_for_one(server, checkpoints, base) -> None:
    name = "pets/with a picture, 100 % #1"
    graph = saved(name)
    color = int.from_bytes(COLOUR, "big")
    graph["picture of it"] = node("EmptyImage", width=320, height=240, batch_size=2, color=color)
    graph["save"]["inputs"]["thumbnail"] = ["picture of it", 0]
    server.run(graph)
    server.run(saved("without picture"))
    found = server.get("/hiper/thumbnails")
    assert "without picture.safetensors" not in found
    with urllib.request.urlopen(server.url + found[f"{name}.safetensors"]) as answer:
        thumbnail = Image.open(io.BytesIO(answer.read())).convert("RGB")
    assert thumbnail.size == (160, 120)
    assert all(abs(a - b) < 8 for a, b in zip(thumbnail.getpixel((80, 60)), COLOUR, strict=True))
    said = server.run(loaded(f"{name}.safetensors"))["digest"]
    assert said["text"][0].startswith("5 tokens of width 768")
