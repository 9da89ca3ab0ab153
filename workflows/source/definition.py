"""What ComfyUI says of a node in /object_info: its inputs in order, and which are widgets."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

GROWING = "COMFY_AUTOGROW_V3"
SEEDS = ("seed", "noise_seed")
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


def specs(definition: dict[str, Any]) -> dict[str, list]:
    """A node's inputs as /object_info tells them, in order; one that grows stands as all that it
    may grow to."""
    order = definition["input_order"]
    found = {}
    for kind in ("required", "optional"):
        for name in order.get(kind, []):
            spec = definition["input"][kind][name]
            found |= _grown(name, spec) if spec[0] == GROWING else {name: spec}
    return found


def _grown(name: str, spec: list) -> dict[str, list]:
    template = spec[1]["template"]
    (own,) = (one for kind in template["input"].values() for one in kind.values())
    return {f"{name}.{template['prefix']}{i}": own for i in range(template["max"])}


def unused_growth(inputs: list[str], linked: Collection[str]) -> set[str]:
    """Of inputs that grew, those behind the first that is free: the editor does not show them."""
    behind: set[str] = set()
    free: set[str] = set()
    for name in inputs:
        family = name.partition(".")[0]
        if "." not in name or name in linked:
            continue
        if family in free:
            behind.add(name)
        free.add(family)
    return behind


def options_of(spec: list) -> dict[str, Any]:
    return spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}


def type_of(kind: Any) -> str:
    if isinstance(kind, list):
        return "COMBO"
    return "*" if kind == "COMFY_MATCHTYPE_V3" else kind


def is_widget(spec: list) -> bool:
    return type_of(spec[0]) in WIDGET_TYPES and not options_of(spec).get("forceInput")


def default_of(spec: list) -> Any:
    options = options_of(spec)
    if "default" in options:
        return options["default"]
    if type_of(spec[0]) == "COMBO":
        choices = spec[0] if isinstance(spec[0], list) else options.get("options", [])
        return choices[0] if choices else ""
    return {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}[spec[0]]


def companions(name: str, spec: list) -> list[Any]:
    """The values of the extra widgets that the editor puts behind some; a seed has one by its
    name."""
    options = options_of(spec)
    if options.get("control_after_generate", spec[0] == "INT" and name in SEEDS):
        return ["fixed"]
    return ["image"] if options.get("image_upload") else []
