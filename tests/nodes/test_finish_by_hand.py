"""Finish now and use it: the graph goes on with what was learned by then, through the server."""

from __future__ import annotations

import re
import time

import pytest
from support.comfyui_server import PromptError, Server
from support.tiny_graphs import composed, learned, tiny_model

STEPS = 100_000
ROUTE = "/hiper/finish"


def finished_after(server: Server, least: int, graph: dict) -> dict:
    """The outputs of a graph whose Learn was ended once it had taken so many steps."""
    prompt = server.queue(graph)
    until = time.monotonic() + 240
    while not any(m["value"] >= least and m["max"] == STEPS for m in server.of("progress", prompt)):
        assert time.monotonic() < until, "Learn did not begin"
        time.sleep(0.05)
    server.post(ROUTE, {"prompt_id": prompt, "node_id": "learn"})
    return server.wait(prompt)["outputs"]


@pytest.mark.parametrize("recipe", ["paper", "fast"])
def test_the_rest_runs_with_what_as_many_steps_learn(server: Server, recipe: str) -> None:
    """Not an interrupt: the sampler behind it draws, and the tail is that of a run of k steps."""
    given = {"recipe": recipe, "seed": 77}
    graph = composed(learned(tiny_model(), steps=STEPS, **given))
    outputs = finished_after(server, 60, graph)
    (report,) = outputs["digest"]["text"]
    steps = int(re.search(rf"finished by hand after step (\d+) of {STEPS}", report)[1])
    assert 60 <= steps < STEPS
    assert f"Finished by hand after step {steps}" in outputs["learn"]["text"][0]
    again = server.run(composed(learned(tiny_model(), steps=steps, **given)))
    assert again["digest"]["digest"] == outputs["digest"]["digest"]
    assert again["latent"]["digest"] == outputs["latent"]["digest"]


def test_only_a_learning_that_is_under_way_can_be_ended(server: Server) -> None:
    graph = learned(tiny_model(), steps=STEPS, seed=78)
    prompt = server.queue(graph)
    while not server.of("progress", prompt):
        time.sleep(0.05)
    for wrong in (
        {"prompt_id": "another", "node_id": "learn"},
        {"prompt_id": prompt, "node_id": "digest"},
    ):
        with pytest.raises(PromptError, match="No learning of that prompt and node is under way"):
            server.post(ROUTE, wrong)
    for broken in ({}, [], "learn"):
        with pytest.raises(PromptError, match="Wanted prompt_id and node_id"):
            server.post(ROUTE, broken)
    server.post(ROUTE, {"prompt_id": prompt, "node_id": "learn"})
    server.wait(prompt)
    with pytest.raises(PromptError, match="it has ended, or not begun"):
        server.post(ROUTE, {"prompt_id": prompt, "node_id": "learn"})
