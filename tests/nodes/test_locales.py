"""No word of a node is missing or stale in any language."""

from __future__ import annotations

from typing import Any

import pytest
from support import definitions
from support.comfyui import PACK

LOCALES = PACK / "locales"
LANGUAGES = ("ko", "zh", "ja")


def leaves(tree: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {path: tree}
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= leaves(value, f"{path}.{key}" if path else key)
    return found


@pytest.fixture(scope="module")
def english(host) -> dict[str, str]:
    """Every word that a person can meet, from the nodes themselves."""
    words = {name: definitions.english(d) for name, d in definitions.of_pack(host).items()}
    if definitions.accepting():
        definitions.write(LOCALES / "en" / "nodeDefs.json", words)
    return leaves(words)


def test_everything_has_english_words(english) -> None:
    silent = [path for path, text in english.items() if not text.strip()]
    assert not silent, f"These have no name, description or tooltip: {silent}"


def test_the_english_file_says_what_the_nodes_say(english) -> None:
    written = leaves(definitions.read(LOCALES / "en" / "nodeDefs.json"))
    different = {key for key in english.keys() | written if english.get(key) != written.get(key)}
    assert not different, (
        f"locales/en/nodeDefs.json differs from the nodes at {sorted(different)}: run "
        f"{definitions.ACCEPT}=1 python -m pytest tests/nodes/test_locales.py, then mend the "
        "translations of what has changed."
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_missing_or_stale(english, language: str) -> None:
    translated = leaves(definitions.read(LOCALES / language / "nodeDefs.json"))
    missing = sorted(english.keys() - translated.keys())
    stale = sorted(translated.keys() - english.keys())
    assert not missing, f"locales/{language}/nodeDefs.json lacks {missing}."
    assert not stale, f"locales/{language}/nodeDefs.json has {stale}, which no node has any more."
    empty = [key for key, text in translated.items() if not str(text).strip()]
    assert not empty, f"locales/{language}/nodeDefs.json says nothing at {empty}."


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_translated(english, language: str) -> None:
    """A sentence that reads as in English was forgotten; single words may be the same."""
    translated = leaves(definitions.read(LOCALES / language / "nodeDefs.json"))
    same = [key for key, text in translated.items() if " " in text and english.get(key) == text]
    assert not same, f"locales/{language}/nodeDefs.json is still English at {same}."


def test_the_server_gives_every_language_to_the_editor(server) -> None:
    served = server.get("/i18n")
    for language in ("en", *LANGUAGES):
        own = definitions.read(LOCALES / language / "nodeDefs.json")
        assert {name: served[language]["nodeDefs"][name] for name in own} == own
