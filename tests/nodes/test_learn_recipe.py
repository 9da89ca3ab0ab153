"""The faster recipe and stopping by itself, through the server; the paper's recipe beside them."""

from __future__ import annotations

import re

from support.comfyui_server import Server
from support.graphs import Graph
from support.tiny_graphs import learned, tiny_model

from hiper.files import embeddings as storage


def tail_of(server: Server, graph: Graph, name: str) -> storage.HiperEmbedding:
    graph["save"] = {
        "class_type": "HiPerSaveEmbedding",
        "inputs": {"embedding": ["learn", 0], "name": name, "if_exists": "overwrite"},
    }
    server.run(graph)
    return storage.read(server.base / f"models/hiper/{name}.safetensors")


def test_auto_stop_takes_fewer_steps_and_says_so(server: Server) -> None:
    graph = learned(tiny_model(), recipe="fast", auto_stop=True, steps=1500)
    (report,) = server.run(graph)["digest"]["text"]
    taken = int(re.search(r"; (\d+) steps in", report)[1])
    assert taken < 1500 and taken % 50 == 0
    assert "stopped before 1500 as nothing more was gained" in report


def test_a_graph_that_names_no_recipe_learns_as_a_fresh_node(server: Server) -> None:
    """In the API, in `execute` and in the editor Learn starts with the same."""
    graph = learned(tiny_model(), recipe="fast", auto_stop=True)
    before = graph | {"learn": {**graph["learn"], "inputs": dict(graph["learn"]["inputs"])}}
    del before["learn"]["inputs"]["recipe"], before["learn"]["inputs"]["auto_stop"]
    first, second = (server.run(g)["digest"]["digest"] for g in (graph, before))
    assert first == second


def test_the_file_names_its_recipe(server: Server) -> None:
    kept = {
        name: tail_of(server, learned(tiny_model(), recipe=name), name)
        for name in ("paper", "fast")
    }
    assert [one.details.recipe for one in kept.values()] == ["paper", "fast"]
    assert (kept["paper"].tail - kept["fast"].tail).abs().max() > 1e-3
