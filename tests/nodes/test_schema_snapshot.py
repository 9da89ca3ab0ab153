"""Saved graphs open in later versions: ids, inputs and outputs are frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import definitions

SNAPSHOT = Path(__file__).with_name("schema_snapshot.json")
ADVICE = (
    "Graphs that people have saved rely on it. If only an optional input, an option of a list or a "
    "node was added, or an output at the end, record it: "
    f"{definitions.ACCEPT}=1 python -m pytest tests/nodes/test_schema_snapshot.py. Otherwise keep "
    "what was there: give a changed node a new id and leave the old one with is_deprecated=True; "
    "raise the first number of the version and say in CHANGELOG.md what to do."
)


@pytest.fixture(scope="module")
def now(host) -> dict[str, Any]:
    found = {name: definitions.frozen(d) for name, d in definitions.of_pack(host).items()}
    if definitions.accepting():
        definitions.write(SNAPSHOT, found)
    return found


def test_no_node_went_away(now) -> None:
    gone = sorted(definitions.read(SNAPSHOT).keys() - now.keys())
    assert not gone, f"The nodes {gone} are gone. {ADVICE}"


def test_inputs_and_outputs_are_as_recorded(now) -> None:
    recorded = definitions.read(SNAPSHOT)
    changed = {name: now[name] for name in now if now[name] != recorded.get(name)}
    differences = {
        name: [
            f"{part} {key!r}: {dict_of(recorded.get(name), part).get(key)} -> "
            f"{dict_of(found, part).get(key)}"
            for part in ("inputs", "outputs")
            for key in sorted(dict_of(recorded.get(name), part).keys() | dict_of(found, part))
            if dict_of(recorded.get(name), part).get(key) != dict_of(found, part).get(key)
        ]
        or ["the order of inputs or outputs"]
        for name, found in changed.items()
    }
    assert not changed, f"Changed: {differences}. {ADVICE}"


def test_widgets_keep_their_order(now) -> None:
    """A saved graph holds its widgets' values as a bare list."""
    for name, recorded in definitions.read(SNAPSHOT).items():
        before, after = list(recorded["inputs"]), list(now.get(name, recorded)["inputs"])
        assert after[: len(before)] == before, f"{name}: inputs {before} -> {after}. {ADVICE}"


def dict_of(node: dict[str, Any] | None, part: str) -> dict[str, Any]:
    content = (node or {}).get(part, {})
    return content if isinstance(content, dict) else {each["name"]: each for each in content}
