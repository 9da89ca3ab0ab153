"""The embedding knows CLIP's last layer, where it can be known; Compose warns of another."""

from __future__ import annotations

import json

import pytest
from safetensors import safe_open
from support.checkpoints import SD1
from support.graphs import Graph, latent, learn, node, prompts
from support.tiny_graphs import learned, tiny_model


def details(server, name: str) -> dict:
    with safe_open(str(server.base / "models" / "hiper" / f"{name}.safetensors"), "pt") as file:
        return json.loads(file.metadata()["hiper"])["details"]


def clip(layer: int | None) -> tuple[Graph, list]:
    if layer is None:
        return {}, ["loader", 1]
    made = node("CLIPSetLastLayer", clip=["loader", 1], stop_at_clip_layer=layer)
    return {"layer": made}, ["layer", 0]


def saved(name: str) -> dict:
    return node("HiPerSaveEmbedding", embedding=["learn", 0], name=name, if_exists="overwrite")


@pytest.mark.parametrize("layer", [None, -1, -2])
def test_the_file_says_the_layer(server, checkpoints, layer: int | None) -> None:
    nodes, wire = clip(layer)
    graph = prompts(SD1) | nodes | {"picture": latent()}
    graph["source"] = node("CLIPTextEncode", text="a standing dog", clip=wire)
    graph |= {"learn": learn(steps=1, seed=71), "save": saved("layered")}
    server.run(graph)
    assert details(server, "layered")["clip_layer"] == (layer or -1)
    for other in (None, -1, -2, -3):
        before = len(server.log)
        more, wire = clip(other)
        behind = prompts(SD1) | more
        behind["target"] = node("CLIPTextEncode", text="a dog", clip=wire)
        behind["load"] = node("HiPerLoadEmbedding", name="layered.safetensors")
        behind["compose"] = node(
            "HiPerComposeConditioning",
            conditioning=["target", 0],
            embedding=["load", 0],
            strength=0.5 + 0.01 * abs(layer or 0),
        )
        behind["digest"] = node("HiPerTestDescribe", conditioning=["compose", 0])
        server.run(behind)
        warned = "was learned behind CLIP's layer" in server.log[before:]
        assert warned == ((other or -1) != (layer or -1)), other


def test_where_it_cannot_be_known_nothing_is_said(server) -> None:
    """Vectors of no known encoder: the file is what it was before layers were kept."""
    graph = learned(tiny_model(), steps=1, seed=72) | {"save": saved("unlayered")}
    server.run(graph)
    assert "clip_layer" not in details(server, "unlayered")


def test_a_clip_that_is_connected_tells_it(server, checkpoints) -> None:
    nodes, wire = clip(-3)
    graph = prompts(SD1) | nodes | {"picture": latent()}
    graph["source"] = node("HiPerTestConditioning", width=SD1.context, length=77, pooled=0, seed=1)
    graph["source"]["inputs"]["entries"] = 1
    graph["learn"] = learn(steps=1, seed=73, clip=wire, text="a dog")
    graph["save"] = saved("told")
    server.run(graph)
    found = details(server, "told")
    assert found["clip_layer"] == -3 and found["source_prompt"] == "a dog"
