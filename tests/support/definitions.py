"""What the pack tells ComfyUI of its nodes, and what of it is frozen or translated."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

ACCEPT = "HIPER_ACCEPT"  # set to 1, the tests write what they would else compare with
FILE_LISTS = (("HiPerLoadEmbedding", "name"), ("HiPerLoadAttentionMaps", "name"))
FROZEN_OPTIONS = ("default", "min", "max", "options", "forceInput", "template")


def of_pack(host: ModuleType) -> dict[str, dict[str, Any]]:
    """The node definitions as /object_info gives them, by id, the tests' own left out."""
    return {
        name: node.GET_NODE_INFO_V1()
        for name, node in sorted(host.NODE_CLASS_MAPPINGS.items())
        if name.startswith("HiPer") and not name.startswith("HiPerTest")
    }


def inputs_of(definition: dict[str, Any]) -> dict[str, tuple[str, Any, dict[str, Any]]]:
    """Each input's kind (required, optional), type and options, in order."""
    return {
        name: (kind, spec[0], spec[1] if len(spec) > 1 else {})
        for kind in ("required", "optional")
        for name, spec in definition["input"].get(kind, {}).items()
    }


def english(definition: dict[str, Any]) -> dict[str, Any]:
    """A node's words as `locales/en/nodeDefs.json` holds them."""
    words: dict[str, Any] = {
        "display_name": definition["display_name"],
        "description": definition["description"],
    }
    inputs = {
        name: {"name": options.get("display_name") or name, "tooltip": options.get("tooltip", "")}
        for name, (_, _, options) in inputs_of(definition).items()
    }
    tooltips = definition.get("output_tooltips") or [""] * len(definition["output_name"])
    outputs = {
        str(slot): {"name": name, "tooltip": tooltip or ""}
        for slot, (name, tooltip) in enumerate(
            zip(definition["output_name"], tooltips, strict=True)
        )
    }
    return (
        words | ({"inputs": inputs} if inputs else {}) | ({"outputs": outputs} if outputs else {})
    )


def frozen(definition: dict[str, Any]) -> dict[str, Any]:
    """What a saved graph relies on; lists of files are left out, since they are the machine's."""
    inputs = {}
    for name, (kind, given, options) in inputs_of(definition).items():
        kept = {key: options[key] for key in FROZEN_OPTIONS if key in options}
        if (definition["name"], name) in FILE_LISTS:
            kept.pop("options", None)
            given = "COMBO"
        inputs[name] = {"kind": kind, "type": given, **kept}
    outputs = [
        {"name": name, "type": given, "list": listed}
        for name, given, listed in zip(
            definition["output_name"],
            definition["output"],
            definition["output_is_list"],
            strict=True,
        )
    ]
    return {"inputs": inputs, "outputs": outputs}


def accepting() -> bool:
    return os.environ.get(ACCEPT) == "1"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
