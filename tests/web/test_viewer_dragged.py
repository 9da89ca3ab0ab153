"""A picture that is dragged back brings its own maps or none, in both of the editor's renderers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.editor import Editor
from support.editor_recording import recorded

from workflows.source.graph import Graph

GRAPH_ID = "7a2e5b63-06d4-4e8f-9a1b-3a5c7d9e1f2{}"
DOG, CAT = "a sitting dog in snow", "a cat on beach"


@pytest.fixture(scope="module")
def graph(server) -> tuple[dict[str, Any], dict[str, int]]:
    """A sampler that is recorded, its viewer, and its picture as a file."""
    made = Graph(server.get("/object_info"))
    made.group("all")
    demo = made.node("HiPerLoadDemoModel")
    target = made.node("CLIPTextEncode", clip=demo["clip"], text=DOG)
    prompt = target["CONDITIONING"]
    recording, seen = recorded(made, demo, prompt, prompt, side=64, steps=2)
    made.column()
    made.node("HiPerAttentionViewer", maps=recording, **seen)
    made.node("SaveImage", images=seen["image"], filename_prefix="dragged/back")
    content = json.loads(made.to_json())
    kinds = {node["type"]: node["id"] for node in content["nodes"]}
    return content, {
        "text": kinds["CLIPTextEncode"],
        "sampler": kinds["KSampler"],
        "view": kinds["HiPerAttentionViewer"],
        "save": kinds["SaveImage"],
    }


@pytest.fixture(scope="module", params=[False, True], ids=["canvas", "Nodes 2.0"])
def editor(request, browser, server, graph) -> Iterator[Editor]:
    opened = Editor(browser, server, **{"Comfy.VueNodes.Enabled": request.param})
    opened.numbers = graph[1]
    opened.load(graph[0] | {"id": GRAPH_ID.format(int(request.param))})
    yield opened
    assert opened.complaints == []
    opened.page.close()


def words(editor: Editor) -> str:
    """The labels of the viewer's words, or nothing where it shows no maps."""
    editor.show(editor.numbers["view"])
    editor.page.wait_for_timeout(1000)  # a run is looked for, if at all, as soon as it is loaded
    return editor.node(editor.numbers["view"]).evaluate(
        """node => {
            const widget = node.widgets.find((widget) => widget.name === 'hiper_attention');
            if (!widget.element.dataset.shown) return '';
            const chips = widget.element.querySelectorAll('.hiper-chip.hiper-word');
            return [...chips].map((chip) => chip.textContent).join(' ');
        }"""
    )


def change(editor: Editor, name: str, widget: str, value: Any) -> None:
    editor.node(editor.numbers[name]).evaluate(
        "(node, [name, value]) => { node.widgets.find((w) => w.name === name).value = value; }",
        [widget, value],
    )


def run(editor: Editor) -> dict[str, str]:
    """Run the graph; the picture that it saved."""
    before = editor.server.get("/history").keys()
    editor.run()
    (run,) = (r for n, r in editor.server.get("/history").items() if n not in before)
    (image,) = run["outputs"][str(editor.numbers["save"])]["images"]
    return image


def drag(editor: Editor, image: dict[str, str]) -> None:
    """Hand the picture to the editor as a file that was let go over it."""
    editor.page.evaluate(
        """async (query) => {
            const answer = await app.api.fetchApi('/view?' + new URLSearchParams(query));
            const file = new File([await answer.blob()], query.filename, { type: 'image/png' });
            await app.handleFile(file);
        }""",
        image,
    )


def test_a_picture_dragged_back_shows_its_own_maps_or_none(editor) -> None:
    dog = run(editor)
    assert words(editor) == DOG
    change(editor, "text", "text", CAT)
    cat = run(editor)
    assert words(editor) == CAT
    drag(editor, dog)
    assert words(editor) == DOG
    drag(editor, cat)
    assert words(editor) == CAT
    # of a picture whose run the server has forgotten there are no maps, least of all the newest
    runs = editor.server.get("/history")
    (old,) = (n for n, r in runs.items() if dog in images(r, editor))
    editor.server.post("/history", {"delete": [old]})
    drag(editor, dog)
    assert words(editor) == ""


def images(run: dict, editor: Editor) -> list[dict]:
    return run["outputs"].get(str(editor.numbers["save"]), {}).get("images", [])


def test_a_reload_shows_the_latest_maps_though_the_seed_went_on(editor) -> None:
    change(editor, "text", "text", CAT)
    change(editor, "sampler", "control_after_generate", "increment")
    run(editor)
    assert words(editor) == CAT
    editor.page.wait_for_timeout(1500)  # the editor keeps its draft a moment after the change
    editor.reload()
    assert words(editor) == CAT
