"""A real ComfyUI for ring 2: in this process, and as a server with the pack in custom_nodes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import comfyui
import pytest

sys.path.append(str(Path(__file__).parent))

if TYPE_CHECKING:
    from server import Server


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ComfyUI base directory of this session's own, with the pack and the checkpoints in it."""
    from server import prepare_base

    return prepare_base(tmp_path_factory.mktemp("comfyui"))


@pytest.fixture(scope="session")
def host(base: Path) -> ModuleType:
    """ComfyUI in this process, the pack loaded by ComfyUI's own loader: its `nodes` module."""
    sys.path.insert(0, str(comfyui.find()))
    arguments, sys.argv = sys.argv, ["main.py", "--cpu", "--base-directory", str(base)]
    try:
        import comfy.options

        comfy.options.enable_args_parsing()
        import folder_paths

        import nodes
    finally:
        sys.argv = arguments
    folder_paths.set_temp_directory(str(base / "temp"))
    asyncio.run(nodes.init_external_custom_nodes())
    return nodes


@pytest.fixture(scope="session")
def checkpoints(host: ModuleType, base: Path) -> dict[str, str]:
    """Names that CheckpointLoaderSimple lists: sd1, sd2 (v-prediction) and sdxl shapes."""
    from checkpoints import SHAPES, write

    for name, shape in SHAPES.items():
        write(shape, base / "models" / "checkpoints" / f"{name}.safetensors")
    return {name: f"{name}.safetensors" for name in SHAPES}


@pytest.fixture(scope="session")
def server(base: Path, checkpoints: dict[str, str]) -> Iterator[Server]:
    """ComfyUI's own server, with previews on."""
    from server import Server

    running = Server(comfyui.find(), base, ("--preview-method", "latent2rgb")).start()
    yield running
    running.stop()
