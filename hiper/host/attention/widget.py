"""What the viewer's widget fetches: the maps as PNG atlases in ComfyUI's temp folder."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
from PIL import Image

from ...attention.maps import Token
from ...attention.tokens import WORD
from ...figures.shown import ShownEntry, ShownMaps

VERSION = 1
COLUMNS = 11
NUMBER = "number"
PREFIX = "hiper_attention"


def payloads(shown_maps: ShownMaps, pictures: list[Image.Image] | None) -> list[dict[str, Any]]:
    """One payload for each conditioning entry shown, and for each picture of a batch."""
    saved = [saved_png(picture) for picture in pictures or ()]
    found = []
    for entry in shown_maps.entries:
        for picture in range(shown_maps.maps.batch):
            image = saved[picture % len(saved)] if saved else None
            found.append(_payload(shown_maps, entry, picture, image))
            if pictures:
                found[-1]["width"], found[-1]["height"] = pictures[picture % len(pictures)].size
    return found


def _payload(
    shown_maps: ShownMaps, entry: ShownEntry, picture: int, image: dict[str, str] | None
) -> dict[str, Any]:
    height, width = shown_maps.maps.picture_size
    frames, cell = [], [1, 1]
    scale = shown_maps.scale_of_frames
    for step in shown_maps.maps.steps_of(entry.prompt):
        maps = shown_maps.mean(entry, step)[picture].cpu().numpy()
        cell = [maps.shape[-1], maps.shape[-2]]
        label = shown_maps.moment(step)
        sheet = atlas(maps / scale, [token.index for token in entry.tokens])
        frames.append({"label": label, "atlas": saved_png(sheet)})
    return {
        "version": VERSION,
        "title": shown_maps.title_of(entry, picture),
        "image": image,
        "width": width,
        "height": height,
        "tokens": [
            {"index": token.index, "label": token.label, "kind": kind_of(token)}
            for token in entry.tokens
        ],
        "cell": cell,
        "columns": COLUMNS,
        "scale": scale,
        "frames": frames,
    }


def kind_of(token: Token) -> str:
    """A word that nobody could name is a number: who can tell it from padding?"""
    return NUMBER if token.kind == WORD and not token.text else token.kind


def atlas(maps: np.ndarray, places: list[int]) -> Image.Image:
    """Maps `(K, h, w)`, 1 for white, each at its token's place in rows of eleven."""
    _, height, width = maps.shape
    rows = max(places) // COLUMNS + 1
    sheet = np.zeros((rows * height, COLUMNS * width), np.uint8)
    levels = (np.clip(maps, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    for place, level in zip(places, levels, strict=True):
        row, column = divmod(place, COLUMNS)
        y, x = row * height, column * width
        sheet[y : y + height, x : x + width] = level
    return Image.fromarray(sheet)


def saved_png(picture: Image.Image) -> dict[str, str]:
    """A new file in the temp folder, in the words that ComfyUI's /view wants."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{PREFIX}_{secrets.token_hex(8)}.png"
    picture.save(folder / name, compress_level=1)
    return {"filename": name, "subfolder": "", "type": "temp"}


def saved_animation(frames: list[Image.Image], prefix: str, seconds: float) -> dict[str, str]:
    """An animated WebP in the output folder; `seconds` is how long all frames take together."""
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory(), *frames[0].size
    )
    file = f"{name}_{counter:05}_.webp"
    frames[0].save(
        Path(folder) / file,
        save_all=True,
        append_images=frames[1:],
        duration=max(40, round(1000 * seconds / len(frames))),
        loop=0,
        quality=88,
    )
    return {"filename": file, "subfolder": subfolder, "type": "output"}
