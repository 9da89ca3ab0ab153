"""What ComfyUI tells of the graph that runs: whose turn it is, and what its nodes give out."""

from __future__ import annotations

import sys
from typing import Any

from comfy_execution.graph_utils import ExecutionBlocker
from comfy_execution.utils import get_executing_context
from comfy_execution.validation import validate_node_input

import nodes

TEXT_MODULES = ("comfy_extras.nodes_string", "comfy_extras.nodes_primitive")


def running_node() -> str | None:
    """The id of the node that is being executed.

    As a hidden input it is, by ComfyUI's rule, part of the cache's key: a copied node runs anew.
    """
    context = get_executing_context()
    return None if context is None else context.node_id


def running_turn() -> tuple[str | None, int | None]:
    """The node that is being executed, and which item of a list it is at."""
    context = get_executing_context()
    return (None, None) if context is None else (context.node_id, context.list_index)


def running_prompt() -> str | None:
    """The id of the prompt that is being executed."""
    context = get_executing_context()
    return None if context is None else context.prompt_id


def serving() -> Any | None:
    """ComfyUI's server; None in a script, where nobody has loaded it."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def outputs_of(class_type: str) -> tuple[str, ...]:
    """The types of a node's outputs; none of a node that is not there."""
    kind = nodes.NODE_CLASS_MAPPINGS.get(class_type)
    if kind is None:
        return ()
    return tuple(str(output) for output in kind.RETURN_TYPES)


def text_of(class_type: str, inputs: dict[str, Any]) -> tuple[Any, ...] | None:
    """What one of ComfyUI's own text nodes gives out: they depend on their inputs alone."""
    kind = nodes.NODE_CLASS_MAPPINGS.get(class_type)
    if kind is None or getattr(kind, "RELATIVE_PYTHON_MODULE", "") not in TEXT_MODULES:
        return None
    try:
        return tuple(kind.execute(**inputs).args)
    except Exception:  # it will say so itself when its turn comes
        return None


def withheld(why: str) -> Any:
    """In an output's place: what is wired to it stops, and says why."""
    return ExecutionBlocker(why)


def mismatched(inputs: dict[str, dict[str, Any]], received: dict[str, str]) -> str:
    """What ComfyUI says of wires of another type, which it leaves to a node that checks its own."""
    for name, kind in received.items():
        spec = next((part[name] for part in inputs.values() if name in part), None)
        if spec is not None and not validate_node_input(kind, spec[0]):
            return f"{name} wants {spec[0]}, but is given {kind}."
    return ""
