"""A long run in parts: what an earlier one kept, and what this one adds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Result = dict[str, Any]
# what a row is called by: a part that measured it again has the last word
NAMES = (
    "method",
    "settings",
    "how",
    "prior",
    "way",
    "focus",
    "strength",
    "without",
    "rate",
    "evaluations",
)


def kept(path: Path | None, settings: Result) -> Result:
    """An earlier part's result; one of other settings is no part of this one."""
    if path is None:
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    other = {key: found.get(key) for key in settings if found.get(key) != settings[key]}
    if other:
        raise ValueError(
            f"{path} was run with {other}, this part with {settings}: run it with the same, or "
            "leave --kept out."
        )
    return found


def joined(old: Result, new: Result) -> Result:
    """Both, the new one's word counting where they say the same thing; rows follow rows."""
    both = dict(old)
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            both[key] = joined(old[key], value)
        elif isinstance(value, list) and isinstance(old.get(key), list):
            again = [_name(row) for row in value]
            both[key] = [row for row in old[key] if _name(row) not in again] + value
        else:
            both[key] = value
    return both


def _name(row: Result) -> tuple:
    return tuple(row.get(key) for key in NAMES)
