"""Every node has a help page that says what each input does, with pictures that are there."""

from __future__ import annotations

import re

import pytest
from support import definitions
from support.comfyui import PACK

PAGES = PACK / "nodes" / "web" / "docs"
# the paper's own settings, which the pages of the method's nodes have to name
OF_THE_PAPER = {
    "HiPerLearnEmbedding": {"tokens": "5", "steps": "1,000", "learning_rate": "0.005"},
    "HiPerComposeConditioning": {"strength": "0.8"},
    "HiPerSefiSettings": {"stages": "5", "keys_and_values": "on"},
}
NOTHING_TO_FAIL = {"HiPerDrawDemoAnimal", "HiPerGridPairs"}


@pytest.fixture(scope="module")
def nodes(host) -> dict[str, dict]:
    return definitions.of_pack(host)


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def rows(name: str) -> dict[str, list[str]]:
    """The page's tables: each name of the first column, and the rest of its row.

    "title_a, _b" stands for title_a and title_b, "mask, threshold" for two inputs.
    """
    found: dict[str, list[str]] = {}
    for line in page(name).splitlines():
        if not line.startswith("|"):
            continue
        first, *rest = [cell.strip() for cell in line.strip("|").split("|")]
        if first in ("input", "output"):
            continue
        last = ""
        for part in first.split(", "):
            last = last[: -len(part)] + part if part.startswith("_") else part
            found[last.split(" ")[0]] = rest
    return found


def test_every_node_has_a_page_and_no_page_is_stale(nodes) -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(nodes)
    wrong = [n for n, d in nodes.items() if not page(n).startswith(f"# {d['display_name']}\n")]
    assert not wrong, f"these pages have another title than the node: {wrong}"


def test_every_input_is_explained(nodes) -> None:
    missing = {
        name: sorted(definitions.inputs_of(definition).keys() - rows(name).keys())
        for name, definition in nodes.items()
    }
    assert not {name: inputs for name, inputs in missing.items() if inputs}
    empty = [f"{n}: {key}" for n in nodes for key, rest in rows(n).items() if not "".join(rest)]
    assert not empty, f"these rows say nothing: {empty}"


def test_the_papers_values_are_named(nodes) -> None:
    for name, values in OF_THE_PAPER.items():
        table = rows(name)
        silent = {key for key, value in values.items() if f"paper: {value}" not in table[key][0]}
        assert not silent, f"{name}: what the paper takes is not said of {silent}"


def test_every_page_says_what_to_try(nodes) -> None:
    silent = {name for name in nodes if "## When it fails" not in page(name)}
    assert silent == NOTHING_TO_FAIL


def test_pictures_are_there_and_said_in_words(nodes) -> None:
    for name in nodes:
        shown = re.findall(r"!\[(.*?)\]\((.*?)\)", page(name))
        assert shown, f"{name} has no picture"
        for words, path in shown:
            assert len(words) > 10, f"{name}: {path} has no words for who can't see it"
            assert (PAGES / path).is_file(), f"{name}: {path} is missing: run workflows.source.help"
