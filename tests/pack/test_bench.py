"""The bench itself: checkpoints load as what they are, and make finite pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from support import comfyui
from support.checkpoints import SHAPES
from support.graphs import node, sampled


@pytest.mark.parametrize(
    ("name", "family", "prediction"),
    [("sd1", "SD15", "EPS"), ("sd2", "SD20", "V_PREDICTION"), ("sdxl", "Segmind_Vega", "EPS")],
)
def test_a_checkpoint_is_known_for_what_it_is(host, checkpoints, name, family, prediction) -> None:
    (model, _, _) = host.CheckpointLoaderSimple().load_checkpoint(checkpoints[name])
    assert type(model.model.model_config).__name__ == family
    assert model.model.model_type.name == prediction


@pytest.mark.parametrize("name", SHAPES)
def test_a_checkpoint_makes_a_picture(server, checkpoints, name: str) -> None:
    graph = sampled(SHAPES[name])
    graph["decode"] = node("VAEDecode", samples=["sampler", 0], vae=["loader", 2])
    graph["save"] = node("SaveImage", images=["decode", 0], filename_prefix=f"bench_{name}")
    outputs = server.run(graph)
    assert outputs["digest"]["finite"] == [True]
    (saved,) = outputs["save"]["images"]
    pixels = np.asarray(Image.open(io.BytesIO(server.get_bytes("/view", **saved))))
    assert pixels.shape == (128, 128, 3) and len(np.unique(pixels)) > 3, "of one colour"


def test_a_picture_encodes(server, checkpoints) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    name = server.upload(data.getvalue(), "bench.png")
    graph = {
        "loader": node("CheckpointLoaderSimple", ckpt_name=checkpoints["sd1"]),
        "image": node("LoadImage", image=name),
        "encode": node("VAEEncode", pixels=["image", 0], vae=["loader", 2]),
        "digest": node("HiPerTestDigest", latent=["encode", 0]),
    }
    said = server.run(graph)["digest"]
    assert said["shapes"] == [[1, 4, 8, 12]] and said["finite"] == [True]


def test_the_servers_are_the_versions_that_they_stand_for(server, oldest_server) -> None:
    newest, oldest = (
        one.get("/system_stats")["system"]["comfyui_version"] for one in (server, oldest_server)
    )
    assert oldest == comfyui.OLDEST_VERSION
    assert tuple(map(int, newest.split("."))) >= tuple(map(int, oldest.split(".")))
