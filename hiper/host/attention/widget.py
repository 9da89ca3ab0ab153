"""What the viewer's widget fetches: the maps as PNG atlases in ComfyUI's temp folder."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import torch
from comfy_api.v0_0_2 import io, ui
from PIL import Image
from torch import Tensor

from ...attention.maps import SamplingStep, Token
from ...attention.tokens import WORD, choice_of
from ...figures.images import to_image
from ...figures.shown import ShownEntry, ShownMaps

VERSION = 1
COLUMNS = 11
NUMBER = "number"
PREFIX = "hiper_attention"
MOST_FRAMES_A_SECOND = 25


def payloads(
    shown_maps: ShownMaps,
    pictures: list[Image.Image] | None,
    node: type[io.ComfyNode] | None,
    first: list[list[Token]],
) -> list[dict[str, Any]]:
    """One payload for each conditioning entry shown, and for each picture of a batch; the maps of
    the `first` tokens of each entry are seen at once."""
    saved = [saved_picture(picture, node) for picture in pictures or ()]
    found = []
    for entry, seen in zip(shown_maps.entries, first, strict=True):
        for picture in range(shown_maps.maps.batch):
            image = saved[picture % len(saved)] if saved else None
            found.append(_payload(shown_maps, entry, picture, image))
            found[-1]["first"] = [token.index for token in seen]
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
        sheet = atlas(maps / scale, [token.index for token in entry.tokens])
        frames.append({**moment_of(shown_maps, step), "atlas": saved_png(sheet)})
    return {
        "version": VERSION,
        "title": shown_maps.title_of(entry, picture),
        "image": image,
        "width": width,
        "height": height,
        "tokens": [
            {
                "index": token.index,
                "label": token.label,
                "kind": kind_of(token),
                "choice": choice_of(entry.tokens, token),
            }
            for token in entry.tokens
        ],
        "cell": cell,
        "columns": COLUMNS,
        "scale": scale,
        "frames": frames,
    }


def moment_of(shown_maps: ShownMaps, step: SamplingStep) -> dict[str, Any]:
    """When it was, for the widget to say in the editor's language."""
    maps = shown_maps.maps
    return {
        "timestep": f"{step.timestep:.4g}",
        "step": step.index + 1,
        "steps": maps.total_steps,
        "stage": step.stage if maps.stages else None,
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
    """A new file of levels in the temp folder, in the words that ComfyUI's /view wants."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{PREFIX}_{secrets.token_hex(8)}.png"
    picture.save(folder / name, compress_level=1)
    return {"filename": name, "subfolder": "", "type": "temp"}


def saved_picture(picture: Image.Image, node: type[io.ComfyNode] | None) -> dict[str, str]:
    """A new file in the temp folder that carries its workflow, as ComfyUI's own previews do."""
    prefix = f"{PREFIX}_{secrets.token_hex(8)}"
    (saved,) = ui.ImageSaveHelper.save_images(
        exactly(picture), prefix, io.FolderType.temp, cls=node, compress_level=1
    )
    return dict(saved)


def saved_animation(
    frames: list[Image.Image], prefix: str, seconds: float, node: type[io.ComfyNode] | None
) -> dict[str, Any]:
    """An animated WebP in the output folder that carries its workflow, as what a node shows;
    `seconds` is how long all frames take together."""
    images = torch.cat([exactly(frame) for frame in frames])
    shown = ui.ImageSaveHelper.get_save_animated_webp_ui(
        images,
        prefix,
        cls=node,
        fps=min(MOST_FRAMES_A_SECOND, len(frames) / seconds),
        lossless=False,
        quality=88,
        method=4,
    )
    return shown.as_dict()


def exactly(picture: Image.Image) -> Tensor:
    """An IMAGE of which ComfyUI, which rounds down, makes the same levels again."""
    return (to_image(picture) + 0.1 / 255).clamp(max=1.0)
