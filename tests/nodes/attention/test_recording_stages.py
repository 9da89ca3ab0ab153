"""A recording shows the runs that led to a picture, under their own words, or nothing at all."""

from __future__ import annotations

from typing import Any

import pytest
from support.comfyui_server import PromptError, Server
from support.graphs import WIDGETS, Graph, node
from support.recording_graphs import CAT, DOG, base, encoded, part, sampler


def viewer(latent: list, **change: Any) -> Graph:
    given = {"maps": ["record", 1], "latent": latent, "clip": ["loader", 1]} | WIDGETS
    view = node("HiPerAttentionViewer", **(given | change))
    return {"view": view, "said": node("PreviewAny", source=["view", 5])}


def seen(server: Server, graph: Graph) -> tuple[list[dict], str]:
    said = server.run(graph)
    return said["view"]["hiper_maps"], said["said"]["text"][0]


def words(payload: dict) -> str:
    return " ".join(token["label"] for token in payload["tokens"] if token["kind"] == "word")


def moments(payload: dict) -> list[tuple[int, int, int | None]]:
    """Each frame's step, of how many, and its stage."""
    return [(frame["step"], frame["steps"], frame["stage"]) for frame in payload["frames"]]


def test_a_run_past_the_recorder_is_refused(server) -> None:
    """The old dog's maps never appear under a cat."""
    graph = base(101) | {"sampler": sampler(["start", 0])}
    (payload,), _ = seen(server, graph | viewer(["sampler", 0]))
    assert words(payload) == DOG
    past = base(101, CAT) | {"sampler": sampler(["start", 0], "loader")} | viewer(["sampler", 0])
    with pytest.raises(PromptError, match="The recording is not of this latent"):
        server.run(past)
    again = base(101, CAT) | {"sampler": sampler(["start", 0])} | viewer(["sampler", 0])
    assert words(seen(server, again)[0][0]) == CAT


def test_two_parts_of_the_steps_are_one_recording(server) -> None:
    graph = base(102) | {"one": part(["start", 0], 0, 4), "two": part(["one", 0], 4, 8)}
    (payload,), said = seen(server, graph | viewer(["two", 0]))
    assert said.startswith("8 of 8 steps recorded in 2 stages")
    assert moments(payload)[0] == (1, 8, 1)
    assert moments(payload)[-1] == (8, 8, 2) and len(moments(payload)) == 8
    # only the second is changed and runs: it takes its own place
    graph["two"]["inputs"]["cfg"] = 4.0
    (payload,), said = seen(server, graph | viewer(["two", 0]))
    assert said.startswith("8 of 8 steps recorded in 2 stages") and len(moments(payload)) == 8
    # the first alone is what the first alone did
    (payload,), said = seen(server, graph | viewer(["one", 0]))
    assert said.startswith("4 of 4 steps recorded, ") and len(moments(payload)) == 4


def test_each_part_has_its_own_words(server) -> None:
    graph = base(103) | {"cat": encoded(CAT), "one": part(["start", 0], 0, 4)}
    graph |= {"two": part(["one", 0], 4, 8, positive=["cat", 0])}
    payloads, _ = seen(server, graph | viewer(["two", 0]))
    assert [words(payload) for payload in payloads] == [DOG, CAT]
    assert [len(moments(payload)) for payload in payloads] == [4, 4]


@pytest.mark.parametrize("through", ["latent", "pixels"])
def test_a_second_pass_on_the_enlarged_picture(server, through: str) -> None:
    limit = {"latent": 104, "pixels": 105}[through]
    graph = base(limit) | {"one": sampler(["start", 0])}
    if through == "latent":
        larger = {"upscale_method": "bilinear", "scale_by": 1.5}
        graph["large"] = node("LatentUpscaleBy", samples=["one", 0], **larger)
    else:
        graph["decoded"] = node("VAEDecode", samples=["one", 0], vae=["loader", 2])
        larger = {"upscale_method": "bilinear", "scale_by": 1.5}
        graph["scaled"] = node("ImageScaleBy", image=["decoded", 0], **larger)
        graph["large"] = node("VAEEncode", pixels=["scaled", 0], vae=["loader", 2])
    graph["two"] = sampler(["large", 0], denoise=0.5, steps=2)
    (payload,), said = seen(server, graph | viewer(["two", 0]))
    assert said.startswith("6 of 6 steps recorded in 2 stages")
    assert [payload["width"], payload["height"]] == [96, 96] and len(moments(payload)) == 6
    assert words(payload) == DOG
    # the first pass's picture with it is the first pass alone; the enlarged one is nobody's
    (payload,), said = seen(server, graph | viewer(["one", 0]))
    assert said.startswith("4 of 4 steps") and payload["width"] == 64
    with pytest.raises(PromptError, match="The recording is not of this latent"):
        server.run(
            graph | viewer(["large", 0]) | {"end": node("HiPerTestDigest", latent=["two", 0])}
        )


def test_a_picture_made_otherwise_is_no_stage(server) -> None:
    """A first run that the second did not go on from, though a picture of it is on the way."""
    graph = base(106) | {"one": sampler(["start", 0], seed=5), "two": sampler(["start", 0], seed=6)}
    graph["end"] = node("HiPerTestDigest", latent=["one", 0])
    (payload,), said = seen(server, graph | viewer(["two", 0]))
    assert said.startswith("4 of 4 steps recorded, ") and len(moments(payload)) == 4
    (payload,), said = seen(server, graph | viewer(["one", 0]))
    assert said.startswith("4 of 4 steps recorded, ")


def test_stages_are_kept_in_files(server) -> None:
    graph = base(107) | {"one": part(["start", 0], 0, 4), "two": part(["one", 0], 4, 8)}
    graph |= viewer(["two", 0])
    graph["save"] = node("HiPerSaveAttentionMaps", maps=["view", 3], filename_prefix="stages/maps")
    said = server.run(graph)
    name = said["save"]["text"][0].removeprefix("Saved as ").split(" (")[0]
    loaded = {"load": node("HiPerLoadAttentionMaps", name=name)}
    loaded["view"] = node("HiPerAttentionViewer", maps=["load", 0], **WIDGETS)
    (before,), (after,) = said["view"]["hiper_maps"], server.run(loaded)["view"]["hiper_maps"]
    assert moments(after) == moments(before) and words(after) == words(before) == DOG


def test_every_run_of_a_list_is_kept(server) -> None:
    """Seeds from Grid Values: the viewer runs when all of them did, and finds each."""
    graph = base(108) | {"values": node("HiPerGridValues", values="1, 2, 3", name="seed")}
    graph["sampler"] = sampler(["start", 0], seed=["values", 2])
    payloads, said = seen(server, graph | viewer(["sampler", 0]))
    assert len(payloads) == 3 and said.startswith("4 of 4 steps recorded, ")
    assert all(len(moments(payload)) == 4 for payload in payloads)


def test_only_the_tail_is_found_behind_a_join(server) -> None:
    """ "No conditioning had a HiPer tail" is said only when it is so."""
    graph = base(109)
    graph["record"]["inputs"]["tokens"] = "tail only"
    graph |= {
        "animal": node(
            "HiPerDrawDemoAnimal", animal="dog", pose="standing", ground="grass", seed=1
        ),
        "picture": node("VAEEncode", pixels=["animal", 0], vae=["loader", 2]),
        "cat": encoded(CAT),
        "learn": node(
            "HiPerLearnEmbedding",
            model=["loader", 0],
            conditioning=["target", 0],
            latent=["picture", 0],
            tokens=5,
            steps=2,
            learning_rate=5e-3,
            seed=1,
            batch_size=1,
            precision="auto",
            gradient_checkpointing="auto",
            preview_every=0,
        ),
        "compose": node(
            "HiPerComposeConditioning",
            conditioning=["target", 0],
            embedding=["learn", 0],
            strength=0.8,
        ),
        "join": node(
            "ConditioningConcat", conditioning_to=["cat", 0], conditioning_from=["compose", 0]
        ),
        "sampler": sampler(["start", 0], positive=["join", 0]),
    }
    (payload,), _ = seen(server, graph | viewer(["sampler", 0]))
    assert [token["index"] for token in payload["tokens"]] == list(range(149, 154))
    graph["join"] = node("ConditioningZeroOut", conditioning=["compose", 0])
    with pytest.raises(PromptError, match="No conditioning had a HiPer tail in it"):
        server.run(graph | viewer(["sampler", 0]))
