"""The viewer's nodes in ComfyUI: one call, the pictures, the mask, and words for bad input."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from support.checkpoints import SD1, SD2, SDXL, Shape
from support.comfyui_server import PromptError
from support.graphs import WIDGETS, Graph, latent, node, prompts, sampled, sampler
from support.tiny_unets import CONTEXT, LAYERS, picture, sample, text, tiny_unet

TAILS = "hiper_tails"


@pytest.fixture(scope="module")
def model(host):
    return tiny_unet()


@pytest.fixture
def call(host, base: Path):
    """Run a node as ComfyUI does, in inference mode."""

    def run(kind: str, **inputs):
        cls = host.NODE_CLASS_MAPPINGS[kind].PREPARE_CLASS_CLONE(None)
        with torch.inference_mode():
            return cls.execute(**inputs)

    return run


@pytest.fixture
def look(call, model):
    def run(**change):
        given = {
            "model": model,
            "conditioning": with_tail(),
            "latent": picture(),
            "timestep": 100.0,
            "tokens": "",
            "mask": "soft",
        }
        return call("HiPerAttentionViewer", **(given | change))

    return run


def with_tail(length: int = 77, tokens: int = 5, seed: int = 1) -> list:
    from hiper.prompts.placement import TailMark

    return text(length, seed, **{TAILS: (TailMark(length - tokens, tokens),)})


def temp_file(base: Path, saved: dict) -> Image.Image:
    assert saved["type"] == "temp"
    return Image.open(base / "temp" / saved["subfolder"] / saved["filename"])


def test_one_view_is_one_model_call_and_repeats_itself(look, model) -> None:
    calls = []

    def count(apply_model, call):
        calls.append(call["timestep"].clone())
        return apply_model(call["input"], call["timestep"], **call["c"])

    counted = model.clone()
    counted.set_model_unet_function_wrapper(count)
    first = look(model=counted, timestep=40.0, seed=3)
    assert len(calls) == 1
    sigmas = model.get_model_object("model_sampling").sigmas
    assert float(calls[0][0]) == float(sigmas[round(0.6 * 999)])
    grid, mask, overlay, maps, strip, report, *_ = first.args
    assert len(maps.parts) == LAYERS and "one model call" in report
    again = look(timestep=40.0, seed=3).args
    for one, other in zip((grid, mask, overlay, strip), again[:3] + again[4:5], strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(look(timestep=40.0, seed=4).args[3].mean(0), maps.mean(0))


def test_the_default_is_the_last_timestep(look) -> None:
    maps = look().args[3]
    assert [step.timestep for step in maps.steps] == [0.0]
    assert (maps.mean(0).sum(dim=1) - 1).abs().max() < 1e-5


def test_pictures_masks_and_payload_of_a_batch(look, base: Path) -> None:
    pictures = torch.rand(2, 64, 96, 3, generator=torch.Generator().manual_seed(0))
    out = look(latent=picture(batch=2), image=pictures, tokens="tail", mask="binary")
    grid, mask, overlay, maps, *_ = out.args
    assert grid.shape[0] == 2 and grid.shape[-1] == 3
    assert mask.shape == (2, 64, 96) and set(mask.unique().tolist()) == {0.0, 1.0}
    assert overlay.shape == pictures.shape
    payloads = out.ui["hiper_maps"]
    assert len(payloads) == 2 and payloads[0] != payloads[1]
    tail = maps.mean(0)[:, 72:].sum(dim=1)
    for number, payload in enumerate(payloads):
        json.dumps(payload)
        assert payload["version"] == 1 and (payload["width"], payload["height"]) == (96, 64)
        tokens = payload["tokens"]
        assert [token["index"] for token in tokens] == list(range(77))
        assert [t["label"] for t in tokens if t["kind"] == "tail"] == [
            f"hiper {n}" for n in range(1, 6)
        ]
        shown = temp_file(base, payload["image"])
        assert np.abs(np.asarray(shown) / 255 - pictures[number].numpy()).max() < 0.003
        (frame,) = payload["frames"]
        atlas = np.asarray(temp_file(base, frame["atlas"]), dtype=float)
        width, height = payload["cell"]
        read = torch.zeros(77, height, width)
        for index in range(77):
            row, column = divmod(index, payload["columns"])
            cell = atlas[row * height :, column * width :][:height, :width]
            read[index] = torch.tensor(cell) / 255 * payload["scale"]
        kept = maps.mean(0)[number].clamp(max=payload["scale"])
        assert (read - kept).abs().max() <= payload["scale"] / 255
        # the mask is the tail's map above half of its peak
        large = torch.nn.functional.interpolate(tail[None, number : number + 1], size=(64, 96))[
            0, 0
        ]
        agreed = ((large > 0.5 * large.max()) == mask[number].bool()).float().mean()
        assert agreed > 0.8


def test_layers_by_size_and_one_head(look) -> None:
    everything = look().args[3]
    fine, coarse = look(layers="latent size"), look(layers="1/2")
    assert not torch.equal(fine.args[1], coarse.args[1])
    heads = [look(head=n).args[3].mean(0) for n in (1, 2, 3, 4)]
    torch.testing.assert_close(sum(heads) / 4, everything.mean(0), atol=1e-6, rtol=1e-5)
    with pytest.raises(ValueError, match=r"1/1, 1/2: choose one of these"):
        look(layers="1/8")
    with pytest.raises(ValueError, match="choose 1 to 4"):
        look(head=9)


def test_two_combined_prompts_are_two_payloads(look) -> None:
    out = look(conditioning=with_tail() + text(154, 3), tokens="tail")
    assert [len(payload["tokens"]) for payload in out.ui["hiper_maps"]] == [77, 154]
    assert len({payload["scale"] for payload in out.ui["hiper_maps"]}) == 1


def test_a_view_leaves_a_recording_alone(call, look, model) -> None:
    recorded, recording = call(
        "HiPerRecordAttention", model=model, record="both", tokens="all tokens", memory_limit=64
    ).args
    look(model=recorded)
    with pytest.raises(ValueError, match="The recording holds nothing"):
        recording.maps()


def test_recording_viewed_saved_and_loaded(call, model, base: Path) -> None:
    recorded, recording = call(
        "HiPerRecordAttention", model=model, record="both", tokens="all tokens", memory_limit=64
    ).args
    with torch.inference_mode():
        samples = sample(recorded, with_tail(), text(77, 2), picture(batch=2), steps=4)
    given = {"timestep": 0.0, "tokens": "tail", "mask": "soft"}
    out = call(
        "HiPerAttentionViewer",
        maps=recording,
        latent={"samples": samples},
        save_animation=True,
        **given,
    )
    grid, mask, overlay, maps, strip, report, *_ = out.args
    assert report.startswith("4 of 4 steps recorded") and "of at most 64 MB" in report
    payload = out.ui["hiper_maps"][0]
    frames = payload["frames"]
    when = [[frame[part] for part in ("timestep", "step", "steps", "stage")] for frame in frames]
    assert when[0] == ["999", 1, 4, None] and len(when) == 4
    (animation,) = out.ui["images"]
    moving = Image.open(base / "output" / animation["subfolder"] / animation["filename"])
    assert moving.format == "WEBP" and moving.n_frames == 4
    negative = call(
        "HiPerAttentionViewer",
        maps=recording,
        latent={"samples": samples},
        side="negative",
        **(given | {"tokens": "5"}),
    )
    assert not torch.equal(negative.args[0], grid)

    path = call("HiPerSaveAttentionMaps", maps=maps, filename_prefix="hiper/test_maps").args[0]
    name = Path(path).relative_to(base / "output").as_posix()
    back = call("HiPerLoadAttentionMaps", name=name).args[0]
    again = call("HiPerAttentionViewer", maps=back, **given).args
    for one, other in zip((grid, mask, overlay, strip), again[:3] + again[4:5], strict=True):
        assert torch.equal(one, other)
    with safe_open(path, "pt") as file:
        said = json.loads(file.metadata()["hiper_attention"])
    assert [len(said["steps"]), said["latent_size"], said["total_steps"]] == [4, [8, 12], 4]
    assert said["prompts"][0]["tails"] == [{"start": 72, "tokens": 5, "strength": 1.0}]


def test_compare_is_one_call_on_one_noise(call, model) -> None:
    calls = []

    def count(apply_model, call):
        calls.append(call["input"].clone())
        return apply_model(call["input"], call["timestep"], **call["c"])

    counted = model.clone()
    counted.set_model_unet_function_wrapper(count)
    given = {"model": counted, "latent": picture(), "timestep": 100.0, "show": "words and tail"}
    same = call(
        "HiPerCompareAttention",
        conditioning_a=text(),
        conditioning_b=with_tail(),
        conditioning_c=text(77, 3),
        **given,
    )
    (inputs,) = calls
    assert torch.equal(inputs[0], inputs[1]) and torch.equal(inputs[0], inputs[2])
    figure, maps = same.args
    assert [prompt.role for prompt in maps.prompts] and len(same.ui["hiper_maps"]) == 3
    assert len({payload["scale"] for payload in same.ui["hiper_maps"]}) == 1
    a, b, c = (maps.mean(maps.prompts_of(letter)[0]) for letter in "abc")
    assert torch.equal(a, b)  # (b) has the same vectors under another mark
    assert not torch.equal(a, c)
    two = call("HiPerCompareAttention", conditioning_a=text(), conditioning_b=with_tail(), **given)
    assert two.args[0].shape[1] < figure.shape[1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"conditioning": None}, "Nothing is connected to conditioning"),
        ({"model": None, "latent": None}, "connected to model and latent"),
        ({"image": torch.rand(1, 64, 64, 3)}, "64×64, but the latent stands for 96×64"),
        ({"labels": "a dog"}, "no CLIP to cut it into tokens"),
        ({"timestep": float("nan")}, "timestep % is nan: choose 0 to 100"),
        (
            {"latent": {"samples": torch.zeros(1, 16, 8, 8)}},
            "wants pictures of 4 channels",
        ),
        ({"conditioning": [[torch.zeros(1, 77, CONTEXT + 1), {}]]}, f"reads width {CONTEXT}"),
        (
            {"conditioning": text(77, 1, start_percent=0.0, end_percent=0.5)},
            "is not in force at the timestep",
        ),
    ],
)
def test_bad_input_is_one_sentence(look, change: dict, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        look(**change)
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 300 and str(caught.value).endswith(".")


def test_a_recording_needs_the_samplers_latent(call, model) -> None:
    recording = call(
        "HiPerRecordAttention", model=model, record="both", tokens="all tokens", memory_limit=64
    ).args[1]
    with pytest.raises(ValueError, match="connect the LATENT"):
        call("HiPerAttentionViewer", maps=recording, timestep=100.0, tokens="", mask="soft")


# through the server, with whole checkpoints


LOOKED_AT = {"model": ["loader", 0], "conditioning": ["target", 0], "latent": ["start", 0]}


def viewer(**change) -> dict:
    return node("HiPerAttentionViewer", **(WIDGETS | LOOKED_AT | change))


@pytest.mark.parametrize("shape", [SD2, SDXL], ids=lambda shape: shape.name)
def test_families_through_the_server(server, checkpoints, shape: Shape) -> None:
    graph = prompts(shape) | {"start": latent(seed=7, height=12), "view": viewer()}
    (payload,) = server.run(graph)["view"]["hiper_maps"]
    assert len(payload["tokens"]) == 77 and payload["image"] is None
    assert server.get_bytes("/view", **payload["frames"][0]["atlas"])[:4] == b"\x89PNG"


def recording_graph(**change) -> Graph:
    """Record a sampling run, look at it, save it; and the same run without."""
    graph = sampled(SD1, seed=3, steps=2)
    graph["record"] = node(
        "HiPerRecordAttention",
        model=["loader", 0],
        record="both",
        tokens="all tokens",
        memory_limit=64,
        every=1,
        layers="mean of equal sizes",
        head=0,
    )
    graph["watched"] = sampler("target", seed=3, model=["record", 0])
    graph["watched digest"] = node("HiPerTestDigest", latent=["watched", 0])
    graph["view"] = node(
        "HiPerAttentionViewer",
        maps=["record", 1],
        latent=["watched", 0],
        clip=["loader", 1],
        **(WIDGETS | {"tokens": "dog"} | change),
    )
    graph["save"] = node("HiPerSaveAttentionMaps", maps=["view", 3], filename_prefix="maps/sd1")
    return graph


def test_recording_through_the_server(server, checkpoints) -> None:
    """Bit-equal latents, words found in the graph, files that can be fetched; then from cache."""
    outputs = server.run(recording_graph())
    assert outputs["watched digest"]["digest"] == outputs["digest"]["digest"]
    (payload,) = outputs["view"]["hiper_maps"]
    assert [t["label"] for t in payload["tokens"][:4]] == ["‹start›", "a", "dog", "‹end›"]
    assert payload["title"] == "a dog" and len(payload["frames"]) == 2
    atlas = Image.open(io.BytesIO(server.get_bytes("/view", **payload["frames"][1]["atlas"])))
    assert atlas.mode == "L" and atlas.size == (11 * 16, 7 * 16)
    assert outputs["save"]["text"][0].startswith("Saved as maps/sd1_00001_.safetensors")
    # another look at the same run: the sampler is cached, its recording still there
    history = server.wait(server.queue(recording_graph(side="negative", tokens="5")))
    assert "watched" in server.cached(history)
    assert history["outputs"]["view"]["hiper_maps"][0]["title"].startswith("negative")


def test_a_recording_that_no_sampler_filled(server, checkpoints) -> None:
    graph = recording_graph()
    graph["view"]["inputs"]["latent"] = ["start", 0]
    graph["record"]["inputs"]["memory_limit"] = 65
    del graph["watched"], graph["watched digest"]
    with pytest.raises(PromptError, match="change its seed, so that it runs again"):
        server.run(graph)


def test_labels_longer_than_the_sequence(server, checkpoints) -> None:
    graph = prompts(SD1) | {
        "start": latent(seed=7),
        "view": viewer(clip=["loader", 1], labels="dog " * 90),
    }
    with pytest.raises(PromptError, match="has 154 tokens, but the conditioning 77"):
        server.run(graph)
