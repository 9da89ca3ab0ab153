"""Two tails behind one prompt, each kept to its word or to a region, through the server."""

from __future__ import annotations

import pytest
from support.comfyui_server import PromptError, Server
from support.graphs import Graph, node, sampler
from support.tiny_graphs import learned

TARGET = "a sitting dog and a standing cat on grass"
SIDE = {"value": 1.0, "width": 64, "height": 128}


@pytest.fixture(scope="module")
def subjects(server: Server) -> Graph:
    """Two learned tails, from their files."""
    for number, animal in enumerate(("dog", "cat")):
        graph: Graph = {
            "demo": node("HiPerLoadDemoModel"),
            "drawn": node(
                "HiPerDrawDemoAnimal", animal=animal, pose="standing", ground="snow", seed=number
            ),
            "source": node("CLIPTextEncode", text=f"a standing {animal}", clip=["demo", 1]),
            "picture": node("VAEEncode", pixels=["drawn", 0], vae=["demo", 2]),
        }
        graph |= learned({}, model=["demo", 0], steps=3, clip=["demo", 1])
        graph["save"] = node(
            "HiPerSaveEmbedding",
            embedding=["learn", 0],
            name=f"{animal}.safetensors",
            if_exists="overwrite",
        )
        server.run(graph)
    return {
        animal: node("HiPerLoadEmbedding", name=f"{animal}.safetensors")
        for animal in ("dog", "cat")
    }


def both(subjects: Graph, first: dict, second: dict, **change) -> Graph:
    graph = subjects | {
        "loader": node("HiPerLoadDemoModel"),
        "target": node("CLIPTextEncode", text=TARGET, clip=["loader", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["loader", 1]),
        "start": node("EmptyLatentImage", width=128, height=128, batch_size=1),
        "empty": node("SolidMask", value=0.0, width=128, height=128),
        "left": node("SolidMask", **SIDE),
        "region": node(
            "MaskComposite",
            destination=["empty", 0],
            source=["left", 0],
            x=0,
            y=0,
            operation="add",
        ),
    }
    last = ["target", 0]
    for animal, given in (("dog", first), ("cat", second)):
        graph[f"compose {animal}"] = node(
            "HiPerComposeConditioning",
            conditioning=last,
            embedding=[animal, 0],
            strength=1.0,
            **({"clip": ["loader", 1]} | given),
        )
        last = [f"compose {animal}", 0]
    graph["sampler"] = sampler("compose cat", steps=3, **change)
    graph["digest"] = node("HiPerTestDigest", latent=["sampler", 0])
    return graph


def test_kept_to_a_word_and_to_a_region_each_draw_another_picture(server, subjects) -> None:
    ways = [
        ({}, {}),
        ({"keep_to": "dog"}, {"keep_to": "cat"}),
        ({"region": ["region", 0]}, {"keep_to": "cat"}),
    ]
    found = [server.run(both(subjects, *way))["digest"] for way in ways]
    assert all(each["finite"] == [True] for each in found)
    assert len({str(each["digest"]) for each in found}) == len(ways)


@pytest.mark.parametrize("name", ["dpmpp_2m", "euler_ancestral", "ddim"])
def test_any_sampler(server, subjects, name: str) -> None:
    graph = both(subjects, {"keep_to": "dog"}, {"keep_to": "cat"}, sampler_name=name)
    assert server.run(graph)["digest"]["finite"] == [True]


def test_a_recording_changes_nothing_and_shows_the_region(server, subjects) -> None:
    """The viewer sees the attention as it is: the dog's tail only from the left half."""
    plain = both(subjects, {"region": ["region", 0]}, {"keep_to": "cat"})
    graph = dict(plain)
    graph["record"] = node(
        "HiPerRecordAttention",
        model=["loader", 0],
        record="positive",
        tokens="tail only",
        memory_limit=512,
        every=1,
        layers="mean of equal sizes",
        head=0,
    )
    graph["sampler"] = sampler("compose cat", steps=3, model=["record", 0])
    assert server.run(graph)["digest"]["digest"] == server.run(plain)["digest"]["digest"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"keep_to": "lion"}, r"does not hold the word 'lion'; it has a, sitting, dog"),
        ({"keep_to": "dog", "region": ["region", 0]}, r"to the word 'dog' or to a region, not"),
        ({"region": ["empty", 0]}, r"region of 128×128 is empty"),
    ],
)
def test_a_place_that_cant_be_meant_is_one_sentence(server, subjects, given, sentence) -> None:
    with pytest.raises(PromptError, match=sentence):
        server.run(both(subjects, given, {}))


def test_a_word_without_a_clip_is_refused(server, subjects) -> None:
    graph = both(subjects, {"keep_to": "dog"}, {})
    del graph["compose dog"]["inputs"]["clip"]
    with pytest.raises(PromptError, match="without a CLIP it isn't known"):
        server.run(graph)
