"""HiPer Preset through the server: what it sets, what a person sets instead, stock nodes around."""

from __future__ import annotations

import pytest
from support.comfyui_server import PromptError, Server
from support.graphs import Graph, node
from support.tiny_graphs import learned, tiny_model

VALUES = {
    "subject first": (10, 1000, 1.0),
    "balanced": (5, 500, 0.8),
    "prompt first": (3, 200, 0.6),
}
OUTPUTS = ("tokens", "steps", "strength", "sefi")


def preset(choice: str, **inputs) -> dict:
    return node("HiPerPreset", preset=choice, **inputs)


def demo(choice: str, word: str = "", region: bool = False) -> Graph:
    """A drawn dog, the preset's sefi wired into Learn, and what the file would say of it."""
    graph = {
        "demo": node("HiPerLoadDemoModel"),
        "drawn": node("HiPerDrawDemoAnimal", animal="dog", pose="sitting", ground="snow", seed=0),
        "source": node("CLIPTextEncode", text="a dog", clip=["demo", 1]),
        "picture": node("VAEEncode", pixels=["drawn", 0], vae=["demo", 2]),
        "preset": preset(choice, word=word),
    }
    if region:
        graph["preset"]["inputs"]["region"] = ["drawn", 1]
    graph |= learned({}, steps=2, sefi=["preset", 3], model=["demo", 0], clip=["demo", 1])
    return graph


def saved(server: Server, graph: Graph) -> str:
    """What a saved file says of the learned embedding."""
    name = "of_a_preset.safetensors"
    save = node("HiPerSaveEmbedding", embedding=["learn", 0], name=name, if_exists="overwrite")
    server.run(graph | {"save": save})
    load = {
        "load": node("HiPerLoadEmbedding", name=name),
        "said": node("HiPerTestDigest", text=["load", 1]),
    }
    return server.run(load)["said"]["text"][0]


@pytest.mark.parametrize(("choice", "values"), VALUES.items())
def test_each_choice_sets_its_numbers(server: Server, choice: str, values: tuple) -> None:
    graph = {"preset": preset(choice)}
    graph |= {name: node("PreviewAny", source=["preset", i]) for i, name in enumerate(OUTPUTS[:3])}
    said = server.run(graph)
    assert tuple(float(said[name]["text"][0]) for name in OUTPUTS[:3]) == values


def test_wired_into_learn_and_compose_it_is_what_was_written(server: Server) -> None:
    tokens, _, strength = VALUES["prompt first"]
    wired = learned(tiny_model(), tokens=["preset", 0], sefi=["preset", 3])
    wired["preset"] = preset("prompt first")
    written = learned(tiny_model(), tokens=tokens)
    found = []
    for graph, alpha in ((wired, ["preset", 2]), (written, strength)):
        graph["compose"] = node(
            "HiPerComposeConditioning",
            conditioning=["target", 0],
            embedding=["learn", 0],
            strength=alpha,
        )
        graph["said"] = node("HiPerTestDigest", conditioning=["compose", 0])
        found.append(server.run(graph)["said"]["digest"])
    assert found[0] == found[1]


def test_a_value_written_on_learn_stands_beside_the_presets(server: Server) -> None:
    graph = learned(tiny_model(), tokens=7, steps=["preset", 1])
    graph["preset"] = preset("prompt first")
    said = server.run(graph)["digest"]
    assert said["shapes"] == [[1, 1, 7, 32]] and "200 steps" in said["text"][0]


@pytest.mark.parametrize(
    ("choice", "word", "region", "held"),
    [
        ("subject first", "dog", False, None),
        ("balanced", "dog", False, 'its attention held to "dog" by 0.001'),
        ("prompt first", "dog", False, 'its attention held to "dog" by 0.003'),
        ("subject first", "", True, "its attention held to a region by 0.003"),
        ("balanced", "", False, None),
    ],
)
def test_focus_is_held_to_what_is_given(server, choice, word, region, held) -> None:
    said = saved(server, demo(choice, word, region))
    assert held in said if held else "attention" not in said, said


def test_a_word_and_a_region_are_one_too_many(server: Server) -> None:
    with pytest.raises(PromptError, match="to the word 'dog' or to a region, not to both"):
        server.run(demo("balanced", "dog", region=True))


def test_stock_nodes_stand_before_and_behind_it(server: Server) -> None:
    graph = demo("prompt first") | {
        "word": node("PrimitiveString", value="dog"),
        "plain": node("CLIPTextEncode", text="a cat", clip=["demo", 1]),
        "mixed": node(
            "ConditioningAverage",
            conditioning_to=["plain", 0],
            conditioning_from=["source", 0],
            conditioning_to_strength=["preset", 2],
        ),
        "start": node("EmptyLatentImage", width=128, height=128, batch_size=1),
        "sampled": node(
            "KSampler",
            model=["demo", 0],
            positive=["mixed", 0],
            negative=["plain", 0],
            latent_image=["start", 0],
            seed=0,
            steps=["preset", 0],
            cfg=3.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
        ),
        "latent": node("HiPerTestDigest", latent=["sampled", 0]),
    }
    graph["preset"]["inputs"]["word"] = ["word", 0]
    said = server.run(graph)
    assert said["latent"]["finite"] == said["digest"]["finite"] == [True]
    graph["region"] = node("SolidMask", value=1.0, width=128, height=128)
    graph["preset"]["inputs"] |= {"word": "", "region": ["region", 0]}
    other = server.run(graph)["digest"]
    assert other["digest"] != said["digest"]["digest"]
