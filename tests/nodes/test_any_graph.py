"""Compose, Learn and the viewer between ComfyUI's own nodes: where the tail is, which words those
are, and that none was cut."""

from __future__ import annotations

from typing import Any

import pytest
from support.comfyui_server import PromptError, Server
from support.graphs import Graph, learn, node

TAIL, WORDS = 5, "a sitting dog in snow"
TOLD = {"sitting": WORDS, "cat": "a cat on beach"}
X, P = ["composed", 0], ["other", 0]
SEEN: dict[str, Any] = {"timestep": 50.0, "tokens": "1", "mask": "soft", "threshold": 0.5}
SEEN |= {"opacity": 0.75, "labels": "", "layers": "all", "head": 0, "seed": 0, "side": "positive"}
SEEN |= {"save_animation": False}
AREA = {"width": 0.5, "height": 0.5, "x": 0.0, "y": 0.0, "strength": 1.0}
LONG = "a dog " * 36 + "on grass"  # 74 words: with start and end one token is left


def joined(kind: str, one: list, other: list, **more: Any) -> dict:
    names = {"Combine": ("conditioning_1", "conditioning_2")}.get(
        kind, ("conditioning_to", "conditioning_from")
    )
    return node(f"Conditioning{kind}", **dict(zip(names, (one, other), strict=True)), **more)


def half(one: list, other: list, share: float = 0.5) -> dict:
    return joined("Average", one, other, conditioning_to_strength=share)


def changed(one: list, other: list) -> dict[str, tuple[dict, list]]:
    """What is done to one conditioning and another, by ComfyUI's own nodes; for each entry that
    comes of it, a word that tells it, and the columns where the first one's tail then is."""
    mask = node("SolidMask", value=1.0, width=64, height=64)
    ends = {"start": 0.0, "end": 0.9}
    tail = list(range(72, 77))
    later = [77 + column for column in tail]
    return {
        "combine": ({"join": joined("Combine", one, other)}, [("sitting", tail), ("cat", [])]),
        "combine turned": (
            {"join": joined("Combine", other, one)},
            [("cat", []), ("sitting", tail)],
        ),
        "concat": ({"join": joined("Concat", one, other)}, [("sitting cat", tail)]),
        "concat turned": ({"join": joined("Concat", other, one)}, [("cat sitting", later)]),
        "average": ({"join": half(one, other)}, [("", [])]),
        "average turned": ({"join": half(other, one)}, [("", [])]),
        "average of one": ({"join": half(one, other, 1.0)}, [("sitting", tail)]),
        "zero out": ({"join": node("ConditioningZeroOut", conditioning=one)}, [("", [])]),
        "multiply": (
            {"join": node("ConditioningMultiply", conditioning=one, multiplier=0.5)},
            [("sitting", tail)],
        ),
        "multiply by nought": (
            {"join": node("ConditioningMultiply", conditioning=one, multiplier=0.0)},
            [("sitting", [])],
        ),
        "area": (
            {"join": node("ConditioningSetAreaPercentage", conditioning=one, **AREA)},
            [("sitting", tail)],
        ),
        "mask": (
            {
                "drawn": mask,
                "join": node(
                    "ConditioningSetMask",
                    conditioning=one,
                    mask=["drawn", 0],
                    strength=1.0,
                    set_cond_area="default",
                ),
            },
            [("sitting", tail)],
        ),
        "range": (
            {"join": node("ConditioningSetTimestepRange", conditioning=one, **ends)},
            [("sitting", tail)],
        ),
        "unclip": (
            {
                "seen": node("HiPerTestVision"),
                "join": node(
                    "unCLIPConditioning",
                    conditioning=one,
                    clip_vision_output=["seen", 0],
                    strength=1.0,
                    noise_augmentation=0.0,
                ),
            },
            [("sitting", tail)],
        ),
        "guidance": (
            {"join": node("FluxGuidance", conditioning=one, guidance=3.0)},
            [("sitting", tail)],
        ),
        "all of them": (
            {
                "first": joined("Concat", other, one),
                "guided": node("FluxGuidance", conditioning=["first", 0], guidance=3.0),
                "join": joined("Combine", ["guided", 0], other),
            },
            [("cat sitting", later), ("cat", [])],
        ),
    }


CASES = list(changed(X, P))


@pytest.fixture(scope="module")
def embedding(server: Server) -> Graph:
    """A tail of the demo model, from its file."""
    graph = demo() | {
        "learn": learn(tokens=TAIL, steps=2, conditioning=["plain", 0]),
        "save": node(
            "HiPerSaveEmbedding",
            embedding=["learn", 0],
            name="any_graph",
            if_exists="overwrite",
        ),
    }
    server.run(graph)
    return demo() | {"load": node("HiPerLoadEmbedding", name="any_graph.safetensors")}


def demo() -> Graph:
    return {
        "loader": node("HiPerLoadDemoModel"),
        "animal": node(
            "HiPerDrawDemoAnimal", animal="dog", pose="standing", ground="grass", seed=1
        ),
        "picture": node("VAEEncode", pixels=["animal", 0], vae=["loader", 2]),
        "plain": encoded(WORDS),
        "other": encoded(TOLD["cat"]),
    }


def encoded(text: Any) -> dict:
    return node("CLIPTextEncode", text=text, clip=["loader", 1])


def composed(conditioning: list, **change: Any) -> dict:
    given = {"embedding": ["load", 0], "strength": 0.8, "clip": ["loader", 1]} | change
    return node("HiPerComposeConditioning", conditioning=conditioning, **given)


def viewer(conditioning: list, **change: Any) -> Graph:
    given = {"model": ["loader", 0], "latent": ["picture", 0], "clip": ["loader", 1]} | SEEN
    view = node("HiPerAttentionViewer", conditioning=conditioning, **(given | change))
    return {"view": view, "said": node("PreviewAny", source=["view", 5])}


def tails(payload: dict) -> list[int]:
    return [token["index"] for token in payload["tokens"] if token["kind"] == "tail"]


def words(payload: dict) -> list[str]:
    return [token["label"] for token in payload["tokens"] if token["kind"] == "word"]


@pytest.mark.parametrize("case", CASES)
def test_the_viewer_behind_a_join(server, embedding, case: str) -> None:
    """Labels are each entry's own, or the node says that it does not know them; tails are where
    they stand and nowhere else."""
    nodes, entries = changed(X, P)[case]
    said = server.run(
        embedding | {"composed": composed(["plain", 0])} | nodes | viewer(["join", 0])
    )
    payloads = said["view"]["hiper_maps"]
    assert [tails(payload) for payload in payloads] == [columns for _, columns in entries]
    for payload, (told, _) in zip(payloads, entries, strict=True):
        texts = [TOLD[word] for word in told.split()]
        assert words(payload) == " ".join(texts).split()
        if not texts:
            assert {token["kind"] for token in payload["tokens"]} <= {"number", "special", "pad"}
    unknown = any(not told for told, _ in entries) and case != "zero out"
    assert (
        "words are not known here: write them into labels" in said["said"]["text"][0]
    ) == unknown


def test_a_prompt_of_an_earlier_layer_keeps_its_words_and_its_tail(server, embedding) -> None:
    graph = embedding | {
        "layer": node("CLIPSetLastLayer", clip=["loader", 1], stop_at_clip_layer=-2),
        "plain": node("CLIPTextEncode", text=WORDS, clip=["layer", 0]),
        "composed": composed(["plain", 0]),
    }
    (payload,) = server.run(graph | viewer(["composed", 0]))["view"]["hiper_maps"]
    assert words(payload) == WORDS.split() and tails(payload) == list(range(72, 77))


@pytest.mark.parametrize("case", CASES)
def test_compose_behind_a_join(server, embedding, case: str) -> None:
    """Each entry gets its tail at its end, and every word stays."""
    nodes, entries = changed(["plain", 0], P)[case]
    graph = embedding | nodes | {"tail": composed(["join", 0])}
    graph |= {"look": node("HiPerTestDescribe", conditioning=["tail", 0])} | viewer(["tail", 0])
    said = server.run(graph)
    for (told, _), entry, payload in zip(
        entries, said["look"]["entries"], said["view"]["hiper_maps"], strict=True
    ):
        length = entry["shape"][1]
        assert entry["tails"] == [[length - TAIL, TAIL]]
        assert tails(payload) == list(range(length - TAIL, length))
        assert words(payload) == " ".join(TOLD[word] for word in told.split()).split()


@pytest.mark.parametrize("case", CASES)
def test_a_second_compose_cuts_no_tail(server, embedding, case: str) -> None:
    nodes, entries = changed(X, P)[case]
    graph = embedding | {"composed": composed(["plain", 0])} | nodes
    graph |= {"tail": composed(["join", 0], strength=0.5)} | viewer(["tail", 0])
    for payload, (_, before) in zip(server.run(graph)["view"]["hiper_maps"], entries, strict=True):
        found, length = tails(payload), len(payload["tokens"])
        end = length - TAIL if before and before[-1] == length - 1 else length
        assert found == sorted({*before, *range(end - TAIL, end)})


@pytest.mark.parametrize("case", [case for case in CASES if changed(X, P)[case][1][0][1]])
def test_learn_refuses_a_source_that_holds_a_tail(server, embedding, case: str) -> None:
    nodes, entries = changed(X, P)[case]
    if len(entries) > 1 or case in ("area", "mask", "unclip"):
        pytest.skip("refused for another reason: learning wants one plain prompt")
    graph = embedding | {"composed": composed(["plain", 0])} | nodes
    graph |= {"learn": learn(conditioning=["join", 0], steps=1)}
    graph |= {"digest": node("HiPerTestDigest", embedding=["learn", 0])}
    with pytest.raises(PromptError, match="has a HiPer tail in it already"):
        server.run(graph)


LINKED: dict[str, Graph] = {
    "a primitive": {"line": node("PrimitiveString", value=LONG)},
    "two joined": {
        "line": node("StringConcatenate", string_a="a dog " * 36, string_b="on grass", delimiter="")
    },
    "a widget": {"line": node("PrimitiveStringMultiline", value=LONG)},
}


@pytest.mark.parametrize("kind", LINKED)
def test_a_linked_prompt_is_counted(server, embedding, kind: str) -> None:
    graph = embedding | LINKED[kind] | {"target": encoded(["line", 0])}
    graph |= {"tail": composed(["target", 0])} | viewer(["tail", 0])
    with pytest.raises(PromptError, match="leaves 1 of 77 tokens free; more would cut its words"):
        server.run(graph)
    graph |= {"learn": learn(conditioning=["target", 0], clip=["loader", 1], steps=1)}
    graph |= {"tail": node("HiPerTestDigest", embedding=["learn", 0])}
    del graph["view"], graph["said"]
    with pytest.raises(PromptError, match="leaves 1 of 77 tokens free"):
        server.run(graph)


@pytest.mark.parametrize("kind", ["Combine", "Concat", "Average"])
def test_no_word_is_cut_behind_a_join(server, embedding, kind: str) -> None:
    """The tail would go into the long prompt, wherever it came from."""
    more = {"conditioning_to_strength": 0.5} if kind == "Average" else {}
    graph = embedding | {"long": encoded(LONG)}
    graph |= {"join": joined(kind, ["plain", 0], ["long", 0], **more)}
    graph |= {"tail": composed(["join", 0])} | viewer(["tail", 0])
    with pytest.raises(PromptError, match="more would cut its words"):
        server.run(graph)


def test_the_animals_own_prompt_is_known(server, embedding) -> None:
    graph = embedding | {"target": encoded(["animal", 2])} | viewer(["target", 0])
    (payload,) = server.run(graph)["view"]["hiper_maps"]
    assert words(payload) == ["a", "standing", "dog", "on", "grass"]


def test_two_equal_texts_joined_keep_their_labels(server, embedding) -> None:
    graph = embedding | {"again": encoded(WORDS)}
    graph |= {"join": joined("Concat", ["plain", 0], ["again", 0])} | viewer(["join", 0])
    (payload,) = server.run(graph)["view"]["hiper_maps"]
    assert words(payload) == WORDS.split() * 2


def test_what_cannot_be_known_is_asked_for(server, embedding) -> None:
    """What only running the graph would tell: said to the node, it is counted like any other."""
    graph = embedding | {"target": encoded(["line", 0])}
    graph["line"] = node("RegexExtract", **REGEX)
    known = graph | {"tail": composed(["target", 0])} | viewer(["tail", 0])
    assert words(server.run(known)["view"]["hiper_maps"][0]) == ["a", "dog"]
    # of a seed that no other test learns or makes a tail of
    graph["made"] = node(
        "HiPerTestConditioning", width=64, length=77, pooled=0, seed=4711, entries=1
    )
    graph["described"] = node("PreviewAny", source=["load", 1])
    width = int(server.run(graph)["described"]["text"][0].split("width ")[1].split(",")[0])
    graph["made"]["inputs"]["width"] = width
    graph |= {"tail": composed(["made", 0])} | viewer(["tail", 0])
    with pytest.raises(PromptError, match="write the prompt into text, or take clip off"):
        server.run(graph)
    graph["tail"] = composed(["made", 0], text="a dog")
    (payload,) = (said := server.run(graph))["view"]["hiper_maps"]
    assert "words are not known here" in said["said"]["text"][0]
    kinds = [token["kind"] for token in payload["tokens"]]
    assert kinds == ["number"] * 72 + ["tail"] * 5
    graph["tail"] = composed(["made", 0], text=LONG)
    with pytest.raises(PromptError, match="leaves 1 of 77 tokens free"):
        server.run(graph)
    graph["tail"] = composed(["made", 0], text="a dog")
    graph |= viewer(["tail", 0], labels="a dog")
    (payload,) = server.run(graph)["view"]["hiper_maps"]
    assert words(payload) == ["a", "dog"]


REGEX = {"string": "x: a dog", "regex_pattern": "x: (.*)", "mode": "First Group"}
REGEX |= {"case_insensitive": True, "multiline": False, "dotall": False, "group_index": 1}


def test_a_side_that_is_taken_apart_again(server, embedding) -> None:
    """ControlNet and the like give out two conditionings for two: each with its own words."""
    made = node("InpaintModelConditioning", positive=["plain", 0], negative=["other", 0])
    made["inputs"] |= {"vae": ["loader", 2], "pixels": ["animal", 0], "mask": ["animal", 1]}
    made["inputs"]["noise_mask"] = False
    graph = embedding | {"pair": made}
    for slot, text in enumerate((WORDS, TOLD["cat"])):
        said = server.run(graph | viewer(["pair", slot]))
        assert words(said["view"]["hiper_maps"][0]) == text.split()
