"""Load Attention Maps lists what Save Attention Maps wrote, and refuses the rest in a sentence."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.comfyui_server import PromptError
from support.graphs import node
from support.tiny_graphs import tiny_model

SEEN = {"timestep": 50.0, "tokens": "", "mask": "soft", "threshold": 0.5, "opacity": 0.75}
SEEN |= {"labels": "", "layers": "all", "head": 0, "seed": 0, "side": "positive"}
SEEN |= {"save_animation": False}


@pytest.fixture(scope="module")
def saved(server) -> str:
    """The name of a maps file in the output folder, beside files of something else."""
    graph = tiny_model() | {
        "view": node(
            "HiPerAttentionViewer",
            model=["loader", 0],
            conditioning=["target", 0],
            latent=["picture", 0],
            **SEEN,
        ),
        "save": node("HiPerSaveAttentionMaps", maps=["view", 3], filename_prefix="listed/maps"),
    }
    text = server.run(graph)["save"]["text"][0]
    save_file({"x": torch.zeros(3)}, str(server.base / "output" / "listed" / "lora.safetensors"))
    (server.base / "output" / "listed" / "empty.safetensors").touch()
    return text.removeprefix("Saved as ").split(" (")[0]


def listed(server) -> list[str]:
    spec = server.get("/object_info/HiPerLoadAttentionMaps")["HiPerLoadAttentionMaps"]
    kind, *options = spec["input"]["required"]["name"]
    return kind if isinstance(kind, list) else options[0]["options"]


def shown(name: str, **change: Any) -> dict:
    return {
        "load": node("HiPerLoadAttentionMaps", name=name),
        "view": node("HiPerAttentionViewer", maps=["load", 0], **(SEEN | change)),
        "said": node("PreviewAny", source=["view", 5]),
    }


def test_only_maps_are_listed(server, saved: str) -> None:
    found = listed(server)
    assert saved in found
    assert not [name for name in found if "lora" in name or "empty" in name]


def test_a_file_written_anew_is_read_anew_and_else_comes_from_the_cache(server, saved) -> None:
    path = server.base / "output" / saved
    first = server.queue(shown(saved))
    server.wait(first)
    again = server.queue(shown(saved))
    server.wait(again)
    assert {"load", "view"} <= set(cached(server, again))
    path.write_bytes(path.read_bytes())  # the same bytes; but who is to know without reading
    third = server.queue(shown(saved))
    server.wait(third)
    assert "load" not in cached(server, third)


def cached(server, prompt_id: str) -> list[str]:
    messages = server.get(f"/history/{prompt_id}")[prompt_id]["status"]["messages"]
    return next(data["nodes"] for kind, data in messages if kind == "execution_cached")


def test_broken_maps_are_refused_on_the_node(server, saved: str) -> None:
    chance = random.Random(1)
    good = (server.base / "output" / saved).read_bytes()
    refused = 0
    for number in range(40):
        data = bytearray(good)
        for _ in range(chance.randint(1, 10)):
            data[chance.randrange(50, 900)] = chance.randrange(32, 127)
        name = f"listed/broken_{number}.safetensors"
        (server.base / "output" / name).write_bytes(bytes(data))
        try:
            server.run(shown(name))
        except PromptError as error:
            refused += 1
            said = error.answer["exception_message"].strip()
            assert error.answer["exception_type"] == "ValueError", error.answer
            assert "\n" not in said and said.endswith(".") and len(said) < 700
            assert name.split("/")[1] in said or error.answer["node_id"] == "view", said
    assert refused > 20
