"""Graphs as a person sees them when they open, and once they have run, in both renderers: readable,
and nothing over anything."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.comfyui import PACK
from support.editor import Editor

READABLE = 8 / 14  # below this scale the canvas draws no text (Comfy's MinFontSizeForLOD: 8 of 14)
SIZES = ((1600, 1000), (1280, 800))
GRAPHS = (
    "01_quick_start_demo",
    "10_step_by_step_demo",
    "12_attention_compared_demo",
    "13_edit_a_picture_demo",
    "15_edit_with_a_tuned_model_demo",
)
# as few steps as show a live preview
QUICK = {
    "HiPerLearnEmbedding": {"steps": 2, "preview_every": 1},
    "KSampler": {"steps": 2},
    "HiPerEditPicture": {"steps": 2},
    "TrainLoraNode": {"steps": 2},
}
# every node as it is drawn: left, top, right, bottom
BOXES = """() => {
    const { scale, offset } = app.canvas.ds;
    return (app.rootGraph ?? app.graph).nodes.map((node) => {
        const name = `${node.id} ${node.title}`;
        const drawn = document.querySelector(`[data-node-id="${node.id}"]`);
        if (!drawn) {
            node.updateArea?.();
            const [x, y, width, height] = node.boundingRect;
            return [name, x, y, x + width, y + height];
        }
        const box = drawn.getBoundingClientRect();
        const at = app.canvas.canvas.getBoundingClientRect();
        const left = (box.left - at.left) / scale - offset[0];
        const top = (box.top - at.top) / scale - offset[1];
        return [name, left, top, left + box.width / scale, top + box.height / scale];
    });
}"""
Box = tuple[float, float, float, float]


@pytest.fixture(scope="module", params=[False, True], ids=["canvas", "Nodes 2.0"])
def editor(request, browser, server) -> Iterator[Editor]:
    opened = Editor(browser, server, **{"Comfy.VueNodes.Enabled": request.param})
    yield opened
    opened.page.close()
    server.post("/settings", {"Comfy.VueNodes.Enabled": False})


def graph_of(name: str) -> dict[str, Any]:
    return json.loads((PACK / "workflows" / f"{name}.json").read_text(encoding="utf-8"))


def opened(editor: Editor, name: str) -> None:
    """As the template browser opens it."""
    how = {"openSource": "template"}
    editor.page.evaluate(
        "([graph, name, how]) => app.loadGraphData(graph, true, true, name, how)",
        [graph_of(name), name, how],
    )
    editor.page.wait_for_timeout(1000)


def boxes(editor: Editor) -> dict[str, Box]:
    return {name: tuple(box) for name, *box in editor.page.evaluate(BOXES)}


def covered(found: dict[str, Box]) -> set[tuple[str, str]]:
    """Which nodes stand on which; touching edges are none of it."""
    names = sorted(found)
    pairs = set()
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            a, b = found[one], found[other]
            across = min(a[2], b[2]) - max(a[0], b[0])
            down = min(a[3], b[3]) - max(a[1], b[1])
            if across > 1 and down > 1:
                pairs.add((one, other))
    return pairs


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_quick_start_can_be_read_when_it_opens(editor: Editor, size: tuple[int, int]) -> None:
    editor.page.set_viewport_size({"width": size[0], "height": size[1]})
    editor.page.wait_for_timeout(500)
    opened(editor, "01_quick_start_demo")
    assert editor.page.evaluate("() => app.canvas.ds.scale") >= READABLE


@pytest.mark.parametrize("name", GRAPHS)
def test_nothing_covers_anything_while_it_runs_and_after(editor: Editor, server, name: str) -> None:
    opened(editor, name)
    editor.page.evaluate(
        """(quick) => {
            for (const node of (app.rootGraph ?? app.graph).nodes) {
                for (const widget of node.widgets ?? []) {
                    const value = quick[node.type]?.[widget.name];
                    if (value !== undefined) widget.value = value;
                }
            }
        }""",
        QUICK,
    )
    before = server.get("/history").keys()
    assert editor.page.evaluate("() => app.queuePrompt(0)"), "the graph was not accepted"
    found: set[tuple[str, str]] = set()
    until = time.monotonic() + 240
    while not (done := server.get("/history").keys() - before):
        assert time.monotonic() < until, f"{name} took too long"
        editor.page.wait_for_timeout(200)
        found |= covered(boxes(editor))
    server.wait(done.pop())
    editor.page.wait_for_timeout(1500)
    drawn = boxes(editor)
    found |= covered(drawn)
    assert not found, name
    frames = [group["bounding"] for group in graph_of(name)["groups"]]
    outside = {
        node
        for node, (left, top, right, bottom) in drawn.items()
        if not any(
            x <= left and y <= top and right <= x + width + 1 and bottom <= y + height + 1
            for x, y, width, height in frames
        )
    }
    assert not outside, f"{name}: these reach beyond their group"


def test_a_note_is_read_without_scrolling(editor: Editor) -> None:
    """Only Nodes 2.0 has a note's text in the page."""
    for name in GRAPHS:
        opened(editor, name)
        cut = editor.page.evaluate(
            """() => (app.rootGraph ?? app.graph).nodes
                .filter((node) => node.type === "MarkdownNote")
                .map((node) => document.querySelector(`[data-node-id="${node.id}"]`))
                .flatMap((drawn) => [...(drawn?.querySelectorAll("*") ?? [])])
                .filter((part) => part.scrollHeight > part.clientHeight + 2 && part.clientHeight)
                .filter((part) => getComputedStyle(part).overflowY !== "visible")
                .map((part) => part.textContent.slice(0, 40))"""
        )
        assert cut == [], name
