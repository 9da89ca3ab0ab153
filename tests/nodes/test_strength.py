"""An embedding carries the strength that its recipe does best at; a fresh Compose follows it."""

from __future__ import annotations

import pytest
from support.comfyui_server import PromptError
from support.graphs import node
from support.tiny_graphs import learned, tiny_model


def composed(name: str, strength: float) -> dict:
    compose = node(
        "HiPerComposeConditioning",
        conditioning=["target", 0],
        embedding=["learn", 0],
        strength=strength,
    )
    return {name: compose, f"digest {name}": node("HiPerTestDigest", conditioning=[name, 0])}


@pytest.mark.parametrize(("recipe", "own"), [("fast", 1.0), ("paper", 0.8)])
def test_a_fresh_compose_takes_the_recipes_strength(server, recipe: str, own: float) -> None:
    graph = learned(tiny_model(), recipe=recipe, steps=3)
    for name, strength in {"own": -1.0, "said": own, "other": 0.9}.items():
        graph |= composed(name, strength)
    said = server.run(graph)
    found = {n: said[f"digest {n}"]["digest"] for n in ("own", "said", "other")}
    assert found["own"] == found["said"] != found["other"]


def test_a_strength_below_nothing_is_refused_in_a_sentence(server) -> None:
    graph = learned(tiny_model(), steps=1) | composed("below", -0.5)
    wanted = "The strength is -0.5; wanted 0 or more, or -1 for the embedding's own"
    with pytest.raises(PromptError, match=wanted):
        server.run(graph)
