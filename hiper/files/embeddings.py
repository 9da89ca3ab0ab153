"""One embedding, one file: safetensors with a line of JSON that says what it is."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..embedding import EmbeddingDetails, HiperEmbedding, equal_starts
from .atomic import written_whole
from .cover import with_cover

FORMAT = 1
TENSOR = "hiper"
METADATA = "hiper"  # one key, because safetensors keeps no order among several
# so that files say no more than those of before these could be known
UNSAID = {"clip_layer": 0, "focus": 0.0, "focused_on": ""}
LARGEST_FILE = 256 * 2**20
LONGEST_REASON = 160
EXTENSIONS = (".safetensors", ".pt")


def to_bytes(embedding: HiperEmbedding) -> bytes:
    """The file's bytes: the same embedding always gives the same bytes."""
    details = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in asdict(embedding.details).items()
        if key not in UNSAID or value != UNSAID[key]
    }
    description = {
        "format": FORMAT,
        "context_width": embedding.context_width,
        "tokens": embedding.tokens,
        "details": details,
    }
    if embedding.stages > 1:
        description["stage_starts"] = embedding.starts
    metadata = {METADATA: json.dumps(description, sort_keys=True, ensure_ascii=False)}
    return save({TENSOR: embedding.tail.contiguous()}, metadata)


def write(
    embedding: HiperEmbedding,
    path: Path,
    overwrite: bool = False,
    cover: Image.Image | None = None,
) -> Path:
    """Write the file whole or not at all; an existing one is replaced only when asked. It holds a
    picture only if one is given."""
    path = Path(path)
    content = to_bytes(embedding)
    if cover is not None:
        content = with_cover(content, cover)
    with written_whole(path, overwrite) as unfinished:
        unfinished.write_bytes(content)
    return path


def read(path: Path) -> HiperEmbedding:
    """Read what `write` wrote, or the `.pt` of the paper's published code; runs no code in it."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no embedding at {path}: check the name.")
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise ValueError(
            f"{path.name} is {size / 2**20:.0f} MB; an embedding is a few KB to a few MB: "
            "this looks like a model, choose the embedding's file."
        )
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    if path.suffix.lower() == ".pt":
        return _read_published(path)
    raise ValueError(
        f"{path.name} ends in {path.suffix or 'nothing'}; wanted one of {', '.join(EXTENSIONS)}."
    )


def _read_safetensors(path: Path) -> HiperEmbedding:
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            names = list(file.keys())
            tail = file.get_tensor(TENSOR) if TENSOR in names else None
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(
            f"{path.name} is not a whole safetensors file ({_brief(error)}): copy or download it "
            "again."
        ) from None
    if tail is None or METADATA not in metadata:
        found = ", ".join(sorted(names)[:3]) or "nothing"
        raise ValueError(
            f"{path.name} is a safetensors file of something else (it holds {found}): "
            "choose a file that Save HiPer Embedding wrote."
        )
    description = _description(metadata[METADATA], path.name)
    details = _details(description.get("details"), path.name)
    return _named(path, tail, details, _starts(description, tail, path.name))


def _brief(error: Exception) -> str:
    """The reader's own reason, which may go on for as long as the broken file does."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]} …"


def _description(text: str, name: str) -> dict[str, Any]:
    try:
        description = json.loads(text)
    except ValueError:
        description = None
    if not isinstance(description, dict):
        raise ValueError(f"{name} has a broken description: save it again with this pack.")
    version = description.get("format")
    if version != FORMAT:
        raise ValueError(
            f"{name} is written in format {version!r}; this version of the pack reads {FORMAT}: "
            "update the pack."
        )
    return description


def _details(found: Any, name: str) -> EmbeddingDetails:
    """The details that this version knows, each of its own type; later ones are passed over."""
    if not isinstance(found, dict):
        raise ValueError(f"{name} has a broken description: save it again with this pack.")
    values = {}
    for known in fields(EmbeddingDetails):
        if known.name not in found:
            continue
        value, wanted = found[known.name], type(known.default)
        if wanted is float and value is None:
            value = float("nan")
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not wanted:
            raise ValueError(
                f"{name} says {known.name} = {value!r}; wanted a {wanted.__name__}: "
                "save it again with this pack."
            )
        values[known.name] = value
    return EmbeddingDetails(**values)


def _read_published(path: Path) -> HiperEmbedding:
    """The paper's published code saves one tensor `(1, N, C)` with torch.save."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path.name} holds more than a tensor (possibly code) and was not opened: "
            "save it again as a plain tensor (1, N, C)."
        ) from None
    except Exception as error:  # torch.load raises whatever a broken archive makes it raise
        raise ValueError(
            f"{path.name} is not a whole torch file ({_brief(error)}): copy or download it again."
        ) from None
    if not isinstance(content, Tensor):
        raise ValueError(
            f"{path.name} holds a {type(content).__name__}; wanted one tensor (1, N, C): "
            "save the embedding alone."
        )
    if content.ndim == 2:
        content = content[None]
    if content.ndim != 3 or content.shape[0] != 1 or not content.is_floating_point():
        raise ValueError(
            f"{path.name} holds a {content.dtype} tensor of shape {tuple(content.shape)}; "
            "wanted floats (1, N, C): save the embedding alone."
        )
    return _named(path, content[None], EmbeddingDetails())


def _starts(description: dict[str, Any], tail: Tensor, name: str) -> tuple[float, ...]:
    """When each stage begins; a file that does not say has equal parts."""
    found = description.get("stage_starts", equal_starts(len(tail)))
    if not isinstance(found, list | tuple) or not all(
        isinstance(start, int | float) and not isinstance(start, bool) for start in found
    ):
        raise ValueError(
            f"{name} says stage_starts = {found!r}; wanted a list of numbers: save it again with "
            "this pack."
        )
    return tuple(float(start) for start in found)


def _named(
    path: Path, tail: Tensor, details: EmbeddingDetails, starts: tuple[float, ...] = ()
) -> HiperEmbedding:
    try:
        return HiperEmbedding(tail, details, starts)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
