"""The pictures that the viewer saves carry their workflow, as ComfyUI's own do."""

from __future__ import annotations

import io
import json

import numpy as np
from PIL import Image
from support.graphs import WIDGETS, node
from support.recording_graphs import base, part


def test_pictures_and_animations_carry_their_workflow(server) -> None:
    graph = base(120) | {"one": part(["start", 0], 0, 8)}
    graph["decode"] = node("VAEDecode", samples=["one", 0], vae=["loader", 2])
    graph["see"] = node("PreviewImage", images=["decode", 0])
    given = {"maps": ["record", 1], "latent": ["one", 0], "image": ["decode", 0]}
    graph["view"] = node("HiPerAttentionViewer", **(WIDGETS | {"save_animation": True}), **given)
    workflow = {"id": "its own", "nodes": []}
    said = server.run(graph, extra_pnginfo={"workflow": workflow})
    view = said["view"]
    picture = opened(server, view["hiper_maps"][0]["image"])
    assert json.loads(picture.info["workflow"]) == workflow
    assert json.loads(picture.info["prompt"])["view"]["class_type"] == "HiPerAttentionViewer"
    # level for level what ComfyUI shows of it, but for its rounding down
    shown = np.asarray(opened(server, said["see"]["images"][0]).convert("RGB"), int)
    assert np.abs(np.asarray(picture.convert("RGB"), int) - shown).max() <= 1

    (saved,) = view["images"]
    animation = opened(server, saved)
    assert view["animated"] == [True] and saved["type"] == "output"
    assert animation.format == "WEBP" and animation.n_frames == 8
    words = " ".join(str(value) for value in animation.getexif().values())
    assert "its own" in words and "HiPerAttentionViewer" in words


def opened(server, saved: dict) -> Image.Image:
    return Image.open(io.BytesIO(server.get_bytes("/view", **saved)))
