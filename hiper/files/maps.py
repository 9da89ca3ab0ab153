"""Attention maps in one safetensors file: tensors for the maps, one line of JSON for the rest."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..attention.maps import AttentionMaps, Part, Prompt, SamplingStep, Token
from ..prompts.tails import TailMark
from .atomic import written_whole

FORMAT = 1
METADATA = "hiper_attention"  # one key, because safetensors keeps no order among several
BEGINNING = f'{{"__metadata__":{{"{METADATA}":'.encode()  # of the header, behind its length
LENGTH = 8  # bytes that say how long the header is
LONGEST_REASON = 160
LARGEST = 2**31


def is_maps(path: Path) -> bool:
    """Whether `write` wrote this file, by its first bytes alone."""
    try:
        with path.open("rb") as file:
            return file.read(LENGTH + len(BEGINNING))[LENGTH:] == BEGINNING
    except OSError:
        return False


def write(maps: AttentionMaps, path: Path) -> Path:
    """One tensor `(B, K, h, w)` a part, named by its number; the metadata says what each is."""
    tensors = {
        f"{number:05}": part.maps.clone().contiguous() for number, part in enumerate(maps.parts)
    }
    parts = [
        {"prompt": p.prompt, "step": p.step, "layer": p.layer, "layers": p.layers}
        for p in maps.parts
    ]
    description = {
        "format": FORMAT,
        "latent_size": maps.latent_size,
        "cell": maps.cell,
        "total_steps": maps.total_steps,
        "heads": maps.heads,
        "model": maps.model,
        "prompts": [_said(prompt) for prompt in maps.prompts],
        "steps": [_step(step) for step in maps.steps],
        "parts": parts,
    }
    if maps.stages:
        description["stages"] = maps.stages
    text = json.dumps(description, sort_keys=True, ensure_ascii=False)
    with written_whole(path, overwrite=True) as unfinished:
        save_file(tensors, str(unfinished), {METADATA: text})
    return path


def _said(prompt: Prompt) -> dict[str, Any]:
    """All of a prompt but its tails' vectors, which have a file of their own."""
    said = asdict(replace(prompt, tails=()))
    kept = ("start", "tokens", "strength")
    said["tails"] = [{key: getattr(mark, key) for key in kept} for mark in prompt.tails]
    if not prompt.part:
        del said["part"]
    return said


def _step(step: SamplingStep) -> dict[str, Any]:
    """A run of one stage says nothing of stages."""
    said = asdict(step)
    return said if step.stage > 1 else {key: said[key] for key in said if key != "stage"}


def read(path: Path) -> AttentionMaps:
    """Read what `write` wrote, or say in one sentence why it is not that."""
    path = Path(path)
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            text = (file.metadata() or {}).get(METADATA)
            names = sorted(file.keys())
            if text is None:
                raise ValueError(
                    f"{path.name} is a safetensors file of something else (it holds "
                    f"{', '.join(names[:3]) or 'nothing'}): choose a file that Save Attention "
                    "Maps wrote."
                )
            tensors = [file.get_tensor(name) for name in names]
    except (SafetensorError, OSError, OverflowError) as error:
        raise ValueError(
            f"{path.name} is not a whole safetensors file ({_brief(error)}): copy or save it again."
        ) from None
    try:
        return _maps(json.loads(text), tensors)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path.name} has a broken description ({_brief(error)}): save it again with this pack."
        ) from None


def _brief(error: Exception) -> str:
    """The reader's own reason, which may go on for as long as the broken file does."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]} …"


def _maps(description: dict[str, Any], tensors: list[Tensor]) -> AttentionMaps:
    version = description["format"]
    if version != FORMAT:
        raise ValueError(f"format {version!r}, this version of the pack reads {FORMAT}")
    prompts = tuple(_prompt(prompt) for prompt in description["prompts"])
    steps = tuple(_made(SamplingStep, step) for step in description["steps"])
    parts = tuple(
        Part(part["prompt"], part["step"], part["layer"], part["layers"], tensor)
        for part, tensor in zip(description["parts"], tensors, strict=True)
    )
    numbers = [_whole(step.index) for step in steps]
    for part in parts:
        prompt = prompts[_below(part.prompt, len(prompts), "prompt")]
        if _whole(part.step) not in numbers:
            raise ValueError(f"a map of step {part.step}, but only the steps {numbers}")
        kept = len(prompt.columns)
        shape = tuple(part.maps.shape)
        if len(shape) != 4 or shape[1] != kept or 0 in shape or _whole(part.layers) < 1:
            raise ValueError(f"a map of shape {shape} and {part.layers} layers for {kept} tokens")
        if not part.maps.is_floating_point():
            raise ValueError(f"a map of {part.maps.dtype}")
    height, width = (_whole(side) for side in description["latent_size"])
    cell, total = _whole(description["cell"]), _whole(description["total_steps"])
    stages = tuple((_whole(h), _whole(w)) for h, w in description.get("stages", ()))
    for step in steps:
        _below(_whole(step.stage) - 1, max(1, len(stages)), "stage")
    if any(min(size) < 1 for size in stages):
        raise ValueError(f"stages of the sizes {stages}")
    if not parts or min(height, width, cell, total) < 1:
        raise ValueError(f"{len(parts)} maps of a latent {width}×{height}, {total} steps")
    return AttentionMaps(
        prompts,
        steps,
        parts,
        (height, width),
        cell,
        total,
        str(description["heads"]),
        str(description["model"]),
        stages,
    )


def _prompt(found: dict[str, Any]) -> Prompt:
    length = _whole(found["length"])
    tails = tuple(_made(TailMark, mark) for mark in found["tails"])
    words = tuple(_made(Token, token) for token in found["words"])
    columns = tuple(_below(column, length, "token") for column in found["columns"])
    for index in (token.index for token in words):
        _below(index, length, "word")
    for mark in tails:
        _below(_whole(mark.start) + _whole(mark.tokens) - 1, length, "tail")
    area = None if found["area"] is None else tuple(_whole(side) for side in found["area"])
    if area is not None and (len(area) != 4 or min(area[:2]) < 1 or min(area[2:]) < 0):
        raise ValueError(f"an area {area}")
    role, number = str(found["role"]), _whole(found["number"])
    part = tuple((_whole(stage), _whole(stages)) for stage, stages in found.get("part", ()))
    return Prompt(role, number, length, columns, tails, area, words, part)


def _made(kind: type, found: dict[str, Any]) -> Any:
    """What this version knows of something; what a later one added is passed over."""
    known = {each.name: found[each.name] for each in fields(kind) if each.name in found}
    return kind(**known)


def _whole(number: Any) -> int:
    if type(number) is not int or abs(number) > LARGEST:
        raise ValueError(f"{number!r} where a whole number belongs")
    return number


def _below(number: Any, end: int, what: str) -> int:
    """An index of something there is so many of."""
    if not 0 <= _whole(number) < end:
        raise ValueError(f"{what} {number}, but there are {end}")
    return number
