"""The viewer's widget as a person uses it, in both of the editor's renderers."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops
from support.editor import Editor, painted, picture_of
from support.editor_recording import recorded

from workflows.source.graph import Graph

STEPS, TOKENS = 3, 5
# by a graph's id the editor and the viewer know it again after a reload
GRAPH_ID = "6f1d4a52-95c3-4d7e-8f0a-2f4b6c8d0e1{}"


@pytest.fixture(scope="module")
def graph(server) -> tuple[dict[str, Any], dict[str, int]]:
    """Demo model, a tail learned from another prompt, a recorded sampler; a view, a recording and
    a comparison of it."""
    made = Graph(server.get("/object_info"))
    made.group("all")
    demo = made.node("HiPerLoadDemoModel")
    animal = made.node("HiPerDrawDemoAnimal")
    picture = made.node("VAEEncode", pixels=animal["image"], vae=demo["vae"])
    source = made.node("CLIPTextEncode", clip=demo["clip"], text="a standing dog on grass")
    target = made.node("CLIPTextEncode", clip=demo["clip"], text="a sitting dog in snow")
    tail = made.node(
        "HiPerLearnEmbedding",
        model=demo["model"],
        conditioning=source["CONDITIONING"],
        latent=picture["LATENT"],
        tokens=TOKENS,
        steps=1,
    )
    composed = made.node(
        "HiPerComposeConditioning",
        conditioning=target["CONDITIONING"],
        embedding=tail["embedding"],
    )
    conditioning = composed["conditioning"]
    maps, seen = recorded(made, demo, conditioning, source["CONDITIONING"], side=128, steps=STEPS)
    made.column()
    made.node("HiPerAttentionViewer", model=demo["model"], conditioning=conditioning, **seen)
    made.column()
    made.node("HiPerAttentionViewer", maps=maps, **seen)
    made.column()
    made.node(
        "HiPerCompareAttention",
        model=demo["model"],
        conditioning_a=source["CONDITIONING"],
        conditioning_b=conditioning,
        **seen,
    )
    content = json.loads(made.to_json())
    *_, view, recording, comparison = sorted(node["id"] for node in content["nodes"])
    return content, {"view": view, "recording": recording, "comparison": comparison}


@pytest.fixture(scope="module", params=[False, True], ids=["canvas", "Nodes 2.0"])
def editor(request, browser, server, graph) -> Iterator[Editor]:
    """The graph was run once in this editor."""
    opened = Editor(browser, server, **{"Comfy.VueNodes.Enabled": request.param})
    opened.graph = graph[0] | {"id": GRAPH_ID.format(int(request.param))}
    opened.numbers = graph[1]
    opened.renderer = request.param
    opened.load(opened.graph)
    opened.run()
    yield opened
    assert opened.complaints == []
    opened.page.close()


def view_of(editor: Editor, name: str):
    """The widget of a node that is shown, with its maps loaded."""
    number = editor.numbers[name]
    editor.show(number)
    element = editor.node(number).evaluate_handle(
        "node => node.widgets.find((widget) => widget.name === 'hiper_attention').element"
    )
    element.evaluate("(element, name) => { element.dataset.test = name; }", name)
    view = editor.page.locator(f"[data-test='{name}'][data-shown]")
    view.locator(".hiper-frame").first.wait_for()
    return view


@pytest.fixture
def view(editor):
    """The single view, as if nobody had touched it."""
    editor.page.mouse.move(1, 1)
    found = view_of(editor, "view")
    found.locator(".hiper-chip").first.press("Escape")
    return found


def chip(view, label: str):
    return view.locator(".hiper-chip", has_text=label).first


def pressed(view) -> list[str]:
    return view.locator(".hiper-chip[aria-pressed=true]").all_text_contents()


def test_before_a_run_it_says_what_to_do(editor) -> None:
    editor.load(editor.graph | {"id": GRAPH_ID.format(9)})
    editor.show(editor.numbers["view"])
    note = editor.page.locator(".hiper-note").first
    note.wait_for()
    assert "Run the graph" in note.text_content()
    editor.load(editor.graph)  # the run before is found again by the graph's id


def test_words_tail_and_padding_are_told_apart(view) -> None:
    words = view.locator(".hiper-words .hiper-chip").all_text_contents()
    assert words == ["a", "sitting", "dog", "in", "snow"]
    tail = view.locator(".hiper-tail .hiper-chip, .hiper-tail.hiper-chip").all_text_contents()
    assert tail == ["tail"] + [f"hiper {n}" for n in range(1, TOKENS + 1)]
    padding = view.locator(".hiper-padding .hiper-chip")
    assert padding.count() == 77 - 5 - TOKENS and not padding.first.is_visible()
    view.locator(".hiper-fold").click()
    assert padding.first.is_visible()
    view.locator(".hiper-fold").click()
    assert not padding.first.is_visible()


def test_pointing_at_a_token_lays_its_map_over_the_picture(editor, view, server) -> None:
    frame = view.locator(".hiper-frame")
    plain = picture_of(frame)
    seen = {}
    for label in ("dog", "hiper 1"):
        chip(view, label).hover()
        view.locator(f".hiper-map[aria-label^='Attention to {label}']").wait_for()
        seen[label] = picture_of(frame)
        assert view.locator(".hiper-words-shown").text_content() == label
        check_map(editor, view, server, label)
    assert ImageChops.difference(plain, seen["dog"]).getbbox() is not None
    assert ImageChops.difference(seen["dog"], seen["hiper 1"]).getbbox() is not None
    editor.page.mouse.move(1, 1)
    view.locator(".hiper-frame[data-map=false]").wait_for()
    assert ImageChops.difference(plain, picture_of(frame)).getbbox() is None


def check_map(editor: Editor, view, server, label: str) -> None:
    """The painted brightness follows the token's tile of the atlas, and the bar says its peak."""
    number = editor.numbers["view"]
    payload = editor.page.evaluate("number => app.nodeOutputs[number]?.hiper_maps[0]", number)
    if payload is None:  # the page was reloaded or the graph opened again
        payload = latest(server, number)
    (index,) = (token["index"] for token in payload["tokens"] if token["label"] == label)
    atlas = Image.open(io.BytesIO(server.get_bytes("/view", **payload["frames"][0]["atlas"])))
    width, height = payload["cell"]
    row, column = divmod(index, payload["columns"])
    tile = np.asarray(atlas, float)[
        row * height : (row + 1) * height, column * width : (column + 1) * width
    ]
    data = base64.b64decode(painted(view).partition(",")[2])
    canvas = Image.open(io.BytesIO(data)).convert("RGB")
    small = np.asarray(canvas.resize((width, height), Image.Resampling.BOX), float).sum(-1)
    assert np.corrcoef(small.ravel(), tile.ravel())[0, 1] > 0.9
    peak = float(view.locator(".hiper-most").text_content().strip("≥ "))
    assert peak == pytest.approx(payload["scale"] * tile.max() / 255, rel=0.06)


def latest(server, number: int) -> dict[str, Any]:
    runs = server.get("/history").values()
    found = [run["outputs"][str(number)] for run in runs if str(number) in run["outputs"]]
    return found[-1]["hiper_maps"][0]


def test_pins_survive_a_reload_and_saving(editor, view) -> None:
    chip(view, "dog").click()
    chip(view, "hiper 2").click(modifiers=["Shift"])
    editor.page.mouse.move(1, 1)
    assert pressed(view) == ["dog", "hiper 2"]
    assert "mean of 2" in view.locator(".hiper-words-shown").text_content()
    state = editor.state(editor.numbers["view"])
    assert state["pinned"] == ["dog", "hiper 2"]
    before = painted(view)

    saved = editor.page.evaluate("() => (app.rootGraph ?? app.graph).serialize()")
    (node,) = (node for node in saved["nodes"] if node["id"] == editor.numbers["view"])
    assert node["properties"]["hiper_viewer"] == state
    (made,) = (n for n in editor.graph["nodes"] if n["id"] == editor.numbers["view"])
    assert len(node["widgets_values"]) == len(made["widgets_values"])
    editor.load(saved)
    view = view_of(editor, "view")
    assert pressed(view) == ["dog", "hiper 2"] and painted(view) == before

    editor.page.wait_for_timeout(1500)  # the editor keeps its draft a moment after the change
    editor.reload()
    view = view_of(editor, "view")
    view.locator(".hiper-frame[data-map=true]").wait_for()
    assert pressed(view) == ["dog", "hiper 2"] and painted(view) == before
    chip(view, "dog").click(modifiers=["Shift"])
    assert pressed(view) == ["hiper 2"]


def test_the_keyboard_reaches_everything(editor, view) -> None:
    chip(view, "a").focus()
    for _ in range(2):
        editor.page.keyboard.press("ArrowRight")
    view.locator(".hiper-map[aria-label^='Attention to dog']").wait_for()
    editor.page.keyboard.press("Enter")
    assert pressed(view) == ["dog"]
    editor.page.keyboard.press("End")
    editor.page.keyboard.press("Home")
    editor.page.keyboard.press("ArrowDown")
    editor.page.keyboard.press(" ")
    assert pressed(view) == ["tail"] + [f"hiper {n}" for n in range(1, TOKENS + 1)]
    assert "tail · mean of 5" in view.locator(".hiper-words-shown").text_content()
    editor.page.keyboard.press("Escape")
    assert pressed(view) == [] and editor.state(editor.numbers["view"])["pinned"] == []


def test_opacity_and_scale_change_what_is_painted(editor, view) -> None:
    chip(view, "dog").click()
    editor.page.mouse.move(1, 1)
    shown = [painted(view)]
    view.locator("input").first.fill("0.3")
    shown.append(painted(view))
    view.locator(".hiper-choice").click()
    view.locator(".hiper-choice", has_text="all tokens").wait_for()
    shown.append(painted(view))
    assert len(set(shown)) == 3
    state = editor.state(editor.numbers["view"])
    assert (state["opacity"], state["scale"]) == (0.3, "shared")
    view.locator(".hiper-choice").click()


def test_a_recording_has_steps_and_plays(editor) -> None:
    view = view_of(editor, "recording")
    chip(view, "dog").click()
    steps = view.locator(".hiper-steps input")
    assert steps.input_value() == str(STEPS - 1) and steps.get_attribute("max") == str(STEPS - 1)
    last = painted(view)
    steps.fill("0")
    assert f"step 1 of {STEPS}" in view.locator(".hiper-steps output").text_content()
    editor.page.wait_for_function(
        "([view, last]) => view.querySelector('.hiper-map').toDataURL() !== last",
        arg=[view.element_handle(), last],
    )
    assert editor.state(editor.numbers["recording"])["frame"] == 0
    view.locator(".hiper-play").click()
    editor.page.wait_for_function(
        "view => Number(view.querySelector('.hiper-steps input').value) > 0",
        arg=view.element_handle(),
    )
    view.locator(".hiper-play").click()
    assert view.locator(".hiper-play").get_attribute("aria-label") == "Play the steps"


def test_conditionings_are_compared_side_by_side(editor) -> None:
    view = view_of(editor, "comparison")
    assert view.locator(".hiper-title").all_text_contents() == ["source", "source + tail"]
    chip(view, "hiper 1").hover()
    view.locator(".hiper-map[aria-label^='Attention to hiper 1']").wait_for()
    without = view.locator(".hiper-panel").evaluate_all(
        "panels => panels.map((panel) => panel.dataset.without)"
    )
    assert without == ["true", "false"]


def test_pointing_at_the_picture_tells_which_tokens_look_there(editor, view) -> None:
    chip(view, "dog").click()
    box = view.locator(".hiper-frame").bounding_box()
    editor.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert view.locator(".hiper-here").text_content().endswith("here")
    levels = view.locator(".hiper-chip").evaluate_all(
        "chips => chips.map((chip) => Number(chip.style.getPropertyValue('--level')))"
    )
    assert max(levels) > 0
    editor.page.mouse.move(1, 1)
    assert view.locator(".hiper-here").text_content() == ""


def test_zooming_over_the_view_zooms_the_graph(editor, view) -> None:
    box = view.locator(".hiper-frame").bounding_box()
    editor.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    editor.page.mouse.wheel(0, 240)
    editor.page.wait_for_function("() => app.canvas.ds.scale < 0.99")
    editor.show(editor.numbers["view"], 0.4)
    chip(view, "dog").hover()
    view.locator(".hiper-map[aria-label^='Attention to dog']").wait_for()
    assert view.locator(".hiper-frame").bounding_box()["width"] < 0.6 * box["width"]


def test_a_copy_keeps_the_pins_and_goes_its_own_way(editor, view) -> None:
    chip(view, "dog").click()
    editor.page.mouse.move(1, 1)
    copy = editor.node(editor.numbers["view"]).evaluate(
        """node => {
            app.canvas.copyToClipboard([node]);
            app.canvas.pasteFromClipboard();
            return Math.max(...(app.rootGraph ?? app.graph).nodes.map((node) => node.id));
        }"""
    )
    assert copy not in editor.numbers.values()
    assert editor.state(copy)["pinned"] == ["dog"]
    editor.page.wait_for_function("count => document.querySelectorAll('.hiper-note').length", arg=1)
    chip(view, "snow").click()
    assert editor.state(editor.numbers["view"])["pinned"] == ["snow"]
    assert editor.state(copy)["pinned"] == ["dog"]
    editor.node(copy).evaluate("node => node.graph.remove(node)")


def test_removing_the_node_leaves_nothing_behind(editor) -> None:
    view = view_of(editor, "recording")
    node = editor.node(editor.numbers["recording"])
    dog = chip(view, "dog").element_handle()
    handle = view.element_handle()
    view.locator(".hiper-play").click()
    node.evaluate("node => node.graph.remove(node)")
    editor.page.wait_for_function("view => !view.isConnected", arg=handle)
    kept = node.evaluate("node => JSON.stringify(node.properties.hiper_viewer)")
    assert handle.evaluate("view => view.childElementCount") == 0
    dog.evaluate("chip => chip.click()")
    editor.page.wait_for_timeout(700)  # longer than a step plays
    assert node.evaluate("node => JSON.stringify(node.properties.hiper_viewer)") == kept
    editor.load(editor.graph)
