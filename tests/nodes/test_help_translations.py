"""A help page is there in every language, and says what its English page says: headings, rows of
the tables under the names that the editor shows, pictures, figures, errors."""

from __future__ import annotations

import re
from itertools import product

import pytest
from support import definitions
from support.comfyui import PACK

PAGES = PACK / "nodes" / "web" / "docs"
MAY_BREAK = "<wbr>"  # where a long name may, so that a table fits the side panel
LANGUAGES = ("ko", "zh", "ja")
NODES = sorted(path.stem for path in PAGES.glob("*.md"))
WORDS = {
    language: definitions.read(PACK / "locales" / language / "nodeDefs.json")
    for language in ("en", *LANGUAGES)
}
COUNTED = 10  # what English may say in words, as in "two pictures"
each_page = pytest.mark.parametrize(("node", "language"), list(product(NODES, LANGUAGES)))


def english(node: str) -> str:
    return (PAGES / f"{node}.md").read_text(encoding="utf-8").replace(MAY_BREAK, "")


def page(node: str, language: str) -> str:
    return (PAGES / node / f"{language}.md").read_text(encoding="utf-8").replace(MAY_BREAK, "")


def tables(text: str) -> list[list[list[str]]]:
    """The tables' rows as cells, the heads first, the rules left out."""
    found: list[list[list[str]]] = []
    lines = text.splitlines()
    for line, before in zip(lines, ["", *lines], strict=False):
        if not line.startswith("|"):
            continue
        if not before.startswith("|"):
            found.append([])
        if not re.fullmatch(r"[|-]+", line):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def own_names(cell: str) -> list[str]:
    """What a row is about: "title_a, _b" are title_a and title_b, "timestep %" is timestep."""
    found = [""]
    for part in (part.removesuffix(" %") for part in cell.split(", ")):
        found.append(found[-1][: -len(part)] + part if part.startswith("_") else part)
    return found[1:]


def names_of(node: str, language: str, kinds: tuple[str, ...]) -> dict[str, str]:
    """What the editor calls a node's inputs or outputs, by their own names."""
    found = {}
    for kind in kinds:
        for key, own in WORDS["en"][node].get(kind, {}).items():
            name = key if kind == "inputs" else own["name"]
            found[name] = WORDS[language][node][kind][key]["name"]
    return found


def named(cell: str, called: dict[str, str]) -> str:
    """A row's first cell as a translation has it: its own names, and what the editor shows.

    "title_a, _b" becomes "title_a, _b 제목 a · b".
    """
    groups: list[tuple[list[str], list[str]]] = []
    for part, name in zip(cell.split(", "), own_names(cell), strict=True):
        if not part.startswith("_"):
            groups.append(([], []))
        groups[-1][0].append(part.removesuffix(" %"))
        groups[-1][1].append(called[name])
    found = []
    for own, (first, *others) in groups:
        written = ", ".join(own)
        shown = " · ".join([first, *(other.split(" ")[-1] for other in others)])
        found.append(written if shown == written else f"{written} {shown}")
    return ", ".join(found)


def failures(text: str) -> list[str]:
    """The sentence that each point of the last part quotes, "" where it quotes none."""
    points = re.findall(r"^- \*\*(.*?)\*\*", text, re.MULTILINE)
    return [(re.findall(r'"(.*?)"', point) or [""])[0] for point in points]


def code(text: str) -> set[str]:
    """Names and values in the prose and in the tables."""
    return set(re.findall(r"`([^`]+)`", text))


def figures(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:[.,]\d+)*", re.sub(r"\]\(.*?\)", "", text)))


def unread(text: str) -> list[str]:
    """Emphasis that Markdown takes for asterisks: a sign at its edge, and a letter next to that."""
    text = re.sub(r"`[^`]*`", "code", text)
    found = []
    for match in re.finditer(r"(\*+)([^*]+)\1", text):
        before, after = text[match.start() - 1 : match.start()], text[match.end() :][:1]
        inside = match[2]
        edges = ((inside[0], before), (inside[-1], after))
        if any(not edge.isalnum() and next_to.isalnum() for edge, next_to in edges):
            found.append(match[0])
    return found


def test_every_page_is_there_in_every_language() -> None:
    there = {path.name: {p.stem for p in path.glob("*.md")} for path in PAGES.glob("HiPer*/")}
    missing = {n: sorted(set(LANGUAGES) - there.get(n, set())) for n in NODES}
    assert not {node: languages for node, languages in missing.items() if languages}
    stale = {n: sorted(found - set(LANGUAGES)) for n, found in there.items()}
    assert not {n: found for n, found in stale.items() if found or n not in NODES}


@each_page
def test_it_is_built_as_the_english_page(node: str, language: str) -> None:
    ours, theirs = page(node, language), english(node)
    assert ours.startswith(f"# {WORDS[language][node]['display_name']}\n")
    for kind, pattern in (
        ("headings", r"^(#+) "),
        ("pictures", r"!\[.+?\]\((.*?)\)"),
        ("rules of tables", r"^(\|[-|]+)$"),
        ("points", r"^(- )"),
    ):
        found, wanted = (re.findall(pattern, text, re.MULTILINE) for text in (ours, theirs))
        assert found == wanted, kind


@each_page
def test_its_tables_have_the_rows_of_the_english_page(node: str, language: str) -> None:
    """In their order, by the names that the editor shows: no input and no output is missing."""
    elsewhere = names_of("HiPerSefiSettings", language, ("inputs",))
    for ours, theirs in zip(tables(page(node, language)), tables(english(node)), strict=True):
        kinds = {"input": ("inputs",), "output": ("outputs",)}.get(theirs[0][0])
        called = names_of(node, language, kinds or ("inputs", "outputs"))
        called = called if kinds else elsewhere | called
        assert [row[0] for row in ours[1:]] == [named(row[0], called) for row in theirs[1:]]
        assert [len(row) for row in ours] == [len(row) for row in theirs]
        assert all(cell for row in ours[1:] for cell in row)


@each_page
def test_it_says_what_the_english_page_says(node: str, language: str) -> None:
    ours, theirs = page(node, language), english(node)
    assert failures(ours) == failures(theirs)
    assert code(ours) == code(theirs)
    assert not figures(theirs) - figures(ours)
    more = {n for n in figures(ours) - figures(theirs) if not n.isdigit() or int(n) > COUNTED}
    assert not more, f"the English page has no such figures: {more}"


@each_page
def test_its_emphasis_is_read_as_such(node: str, language: str) -> None:
    assert not unread(page(node, language))
