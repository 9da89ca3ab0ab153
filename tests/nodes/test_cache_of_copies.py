"""A node that was copied, or stands in a subgraph, comes from the cache; seeds start as fixed."""

from __future__ import annotations

from support.graphs import WIDGETS, Graph, node
from support.tiny_graphs import tiny_model

LEARN = {
    "tokens": 5,
    "steps": 3,
    "learning_rate": 5e-3,
    "batch_size": 1,
    "precision": "auto",
    "gradient_checkpointing": "off",
    "preview_every": 0,
    "recipe": "paper",
    "auto_stop": False,
}
NODES = ("model", "source", "picture", "learn", "compose", "view", "compare", "digest")


def graph(prefix: str, seed: int) -> Graph:
    """Learn, compose, view and compare, under ids as the editor sends them from a subgraph."""
    made = {name: tiny_model()[name] for name in ("loader", "source", "picture")}
    made["model"] = made.pop("loader")
    made |= {
        "learn": node(
            "HiPerLearnEmbedding",
            model=["model", 0],
            conditioning=["source", 0],
            latent=["picture", 0],
            seed=seed,
            **LEARN,
        ),
        "compose": node(
            "HiPerComposeConditioning",
            conditioning=["source", 0],
            embedding=["learn", 0],
            strength=0.8,
        ),
        "view": node(
            "HiPerAttentionViewer",
            model=["model", 0],
            conditioning=["compose", 0],
            latent=["picture", 0],
            **WIDGETS,
        ),
        "compare": node(
            "HiPerCompareAttention",
            model=["model", 0],
            latent=["picture", 0],
            conditioning_a=["source", 0],
            conditioning_b=["compose", 0],
            title_a="a",
            title_b="b",
            title_c="c",
            timestep=50.0,
            show="all tokens",
            labels_a="",
            labels_b="",
            labels_c="",
            layers="all",
            head=0,
            seed=0,
        ),
        "digest": node("HiPerTestDigest", embedding=["learn", 0]),
    }
    for each in made.values():
        for name, value in each["inputs"].items():
            if isinstance(value, list) and len(value) == 2 and value[0] in made:
                each["inputs"][name] = [prefix + value[0], value[1]]
    return {prefix + name: each for name, each in made.items()}


def cached(server, made: Graph) -> tuple[set[str], dict]:
    number = server.queue(made)
    outputs = server.wait(number)["outputs"]
    messages = server.get(f"/history/{number}")[number]["status"]["messages"]
    return set(
        next(data["nodes"] for kind, data in messages if kind == "execution_cached")
    ), outputs


def test_a_copy_in_the_same_graph_runs_once(server) -> None:
    both = graph("1", 31) | graph("2", 31)
    _, outputs = cached(server, both)
    assert outputs["1digest"] == outputs["2digest"]
    # a preview's file names are made by chance: the same files are the same run
    assert outputs["1view"] == outputs["2view"] and outputs["1compare"] == outputs["2compare"]


def test_a_subgraph_comes_from_the_cache(server) -> None:
    server.run(graph("", 32))
    found, _ = cached(server, graph("5:3:", 32))
    assert {f"5:3:{name}" for name in NODES} <= found
    again, _ = cached(server, graph("5:3:", 33))
    assert "5:3:learn" not in again and "5:3:model" in again


def test_seeds_start_as_fixed(server) -> None:
    for name in ("HiPerLearnEmbedding", "HiPerDrawDemoAnimal"):
        inputs = server.get(f"/object_info/{name}")[name]["input"]["required"]
        assert inputs["seed"][1]["control_after_generate"] == "fixed"
