"""Three rings, told apart by their folder: torch alone, a real ComfyUI, its graph editor."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

# before torch is loaded, here and in every process that a test starts: on matrices this small a
# second thread only waits, and on a busy machine for long
os.environ.setdefault("OMP_NUM_THREADS", "1")

TESTS = Path(__file__).resolve().parent
# appended, never inserted: the pack's `nodes` would stand before ComfyUI's own
sys.path += [str(TESTS), str(TESTS.parent)]

from support import comfyui  # noqa: E402

# a busy machine is no failure: no gate here is a time by the clock
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from support.comfyui_server import Server

# what is under no such folder needs torch alone
RINGS = {
    "ring 2": (("hiper/host", "nodes", "pack"), comfyui.why_not),
    "ring 3": (("web",), comfyui.why_no_browser),
}


THOROUGH_TIMEOUT = 3600  # seconds of one test, with the long counts


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", action="store_true", help="hundreds of files, inputs, cancels and prompts"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("thorough") and config.getoption("timeout", None) is None:
        config.option.timeout = THOROUGH_TIMEOUT


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether the long counts are asked for."""
    return pytestconfig.getoption("thorough")


def _skipped() -> list[str]:
    """What will not run, and what to do about it: one line each."""
    reasons = {ring: why() for ring, (_, why) in RINGS.items()}
    if reasons["ring 2"] is None:
        reasons["oldest ComfyUI"] = comfyui.why_not_oldest()
    return [f"SKIPPED {part}: {reason}" for part, reason in reasons.items() if reason]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for ring, (folders, why) in RINGS.items():
        reason = why()
        if reason is None:
            continue
        for item in items:
            if any(item.path.is_relative_to(TESTS / folder) for folder in folders):
                item.add_marker(pytest.mark.skip(reason=f"{ring}: {reason}"))


def pytest_report_header() -> list[str]:
    found = f"ComfyUI: {comfyui.find() or 'none'}; oldest: {comfyui.find_oldest() or 'none'}"
    return [found, *_skipped()]


def pytest_terminal_summary(terminalreporter) -> None:
    for line in _skipped():
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ComfyUI base directory of this session's own, with the pack and the checkpoints in it."""
    from support.comfyui_server import prepare_base

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
    from support.checkpoints import SHAPES, write

    for name, shape in SHAPES.items():
        write(shape, base / "models" / "checkpoints" / f"{name}.safetensors")
    return {name: f"{name}.safetensors" for name in SHAPES}


@pytest.fixture(scope="session")
def start_server() -> Iterator[Callable[..., Server]]:
    """Start a server of any ComfyUI on any base directory; it ends with the session."""
    from support.comfyui_server import Server

    running: list[Server] = []

    def start(root: Path, base: Path, *extra: str) -> Server:
        running.append(Server(root, base, extra))
        return running[-1].start()

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def server(start_server, base: Path, checkpoints: dict[str, str]) -> Server:
    """ComfyUI's own server, with previews on."""
    return start_server(comfyui.find(), base, "--preview-method", "latent2rgb")


@pytest.fixture(scope="session")
def oldest_server(
    start_server, base: Path, checkpoints: dict[str, str], tmp_path_factory
) -> Server:
    """The oldest supported ComfyUI on a base directory of its own, with the same checkpoints."""
    from support.comfyui_server import prepare_base

    reason = comfyui.why_not_oldest()
    if reason:
        pytest.skip(reason)
    own = prepare_base(tmp_path_factory.mktemp("oldest"))
    for name in checkpoints.values():
        there = Path("models", "checkpoints", name)
        (own / there).hardlink_to(base / there)
    return start_server(comfyui.find_oldest(), own)


@pytest.fixture(scope="module")
def browser(server: Server) -> Iterator[Browser]:
    """Starts after the server and ends with its module: Playwright keeps an event loop running,
    within which ComfyUI can't be loaded."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=comfyui.chromium(), args=["--no-sandbox"]
        )
        yield running
        running.close()
