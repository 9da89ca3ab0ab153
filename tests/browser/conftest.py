"""A browser for the tests of the graph editor."""

from __future__ import annotations

from collections.abc import Iterator

import comfyui
import pytest


@pytest.fixture(scope="module")
def browser(server) -> Iterator:
    """Starts after the server and ends with its module: Playwright keeps an event loop running,
    within which ComfyUI can't be loaded."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=comfyui.chromium(), args=["--no-sandbox"]
        )
        yield running
        running.close()
