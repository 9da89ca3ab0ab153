"""Learning through ComfyUI's own server: results, cancel, cache, and what is left alone."""

from __future__ import annotations

import re
import time

import pytest
from support import tiny_graphs
from support.checkpoints import SD1, SHAPES
from support.comfyui_server import PromptError
from support.graphs import latent, learn, learned, node, prompts, sampled


@pytest.mark.parametrize("name", SHAPES)
def test_learn_compose_sample(server, checkpoints, name: str) -> None:
    """Every shape learns, and its latents are bit for bit what they were before."""
    shape = SHAPES[name]
    before = server.run(sampled(shape, seed=11))["digest"]["digest"]
    said = server.run(learned(shape))["digest"]
    assert said["finite"] == [True]
    assert said["shapes"] == [[1, 4, 16, 16], [1, 1, 5, shape.context]]
    assert "; 3 steps in " in said["text"][0]
    again = sampled(shape, seed=11) | {"start": latent(seed=7, batch=1)}
    again["sampler"]["inputs"]["seed"] = 11
    again["other"] = node("HiPerTestDigest", latent=["sampler", 0], text="not from the cache")
    again["sampler2"] = dict(again["sampler"])
    again["digest"] = node("HiPerTestDigest", latent=["sampler2", 0])
    assert server.run(again)["digest"]["digest"] == before


def test_the_same_seed_is_the_same_tail_and_another_is_not(server, checkpoints) -> None:
    graph = prompts(SD1) | {"picture": latent()}
    for name, seed in (("a", 5), ("b", 6)):
        graph[name] = learn(seed=seed)
        graph[f"digest {name}"] = node("HiPerTestDigest", embedding=[name, 0])
    first = server.run(graph)
    # another input is another cache entry, so that this one really learns again
    again = prompts(SD1) | {"picture": latent(), "z": learn(seed=5, preview_every=1)}
    again["digest"] = node("HiPerTestDigest", embedding=["z", 0])
    second = server.run(again)["digest"]["digest"]
    assert first["digest a"]["digest"] == second
    assert first["digest b"]["digest"] != second


def test_checkpointing_changes_no_bit(server, checkpoints) -> None:
    graph = prompts(SD1) | {"picture": latent()}
    for choice in ("on", "off"):
        graph[choice] = learn(gradient_checkpointing=choice, seed=21)
        graph[f"digest {choice}"] = node("HiPerTestDigest", embedding=[choice, 0], text=[choice, 2])
    outputs = server.run(graph)
    assert outputs["digest on"]["digest"] == outputs["digest off"]["digest"]
    assert "with gradient checkpointing" in outputs["digest on"]["text"][0]
    assert "with gradient checkpointing" not in outputs["digest off"]["text"][0]


def test_several_references_and_a_batch(server, checkpoints) -> None:
    graph = learned(SD1, batch_size=2, steps=4) | {"picture": latent(batch=3, height=12)}
    assert server.run(graph)["digest"]["finite"] == [True]


def test_a_second_queue_comes_from_the_cache(server, checkpoints) -> None:
    graph = learned(SD1, seed=31)
    first = server.wait(server.queue(graph))
    second = server.wait(server.queue(graph))
    assert "learn" not in server.cached(first)
    assert {"learn", "compose", "sampler"} <= server.cached(second)


def test_two_queued_prompts_both_finish(server, checkpoints) -> None:
    waiting = [server.queue(learned(SD1, seed=seed)) for seed in (41, 42)]
    digests = [server.wait(one)["outputs"]["digest"]["digest"] for one in waiting]
    assert digests[0] != digests[1]


def test_progress_and_previews_arrive(server, checkpoints) -> None:
    server.previews.clear()
    prompt_id = server.queue(learned(SD1, seed=51, steps=6, preview_every=2))
    server.wait(prompt_id)
    values = [m["value"] for m in server.of("progress", prompt_id) if m["node"] == "learn"]
    assert values[-1] == 6 and values == sorted(values)
    assert len(server.previews) >= 3
    assert any(b"\xff\xd8\xff" in preview for preview in server.previews)
    assert "HiPer: 100%" in server.log and "loss=" in server.log


def test_cancel_stops_within_a_step_and_keeps_the_tail(server, checkpoints, base) -> None:
    before = server.run(sampled(SD1, seed=61))["digest"]["digest"]
    prompt_id = server.queue(learned(SD1, seed=61, steps=100000))
    until = time.monotonic() + 60
    while not any(m["node"] == "learn" for m in server.of("progress", prompt_id)):
        assert time.monotonic() < until
        time.sleep(0.05)
    seen = max(m["value"] for m in server.of("progress", prompt_id))
    server.interrupt()
    with pytest.raises(PromptError, match="interrupted"):
        server.wait(prompt_id)
    assert seen < 100000
    assert "earning was cancelled at step" in server.log
    *_, kept = re.findall(r"Kept as models/hiper/(unfinished\w*\.safetensors)", server.log)

    graph = {
        "load": node("HiPerLoadEmbedding", name=kept),
        "digest": node("HiPerTestDigest", embedding=["load", 0], text=["load", 1]),
    }
    said = server.run(graph)["digest"]
    assert said["shapes"] == [[1, 1, 5, 768]] and said["finite"] == [True]
    after = sampled(SD1, seed=61) | {"start": latent(seed=7), "s2": node("KSampler")}
    after["s2"] = dict(after["sampler"])
    after["digest"] = node("HiPerTestDigest", latent=["s2", 0])
    assert server.run(after)["digest"]["digest"] == before


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_precision_learns(server, checkpoints, precision: str) -> None:
    said = server.run(learned(SD1, precision=precision, seed=71))["digest"]
    assert said["finite"] == [True]


def test_the_loss_is_a_picture(server, checkpoints) -> None:
    graph = prompts(SD1) | {"picture": latent(), "learn": learn(seed=81)}
    graph["preview"] = node("PreviewImage", images=["learn", 1])
    (image,) = server.run(graph)["preview"]["images"]
    png = server.get_bytes("/view", **image)
    assert png[:4] == b"\x89PNG" and len(png) > 2000


BAD = {
    "no tokens": ({"tokens": 0}, {}, "smaller than min"),
    "more tokens than padding": (
        {"tokens": 75},
        {},
        r"tokens is 75, but the prompt 'a standing dog' leaves 7\d of 77 tokens free",
    ),
    "every token": ({"tokens": 77}, {}, r"tokens is 77, but the prompt .* choose 7\d or fewer"),
    "wrong channels": (
        {},
        {"channels": 16},
        r"shape \(1, 16, 16, 16\); this model .* 4",
    ),
    "NaN": ({}, {"broken": True}, r"1 of the latent's 1024 numbers are NaN or infinite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_sentence(server, checkpoints, case: str) -> None:
    change, picture, sentence = BAD[case]
    graph = learned(SD1, **change) | {"picture": latent(**picture)}
    with pytest.raises(PromptError, match=sentence):
        server.run(graph)


def test_the_tokenizer_counts_exactly(server, checkpoints) -> None:
    """'a standing dog' is three tokens, one start and one end: 72 of 77 are free."""
    graph = learned(SD1, tokens=73, clip=["loader", 1])
    with pytest.raises(PromptError, match=r"leaves 72 of 77 tokens free.*choose 72 or fewer"):
        server.run(graph)
    graph = learned(SD1, tokens=72, clip=["loader", 1], steps=1)
    assert server.run(graph)["digest"]["shapes"][1] == [1, 1, 72, 768]


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [(0, "The conditioning is empty"), (2, "source conditioning holds 2 prompts; .* wants one")],
)
def test_learning_wants_one_prompt(server, checkpoints, entries: int, sentence: str) -> None:
    graph = learned(SD1)
    graph["source"] = node(
        "HiPerTestConditioning", width=768, length=77, pooled=0, seed=0, entries=entries
    )
    with pytest.raises(PromptError, match=sentence):
        server.run(graph)


def test_a_tail_of_another_family_is_refused_by_both_names(server, checkpoints) -> None:
    graph = learned(SHAPES["sdxl"])
    graph["target"] = node(
        "HiPerTestConditioning", width=768, length=77, pooled=0, seed=0, entries=1
    )
    with pytest.raises(
        PromptError, match=r"learned on Segmind_Vega \(width 2048\).*SD 1.x \(width 768\)"
    ):
        server.run(graph)


def test_a_composed_prompt_is_no_source(server, checkpoints) -> None:
    graph = learned(SD1)
    graph["again"] = learn(conditioning=["compose", 0])
    graph["digest2"] = node("HiPerTestDigest", embedding=["again", 0])
    with pytest.raises(PromptError, match="has a HiPer tail in it already"):
        server.run(graph)


def test_as_many_prompts_as_pictures(server) -> None:
    """Combined, each picture has its own; the file says them all."""
    graph = tiny_graphs.tiny_model() | {
        "second": node("HiPerTestText", seed=9, length=77),
        "both": node(
            "ConditioningCombine", conditioning_1=["source", 0], conditioning_2=["second", 0]
        ),
        "other": latent(seed=5),
        "pictures": node("LatentBatch", samples1=["picture", 0], samples2=["other", 0]),
    }
    own = tiny_graphs.learned(graph, conditioning=["both", 0], latent=["pictures", 0], steps=4)
    shared = tiny_graphs.learned(graph, latent=["pictures", 0], steps=4)
    found = [server.run(each)["digest"]["digest"] for each in (own, shared)]
    assert found[0] != found[1]


def test_too_many_prompts_for_the_pictures(server) -> None:
    graph = tiny_graphs.tiny_model() | {
        "both": node(
            "ConditioningCombine", conditioning_1=["source", 0], conditioning_2=["target", 0]
        ),
        "other": latent(seed=5),
        "two": node("LatentBatch", samples1=["picture", 0], samples2=["other", 0]),
        "three": node("LatentBatch", samples1=["two", 0], samples2=["other", 0]),
    }
    graph = tiny_graphs.learned(graph, conditioning=["both", 0], latent=["three", 0], steps=4)
    with pytest.raises(PromptError, match=r"holds 2 prompts; .* one for each of the 3 pictures"):
        server.run(graph)
