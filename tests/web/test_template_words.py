"""The templates' notes and titles in the editor's language."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.comfyui import PACK
from support.editor import Editor

from workflows.source.prompt import NOTES

LANGUAGES = ("ko", "zh", "ja")
TEMPLATES = sorted((PACK / "workflows").glob("*.json"))


def texts_of(graph: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Notes and titles."""
    inside = (part["nodes"] for part in (graph.get("definitions") or {}).get("subgraphs", []))
    nodes = [*graph["nodes"], *(node for part in inside for node in part)]
    notes = [node["widgets_values"][0] for node in nodes if node["type"] in NOTES]
    titles = [node["title"] for node in nodes if node.get("title")]
    return notes, [*titles, *(group["title"] for group in graph["groups"])]


def words(language: str) -> dict[str, str]:
    path = PACK / "nodes" / "web" / "graph_words" / f"{language}.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_a_translation(language) -> None:
    graphs = (json.loads(path.read_text(encoding="utf-8")) for path in TEMPLATES)
    shipped = {text for graph in graphs for part in texts_of(graph) for text in part}
    found = words(language)
    assert found.keys() == shipped
    for english, other in found.items():
        assert english.count("*") == other.count("*"), english
        assert english.count("\n\n") == other.count("\n\n"), english


@pytest.fixture(params=LANGUAGES)
def editor(request, browser, server) -> Iterator[Editor]:
    opened = Editor(browser, server, **{"Comfy.Locale": request.param})
    opened.language = request.param
    yield opened
    assert opened.complaints == []
    opened.page.close()


def shown(editor: Editor, graph: dict[str, Any]) -> dict[str, Any]:
    editor.load(graph)
    return editor.page.evaluate("() => (app.rootGraph ?? app.graph).serialize()")


def test_a_template_opens_in_the_language(editor) -> None:
    template = PACK / "workflows" / "01_quick_start_demo.json"
    english = json.loads(template.read_text(encoding="utf-8"))
    notes, titles = texts_of(english)
    own = words(editor.language)
    found = shown(editor, english)
    assert texts_of(found)[0] == [own[note] for note in notes]
    assert set(texts_of(found)[1]) >= {own[title] for title in titles}
    # saved in one language, opened in another
    other = next(each for each in LANGUAGES if each != editor.language)
    editor.page.evaluate(
        "language => app.extensionManager.setting.set('Comfy.Locale', language)", other
    )
    assert texts_of(shown(editor, found))[0] == [words(other)[note] for note in notes]


def test_what_a_person_wrote_stays(editor) -> None:
    graph = json.loads(TEMPLATES[0].read_text(encoding="utf-8"))
    for node in graph["nodes"]:
        if node["type"] in NOTES:
            node["widgets_values"] = ["My own words."]
    notes, titles = texts_of(shown(editor, graph))
    assert set(notes) == {"My own words."}
    assert set(titles) >= set(texts_of(graph)[1])
