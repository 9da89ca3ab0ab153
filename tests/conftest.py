"""Three rings: method (torch only), host (a real ComfyUI), browser (its graph editor)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
# appended, never inserted: the pack's `nodes` would stand before ComfyUI's own
sys.path += [str(TESTS), str(TESTS.parent)]

import comfyui  # noqa: E402

RINGS = {"host": comfyui.why_not, "browser": comfyui.why_no_browser}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for ring, why in RINGS.items():
        reason = why()
        if reason is None:
            continue
        for item in items:
            if TESTS / ring in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=f"ring {ring}: {reason}"))


def pytest_report_header() -> list[str]:
    lines = [f"ComfyUI: {comfyui.find() or 'none'}; oldest: {comfyui.find_oldest() or 'none'}"]
    return lines + [f"SKIPPED ring {ring}: {why()}" for ring, why in RINGS.items() if why()]


def pytest_terminal_summary(terminalreporter) -> None:
    for ring, why in RINGS.items():
        if why():
            terminalreporter.write_line(f"SKIPPED ring {ring}: {why()}")
