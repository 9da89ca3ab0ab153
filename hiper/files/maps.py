"""Attention maps in one safetensors file: tensors for the maps, one line of JSON for the rest."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..attention.maps import AttentionMaps, Part, Prompt, SamplingStep, Token
from ..prompts.placement import TailMark
from .atomic import written_whole

FORMAT = 1
METADATA = "hiper_attention"  # one key, because safetensors keeps no order among several


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
        "prompts": [asdict(prompt) for prompt in maps.prompts],
        "steps": [asdict(step) for step in maps.steps],
        "parts": parts,
    }
    text = json.dumps(description, sort_keys=True, ensure_ascii=False)
    with written_whole(path, overwrite=True) as unfinished:
        save_file(tensors, str(unfinished), {METADATA: text})
    return path


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
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path.name} is not a whole safetensors file ({error}): copy or save it again."
        ) from None
    try:
        return _maps(json.loads(text), tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path.name} has a broken description ({error}): save it again with this pack."
        ) from None


def _maps(description: dict[str, Any], tensors: list[Tensor]) -> AttentionMaps:
    version = description["format"]
    if version != FORMAT:
        raise ValueError(f"format {version!r}, this version of the pack reads {FORMAT}")
    prompts = tuple(_prompt(prompt) for prompt in description["prompts"])
    steps = tuple(SamplingStep(s["index"], s["sigma"], s["timestep"]) for s in description["steps"])
    parts = tuple(
        Part(part["prompt"], part["step"], part["layer"], part["layers"], tensor)
        for part, tensor in zip(description["parts"], tensors, strict=True)
    )
    for part in parts:
        kept = len(prompts[part.prompt].columns)
        if part.maps.ndim != 4 or part.maps.shape[1] != kept:
            raise ValueError(f"a map of shape {tuple(part.maps.shape)} for {kept} tokens")
    height, width = description["latent_size"]
    return AttentionMaps(
        prompts,
        steps,
        parts,
        (height, width),
        description["cell"],
        description["total_steps"],
        description["heads"],
        description["model"],
    )


def _prompt(found: dict[str, Any]) -> Prompt:
    return Prompt(
        found["role"],
        found["number"],
        found["length"],
        tuple(found["columns"]),
        tuple(TailMark(**mark) for mark in found["tails"]),
        None if found["area"] is None else tuple(found["area"]),
        tuple(Token(**token) for token in found["words"]),
    )
