"""Where a real ComfyUI is looked for, and why the rings that need one are skipped without it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

PACK = Path(__file__).resolve().parents[1]
DEFAULT = Path.home() / "comfy" / "ComfyUI"  # where `comfy install` of comfy-cli puts it
OLDEST_VERSION = "0.24.0"
NEEDED = ("torchsde", "einops", "transformers", "aiohttp", "alembic", "av", "comfy_kitchen")


def _is_comfyui(path: Path) -> bool:
    return (path / "comfy" / "samplers.py").is_file() and (path / "main.py").is_file()


def find() -> Path | None:
    """`$COMFYUI_PATH`, the ComfyUI whose custom_nodes holds the pack, `~/comfy/ComfyUI`."""
    candidates = [Path(os.environ["COMFYUI_PATH"])] if os.environ.get("COMFYUI_PATH") else []
    if PACK.parent.name == "custom_nodes":
        candidates.append(PACK.parent.parent)
    candidates.append(DEFAULT)
    return next((path.resolve() for path in candidates if _is_comfyui(path)), None)


def find_oldest() -> Path | None:
    """The oldest supported ComfyUI: `$COMFYUI_OLDEST_PATH`, or beside the default one."""
    given = os.environ.get("COMFYUI_OLDEST_PATH")
    path = Path(given) if given else DEFAULT.with_name(f"ComfyUI-{OLDEST_VERSION}")
    return path.resolve() if _is_comfyui(path) else None


def why_not() -> str | None:
    """One line on what to do before ComfyUI can be tested with, or None when it can."""
    root = find()
    if root is None:
        return (
            f"no ComfyUI at $COMFYUI_PATH or {DEFAULT}: run `pip install comfy-cli && comfy "
            "install`, or set COMFYUI_PATH"
        )
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            return (
                f"this Python has no {module}, which ComfyUI needs: run "
                f"`python -m pip install -r {root / 'requirements.txt'}`"
            )
    return None


def chromium() -> str | None:
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


def why_no_browser() -> str | None:
    """One line on what to do before the graph editor can be tested with, or None when it can."""
    reason = why_not()
    if reason:
        return reason
    if importlib.util.find_spec("playwright") is None:
        return 'this Python has no playwright: run `python -m pip install ".[test]"`'
    if chromium() is None:
        return "no Chromium on the PATH: install your system's `chromium` package"
    return None
