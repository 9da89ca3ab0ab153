"""Where a real ComfyUI is looked for, and why the rings that need one are skipped without it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

PACK = Path(__file__).resolve().parents[2]
DEFAULT = Path.home() / "comfy" / "ComfyUI"  # where `comfy install` of comfy-cli puts it
OLDEST_VERSION = "0.24.0"
NEEDED = ("torchsde", "einops", "transformers", "aiohttp", "alembic", "av", "comfy_kitchen")


def _is_comfyui(path: Path) -> bool:
    return (path / "comfy" / "samplers.py").is_file() and (path / "main.py").is_file()


def _looked_at() -> list[Path]:
    """`$COMFYUI_PATH` alone where it is set; else the ComfyUI around the pack, then the default."""
    if os.environ.get("COMFYUI_PATH"):
        return [Path(os.environ["COMFYUI_PATH"]).expanduser()]
    around = [PACK.parent.parent] if PACK.parent.name == "custom_nodes" else []
    return [*around, DEFAULT]


def _oldest_looked_at() -> Path:
    given = os.environ.get("COMFYUI_OLDEST_PATH")
    return Path(given).expanduser() if given else DEFAULT.with_name(f"ComfyUI-{OLDEST_VERSION}")


def find() -> Path | None:
    return next((path.resolve() for path in _looked_at() if _is_comfyui(path)), None)


def find_oldest() -> Path | None:
    """The oldest supported ComfyUI: `$COMFYUI_OLDEST_PATH`, or beside the default one."""
    path = _oldest_looked_at()
    return path.resolve() if _is_comfyui(path) else None


def why_not() -> str | None:
    """One line on what to do before ComfyUI can be tested with, or None when it can."""
    root = find()
    if root is None:
        return (
            f"no ComfyUI at {' or '.join(map(str, _looked_at()))}: run `pip install comfy-cli && "
            "comfy install`, or set COMFYUI_PATH to the folder that holds its main.py"
        )
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            return (
                f"this Python has no {module}, which ComfyUI needs: run "
                f"`python -m pip install -r {root / 'requirements.txt'}`"
            )
    return None


def why_not_oldest() -> str | None:
    """One line on what to do before the oldest supported ComfyUI can be tested with, or None."""
    if why_not() or find_oldest():
        return why_not()
    return (
        f"no ComfyUI {OLDEST_VERSION} at {_oldest_looked_at()}: check out its tag "
        f"v{OLDEST_VERSION} there, or set COMFYUI_OLDEST_PATH"
    )


def chromium() -> str | None:
    """`$CHROMIUM_PATH`, or the first Chromium or Chrome on the PATH."""
    names = (os.environ.get("CHROMIUM_PATH"), "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, (shutil.which(name) for name in names if name)), None)


def why_no_browser() -> str | None:
    """One line on what to do before the graph editor can be tested with, or None when it can."""
    reason = why_not()
    if reason:
        return reason
    if importlib.util.find_spec("playwright") is None:
        return 'this Python has no playwright: run `python -m pip install ".[test]"`'
    if chromium() is None:
        return (
            "no Chromium on the PATH: install your system's `chromium` package, or set "
            "CHROMIUM_PATH to the program"
        )
    return None
