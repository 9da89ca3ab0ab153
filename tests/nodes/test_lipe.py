"""LIPE's nodes through the server: invert, replay with stock samplers, blend, edit."""

from __future__ import annotations

import pytest
from support.comfyui_server import PromptError, Server
from support.editing_graphs import STEPS, blended, demo, editing
from support.graphs import Graph, node


def test_ddpm_says_how_exactly_it_is_drawn_again(server: Server) -> None:
    graph = demo() | {"report": node("PreviewAny", source=["invert", 3])}
    said = server.run(graph)["report"]["text"][0]
    assert said.startswith("euler_ancestral draws it again with a mean error of ")
    assert float(said.split("error of ")[1].split()[0]) < 1e-4


@pytest.mark.parametrize("name", ["euler", "ddim", "dpmpp_2m", "euler_ancestral", "heun"])
def test_any_sampler_edits(server: Server, name: str) -> None:
    found = server.run(editing({"sampler_name": name}))
    assert found["digest"]["finite"] == [True]
    assert len(found["shown"]["images"]) == 1


def edit_picture(**change) -> Graph:
    graph = demo()
    given = dict(
        model=["loader", 0],
        source=["source text", 0],
        target=["target text", 0],
        negative=["negative", 0],
        latent=["picture", 0],
        word="dog",
        steps=STEPS,
        cfg=3.0,
        sampler_name="euler_ancestral",
        scheduler="normal",
        seed=3,
        strength=1.0,
        clip=["loader", 1],
    )
    graph["edit"] = node("HiPerEditPicture", **(given | change))
    graph["report"] = node("PreviewAny", source=["edit", 2])
    graph["digest"] = node("HiPerTestDigest", latent=["edit", 0])
    return graph


def test_edit_picture(server: Server) -> None:
    said = server.run(edit_picture())["report"]["text"][0]
    assert "of the picture could change" in said


@pytest.mark.parametrize("socket", ["source", "target"])
def test_edit_picture_says_which_prompt_has_no_words(server: Server, socket: str) -> None:
    graph = edit_picture(**{socket: ["unknown", 0]})
    graph["unknown"] = node(
        "HiPerTestConditioning", width=128, length=77, pooled=0, seed=0, entries=1
    )
    with pytest.raises(PromptError, match=f"in the {socket} prompt, .* put Identity Word behind"):
        server.run(graph)


@pytest.mark.parametrize("socket", ["source", "target"])
def test_edit_picture_says_where_a_tail_can_be_counted(server: Server, socket: str) -> None:
    """It has no text of its own to write the prompt into."""
    graph = edit_picture(**{socket: ["unknown", 0], "word": "", "embedding": ["tail", 0]})
    graph["tail"] = node("HiPerLoadEmbedding", name="demo_dog.safetensors")
    graph["unknown"] = node(
        "HiPerTestConditioning", width=128, length=77, pooled=0, seed=0, entries=1
    )
    sentence = f"words of the {socket} prompt can't be found .* put Compose behind both prompts"
    with pytest.raises(PromptError, match=sentence):
        server.run(graph)
    del graph["edit"]["inputs"]["clip"]  # nothing is counted then
    assert "could change" in server.run(graph)["report"]["text"][0]


@pytest.mark.parametrize(
    ("sampling", "change", "sentence"),
    [
        ({"steps": 7}, {}, r"runs 7 steps .* inverted in 4 steps"),
        ({"positive": "target text"}, {}, "target conditioning has neither"),
        ({"latent_image": ["wide", 0]}, {}, r"inverted as latents \(1, 12, 16, 16\)"),
        ({"positive": "target text"}, {}, "paint a mask and set masks to one that leaves"),
        ({}, {"masks": "painted alone"}, "nothing is painted"),
        ({}, {"mask": ["hole", 0]}, "mask of picture 1 is empty"),
    ],
)
def test_what_cant_be_edited_is_said(server: Server, sampling, change, sentence: str) -> None:
    graph = editing(sampling, **change)
    graph["wide"] = node("EmptyLatentImage", width=256, height=128, batch_size=1)
    graph["hole"] = node("SolidMask", value=0.0, width=128, height=128)
    with pytest.raises(PromptError, match=sentence):
        server.run(graph)


def test_the_custom_sampler_nodes_and_the_inversions_own_sigmas(server: Server) -> None:
    graph = demo() | {
        "blend": blended(),
        "noise": node("RandomNoise", noise_seed=5),
        "select": node("KSamplerSelect", sampler_name="dpmpp_2m"),
        "guider": node(
            "CFGGuider",
            model=["blend", 0],
            positive=["target", 0],
            negative=["negative", 0],
            cfg=3.0,
        ),
        "sampler": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["select", 0],
            sigmas=["invert", 1],
            latent_image=["picture", 0],
        ),
        "masks": node("HiPerEditMasks", edit=["blend", 1], latent=["sampler", 0]),
        "shown": node("PreviewImage", images=["masks", 3]),
    }
    assert len(server.run(graph)["shown"]["images"]) == 1


@pytest.mark.parametrize("change", ["area", "mask", "range", "average", "combine"])
def test_stock_nodes_behind_the_identity_word(server: Server, change: str) -> None:
    graph = editing({"positive": "changed"}) | {
        "hole": node("SolidMask", value=1.0, width=128, height=128)
    }
    behind = {
        "area": node(
            "ConditioningSetArea",
            conditioning=["source", 0],
            width=64,
            height=128,
            x=0,
            y=0,
            strength=1.0,
        ),
        "mask": node(
            "ConditioningSetMask",
            conditioning=["target", 0],
            mask=["hole", 0],
            strength=1.0,
            set_cond_area="default",
        ),
        "range": node(
            "ConditioningSetTimestepRange", conditioning=["target", 0], start=0.0, end=0.7
        ),
        "average": node(
            "ConditioningAverage",
            conditioning_to=["target", 0],
            conditioning_from=["source", 0],
            conditioning_to_strength=0.8,
        ),
        "combine": node(
            "ConditioningCombine", conditioning_1=["target", 0], conditioning_2=["source text", 0]
        ),
    }
    graph["changed"] = behind[change]
    if change in ("area", "range"):  # the rest of the picture and of the sampling has a prompt, too
        graph["part"] = behind[change]
        graph["changed"] = node(
            "ConditioningCombine", conditioning_1=["part", 0], conditioning_2=["target", 0]
        )
    assert server.run(graph)["digest"]["finite"] == [True]


def test_a_batch_from_one_inversion(server: Server) -> None:
    graph = editing({"latent_image": ["many", 0]})
    graph["many"] = node("RepeatLatentBatch", samples=["picture", 0], amount=3)
    assert len(server.run(graph)["shown"]["images"]) == 3
