"""The pictures beside the names in Load's list, in both renderers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from PIL import Image
from playwright.sync_api import TimeoutError
from support.editor import Editor

from hiper.embedding import HiperEmbedding
from hiper.files import embeddings
from workflows.source.graph import Graph

MARKED = "[data-hiper-thumbnail]"
NAMES = ("covered", "other_1", "other_2", "other_3", "plain")
FILES = [f"list/{name}.safetensors" for name in NAMES]
COVERED, *_, PLAIN = FILES


@pytest.fixture(scope="module")
def graph(server, base) -> tuple[dict[str, Any], int]:
    """One node that loads, and files, one of them with a picture in it; ComfyUI's list has a filter
    from five names on."""
    folder = base / "models" / "hiper" / "list"
    tail = HiperEmbedding(torch.zeros(1, 1, 5, 8))
    for name in NAMES:
        picture = Image.new("RGB", (64, 64), "#2266cc") if name == "covered" else None
        embeddings.write(tail, folder / f"{name}.safetensors", True, picture)
    made = Graph(server.get("/object_info"))
    made.group("all")
    made.node("HiPerLoadEmbedding", name=PLAIN)
    content = json.loads(made.to_json())
    return content, content["nodes"][0]["id"]


@pytest.fixture(params=[False, True], ids=["canvas", "Nodes 2.0"])
def editor(request, browser, server, graph) -> Iterator[Editor]:
    opened = Editor(browser, server, **{"Comfy.VueNodes.Enabled": request.param})
    opened.renderer, opened.load_node = request.param, graph[1]
    opened.load(graph[0])
    opened.show(graph[1])
    yield opened
    assert opened.complaints == []
    opened.page.close()


def open_list(editor: Editor) -> None:
    """As a person does: a click on the widget."""
    if editor.renderer:
        node = editor.page.locator(f"[data-node-id='{editor.load_node}']")
        node.locator("button, [role=combobox]").filter(has_text="plain").first.click()
        editor.page.locator("[role=option]").first.wait_for()
        return
    rows = editor.page.locator(".litemenu-entry")
    for _ in range(5):  # on a busy machine the canvas may not have drawn yet what is clicked at
        editor.page.mouse.click(*middle_of_the_widget(editor))
        try:
            rows.first.wait_for(timeout=4000)
            return
        except TimeoutError:
            continue
    rows.first.wait_for()


def middle_of_the_widget(editor: Editor) -> list[float]:
    editor.page.wait_for_function(
        "number => app.rootGraph.getNodeById(number).widgets[0].last_y !== undefined",
        arg=editor.load_node,
    )
    return editor.node(editor.load_node).evaluate(
        """node => {
            const { offset } = app.canvas.ds;
            const box = app.canvas.canvas.getBoundingClientRect();
            const widget = node.widgets[0];
            return [
                box.x + offset[0] + node.pos[0] + node.size[0] / 2,
                box.y + offset[1] + node.pos[1] + widget.last_y + 10,
            ];
        }"""
    )


def test_a_file_with_a_picture_shows_it_in_the_list(editor) -> None:
    open_list(editor)
    # other tests' files stand in the same list, some with a picture too
    marked = editor.page.locator(MARKED).filter(has_text="list/")
    marked.first.wait_for()
    assert marked.all_inner_texts() == [COVERED]
    shown = marked.first.evaluate("row => getComputedStyle(row).backgroundImage")
    assert "/experiment/models/preview/hiper/" in shown
    assert marked.first.bounding_box()["height"] >= 44


def wait_for_rows(editor: Editor, rows: list[str], marked: list[str]) -> None:
    """Until the list shows these, and pictures at these of them."""
    editor.page.wait_for_function(
        """([rows, marked]) => {
            const seen = (selector) => [...document.querySelectorAll(selector)]
                .filter((row) => row.checkVisibility())
                .map((row) => row.textContent.trim());
            const same = (some, others) => JSON.stringify(some) === JSON.stringify(others);
            const ours = seen(".litemenu-entry, [role=option]");
            return same(ours, rows) && same(seen("[data-hiper-thumbnail]"), marked);
        }""",
        arg=[rows, marked],
    )


def test_the_pictures_stay_with_their_names_while_the_list_is_filtered(editor) -> None:
    open_list(editor)
    editor.page.locator(MARKED).filter(has_text=COVERED).wait_for()
    editor.page.keyboard.type("list/plain")
    wait_for_rows(editor, [PLAIN], [])
    for _ in "plain":
        editor.page.keyboard.press("Backspace")
    wait_for_rows(editor, FILES, [COVERED])
    editor.page.keyboard.type("cov")
    wait_for_rows(editor, [COVERED], [COVERED])


def test_other_lists_are_left_alone(editor) -> None:
    open_list(editor)
    editor.page.locator(MARKED).first.wait_for()
    editor.page.keyboard.press("Escape")
    editor.page.mouse.click(700, 700, button="right")
    editor.page.wait_for_timeout(500)
    assert editor.page.locator(MARKED).count() == 0
