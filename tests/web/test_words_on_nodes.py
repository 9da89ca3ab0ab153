"""What Learn and Save say on the node, and the button that ends a learning, in both renderers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.editor import Editor

from workflows.source.graph import Graph

GRAPH_ID = "0b9a7c11-4c1e-4f0a-9d57-aa51b2c3d4e{}"
WORDS = "$$node-text-preview"  # ComfyUI's own text below a node's widgets
BUTTON = "Finish now and use it"
LONG = 100_000


@pytest.fixture(scope="module")
def graph(server) -> tuple[dict[str, Any], dict[str, int]]:
    """A small model that learns in milliseconds a step, and what it learned saved."""
    made = Graph(server.get("/object_info"))
    made.group("all")
    model = made.node("HiPerTestModel")
    source = made.node("HiPerTestText", seed=1, length=77)
    picture = made.node("HiPerTestLatent")
    made.column()
    tail = made.node(
        "HiPerLearnEmbedding",
        model=model["MODEL"],
        conditioning=source["CONDITIONING"],
        latent=picture["LATENT"],
        steps=120,
        preview_every=0,
    )
    made.column()
    made.node("HiPerSaveEmbedding", embedding=tail["embedding"], name="words/spoken")
    content = json.loads(made.to_json())
    return content, {node["type"]: node["id"] for node in content["nodes"]}


@pytest.fixture(scope="module", params=[False, True], ids=["canvas", "Nodes 2.0"])
def editor(request, browser, server, graph) -> Iterator[Editor]:
    opened = Editor(browser, server, **{"Comfy.VueNodes.Enabled": request.param})
    opened.renderer = request.param
    opened.graph = graph[0] | {"id": GRAPH_ID.format(int(request.param))}
    opened.learn, opened.save = (
        graph[1][kind] for kind in ("HiPerLearnEmbedding", "HiPerSaveEmbedding")
    )
    opened.load(opened.graph)
    yield opened
    assert opened.complaints == []
    opened.page.close()


def wait_for(editor: Editor, number: int, words: str) -> str:
    """The node's own words, once they hold these; a person sees them in the page as well."""
    editor.page.wait_for_function(
        """([number, name, words]) => (app.rootGraph ?? app.graph).getNodeById(number)?.widgets
            ?.find((widget) => widget.name === name)?.value?.includes(words)""",
        arg=[number, WORDS, words],
        timeout=120_000,
    )
    editor.show(number)
    editor.page.get_by_text(words).first.wait_for()
    return editor.node(number).evaluate(
        "(node, name) => node.widgets.find((widget) => widget.name === name).value", WORDS
    )


def buttons(editor: Editor) -> list[str]:
    """The buttons on Learn."""
    return editor.node(editor.learn).evaluate(
        "node => node.widgets.filter(({ type }) => type === 'button').map(({ label }) => label)"
    )


def steps_of(editor: Editor, steps: int, seed: int) -> None:
    editor.node(editor.learn).evaluate(
        """(node, given) => {
            for (const [name, value] of Object.entries(given))
                node.widgets.find((widget) => widget.name === name).value = value;
        }""",
        {"steps": steps, "seed": seed, "auto_stop": False},
    )


def test_after_a_run_and_a_reload_the_nodes_say_how_it_went(editor) -> None:
    editor.run()
    said = wait_for(editor, editor.learn, "Fixed loss")
    assert "→" in said and "120 steps" in said
    kept = wait_for(editor, editor.save, "Saved as models/hiper/words/spoken")
    editor.page.wait_for_timeout(1500)  # the editor keeps its draft a moment after the change
    editor.reload()
    assert wait_for(editor, editor.learn, "Fixed loss") == said
    assert wait_for(editor, editor.save, "Saved as") == kept


def test_a_learning_can_be_finished_by_its_button(editor, server) -> None:
    """While it learns the node says its step and has the button; the rest of the graph runs."""
    before = server.get("/history").keys()
    steps_of(editor, LONG, int(editor.graph["id"][-1]) + 5)
    assert buttons(editor) == []
    assert editor.page.evaluate("() => app.queuePrompt(0)")
    wait_for(editor, editor.learn, f"of {LONG}")
    assert buttons(editor) == [BUTTON]
    editor.show(editor.learn)
    if editor.renderer:
        editor.page.get_by_role("button", name=BUTTON).click()
    else:
        editor.node(editor.learn).evaluate(
            "(node, label) => node.widgets.find((widget) => widget.label === label).callback()",
            BUTTON,
        )
    said = wait_for(editor, editor.learn, "Finished by hand after step")
    assert said.endswith(f"of {LONG}") and buttons(editor) == []
    wait_for(editor, editor.save, "Saved as models/hiper/words/spoken")
    (prompt,) = server.get("/history").keys() - before
    assert server.wait(prompt)["status"]["status_str"] == "success"


def test_a_cancelled_learning_says_what_it_kept(editor, server) -> None:
    steps_of(editor, LONG, int(editor.graph["id"][-1]) + 7)
    assert editor.page.evaluate("() => app.queuePrompt(0)")
    wait_for(editor, editor.learn, "Step ")  # not what the run before has left
    server.interrupt()
    said = wait_for(editor, editor.learn, "Cancelled at step")
    assert "Kept as models/hiper/unfinished" in said
    editor.page.wait_for_function("() => !app.ui.lastQueueSize")
    assert buttons(editor) == []
