"""What a release ships: git's files less those that .comfyignore names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10, where pytest brings tomli
    import tomli as tomllib

PACK = Path(__file__).resolve().parents[2]


def pyproject() -> dict[str, Any]:
    return tomllib.loads((PACK / "pyproject.toml").read_text(encoding="utf-8"))


def ignored() -> list[str]:
    """The patterns of .comfyignore."""
    lines = (PACK / ".comfyignore").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def tracked() -> list[str] | None:
    """The files that git knows, or None outside of a repository."""
    command = ["git", "-C", str(PACK), "ls-files", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [name for name in listed.stdout.split("\0") if (PACK / name).is_file()]


def shipped(files: list[str]) -> list[str]:
    """What `comfy node publish` packs; every pattern here is a file or a folder of the root."""
    patterns = [pattern.removeprefix("/") for pattern in ignored()]
    return [
        name
        for name in files
        if not any(name.startswith(p) if p.endswith("/") else name == p for p in patterns)
    ]


def copy_to(folder: Path) -> None:
    """Put the files that a release ships there."""
    for name in shipped(tracked() or []):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACK / name, folder / name)
