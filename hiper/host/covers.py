"""Which embeddings have a thumbnail, and where ComfyUI's own model library serves it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import folder_paths
from aiohttp import web
from yarl import URL

from .folders import FOLDER, names
from .graph import serving

ROUTE = "/hiper/thumbnails"


def register() -> None:
    """The route that Load's list asks; without a server, as in a script, none."""
    server = serving()
    if server is not None:
        server.routes.get(ROUTE)(_thumbnails)


async def _thumbnails(request: web.Request) -> web.Response:
    return web.json_response(await asyncio.to_thread(_found))  # every file's header is read


def _found() -> dict[str, str]:
    """By the embedding's name."""
    found = {}
    for name in names():
        path = folder_paths.get_full_path(FOLDER, name)
        if path and _has_one(path):
            found[name] = _address(name, Path(path))
    return found


def _has_one(path: str) -> bool:
    try:
        return bool(serving().model_file_manager.get_model_previews(path))
    except Exception:  # the library raises whatever a broken file makes it raise
        return False


def _address(name: str, path: Path) -> str:
    """The file's age is in it, so that a browser asks again for one that was written anew."""
    folders = [Path(folder) for folder in folder_paths.get_folder_paths(FOLDER)]
    index = next(i for i, folder in enumerate(folders) if path.is_relative_to(folder))
    age = path.stat().st_mtime_ns
    place = f"/experiment/models/preview/{FOLDER}/{index}/{Path(name).as_posix()}"
    return str(URL.build(path=place, query_string=str(age)))
