"""Where exported attention maps lie: in ComfyUI's output folder, like every other export."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ...files.maps import is_maps
from .. import folders

EXTENSION = ".safetensors"


def new_path(prefix: str) -> Path:
    """The next free file of this name, which can't leave the output folder."""
    root = folder_paths.get_output_directory()
    inside = "/".join(folders.parts_of(prefix, root))
    folder, name, counter, _, _ = folder_paths.get_save_image_path(inside, root)
    path = Path(folder) / f"{name}_{counter:05}_{EXTENSION}"
    while path.exists():
        counter += 1
        path = Path(folder) / f"{name}_{counter:05}_{EXTENSION}"
    return path


def shown(path: Path) -> str:
    """The path as a person knows it: inside the output folder."""
    return path.relative_to(Path(folder_paths.get_output_directory())).as_posix()


def names() -> list[str]:
    """The files below the output folder that Save Attention Maps wrote, the newest first."""
    root = Path(folder_paths.get_output_directory())
    files = [path for path in root.rglob(f"*{EXTENSION}") if is_maps(path)]
    files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.relative_to(root).as_posix() for path in files]


def path_of(name: str) -> Path:
    """The listed file, or one sentence when there is none of that name."""
    root = Path(folder_paths.get_output_directory())
    if name not in names():
        raise ValueError(
            f"There is no file of attention maps {name!r} in {root}: press R to refresh the list, "
            "or save one with Save Attention Maps."
        )
    return root / name


def fingerprint(name: str) -> str:
    """Changes whenever the file was written anew; maps may be gigabytes, so none are read."""
    path = path_of(name)
    known = path.stat()
    return f"{path} {known.st_size} {known.st_mtime_ns}"
