"""What Learn takes beside the picture, through the server: a mask, an embedding to go on from."""

from __future__ import annotations

import pytest
from support.comfyui_server import PromptError
from support.graphs import Graph, learn, node
from support.tiny_graphs import learned, tiny_model


def masked(width: int = 128, height: int = 128, value: float = 1.0, **change) -> Graph:
    """Learn with a mask of the picture's right half, or of nothing at value 0."""
    graph = learned(tiny_model(), mask=["mask", 0], **change)
    graph["right"] = node("SolidMask", value=value, width=width // 2, height=height)
    graph["none"] = node("SolidMask", value=0.0, width=width, height=height)
    graph["mask"] = node(
        "MaskComposite",
        destination=["none", 0],
        source=["right", 0],
        x=width // 2,
        y=0,
        operation="add",
    )
    return graph


def test_a_mask_changes_what_is_learned_and_a_full_one_nothing(server) -> None:
    plain = server.run(learned(tiny_model()))["digest"]["digest"]
    assert server.run(masked())["digest"]["digest"] != plain
    everything = learned(tiny_model(), mask=["full", 0])
    everything["full"] = node("SolidMask", value=1.0, width=64, height=64)
    tails = server.run(everything)["digest"]
    assert tails["finite"] == [True]


def test_the_latents_own_noise_mask_counts(server) -> None:
    by_input = server.run(masked())["digest"]["digest"]
    graph = masked()
    del graph["learn"]["inputs"]["mask"]
    graph["noised"] = node("SetLatentNoiseMask", samples=["picture", 0], mask=["mask", 0])
    graph["learn"]["inputs"]["latent"] = ["noised", 0]
    assert server.run(graph)["digest"]["digest"] == by_input


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"width": 256}, r"mask is 256×128, but the latent is 16×16 cells, .* another shape"),
        ({"value": 0.0}, "mask of picture 1 is empty: paint the subject"),
    ],
)
def test_a_mask_that_cant_be_meant_is_refused(server, change: dict, sentence: str) -> None:
    with pytest.raises(PromptError, match=sentence):
        server.run(masked(**change))


def test_learning_goes_on_from_an_embedding(server) -> None:
    """Its own number of tokens counts, and its vectors are where the run begins."""
    graph = learned(tiny_model(), steps=2)
    graph["on"] = learn(embedding=["learn", 0], tokens=3, steps=1, learning_rate=1e-6)
    graph["went on"] = node("HiPerTestDigest", embedding=["on", 0])
    outputs = server.run(graph)
    assert outputs["went on"]["shapes"] == outputs["digest"]["shapes"] == [[1, 1, 5, 32]]
    assert outputs["went on"]["digest"] != outputs["digest"]["digest"]


def test_an_embedding_of_another_family_is_no_start(server, checkpoints) -> None:
    graph = learned(tiny_model())
    graph["other"] = node("CheckpointLoaderSimple", ckpt_name="sd1.safetensors")
    graph["text"] = node("CLIPTextEncode", text="a dog", clip=["other", 1])
    graph["on"] = learn(model=["other", 0], conditioning=["text", 0], embedding=["learn", 0])
    graph["end"] = node("HiPerTestDigest", embedding=["on", 0])
    with pytest.raises(PromptError, match=r"learned on SD15 \(width 32\).*\(width 768\)"):
        server.run(graph)
