"""The house has one direction: what a room may know of the others, and who may speak to ComfyUI."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.comfyui import PACK

# each room may import those before it, and itself
ORDER = (
    "embedding",
    "augmentation",
    "prompts",
    "attention",
    "editing",
    "scores",
    "learning",
    "files",
    "figures",
    "demo",
    "host",
)
# inside the host: what others stand on first
IN_HOST = (
    "masks",
    "folders",
    "families",
    "tokenizer",
    "graph",
    "demo",
    "attention",
    "model",
    "progress",
    "finishing",
    "covers",
    "scores",
    "learning",
    "editing",
)
NO_SIGHT = {("files", "learning"), ("learning", "files")}  # neither knows the other
OF_COMFYUI = {"comfy", "comfy_api", "comfy_execution", "comfy_extras", "folder_paths", "nodes"}
LONGEST = 300  # lines of a file


def modules(room: str) -> list[Path]:
    return sorted((PACK / room).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Every import of a file: a path from the pack's root, in parts; ComfyUI's as they are."""
    package = path.relative_to(PACK).parent.parts
    for found in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(found, ast.Import):
            yield from (tuple(name.name.split(".")) for name in found.names)
        elif isinstance(found, ast.ImportFrom):
            base = package[: len(package) - found.level + 1] if found.level else ()
            module = (*base, *(found.module or "").split("."))
            for name in found.names:
                yield (*filter(None, module), name.name)


def room_of(path: Path, below: int) -> str:
    return path.relative_to(PACK).with_suffix("").parts[below]


@pytest.mark.parametrize("path", modules("hiper"), ids=lambda path: str(path.relative_to(PACK)))
def test_arrows_point_one_way(path: Path) -> None:
    room = room_of(path, 1)
    if room == "__init__":
        return
    for to in imports(path):
        if to[0] != "hiper":
            assert room == "host" or to[0] not in OF_COMFYUI, f"only hiper/host may import {to[0]}"
            continue
        assert ORDER.index(to[1]) <= ORDER.index(room), f"{room} may not know {to[1]}"
        assert (room, to[1]) not in NO_SIGHT, f"{room} may not know {to[1]}"
        if room == "host" and to[1] == "host" and len(to) > 3:
            inner = room_of(path, 2)
            if inner != "__init__":
                assert IN_HOST.index(to[2]) <= IN_HOST.index(inner), f"{inner} may not know {to[2]}"


@pytest.mark.parametrize("path", modules("nodes"), ids=lambda path: str(path.relative_to(PACK)))
def test_nodes_speak_to_comfyui_through_the_host(path: Path) -> None:
    for to in imports(path):
        assert to[0] not in OF_COMFYUI - {"comfy_api", "nodes"}, f"{path.name} imports {to[0]}"


def test_no_room_of_files_imports_in_a_circle() -> None:
    """Between files, too: none is loaded by what it loads."""
    names = {path: path.relative_to(PACK).with_suffix("").parts for path in modules("hiper")}
    known = {parts: path for path, parts in names.items()}
    arrows = {
        path: {
            known[to[:end]]
            for to in imports(path)
            for end in (len(to), len(to) - 1)
            if to[:end] in known
        }
        for path in names
    }
    done: set[Path] = set()

    def visit(path: Path, above: tuple[Path, ...]) -> None:
        assert path not in above, " → ".join(str(p.relative_to(PACK)) for p in (*above, path))
        if path in done:
            return
        for to in arrows[path]:
            visit(to, (*above, path))
        done.add(path)

    for path in names:
        visit(path, ())


@pytest.mark.parametrize("room", ["hiper", "nodes", "benchmarks", "workflows/source"])
def test_a_file_fits_in_a_head(room: str) -> None:
    long = {
        str(path.relative_to(PACK)): lines
        for path in modules(room)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert not long, f"longer than {LONGEST} lines: {long}"
