"""A file is written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """A file to write into, which gets the name `path` at the end, when all of it is on disk; an
    existing one is replaced only when asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.parent / f".hiper-{secrets.token_hex(8)}.part"
    unfinished.touch(exist_ok=False)
    mode = unfinished.stat().st_mode  # what the umask gives; safetensors writes a file of its own
    try:
        yield unfinished
        unfinished.chmod(mode)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        if overwrite:
            unfinished.replace(path)
        else:
            _place_new(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _place_new(unfinished: Path, path: Path) -> None:
    """Give the finished file its name unless the name is taken, in one step where links exist."""
    taken = FileExistsError(
        f"{path.name} already exists in {path.parent}: choose another name or allow overwriting."
    )
    try:
        os.link(unfinished, path)
    except FileExistsError:
        raise taken from None
    except OSError:
        if path.exists():
            raise taken from None
        unfinished.replace(path)
