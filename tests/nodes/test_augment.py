"""Augment Picture between Draw, VAE Encode and Learn, through the server."""

from __future__ import annotations

import pytest
from support.comfyui_server import PromptError, Server
from support.graphs import Graph, node
from support.tiny_graphs import learned

SETTINGS = {"count": 4, "seed": 1, "flip": 0.5, "smallest": 0.4, "jitter": 0.0}


def drawn(**change) -> Graph:
    return {
        "demo": node("HiPerLoadDemoModel"),
        "drawn": node("HiPerDrawDemoAnimal", animal="dog", pose="sitting", ground="snow", seed=0),
        "many": node("HiPerAugmentPicture", image=["drawn", 0], **(SETTINGS | change)),
    }


def learning(**change) -> Graph:
    graph = drawn(mask=["drawn", 1], **change)
    graph |= {
        "source": node("CLIPTextEncode", text="a dog", clip=["demo", 1]),
        "picture": node("VAEEncode", pixels=["many", 0], vae=["demo", 2]),
    }
    many = learned({}, model=["demo", 0], steps=3, mask=["many", 1], clip=["demo", 1])
    return graph | many


def test_learn_takes_the_pictures_and_their_masks(server: Server) -> None:
    found = server.run(learning())["digest"]
    assert found["finite"] == [True]
    other = server.run(learning(seed=2))["digest"]
    assert other["digest"] != found["digest"]


def test_without_a_mask_the_picture_is_the_mask(server: Server) -> None:
    graph = drawn() | {"preview": node("MaskPreview", mask=["many", 1])}
    assert len(server.run(graph)["preview"]["images"]) == 4


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        ({"value": 1.0, "width": 64, "height": 128}, r"mask is 64×128, but the image is 128×128"),
        ({"value": 0.0, "width": 128, "height": 128}, r"mask of picture 1 is empty"),
    ],
)
def test_a_mask_that_cant_be_meant(server: Server, mask: dict, sentence: str) -> None:
    graph = drawn(mask=["wrong", 0])
    graph |= {"wrong": node("SolidMask", **mask), "end": node("PreviewImage", images=["many", 0])}
    with pytest.raises(PromptError, match=sentence):
        server.run(graph)


def test_too_many_pictures_are_refused(server: Server) -> None:
    graph = drawn(count=256) | {
        "large": node("EmptyImage", width=1024, height=1024, batch_size=1, color=255),
        "end": node("PreviewImage", images=["many", 0]),
    }
    graph["many"]["inputs"]["image"] = ["large", 0]
    with pytest.raises(PromptError, match=r"256 pictures of 1024×1024, more than a GB: choose 85"):
        server.run(graph)
