"""Every node has a help page that says what each input and output is, with pictures that are
there."""

from __future__ import annotations

import re

import pytest
from support import definitions
from support.comfyui import PACK

PAGES = PACK / "nodes" / "web" / "docs"
MAY_BREAK = "<wbr>"  # where a long name may, so that a table fits the side panel
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
    return (PAGES / f"{name}.md").read_text(encoding="utf-8").replace(MAY_BREAK, "")


def rows(name: str, kind: str) -> dict[str, list[str]]:
    """The page's table of this kind, input or output: each name of the first column, and the rest
    of its row.

    "title_a, _b" stands for title_a and title_b, "mask, threshold" for two inputs.
    """
    found: dict[str, list[str]] = {}
    head = None
    for line in page(name).splitlines():
        first, *rest = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            head = None
        elif head is None:
            head = first
        elif head == kind and first.strip("-"):
            last = ""
            for part in first.split(", "):
                last = last[: -len(part)] + part if part.startswith("_") else part
                found[last.removesuffix(" %")] = rest
    return found


def test_every_node_has_a_page_and_no_page_is_stale(nodes) -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(nodes)
    wrong = [n for n, d in nodes.items() if not page(n).startswith(f"# {d['display_name']}\n")]
    assert not wrong, f"these pages have another title than the node: {wrong}"


def test_every_input_and_output_is_explained(nodes) -> None:
    """Each has a row, and no row is of one that the node hasn't."""
    for kind, names in (
        ("input", definitions.inputs_of),
        ("output", lambda definition: definition["output_name"]),
    ):
        different = {n: sorted({*names(d)} ^ rows(n, kind).keys()) for n, d in nodes.items()}
        different = {n: found for n, found in different.items() if found}
        assert not different, f"{kind}s without a row, or rows without one: {different}"
        empty = [
            f"{n}: {key}" for n in nodes for key, rest in rows(n, kind).items() if not any(rest)
        ]
        assert not empty, f"these rows say nothing: {empty}"


def test_the_papers_values_are_named(nodes) -> None:
    for name, values in OF_THE_PAPER.items():
        table = rows(name, "input")
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
