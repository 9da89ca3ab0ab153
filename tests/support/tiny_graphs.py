"""API-format graphs on the small models: milliseconds a step."""

from __future__ import annotations

from typing import Any

from support.graphs import Graph, latent, learn, node, sampler

PLAIN = "off"  # the memory probe would count as a call of the model


def tiny_model(*wraps: tuple[str, dict[str, Any]], **model: Any) -> Graph:
    """A small model in the node "loader", its texts, and what it is wrapped in on the way."""
    given = {"seed": 0, "blind": False, "huge": False, "copy": 0} | model
    graph = {
        "model": node("HiPerTestModel", **given),
        "source": node("HiPerTestText", seed=1, length=77),
        "target": node("HiPerTestText", seed=2, length=77),
        "negative": node("HiPerTestText", seed=3, length=77),
        "picture": latent(),
        "start": latent(seed=7),
    }
    last = "model"
    for number, (kind, inputs) in enumerate(wraps):
        graph[f"wrap {number}"] = node(kind, model=[last, 0], **inputs)
        last = f"wrap {number}"
    # one name for the wrapped model, whatever is around it
    graph["loader"] = graph.pop(last)
    return graph


def learned(graph: Graph, **change: Any) -> Graph:
    """The graph with Learn in it, and what it learned made known; step by step as published."""
    given = {"gradient_checkpointing": PLAIN, "recipe": "paper", "auto_stop": False} | change
    return graph | {
        "learn": learn(**given),
        "digest": node("HiPerTestDigest", embedding=["learn", 0], text=["learn", 2]),
    }


def composed(graph: Graph, strength: float = 0.8, **embedding: Any) -> Graph:
    """The graph with the target composed and sampled."""
    given = {"conditioning": ["target", 0], "embedding": ["learn", 0]} | embedding
    return graph | {
        "compose": node("HiPerComposeConditioning", strength=strength, **given),
        "sampler": sampler("compose"),
        "latent": node("HiPerTestDigest", latent=["sampler", 0]),
    }


def with_model_state(graph: Graph, turn: int) -> Graph:
    """The graph with a plain sampling run of the model, and the model's state after it."""
    return graph | {
        f"plain {turn}": sampler("target", seed=99, steps=2),
        f"bits {turn}": node("HiPerTestDigest", latent=[f"plain {turn}", 0]),
        f"state {turn}": node(
            "HiPerTestState",
            model=["loader", 0],
            turn=turn,
            memory=True,
            after=[f"plain {turn}", 0],
        ),
    }
