"""A translated help page has its English page's structure: headings, inputs, pictures, errors."""

from __future__ import annotations

import re

import pytest
from support import definitions
from support.comfyui import PACK

PAGES = PACK / "nodes" / "web" / "docs"
LANGUAGES = ("ko", "zh", "ja")
MOST_USED = {
    "HiPerLearnEmbedding",
    "HiPerPreset",
    "HiPerSefiSettings",
    "HiPerComposeConditioning",
    "HiPerSaveEmbedding",
    "HiPerLoadEmbedding",
    "HiPerAttentionViewer",
    "HiPerRecordAttention",
    "HiPerEditPicture",
    "HiPerScoreEdit",
    "HiPerPictureGrid",
}
TRANSLATED = [(path.parent.name, path.stem) for path in sorted(PAGES.glob("HiPer*/*.md"))]


def english(node: str) -> str:
    return (PAGES / f"{node}.md").read_text(encoding="utf-8")


def page(node: str, language: str) -> str:
    return (PAGES / node / f"{language}.md").read_text(encoding="utf-8")


def names(text: str) -> list[str]:
    """What the rows of the tables of inputs and outputs are about, one by one.

    "title_a, _b" stands for title_a and title_b; a translated name may stand behind the own one.
    """
    found: list[str] = []
    for line in text.splitlines():
        if not line.startswith("| ") or line.startswith("| |"):
            continue
        last = ""
        for part in line.strip("|").split("|")[0].strip().split(", "):
            last = last[: -len(part)] + part if part.startswith("_") else part
            found.append(last.split(" ")[0])
    return found


def failures(text: str) -> list[str]:
    """The sentence that each point of the last part quotes, "" where it quotes none."""
    points = re.findall(r"^- \*\*(.*?)\*\*", text, re.MULTILINE)
    return [(re.findall(r'"(.*?)"', point) or [""])[0] for point in points]


def test_the_most_used_pages_are_there_in_every_language() -> None:
    assert {node for node, _ in TRANSLATED} >= MOST_USED
    there = {node: {w for n, w in TRANSLATED if n == node} for node, _ in TRANSLATED}
    assert not {node: found for node, found in there.items() if found != set(LANGUAGES)}


@pytest.mark.parametrize(("node", "language"), TRANSLATED)
def test_it_says_what_the_english_page_says(node: str, language: str) -> None:
    ours, theirs = page(node, language), english(node)
    words = definitions.read(PACK / "locales" / language / "nodeDefs.json")[node]
    assert ours.startswith(f"# {words['display_name']}\n")
    for kind, pattern in (
        ("headings", r"^(#+) "),
        ("pictures", r"!\[.+?\]\((.*?)\)"),
        ("rules of tables", r"^(\|[-|]+)$"),
    ):
        found, wanted = (re.findall(pattern, text, re.MULTILINE) for text in (ours, theirs))
        assert found == wanted, kind
    assert set(names(theirs)) - set(names(ours)) <= {"input", "output"}  # the heads of tables
    assert failures(ours) == failures(theirs)
    assert code(ours) == code(theirs)


def code(text: str) -> set[str]:
    """Names and values in the prose; what stands in tables is the tooltips'."""
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    return set(re.findall(r"`([^`]+)`", prose))
