"""SeFi-IDE Settings and Learn, through the server: what is learned apart, and what is refused."""

from __future__ import annotations

import pytest
from support.comfyui_server import PromptError, Server
from support.graphs import Graph, node, sampler
from support.tiny_graphs import learned, tiny_model

DEMO_PROMPT = "a sitting dog in snow"
SETTINGS = {
    "focus": 0.0,
    "word": "",
    "stages": 1,
    "keys_and_values": False,
    "layers": "all",
    "reduction": "relative",
}


def settings(**change) -> dict:
    return node("HiPerSefiSettings", **(SETTINGS | change))


def learned_apart(steps: int = 6, **change) -> Graph:
    graph = learned(tiny_model(), steps=steps, sefi=["sefi", 0])
    graph["sefi"] = settings(**change)
    return graph


def demo(steps: int = 6, text: str = DEMO_PROMPT, clip: bool = True, **change) -> Graph:
    """Learn on the demo model, with its CLIP and a drawn animal."""
    graph = {
        "demo": node("HiPerLoadDemoModel"),
        "drawn": node(
            "HiPerDrawDemoAnimal",
            animal="dog",
            pose="sitting",
            ground="snow",
            seed=0,
        ),
        "source": node("CLIPTextEncode", text=text, clip=["demo", 1]),
        "picture": node("VAEEncode", pixels=["drawn", 0], vae=["demo", 2]),
        "sefi": settings(**change),
    }
    graph |= learned({}, steps=steps, sefi=["sefi", 0], model=["demo", 0])
    if clip:
        graph["learn"]["inputs"]["clip"] = ["demo", 1]
    return graph


def test_settings_that_ask_for_nothing_change_nothing(server: Server) -> None:
    plain = server.run(learned(tiny_model(), steps=6))["digest"]["digest"]
    assert server.run(learned_apart())["digest"]["digest"] == plain


@pytest.mark.parametrize(
    ("change", "shape"),
    [
        ({"stages": 3}, [3, 1, 5, 32]),
        ({"keys_and_values": True}, [1, 2, 5, 32]),
        ({"stages": 2, "keys_and_values": True}, [2, 2, 5, 32]),
    ],
)
def test_stages_keys_and_values_are_learned_composed_and_sampled(
    server: Server, change: dict, shape: list
) -> None:
    graph = learned_apart(**change)
    graph["compose"] = node(
        "HiPerComposeConditioning",
        conditioning=["target", 0],
        embedding=["learn", 0],
        strength=0.8,
    )
    graph |= {"sampler": sampler("compose", steps=4), "plain": sampler("target", steps=4)}
    graph |= {
        "latent": node("HiPerTestDigest", latent=["sampler", 0]),
        "without": node("HiPerTestDigest", latent=["plain", 0]),
    }
    said = server.run(graph)
    assert said["digest"]["shapes"] == [shape] and said["digest"]["finite"] == [True]
    assert said["latent"]["finite"] == [True]
    assert said["latent"]["digest"] != said["without"]["digest"]


def test_the_file_says_what_it_is(server: Server) -> None:
    graph = demo(steps=4, stages=2, keys_and_values=True, focus=0.01, word="dog")
    graph["save"] = node(
        "HiPerSaveEmbedding", embedding=["learn", 0], name="sefi.safetensors", if_exists="overwrite"
    )
    server.run(graph)
    said = server.run(
        {
            "load": node("HiPerLoadEmbedding", name="sefi.safetensors"),
            "digest": node("HiPerTestDigest", embedding=["load", 0], text=["load", 1]),
        }
    )["digest"]
    assert said["shapes"] == [[2, 2, 5, 128]]
    (text,) = said["text"]
    assert "2 stages of the sampling apart, keys and values apart" in text
    assert 'its attention held to "dog" by 0.01' in text


def test_focus_on_a_word_and_on_a_region_each_change_what_is_learned(server: Server) -> None:
    plain = server.run(demo())["digest"]["digest"]
    word = server.run(demo(focus=0.01, word="dog"))["digest"]["digest"]
    graph = demo(focus=0.01)
    graph["sefi"]["inputs"]["region"] = ["drawn", 1]
    region = server.run(graph)["digest"]["digest"]
    assert len({str(each) for each in (plain, word, region)}) == 3


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"focus": 0.01}, r"focus is 0.01, but there is nothing to hold"),
        ({"focus": 0.01, "word": "lion"}, r"does not hold the word 'lion'.*it has a, sitting, dog"),
        ({"focus": 0.01, "word": "dog", "clip": False}, r"connect clip"),
        ({"stages": 7}, r"7 stages, but only 6 steps"),
    ],
)
def test_what_cant_be_meant_is_one_sentence(server: Server, change: dict, sentence: str) -> None:
    with pytest.raises(PromptError, match=sentence):
        server.run(demo(**change))


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        ({"value": 0.0, "width": 128, "height": 128}, "mask of picture 1 is empty"),
        ({"value": 1.0, "width": 256, "height": 128}, "mask is 256×128, .* another shape"),
    ],
)
def test_a_region_that_cant_be_meant(server: Server, mask: dict, sentence: str) -> None:
    graph = learned_apart(focus=0.01)
    graph["region"] = node("SolidMask", **mask)
    graph["sefi"]["inputs"]["region"] = ["region", 0]
    with pytest.raises(PromptError, match=sentence):
        server.run(graph)


def test_a_word_and_a_region_are_one_too_many(server: Server) -> None:
    graph = demo(focus=0.01, word="dog")
    graph["sefi"]["inputs"]["region"] = ["drawn", 1]
    with pytest.raises(PromptError, match="to the word 'dog' or to a region, not to both"):
        server.run(graph)


def test_stages_go_on_from_a_shared_tail_and_from_their_own(server: Server) -> None:
    graph = learned(tiny_model(), steps=3)
    graph["sefi"] = settings(stages=2)
    graph["warm"] = learned({}, steps=4, sefi=["sefi", 0], embedding=["learn", 0])["learn"]
    graph["on"] = learned({}, steps=4, embedding=["warm", 0])["learn"]
    for name in ("warm", "on"):
        graph[f"said {name}"] = node("HiPerTestDigest", embedding=[name, 0])
    said = server.run(graph)
    assert said["said warm"]["shapes"] == said["said on"]["shapes"] == [[2, 1, 5, 32]]
    other = learned_apart(stages=3)
    other["three"] = settings(stages=2)
    other["again"] = learned({}, steps=4, sefi=["three", 0], embedding=["learn", 0])["learn"]
    other["said"] = node("HiPerTestDigest", embedding=["again", 0])
    with pytest.raises(PromptError, match="has 3 stages and 1 roles, but the settings ask for 2"):
        server.run(other)
