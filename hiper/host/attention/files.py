"""Where exported attention maps lie: in ComfyUI's output folder, like every other export."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from .. import folders

EXTENSION = ".safetensors"
FOLDER = "hiper"  # whose files the loader lists


def new_path(prefix: str) -> Path:
    """The next free file of this name, which can't leave the output folder."""
    inside = "/".join(folders.parts_of(prefix, "the output folder"))
    folder, name, counter, _, _ = folder_paths.get_save_image_path(
        inside, folder_paths.get_output_directory()
    )
    path = Path(folder) / f"{name}_{counter:05}_{EXTENSION}"
    while path.exists():
        counter += 1
        path = Path(folder) / f"{name}_{counter:05}_{EXTENSION}"
    return path


def shown(path: Path) -> str:
    """The path as a person knows it: inside the output folder."""
    return path.relative_to(Path(folder_paths.get_output_directory())).as_posix()


def names() -> list[str]:
    """Every safetensors file below the output folder, the newest first."""
    root = Path(folder_paths.get_output_directory())
    files = [path for path in root.rglob(f"*{EXTENSION}") if path.is_file()]
    files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.relative_to(root).as_posix() for path in files]


def path_of(name: str) -> Path:
    """The listed file, or one sentence when there is none of that name."""
    if name not in names():
        raise ValueError(
            f"There is no file {name!r} in the output folder: press R to refresh the list, or "
            "save one with Save Attention Maps."
        )
    return Path(folder_paths.get_output_directory()) / name
