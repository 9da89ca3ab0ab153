"""What the editor's side says is there in every language, with the same values, and is said."""

from __future__ import annotations

import re

import pytest
from support import definitions
from support.comfyui import PACK

WEB = PACK / "nodes" / "web"
CODE = {path.name: path.read_text(encoding="utf-8") for path in sorted(WEB.glob("*.js"))}
WORDS = "words.js"  # says them, and has the English ones
LANGUAGES = ("en", "ko", "zh", "ja")


def written(language: str) -> dict[str, str]:
    return definitions.read(PACK / "locales" / language / "main.json")["hiper"]


def english() -> dict[str, str]:
    """As the code has them."""
    table = CODE[WORDS].split("const ENGLISH = {\n")[1].split("\n};")[0]
    found = [re.fullmatch(r'  (\w+): "([^"\\]+)",', line) for line in table.splitlines()]
    return dict(line.groups() for line in found)


def places(sentence: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", sentence))


def test_every_word_that_is_said_is_known_and_every_known_one_said() -> None:
    code = "".join(text for name, text in CODE.items() if name != WORDS)
    said = re.findall(r'\bphrase\((?:"(\w+)")?', code)
    assert all(said), "phrase(…) takes a name as it is written, so that this test can find it"
    assert set(said) == set(english())


def test_the_code_itself_holds_no_words_for_a_person() -> None:
    shown = r'(?:(?:textContent|title|label) = |title: |"aria-label"[:,] )["`][A-Za-z]'
    loose = {name: re.findall(rf"{shown}.*", text) for name, text in CODE.items()}
    assert not any(loose.values()), f"These belong into {WORDS} and locales/*/main.json: {loose}"
    style = (WEB / "attention_view.css").read_text(encoding="utf-8")
    assert not re.findall(r'content: "[^"]*[a-z]{3}', style)


def test_the_english_file_says_what_the_code_says() -> None:
    assert written("en") == english()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_all_with_the_same_values(language: str) -> None:
    ours, code = written(language), english()
    assert list(ours) == list(code)
    assert {name: places(text) for name, text in ours.items()} == {
        name: places(text) for name, text in code.items()
    }
    assert all(text.strip() for text in ours.values())
    if language != "en":
        same = [name for name, text in ours.items() if text == code[name]]
        assert not same, f"locales/{language}/main.json is still English at {same}."


@pytest.mark.parametrize("language", LANGUAGES)
def test_help_pages_quote_the_widget(language: str) -> None:
    ours = written(language)
    quoted = {
        "HiPerAttentionViewer": ("scaleOwn", "scaleShared"),
        "HiPerLearnEmbedding": ("finish",),
    }
    for node, names in quoted.items():
        page = f"{node}.md" if language == "en" else f"{node}/{language}.md"
        text = " ".join((WEB / "docs" / page).read_text(encoding="utf-8").split())
        assert [name for name in names if f"*{ours[name]}*" not in text] == [], page


def test_the_server_gives_them_to_the_editor(server) -> None:
    served = server.get("/i18n")
    assert {language: served[language]["hiper"] for language in LANGUAGES} == {
        language: written(language) for language in LANGUAGES
    }
