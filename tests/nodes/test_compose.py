"""Compose on whatever ComfyUI's own nodes make of a prompt: lists, schedules, areas, chunks."""

from __future__ import annotations

import pytest
from support.comfyui_server import PromptError, Server
from support.graphs import Graph, learn, node, sampler
from support.tiny_graphs import learned, tiny_model

FILE = "ragged.safetensors"
TEXT, OTHER = ["target", 0], ["source", 0]
AREA = {"width": 64, "height": 64, "x": 0, "y": 32, "strength": 0.9}

# what is between the prompt and the sampler: the last of these nodes is "changed"
RAGGED: dict[str, Graph] = {
    "plain": {"changed": node("ConditioningCombine", conditioning_1=TEXT, conditioning_2=OTHER)},
    "scheduled": {
        "early": node("ConditioningSetTimestepRange", conditioning=TEXT, start=0.0, end=0.4),
        "late": node("ConditioningSetTimestepRange", conditioning=OTHER, start=0.4, end=1.0),
        "changed": node(
            "ConditioningCombine", conditioning_1=["early", 0], conditioning_2=["late", 0]
        ),
    },
    "areas": {
        "here": node("ConditioningSetArea", conditioning=TEXT, **AREA),
        "changed": node("ConditioningCombine", conditioning_1=["here", 0], conditioning_2=OTHER),
    },
    "a mask": {
        "drawn": node("SolidMask", value=1.0, width=64, height=64),
        "changed": node(
            "ConditioningSetMask",
            conditioning=TEXT,
            mask=["drawn", 0],
            strength=0.7,
            set_cond_area="default",
        ),
    },
    "two chunks": {"changed": node("HiPerTestText", seed=5, length=154)},
    "concatenated": {
        "changed": node("ConditioningConcat", conditioning_to=TEXT, conditioning_from=OTHER)
    },
    "lengths that differ": {
        "long": node("HiPerTestText", seed=6, length=231),
        "changed": node("ConditioningCombine", conditioning_1=TEXT, conditioning_2=["long", 0]),
    },
}


@pytest.fixture(scope="module")
def embedding(server: Server) -> Graph:
    """One learned tail, from its file."""
    graph = learned(tiny_model())
    graph["save"] = node(
        "HiPerSaveEmbedding", embedding=["learn", 0], name=FILE, if_exists="overwrite"
    )
    server.run(graph)
    return {"load": node("HiPerLoadEmbedding", name=FILE)}


def compose(conditioning: list, strength: float = 0.8, embedding: str = "load") -> dict:
    return node(
        "HiPerComposeConditioning",
        conditioning=conditioning,
        embedding=[embedding, 0],
        strength=strength,
    )


def shown(positive: str) -> Graph:
    return {
        f"sampler {positive}": sampler(positive, steps=3),
        f"latent {positive}": node("HiPerTestDigest", latent=[f"sampler {positive}", 0]),
        f"entries {positive}": node("HiPerTestDescribe", conditioning=[positive, 0]),
    }


@pytest.mark.parametrize("kind", RAGGED)
def test_every_entry_gets_the_tail_and_keeps_the_rest(server, embedding, kind: str) -> None:
    graph = tiny_model() | embedding | RAGGED[kind] | {"compose": compose(["changed", 0])}
    said = server.run(graph | shown("changed") | shown("compose"))
    plain, composed = (said[f"entries {name}"]["entries"] for name in ("changed", "compose"))
    assert len(plain) == len(composed) > 0
    for before, after in zip(plain, composed, strict=True):
        length = before["shape"][1]
        assert after["shape"] == before["shape"] and after["options"] == before["options"]
        assert after["keys"] == sorted([*before["keys"], "hiper_tails"])
        assert after["tails"] == [[length - 5, 5]] and before["tails"] == []
    latents = [said[f"latent {name}"] for name in ("changed", "compose")]
    assert latents[0]["digest"] != latents[1]["digest"] and latents[1]["finite"] == [True]


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("ConditioningSetArea", AREA),
        ("ConditioningSetTimestepRange", {"start": 0.0, "end": 0.6}),
    ],
)
def test_before_or_after_is_the_same(server, embedding, kind: str, inputs: dict) -> None:
    """An area or a range may be set on either side of Compose: the latents are bit-equal."""
    graph = tiny_model() | embedding
    graph |= {"set": node(kind, conditioning=TEXT, **inputs), "after": compose(["set", 0])}
    graph |= {"tail": compose(TEXT), "before": node(kind, conditioning=["tail", 0], **inputs)}
    said = server.run(graph | shown("after") | shown("before"))
    assert said["latent after"]["digest"] == said["latent before"]["digest"]


def test_two_subjects_stand_side_by_side(server, embedding) -> None:
    """A second Compose puts its tail before the first one's, and not over it."""
    graph = tiny_model() | embedding | learned(tiny_model(), tokens=3, seed=9)
    graph |= {"one": compose(TEXT), "two": compose(["one", 0], 0.5, "learn")}
    graph |= {"swapped": compose(TEXT, 0.5, "learn"), "other": compose(["swapped", 0])}
    said = server.run(graph | shown("one") | shown("two") | shown("other"))
    tails = {name: said[f"entries {name}"]["entries"][0] for name in ("one", "two", "other")}
    assert tails["one"]["tails"] == [[72, 5]]
    assert tails["two"]["tails"] == [[69, 3], [72, 5]]
    assert tails["other"]["tails"] == [[69, 5], [74, 3]]
    assert {len(entry["keys"]) for entry in tails.values()} == {1}
    assert len({said[f"latent {name}"]["digest"][0] for name in tails}) == 3


def test_strength_nought_is_not_the_plain_prompt_and_scales(server, embedding) -> None:
    """α = 0 silences the last tokens; it does not give the prompt's own back."""
    graph = tiny_model() | embedding
    for strength in (0.0, 0.8, 2.0):
        graph |= {f"{strength}": compose(TEXT, strength)} | shown(f"{strength}")
    said = server.run(graph | shown("target"))
    digests = {said[f"latent {name}"]["digest"][0] for name in ("0.0", "0.8", "2.0", "target")}
    assert len(digests) == 4


BAD = {
    "more tails than tokens": (
        {"learn": learn(tokens=40), "one": compose(TEXT, embedding="learn")}
        | {"two": compose(["one", 0], embedding="learn")},
        ["two", 0],
        "The tail has 40 tokens, but only 37 of the prompt's 77 are left to replace",
    ),
    "nothing": (
        {"none": node("HiPerTestConditioning", width=32, length=77, pooled=0, seed=0, entries=0)},
        ["none", 0],
        "The conditioning is empty: connect",
    ),
    "another width": (
        {
            "wide": node(
                "HiPerTestConditioning", width=2048, length=77, pooled=1280, seed=0, entries=1
            )
        },
        ["wide", 0],
        r"learned on SD15 \(width 32\), .* encoded for SDXL.* \(width 2048\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_sentence(server, embedding, case: str) -> None:
    nodes, prompt, sentence = BAD[case]
    graph = tiny_model() | embedding | nodes | {"compose": compose(prompt)}
    graph["look"] = node("HiPerTestDescribe", conditioning=["compose", 0])
    with pytest.raises(PromptError, match=sentence) as refused:
        server.run(graph)
    assert "\n" not in str(refused.value).strip()
