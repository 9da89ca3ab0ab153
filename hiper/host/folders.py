"""Where ComfyUI keeps embeddings: `models/hiper`, and what a person may call a file in it."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import folder_paths

from ..files.embeddings import EXTENSIONS

FOLDER = "hiper"
SHIPPED = Path(__file__).resolve().parents[1] / "demo" / "embeddings"  # only read, never saved to
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
FORBIDDEN = re.compile('[<>:"|?*\x00-\x1f\ud800-\udfff]')  # the last are halves of characters
LONGEST_PART = 120


def register() -> None:
    """Make `models/hiper` a folder that ComfyUI lists and extra_model_paths.yaml can extend; what
    comes with the pack is looked for last."""
    folder = Path(folder_paths.models_dir) / FOLDER
    folder_paths.add_model_folder_path(FOLDER, str(folder), is_default=True)
    folder_paths.add_model_folder_path(FOLDER, str(SHIPPED))


def save_folder() -> Path:
    return Path(folder_paths.get_folder_paths(FOLDER)[0])


def names() -> list[str]:
    """The embeddings that can be loaded."""
    listed = folder_paths.get_filename_list(FOLDER)
    return [name for name in listed if name.lower().endswith(EXTENSIONS)]


def path_of(name: str) -> Path:
    """The listed embedding's path, or one sentence when there is none of that name."""
    if name not in names():
        raise ValueError(
            f"There is no embedding {name!r} in {save_folder()}: press R to refresh the list, "
            "or save one first."
        )
    return Path(folder_paths.get_full_path_or_raise(FOLDER, name))


def path_for(name: str) -> Path:
    """Where an embedding of this name is saved; a name can't leave the folder."""
    folder = save_folder().resolve()
    parts = parts_of(name, str(folder))
    relative = PurePosixPath(*parts)
    if not relative.name.lower().endswith(".safetensors"):
        relative = relative.with_name(relative.name + ".safetensors")
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder):
        raise ValueError(f"{name!r} leads out of {folder}: choose a name inside it.")
    return path


def parts_of(name: str, folder: str) -> list[str]:
    """The folders and the file that a name is made of; every system can hold each of them."""
    parts = [part.strip() for part in name.strip().replace("\\", "/").split("/")]
    for part in parts:
        problem = _problem(part)
        if problem:
            raise ValueError(
                f"{name!r} can't be a file's name ({problem}): use letters, digits, spaces, '-' "
                f"and '_', with '/' for folders inside {folder}."
            )
    return parts


def _problem(part: str) -> str | None:
    if not part:
        return "a part of it is empty"
    if part in (".", "..") or part.startswith("."):
        return f"{part!r} begins with a dot"
    if part.endswith("."):
        return f"{part!r} ends in a dot"
    if FORBIDDEN.search(part):
        return f"{part!r} has a character that file names can't hold everywhere"
    if RESERVED.fullmatch(part):
        return f"{part!r} is reserved on Windows"
    if len(part.encode()) > LONGEST_PART:
        return f"it is longer than {LONGEST_PART} bytes"
    return None


def shown(path: Path) -> str:
    """The path as a person knows it: the folder that was used, as ComfyUI calls it or as it is."""
    default = Path(folder_paths.models_dir).resolve()
    return f"models/{path.relative_to(default)}" if path.is_relative_to(default) else str(path)


def unused(path: Path) -> Path:
    """The path, or with the first number behind it that is not taken: dog, dog_2, dog_3 …"""
    number, free = 2, path
    while free.exists():
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
        number += 1
    return free
