"""The viewer and Learn's button speak the editor's language, in both of its renderers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support import definitions
from support.comfyui import PACK
from support.editor import Editor
from support.editor_recording import recorded

from workflows.source.graph import Graph

GRAPH_ID = "3d9c1f70-5b2e-4c86-8e17-6f0a9b8c7d2{}"
# each language once, each renderer with two of them
EDITORS = [("en", False), ("ko", False), ("zh", True), ("ja", True)]
OPACITY = {"en": "Opacity", "ko": "불투명도", "zh": "不透明度", "ja": "不透明度"}
STEPS, LONG = 2, 100_000


def words(language: str) -> dict[str, str]:
    return definitions.read(PACK / "locales" / language / "main.json")["hiper"]


@pytest.fixture(scope="module")
def graph(server) -> dict[str, Any]:
    """A recorded sampler under an animal's words, and its viewer."""
    made = Graph(server.get("/object_info"))
    made.group("all")
    demo = made.node("HiPerLoadDemoModel")
    target = made.node("CLIPTextEncode", clip=demo["clip"], text="a sitting dog in snow")
    prompt = target["CONDITIONING"]
    recording, seen = recorded(made, demo, prompt, prompt, side=64, steps=STEPS)
    made.node("HiPerAttentionViewer", maps=recording, **seen)
    return json.loads(made.to_json())


@pytest.fixture(scope="module")
def learning(server) -> dict[str, Any]:
    """A small model that learns in milliseconds a step, for long."""
    made = Graph(server.get("/object_info"))
    made.group("all")
    given = {
        "model": made.node("HiPerTestModel")["MODEL"],
        "conditioning": made.node("HiPerTestText", seed=1, length=77)["CONDITIONING"],
        "latent": made.node("HiPerTestLatent")["LATENT"],
    }
    made.column()
    tail = made.node("HiPerLearnEmbedding", steps=LONG, auto_stop=False, preview_every=0, **given)
    made.node("HiPerSaveEmbedding", embedding=tail["embedding"], name="words/spoken")
    return json.loads(made.to_json())


def before_its_run(editor: Editor, graph: dict[str, Any], number: int) -> None:
    """The graph under an id of its own, by which no run is found."""
    editor.load(graph | {"id": GRAPH_ID.format(number)})
    show(editor, graph, "HiPerAttentionViewer")


def show(editor: Editor, graph: dict[str, Any], kind: str) -> int:
    (number,) = (node["id"] for node in graph["nodes"] if node["type"] == kind)
    editor.show(number)
    return number


@pytest.fixture(scope="module", params=EDITORS, ids=lambda given: given[0])
def editor(request, browser, server, graph) -> Iterator[Editor]:
    language, renderer = request.param
    made = Editor(browser, server, **{"Comfy.VueNodes.Enabled": renderer, "Comfy.Locale": language})
    made.language, made.said = language, words(language)
    before_its_run(made, graph, EDITORS.index(request.param))
    yield made
    assert made.complaints == []
    made.page.close()


def note(editor: Editor, text: str):
    found = editor.page.locator(".hiper-note", has_text=text)
    found.wait_for()
    assert found.text_content() == text


def test_before_a_run(editor) -> None:
    note(editor, editor.said["runFirst"])


def test_after_a_run(editor) -> None:
    said = editor.said
    editor.run()
    view = editor.page.locator(".hiper-view[data-shown]")
    view.locator(".hiper-frame[data-map=true]").wait_for()
    assert view.locator("label.hiper-slider span").text_content() == OPACITY[editor.language]
    choice = view.locator(".hiper-choice")
    assert (choice.text_content(), choice.get_attribute("title")) == (
        said["scaleOwn"],
        said["scaleOwnMeans"],
    )
    choice.click()
    view.locator(".hiper-choice", has_text=said["scaleShared"]).wait_for()
    assert choice.get_attribute("title") == said["scaleSharedMeans"]
    assert view.locator(".hiper-ramp").get_attribute("title") == said["scaleShows"]

    reading = view.locator(".hiper-steps output").text_content()
    time = reading.removeprefix("t = ").split(" ")[0].split("（")[0]
    assert reading == said["moment"].format(timestep=time, step=STEPS, steps=STEPS)
    assert view.locator(".hiper-steps input").get_attribute("aria-label") == said["step"]
    play = view.locator(".hiper-play")
    for name in ("play", "pause", "play"):
        assert play.get_attribute("aria-label") == said[name]
        play.click()
    play.click()


def test_the_tokens(editor) -> None:
    said = editor.said
    view = editor.page.locator(".hiper-view")
    assert view.locator(".hiper-chips").get_attribute("aria-label") == said["tokens"]
    chips = {name: view.locator(".hiper-chip", has_text=name).first for name in ("dog", "snow")}
    assert chips["dog"].get_attribute("title") == said["tokenNumber"].format(
        kind=said["word"], number=4
    )
    assert view.locator(".hiper-words.hiper-group").get_attribute("aria-label") == said["words"]
    assert view.locator(".hiper-fold").text_content() == f"{said['padding']} · {77 - 5}"
    chips["dog"].click()
    chips["snow"].click(modifiers=["Shift"])
    editor.page.mouse.move(1, 1)
    mean = said["mean"].format(count=2)
    caption = view.locator(".hiper-words-shown", has_text=f"dog + snow · {mean} · {said['pinned']}")
    caption.wait_for()
    canvas = view.locator(".hiper-map")
    title = view.locator(".hiper-title").text_content()
    attention = said["attentionTo"].format(tokens="dog, snow", title=title)
    assert canvas.get_attribute("aria-label") == attention

    view.locator(".hiper-frame").hover()
    here = view.locator(".hiper-here").text_content()
    before, after = said["here"].split("{value}")
    assert here.startswith(before) and here.endswith(after) and len(here) > len(before + after)
    chips["dog"].press("Escape")
    editor.page.mouse.move(1, 1)
    view.locator(".hiper-words-shown", has_text=said["hint"]).wait_for()
    assert canvas.get_attribute("aria-label") == said["attentionToNone"].format(title=title)
    assert view.locator(".hiper-frame").get_attribute("data-lacks") == said["notInPrompt"]


def test_maps_that_are_gone(editor, graph) -> None:
    editor.page.route("**/view?*hiper_attention*", lambda route: route.abort())
    editor.page.wait_for_timeout(1500)  # the editor keeps its draft a moment after a change
    editor.reload()
    show(editor, graph, "HiPerAttentionViewer")
    note(editor, editor.said["gone"])
    assert all("could not be read" in complaint for complaint in editor.complaints)
    editor.complaints.clear()
    editor.page.unroute("**/view?*hiper_attention*")


def test_the_button_that_ends_a_learning(editor, server, learning) -> None:
    renderer = dict(EDITORS)[editor.language]
    editor.load(learning)
    number = show(editor, learning, "HiPerLearnEmbedding")
    before = server.get("/history").keys()
    assert editor.page.evaluate("() => app.queuePrompt(0)")
    label = """node => node.widgets.find(({ type, name }) => type === "button" && name === "finish")
        ?.label"""
    editor.page.wait_for_function(
        f"number => ({label})((app.rootGraph ?? app.graph).getNodeById(number))", arg=number
    )
    assert editor.node(number).evaluate(label) == editor.said["finish"]
    if renderer:
        editor.page.get_by_role("button", name=editor.said["finish"]).click()
    else:
        editor.node(number).evaluate(
            "node => node.widgets.find(({ name }) => name === 'finish').callback()"
        )
    editor.page.wait_for_function("() => !app.ui.lastQueueSize")
    (prompt,) = server.get("/history").keys() - before
    assert server.wait(prompt)["status"]["status_str"] == "success"


def test_words_that_come_late_are_put_right_and_may_fail_to_come(browser, server, graph) -> None:
    """ComfyUI asks for the translations itself, too: only the pack's own request is held up."""
    held = []
    editor = Editor(browser, server, **{"Comfy.Locale": "ko", "Comfy.VueNodes.Enabled": False})

    def hold(route) -> None:
        held.append(route) if route.request.resource_type == "fetch" else route.continue_()

    editor.page.route("**/i18n", hold)
    for arrives in (True, False):
        editor.reload()
        before_its_run(editor, graph, 7)
        note(editor, words("en")["runFirst"])
        assert len(held) == 1, "the translations are asked for once"
        held.pop().continue_() if arrives else held.pop().abort()
        if arrives:
            note(editor, words("ko")["runFirst"])
    editor.page.wait_for_timeout(500)
    note(editor, words("en")["runFirst"])
    (complaint,) = editor.complaints
    assert "the translations could not be read" in complaint
    editor.page.close()


def test_the_language_is_changed_while_the_editor_is_open(browser, server, graph) -> None:
    editor = Editor(browser, server, **{"Comfy.VueNodes.Enabled": False})
    before_its_run(editor, graph, 8)
    note(editor, words("en")["runFirst"])
    for language in ("ja", "en", "fr"):  # of which the pack has no words
        editor.page.evaluate(
            "language => app.extensionManager.setting.set('Comfy.Locale', language)", language
        )
        note(editor, words("ja" if language == "ja" else "en")["runFirst"])
    assert editor.complaints == []
    editor.page.close()
