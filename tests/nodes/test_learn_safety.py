"""What goes wrong while learning is said in one sentence, loses nothing and leaves no trace."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.comfyui_server import PromptError, Server
from support.graphs import Graph
from support.tiny_graphs import composed, learned, tiny_model, with_model_state

from hiper.files import embeddings as storage

LORA = ("HiPerTestLora", {"baked": False})
KEPT = "Kept as models/hiper/unfinished.safetensors"


@pytest.fixture(autouse=True)
def nothing_kept(request: pytest.FixtureRequest) -> None:
    """No file of an earlier stop: each has a name of its own."""
    for name in {"server", "oldest_server", "comfy"} & set(request.fixturenames):
        for path in (request.getfixturevalue(name).base / "models/hiper").glob("unfinished*"):
            path.unlink()


@pytest.fixture(params=["server", "oldest_server"])
def comfy(request: pytest.FixtureRequest) -> Server:
    """The newest ComfyUI that is here, and the oldest supported one."""
    return request.getfixturevalue(request.param)


def fails(how: str, call: int, copy: int = 0) -> tuple[str, dict[str, Any]]:
    return "HiPerTestFail", {"how": how, "call": call, "copy": copy}


def limited(kilobytes: int) -> tuple[str, dict[str, Any]]:
    return "HiPerTestLimit", {"kilobytes": kilobytes}


def sentence(server: Server, graph: Graph) -> str:
    """What ComfyUI shows when the graph fails: one sentence or two, on one line."""
    with pytest.raises(PromptError) as refused:
        server.run(graph)
    words = str(refused.value).strip()
    assert "\n" not in words and len(words) < 500 and words.endswith((".", ")."))
    return words


def outputs_and_console(server: Server, graph: Graph) -> tuple[dict, str]:
    """The finished graph's outputs, and what the console said meanwhile."""
    before = len(server.log)
    return server.run(graph), server.log[before:]


def needed(server: Server, choice: str) -> int:
    """The least memory, in powers of two, that a step runs in with checkpointing on or off."""
    for power in range(7, 20):
        graph = learned(tiny_model(limited(2**power)), gradient_checkpointing=choice, steps=1)
        try:
            server.run(graph)
        except PromptError:
            continue
        return 2**power
    raise AssertionError("a small model needs over 500 MB for a step")


def test_too_little_memory_is_seen_before_the_first_step(server: Server) -> None:
    """The tail is the one that enough memory gives, bit for bit."""
    plain, checkpointed = needed(server, "off"), needed(server, "on")
    assert checkpointed < plain
    graph = learned(tiny_model(limited(plain // 2)), gradient_checkpointing="auto", steps=2)
    outputs, console = outputs_and_console(server, graph)
    assert console.count("learning with gradient checkpointing, to fit the device") == 1
    assert "out of memory" not in console
    assert outputs["digest"]["text"][0].endswith("with gradient checkpointing")
    enough = learned(tiny_model(), gradient_checkpointing="off", steps=2)
    assert server.run(enough)["digest"]["digest"] == outputs["digest"]["digest"]


@pytest.mark.parametrize(
    ("choice", "mend"),
    [
        ("auto", "a lower precision"),
        ("on", "a lower precision"),
        ("off", "gradient_checkpointing auto"),
    ],
)
def test_out_of_memory_at_last_says_what_to_lower(comfy: Server, choice: str, mend: str) -> None:
    words = sentence(
        comfy, learned(tiny_model(limited(1)), gradient_checkpointing=choice, batch_size=2)
    )
    assert words.startswith("Learning ran out of memory")
    assert words.endswith(f"smaller picture (128×128 now), batch_size 1 (2 now) or {mend}.")
    assert ("with gradient checkpointing:" in words) == (choice != "off")


def test_a_loss_that_turns_nan_stops_and_keeps_the_last_good_tail(comfy: Server) -> None:
    words = sentence(comfy, learned(tiny_model(fails("NaN", 4)), steps=9))
    assert words.startswith("The loss is not a finite number at step 4, most likely because the")
    assert "choose precision fp32, or a lower learning_rate" in words and KEPT in words
    kept = storage.read(comfy.base / "models" / "hiper" / "unfinished.safetensors")
    three = comfy.run(learned(tiny_model(), steps=3))["digest"]
    assert kept.details.steps == 3 and three["finite"] == [True]
    assert three["digest"] == digest(kept)


def digest(embedding) -> list[str]:
    import hashlib

    return [hashlib.sha256(embedding.tail.contiguous().numpy().tobytes()).hexdigest()]


def test_half_precision_that_overflows_is_named(comfy: Server) -> None:
    """The real thing: weights that fp32 holds and fp16 does not."""
    words = sentence(comfy, learned(tiny_model(huge=True), precision="fp16"))
    assert words.startswith("The loss is not a finite number at step 1") and "fp32" in words
    assert KEPT not in words
    assert comfy.run(learned(tiny_model(huge=True), precision="fp32"))["digest"]["finite"] == [True]


def test_a_model_that_reads_no_text_is_refused(comfy: Server) -> None:
    words = sentence(comfy, learned(tiny_model(blind=True)))
    assert words.startswith("What SD15 draws does not depend on the prompt's token vectors")


def test_a_prompt_of_another_width_is_refused(comfy: Server) -> None:
    graph = learned(tiny_model())
    graph["source"] = {
        "class_type": "HiPerTestConditioning",
        "inputs": {"width": 768, "length": 77, "pooled": 0, "seed": 0, "entries": 1},
    }
    words = sentence(comfy, graph)
    assert "SD 1.x (width 768)" in words and "SD15 here reads width 32" in words


@pytest.mark.parametrize("when", ["cancel before", "cancel after"])
def test_cancel_ends_within_the_step_and_keeps_what_was_learned(comfy: Server, when: str) -> None:
    """Cancelled in the middle of step 6: five whole steps are kept, or that one as well."""
    before = len(comfy.log)
    with pytest.raises(PromptError, match="interrupted"):
        comfy.run(learned(tiny_model(fails(when, 6)), steps=1000))
    kept = storage.read(comfy.base / "models" / "hiper" / "unfinished.safetensors")
    steps = kept.details.steps
    assert steps == (5 if when == "cancel before" else 6)
    console = comfy.log[before:]
    assert f"earning was cancelled at step {steps} of 1000" in console and KEPT in console
    assert comfy.run(learned(tiny_model(), steps=steps))["digest"]["digest"] == digest(kept)


def test_two_cancelled_runs_keep_two_files_and_the_node_says_where(comfy: Server) -> None:
    folder = comfy.base / "models" / "hiper"
    for copy, name in enumerate(("unfinished.safetensors", "unfinished_2.safetensors")):
        heard = len(comfy.previews)
        with pytest.raises(PromptError, match="interrupted"):
            comfy.run(learned(tiny_model(fails("cancel after", 3, copy=copy)), steps=50, seed=copy))
        assert (folder / name).is_file()
        texts = [data for data in comfy.previews[heard:] if b"Kept as" in data]
        assert len(texts) == 1 and b"learn" in texts[0]
        assert b"Cancelled at step 3 of 50." in texts[0]
        assert f"Kept as models/hiper/{name}: load it, and connect it".encode() in texts[0]
    first, second = (storage.read(path) for path in sorted(folder.glob("unfinished*")))
    assert digest(first) != digest(second)


def test_cancel_before_the_first_step_says_that_nothing_was_kept(comfy: Server) -> None:
    unfinished = comfy.base / "models" / "hiper" / "unfinished.safetensors"
    before = len(comfy.log)
    with pytest.raises(PromptError, match="interrupted"):
        comfy.run(learned(tiny_model(fails("cancel before", 1))))
    assert "cancelled in the first step. There is nothing to keep" in comfy.log[before:]
    assert not unfinished.exists()


def test_a_tail_that_cant_be_kept_does_not_hide_the_cancel(comfy: Server) -> None:
    """Here no file can be made where it belongs; a full disk is no different."""
    folder = comfy.base / "models" / "hiper"
    folder.rename(folder.with_name("hiper aside"))
    folder.symlink_to("/proc/self/task")
    before = len(comfy.log)
    try:
        with pytest.raises(PromptError, match="interrupted"):
            comfy.run(learned(tiny_model(fails("cancel after", 2))))
        assert "could not be kept" in comfy.log[before:]
        words = sentence(comfy, learned(tiny_model(fails("NaN", 2))))
        assert "not a finite number at step 2" in words and "could not be kept" in words
    finally:
        folder.unlink()
        folder.with_name("hiper aside").rename(folder)
    assert not list(folder.glob(".hiper-*"))


ENDINGS = {
    "finished": (tiny_model(LORA), {}),
    "finished fast": (tiny_model(LORA), {"recipe": "fast", "auto_stop": True}),
    "checkpointed": (tiny_model(LORA), {"gradient_checkpointing": "on"}),
    "bf16": (tiny_model(LORA), {"precision": "bf16"}),
    "cancelled": (tiny_model(LORA, fails("cancel after", 2)), {}),
    "cancelled fast": (
        tiny_model(LORA, fails("cancel after", 2, copy=1)),  # counts anew
        {"recipe": "fast", "auto_stop": True},
    ),
    "cancelled with checkpointing": (
        tiny_model(LORA, fails("cancel before", 2)),
        {"gradient_checkpointing": "on"},
    ),
    "NaN": (tiny_model(LORA, fails("NaN", 2)), {}),
    "an error": (tiny_model(LORA, fails("error", 2)), {}),
    "out of memory": (tiny_model(LORA, limited(1)), {"gradient_checkpointing": "auto"}),
    "blind": (tiny_model(blind=True), {}),
}


WHOLE = ("finished", "finished fast", "checkpointed", "bf16")
EACH = [
    *(("server", ending) for ending in ENDINGS),
    *(
        ("oldest_server", ending)
        for ending in ("finished", "checkpointed", "cancelled", "an error")
    ),
]


@pytest.mark.parametrize(("comfy", "ending"), EACH, indirect=["comfy"])
def test_learning_leaves_no_trace_however_it_ends(comfy: Server, ending: str) -> None:
    """Weights, their objects, hooks, patches, options, flags, loaded models and bits of samples."""
    graph, change = ENDINGS[ending]
    before = comfy.run(with_model_state(graph, 0))
    try:
        comfy.run(learned(graph, steps=4, **change))
    except PromptError:
        assert ending not in WHOLE
    else:
        assert ending in WHOLE
    after = comfy.run(with_model_state(graph, 1))
    (was,), (now) = before["state 0"]["state"], after["state 1"]["state"][0]
    assert now == was
    assert now["have gradients"] == [] and not now["in training"]
    assert now["inference tensors"] > 0, "the weights are no inference tensors, as loaders give"
    assert after["bits 1"]["digest"] == before["bits 0"]["digest"]
    (had,), (has,) = before["state 0"]["memory"], after["state 1"]["memory"]
    assert has["loaded models"] == had["loaded models"]
    assert has["tensors"] <= had["tensors"] + 2, "beside the second sample's own latent"


def test_a_lora_on_the_model_is_in_force_while_learning(comfy: Server) -> None:
    """The tail is that of a model with the same change in its weights, not the plain model's."""
    tails = {}
    for copy, (name, wraps) in enumerate(
        {"plain": (), "patched": (LORA,), "baked": (("HiPerTestLora", {"baked": True}),)}.items()
    ):
        graph = learned(tiny_model(*wraps, copy=copy), steps=4)
        graph["save"] = {
            "class_type": "HiPerSaveEmbedding",
            "inputs": {"embedding": ["learn", 0], "name": f"lora/{name}", "if_exists": "overwrite"},
        }
        comfy.run(graph)
        tails[name] = storage.read(comfy.base / f"models/hiper/lora/{name}.safetensors").tail
    assert (tails["patched"] - tails["baked"]).abs().max() < 1e-5
    assert (tails["patched"] - tails["plain"]).abs().max() > 1e-3


def test_a_saved_tail_samples_the_bits_that_the_learned_one_does(comfy: Server) -> None:
    graph = composed(learned(tiny_model()))
    graph["save"] = {
        "class_type": "HiPerSaveEmbedding",
        "inputs": {"embedding": ["learn", 0], "name": "road", "if_exists": "overwrite"},
    }
    first = comfy.run(graph)
    again = tiny_model() | {
        "load": {"class_type": "HiPerLoadEmbedding", "inputs": {"name": "road.safetensors"}}
    }
    second = comfy.run(composed(again, embedding=["load", 0]))
    assert second["latent"]["digest"] == first["latent"]["digest"]
    assert re.search(r"; \d steps in", first["digest"]["text"][0])
