"""A change that is not meant to change what people get changes no bit of it: tails, files, maps,
figures, from fixed seeds, against what was recorded."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from support import definitions
from support.comfyui import PACK
from support.graphs import Graph, latent, learn, node, prompts, sampler

RECORDED = Path(__file__).with_name("sameness.json")
TAILS = Path(__file__).with_name("sameness.safetensors")
ADVICE = (
    "If what people get was meant to change, record it and say so in CHANGELOG.md: "
    f"{definitions.ACCEPT}=1 python -m pytest tests/pack/test_sameness.py."
)
LOOK = {"layers": "all", "head": 0, "seed": 0}
RECIPES = {"paper": (24, False), "fast": (110, True)}  # steps, auto_stop


def machine() -> dict[str, str]:
    """What the last bit of a float depends on; elsewhere only the tails' numbers are compared."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), cpu)
    return {
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "pillow": PIL.__version__,
    }


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pixels(content: bytes) -> str:
    """A picture's size and colours; its encoder may change, what is seen may not."""
    with Image.open(io.BytesIO(content)) as picture:
        seen = np.asarray(picture.convert("RGB"))
    return f"{seen.shape[1]}x{seen.shape[0]} {sha(seen.tobytes())}"


def demo_graph() -> Graph:
    """Learn by both recipes, compose, sample under a recording, and draw every kind of figure."""
    graph: Graph = {
        "loader": node("HiPerLoadDemoModel"),
        "animal": node("HiPerDrawDemoAnimal", animal="cat", pose="sitting", ground="beach", seed=3),
        "picture": node("VAEEncode", pixels=["animal", 0], vae=["loader", 2]),
        "source": node("CLIPTextEncode", text=["animal", 2], clip=["loader", 1]),
        "target": node("CLIPTextEncode", text="a standing cat in snow", clip=["loader", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["loader", 1]),
        "start": node("EmptyLatentImage", width=64, height=64, batch_size=1),
    }
    for recipe, (steps, auto_stop) in RECIPES.items():
        graph |= learned(f"demo {recipe}", recipe, steps, auto_stop)
    graph |= {
        "compose": node(
            "HiPerComposeConditioning",
            conditioning=["target", 0],
            embedding=["demo fast", 0],
            strength=0.8,
        ),
        "record": node(
            "HiPerRecordAttention",
            model=["loader", 0],
            record="both",
            tokens="all tokens",
            memory_limit=64,
            every=1,
            layers="mean of equal sizes",
            head=0,
        ),
        "sampler": sampler("compose", model=["record", 0], seed=4, steps=4),
        "decode": node("VAEDecode", samples=["sampler", 0], vae=["loader", 2]),
        "recorded": viewer(maps=["record", 1]),
        "viewed": viewer(model=["loader", 0], conditioning=["compose", 0]),
        "compare": node(
            "HiPerCompareAttention",
            model=["loader", 0],
            latent=["sampler", 0],
            conditioning_a=["target", 0],
            conditioning_b=["compose", 0],
            image=["decode", 0],
            clip=["loader", 1],
            title_a="source",
            title_b="source + tail",
            title_c="",
            timestep=100.0,
            show="words and tail",
            labels_a="",
            labels_b="",
            labels_c="",
            **LOOK,
        ),
        "grid": node(
            "HiPerPictureGrid",
            images=["decode", 0],
            source=["animal", 0],
            title="A grid",
            columns=0,
            cell=128,
            order="row by row",
        ),
        "latent": node("HiPerTestDigest", latent=["sampler", 0]),
        "maps": node("HiPerSaveAttentionMaps", maps=["viewed", 3], filename_prefix="same/maps"),
        "over": node(
            "HiPerSaveAttentionMaps", maps=["recorded", 3], filename_prefix="same/recorded"
        ),
    }
    shown = {
        "overlay": ["viewed", 2],
        "tokens": ["viewed", 0],
        "steps": ["recorded", 4],
        "recorded tokens": ["recorded", 0],
        "comparison": ["compare", 0],
        "labelled grid": ["grid", 0],
        "result": ["decode", 0],
        "drawn": ["animal", 0],
    }
    return graph | {f"see {name}": node("PreviewImage", images=at) for name, at in shown.items()}


def viewer(**given: Any) -> dict[str, Any]:
    common = {"timestep": 90.0, "tokens": "", "mask": "soft", "threshold": 0.5, "opacity": 0.75}
    common |= {"labels": "", "side": "positive", "save_animation": False} | LOOK
    wired = {"latent": ["sampler", 0], "image": ["decode", 0], "clip": ["loader", 1]}
    return node("HiPerAttentionViewer", **common, **wired, **given)


def checkpoint_graph() -> Graph:
    from support.checkpoints import SD1

    graph = prompts(SD1) | {"picture": latent()}
    return graph | learned("sd1 paper", "paper", 3, False) | learned("sd1 fast", "fast", 3, False)


def learned(name: str, recipe: str, steps: int, auto_stop: bool) -> Graph:
    given = {"recipe": recipe, "steps": steps, "auto_stop": auto_stop, "seed": 5}
    return {
        name: learn(**given, gradient_checkpointing="off"),
        f"save {name}": node(
            "HiPerSaveEmbedding", embedding=[name, 0], name=f"same/{name}", if_exists="overwrite"
        ),
        f"see loss of {name}": node("PreviewImage", images=[name, 1]),
    }


@pytest.fixture(scope="module")
def found(server, checkpoints, base: Path, tmp_path_factory) -> dict[str, Any]:
    """Everything by name: the bytes of files, the colours of figures, the tails themselves."""
    outputs = server.run(demo_graph()) | server.run(checkpoint_graph())
    digests = {"latent": outputs["latent"]["digest"][0]}
    for name, said in outputs.items():
        if name.startswith("see "):
            (image,) = said["images"]
            digests[name.removeprefix("see ")] = pixels(server.get_bytes("/view", **image))
    tails = {}
    for path in sorted((base / "models" / "hiper" / "same").glob("*.safetensors")):
        digests[f"file of {path.stem}"] = sha(path.read_bytes())
        tails[path.stem] = load_file(path)["hiper"]
    for path in sorted((base / "output" / "same").glob("*.safetensors")):
        digests[f"file of {path.stem}"] = sha(path.read_bytes())
    sheet = tmp_path_factory.mktemp("sheet") / "sheet.png"
    command = [sys.executable, "-m", "hiper.demo", "--steps", "12", "--out", str(sheet)]
    subprocess.run(command, cwd=PACK, check=True, capture_output=True, timeout=240)
    digests["the demo's sheet"] = pixels(sheet.read_bytes())
    if definitions.accepting():
        definitions.write(RECORDED, {"machine": machine(), "digests": digests})
        save_file(tails, TAILS)
    return {"digests": digests, "tails": tails}


def test_no_bit_of_what_people_get_has_changed(found: dict[str, Any]) -> None:
    recorded = definitions.read(RECORDED)
    there = machine()
    if recorded["machine"] != there:
        pytest.skip(f"recorded on {recorded['machine']}, this is {there}: see the tails' numbers")
    changed = sorted(
        name
        for name in recorded["digests"].keys() | found["digests"].keys()
        if recorded["digests"].get(name) != found["digests"].get(name)
    )
    assert not changed, f"Changed: {', '.join(changed)}. {ADVICE}"


def test_the_tails_are_those_recorded_on_any_machine(found: dict[str, Any]) -> None:
    recorded = load_file(TAILS)
    assert recorded.keys() == found["tails"].keys() and len(recorded) == 4
    for name, tail in recorded.items():
        apart = (found["tails"][name] - tail).abs().max() / tail.abs().max()
        assert apart < 1e-3, f"{name} is {apart:.2e} of its size away. {ADVICE}"
