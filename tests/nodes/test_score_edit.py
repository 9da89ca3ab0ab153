"""Score Edit through the server: what it says, what it needs, and what waits for it."""

from __future__ import annotations

import pytest
from support.comfyui_server import PromptError, Server
from support.graphs import Graph, node

EXACT = {"pose": 1.0, "ground": 1.0}


def animal(pose: str, ground: str, seed: int = 0) -> dict:
    return node("HiPerDrawDemoAnimal", animal="dog", pose=pose, ground=ground, seed=seed)


def scoring(**change) -> Graph:
    """Drawings stand for edits, so that what is right is known."""
    given = {"source": ["drawn", 0], "edited": ["same", 0], "plain": ["other", 0]}
    given |= {"source_prompt": "a sitting dog on grass", "target_prompt": "a sleeping dog in snow"}
    given |= {"name": "HiPer", "demo_animals": True} | change
    graph = {
        "drawn": animal("sitting", "grass"),
        "same": animal("sleeping", "snow"),
        "other": animal("sleeping", "snow", seed=9),
        "pair": node("ImageBatch", image1=["same", 0], image2=["other", 0]),
        "eye": node("HiPerTestEye", of="clip_vision_model"),
        "dino": node("HiPerTestEye", of="dinov2"),
        "demo": node("HiPerLoadDemoModel"),
        "clip": node("HiPerTestClip"),
        "score": node("HiPerScoreEdit", **{k: v for k, v in given.items() if v is not None}),
    }
    graph["table"] = node("PreviewImage", images=["score", 0])
    graph["text"] = node("PreviewAny", source=["score", 1])
    return graph


def numbers(said: str) -> dict[str, dict[str, float]]:
    """Each row's means, by its name."""
    found = {}
    for line in said.splitlines():
        if not line.startswith(" "):
            name, values = line.split(": ")
            parts = (value.rsplit(" ", 1) for value in values.split(", "))
            found[name] = {key: float(number) for key, number in parts}
    return found


def test_the_demo_models_reader_tells_the_subject_from_another(server: Server) -> None:
    found = server.run(scoring())
    assert len(found["table"]["images"]) == 1
    rows = numbers(found["text"]["text"][0])
    assert rows["plain prompt"] == {"identity": 0.0, **EXACT}
    assert rows["HiPer"]["identity"] > 0.8 and EXACT.items() <= rows["HiPer"].items()


def test_each_picture_of_a_batch_has_its_numbers(server: Server) -> None:
    said = server.run(scoring(edited=["pair", 0]))["text"]["text"][0].splitlines()
    first, second = (line for line in said if line.startswith("  "))
    assert first.startswith("  1: identity 0.") and second.startswith("  2: identity 0.000")


def test_encoders_score_likeness(server: Server) -> None:
    graph = scoring(clip_vision=["eye", 0], dinov2=["dino", 0], edited=["drawn", 0])
    rows = numbers(server.run(graph)["text"]["text"][0])
    assert rows["HiPer"]["CLIP-I"] == rows["HiPer"]["DINOv2-I"] == 1.0
    assert rows["plain prompt"]["CLIP-I"] < 1.0


def test_prompts_are_scored_with_the_text_encoder(server: Server) -> None:
    graph = scoring(clip_vision=["eye", 0], clip=["clip", 0], threshold=0.0, demo_animals=False)
    rows = numbers(server.run(graph)["text"]["text"][0])
    assert rows["HiPer"].keys() == {"CLIP-T", "CLIP-I", "CLIP-D", "ID(P)"}
    followed = rows["HiPer"]["CLIP-T"] >= 0
    assert rows["HiPer"]["ID(P)"] == (rows["HiPer"]["CLIP-I"] if followed else 0.0)
    strict = scoring(clip_vision=["eye", 0], clip=["clip", 0], threshold=1.0)
    assert numbers(server.run(strict)["text"]["text"][0])["HiPer"]["ID(P)"] == 0.0


def test_without_a_source_prompt_there_is_no_direction(server: Server) -> None:
    graph = scoring(clip_vision=["eye", 0], clip=["clip", 0], source_prompt=" ")
    assert "CLIP-D" not in numbers(server.run(graph)["text"]["text"][0])["HiPer"]


def test_a_row_may_be_called_as_the_plain_one(server: Server) -> None:
    said = server.run(scoring(name="plain prompt"))["text"]["text"][0].splitlines()
    assert [line.split(":")[0] for line in said] == ["plain prompt"] * 2


def test_a_number_can_be_wired(server: Server) -> None:
    graph = scoring()
    graph["pose"] = node("PreviewAny", source=["score", 8])
    assert server.run(graph)["pose"]["text"] == ["1.0"]


def test_a_number_that_is_not_there_says_what_it_needs(server: Server) -> None:
    graph = scoring()
    graph["missing"] = node("PreviewAny", source=["score", 2])
    prompt_id = server.queue(graph)
    found = server.wait(prompt_id)["outputs"]
    assert "missing" not in found and "text" in found
    (said,) = (error["exception_message"] for error in server.soon("execution_error", prompt_id))
    assert "CLIP-T needs clip_vision, clip and target_prompt" in said


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"demo_animals": False}, "Nothing is there to score with"),
        ({"clip_vision": ["dino", 0]}, "clip_vision is a dinov2, but wants OpenAI"),
        ({"dinov2": ["eye", 0]}, "dinov2 is a clip_vision_model, but wants a DINOv2"),
        ({"clip_vision": ["eye", 0], "clip": ["demo", 1]}, "embeddings are 48 wide, but clip's"),
        (
            {"clip_vision": ["eye", 0], "clip": ["demo", 1], "target_prompt": " "},
            "target_prompt is empty",
        ),
        (
            {"plain": None, "target_prompt": "a dog"},
            "nothing to score the demo",
        ),
        ({"target_prompt": "a flying dog"}, "doesn't know the word 'flying'"),
    ],
)
def test_what_cant_be_scored_is_said(server: Server, change: dict, sentence: str) -> None:
    with pytest.raises(PromptError, match=sentence):
        server.run(scoring(**change))
