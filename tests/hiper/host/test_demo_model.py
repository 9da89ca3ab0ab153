"""The demo model inside ComfyUI is the demo model outside: same words, latents and pictures."""

from __future__ import annotations

import pytest
import torch
from support.comfyui_server import PromptError
from support.graphs import node

from hiper.demo import model as demo
from hiper.demo.captions import prompt
from hiper.demo.drawing import draw
from hiper.demo.model import sample, sampling_sigmas, starting_noise
from hiper.demo.scene import Coat, Scene
from hiper.figures.images import to_image


@pytest.fixture(scope="module")
def outside() -> demo.DemoModel:
    return demo.load()


@pytest.fixture(scope="module")
def inside(host):
    with torch.inference_mode():
        return host.NODE_CLASS_MAPPINGS["HiPerLoadDemoModel"].execute().args


def encoded(host, clip, text: str):
    return host.CLIPTextEncode().encode(clip, text)[0]


@pytest.mark.parametrize("text", ["", "a standing dog on grass", "a red cat with white spots"])
def test_words_are_encoded_alike(host, inside, outside, text: str) -> None:
    with torch.inference_mode():
        ((context, _),) = encoded(host, inside[1], text)
        assert context.shape == (1, 77, 128)
        assert (context - outside.text.encode(text)).abs().max() < 1e-4


def test_pictures_become_the_same_latents(host, inside, outside) -> None:
    picture = draw(Scene("dog", "sitting", "snow", Coat((90, 200, 30), (0, 0, 0), "spotted")))
    with torch.inference_mode():
        latent = host.VAEEncode().encode(inside[2], to_image(picture))[0]["samples"]
        assert (latent - outside.encode(picture)).abs().max() < 1e-4
        pixels = host.VAEDecode().decode(inside[2], {"samples": latent})[0]
    (redrawn,) = outside.decode(latent.clone())
    assert (pixels - to_image(redrawn)).abs().max() < 1 / 255


def test_the_same_noise_is_the_same_picture(host, inside, outside) -> None:
    import comfy.samplers

    model, clip, vae = inside
    words = prompt("cat", "jumping", "beach")
    schedule = comfy.samplers.calculate_sigmas(
        model.get_model_object("model_sampling"), "normal", 8
    )
    assert torch.allclose(schedule, sampling_sigmas(outside, 8), rtol=1e-5)
    with torch.inference_mode():
        start = {"samples": torch.zeros(1, 12, 16, 16)}
        positive, negative = encoded(host, clip, words), encoded(host, clip, "")
        (sampled,) = host.common_ksampler(
            model, 5, 8, 3.0, "euler", "normal", positive, negative, start
        )
        context = outside.text.encode(words)
        alone = sample(outside, context, starting_noise(1, 5), steps=8, guidance=3.0)
        assert (sampled["samples"] - alone).abs().max() < 1e-4
        pixels = host.VAEDecode().decode(vae, sampled)[0]
        drawn = outside.latents.decode(alone).clamp(-1, 1).add(1).div(2).permute(0, 2, 3, 1)
        assert (pixels - drawn).abs().max() < 1e-4


def test_stock_nodes_run_it_end_to_end(server) -> None:
    graph = {
        "demo": node("HiPerLoadDemoModel"),
        "positive": node("CLIPTextEncode", text="a (spotted:1.2) dog", clip=["demo", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["demo", 1]),
        "empty": node("EmptyLatentImage", width=128, height=128, batch_size=2),
        "sampler": node(
            "KSampler",
            model=["demo", 0],
            positive=["positive", 0],
            negative=["negative", 0],
            latent_image=["empty", 0],
            seed=1,
            steps=3,
            cfg=3.0,
            sampler_name="dpmpp_2m",
            scheduler="karras",
            denoise=1.0,
        ),
        "decode": node("VAEDecode", samples=["sampler", 0], vae=["demo", 2]),
        "preview": node("PreviewImage", images=["decode", 0]),
        "digest": node("HiPerTestDigest", latent=["sampler", 0]),
    }
    outputs = server.run(graph)
    assert outputs["digest"]["finite"] == [True]
    assert outputs["digest"]["shapes"] == [[2, 12, 16, 16]]
    assert len(outputs["preview"]["images"]) == 2


def test_an_unknown_word_is_named_with_the_known_ones(server) -> None:
    graph = {
        "demo": node("HiPerLoadDemoModel"),
        "encode": node("CLIPTextEncode", text="a standing horse", clip=["demo", 1]),
        "digest": node("HiPerTestDigest", conditioning=["encode", 0]),
    }
    with pytest.raises(PromptError, match=r"doesn't know the word 'horse'; it knows: a, an, the"):
        server.run(graph)
