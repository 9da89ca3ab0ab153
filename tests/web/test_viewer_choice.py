"""After a run a map is seen at once; what is clicked is the next run's mask; in both renderers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.editor import Editor

from workflows.source.graph import Graph

GRAPH_ID = "c5d5b0de-0c1f-4b8e-a5a7-90f2d4c6b1a{}"


@pytest.fixture(scope="module")
def graph(server) -> tuple[dict[str, Any], dict[str, int]]:
    """The demo model looks at a drawn animal: once with its words, once compared to others; the
    first view's mask is looked at."""
    made = Graph(server.get("/object_info"))
    made.group("all")
    demo = made.node("HiPerLoadDemoModel")
    animal = made.node("HiPerDrawDemoAnimal")
    picture = made.node("VAEEncode", pixels=animal["image"], vae=demo["vae"])
    one = made.node("CLIPTextEncode", clip=demo["clip"], text="a standing dog on grass")
    two = made.node("CLIPTextEncode", clip=demo["clip"], text="a sitting dog in snow")
    seen = {"latent": picture["LATENT"], "image": animal["image"], "clip": demo["clip"]}
    made.column()
    view = made.node(
        "HiPerAttentionViewer", model=demo["model"], conditioning=one["CONDITIONING"], **seen
    )
    made.column()
    mask = made.node("MaskToImage", mask=view["mask"])
    made.node("PreviewImage", images=mask["IMAGE"])
    made.column()
    made.node(
        "HiPerCompareAttention",
        model=demo["model"],
        conditioning_a=one["CONDITIONING"],
        conditioning_b=two["CONDITIONING"],
        **seen,
    )
    content = json.loads(made.to_json())
    return content, {node["type"]: node["id"] for node in content["nodes"]}


@pytest.fixture(scope="module", params=[False, True], ids=["canvas", "Nodes 2.0"])
def editor(request, browser, server, graph) -> Iterator[Editor]:
    opened = Editor(browser, server, **{"Comfy.VueNodes.Enabled": request.param})
    opened.renderer = request.param
    opened.graph = graph[0] | {"id": GRAPH_ID.format(int(request.param))}
    opened.numbers = graph[1]
    opened.load(opened.graph)
    yield opened
    assert opened.complaints == []
    opened.page.close()


def view_of(editor: Editor, kind: str):
    number = editor.numbers[kind]
    editor.show(number)
    element = editor.node(number).evaluate_handle(
        "node => node.widgets.find((widget) => widget.name === 'hiper_attention').element"
    )
    element.evaluate("(element, kind) => { element.dataset.test = kind; }", kind)
    return editor.page.locator(f"[data-test='{kind}']")


def pressed(view) -> list[str]:
    return view.locator(".hiper-chip[aria-pressed=true]").all_text_contents()


def tokens_of(editor: Editor) -> str:
    return editor.node(editor.numbers["HiPerAttentionViewer"]).evaluate(
        "node => node.widgets.find((widget) => widget.name === 'tokens').value"
    )


def latest(server) -> tuple[dict[str, Any], dict[str, Any]]:
    """The newest run's graph and what its nodes showed."""
    run = max(server.get("/history").values(), key=lambda run: run["prompt"][0])
    return run["prompt"][2], run["outputs"]


def mask_seen(editor: Editor, server) -> bytes:
    (picture,) = latest(server)[1][str(editor.numbers["PreviewImage"])]["images"]
    return server.get_bytes("/view", **picture)


def test_what_says_nothing_yet_stays_inside_its_node(editor) -> None:
    """The note before a first run, on the viewer and on Compare."""
    for kind in ("HiPerAttentionViewer", "HiPerCompareAttention"):
        view = view_of(editor, kind)
        note = view.locator(".hiper-note")
        note.wait_for()
        editor.page.wait_for_timeout(300)
        box = note.bounding_box()
        below = box["y"] + box["height"]
        assert below <= bottom_of(editor, editor.numbers[kind]) - 2


def bottom_of(editor: Editor, number: int) -> float:
    """Where the node ends on the page."""
    return editor.node(number).evaluate(
        """node => {
            const { ds, canvas } = app.canvas;
            const own = document.querySelector(`[data-node-id="${node.id}"]`);
            if (own) return own.getBoundingClientRect().bottom;
            const end = (node.pos[1] + node.size[1] + ds.offset[1]) * ds.scale;
            return end + canvas.getBoundingClientRect().top;
        }"""
    )


def test_a_map_is_seen_at_once(editor, server) -> None:
    editor.run()
    view = view_of(editor, "HiPerAttentionViewer")
    view.locator(".hiper-frame[data-map=true]").wait_for()
    assert pressed(view) == ["standing"]  # the first word that says something
    assert view.locator(".hiper-words-shown").text_content().startswith("standing")
    assert tokens_of(editor) == ""
    compared = view_of(editor, "HiPerCompareAttention")
    compared.locator(".hiper-frame[data-map=true]").nth(1).wait_for()
    assert pressed(compared) == ["dog"]  # the first that both prompts have


def test_what_is_clicked_is_the_next_runs_mask(editor, server) -> None:
    before = mask_seen(editor, server)
    view = view_of(editor, "HiPerAttentionViewer")
    view.locator(".hiper-chip", has_text="dog").click()
    view.locator(".hiper-chip", has_text="grass").click(modifiers=["Shift"])
    editor.page.mouse.move(1, 1)
    assert tokens_of(editor) == "dog, grass"
    editor.run()
    sent = latest(server)[0][str(editor.numbers["HiPerAttentionViewer"])]["inputs"]
    assert sent["tokens"] == "dog, grass"
    assert mask_seen(editor, server) != before
    assert pressed(view) == ["dog", "grass"]
    saved = editor.page.evaluate("() => (app.rootGraph ?? app.graph).serialize()")
    (node,) = (n for n in saved["nodes"] if n["id"] == editor.numbers["HiPerAttentionViewer"])
    assert "dog, grass" in node["widgets_values"]


def test_a_choice_that_the_prompt_has_not_is_said_on_the_node(editor, server) -> None:
    editor.node(editor.numbers["HiPerAttentionViewer"]).evaluate(
        """node => {
            const widget = node.widgets.find((widget) => widget.name === 'tokens');
            widget.value = 'cat';
            widget.callback?.('cat');
        }"""
    )
    editor.run()
    view = view_of(editor, "HiPerAttentionViewer")
    view.locator(".hiper-words-shown", has_text="asks for 'cat'").wait_for()
    assert pressed(view) == ["standing"]
    view.locator(".hiper-chip", has_text="dog").click()
    assert tokens_of(editor) == "dog"
    assert "cat" not in view.locator(".hiper-words-shown").text_content()


def test_few_settings_are_in_view(editor) -> None:
    """The rest is advanced, and the view's own slider is the only opacity."""
    shown = editor.node(editor.numbers["HiPerAttentionViewer"]).evaluate(
        """node => node.widgets
            .filter(({ hidden, options }) => !hidden && !options?.advanced)
            .map(({ name }) => name)"""
    )
    assert shown == ["tokens", "mask", "hiper_attention"]
