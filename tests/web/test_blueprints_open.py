"""A blueprint as a node in the editor: its prompts and its viewer on its face."""

from __future__ import annotations

import json

import pytest
from support.comfyui import PACK
from support.editor import Editor

FACES = {
    "Learn and Compose (HiPer)": {"source prompt", "target prompt", "hiper_attention"},
    "Edit Picture (HiPer)": {"source prompt", "target prompt", "word"},
}


@pytest.mark.parametrize("modern", [False, True], ids=["canvas", "Nodes 2.0"])
def test_a_blueprint_has_its_face(browser, server, modern: bool) -> None:
    editor = Editor(browser, server, **{"Comfy.VueNodes.Enabled": modern})
    for name, face in FACES.items():
        path = PACK / "subgraphs" / f"{name}.json"
        editor.load(json.loads(path.read_text(encoding="utf-8")))
        editor.page.wait_for_timeout(500)
        (seen,) = editor.page.evaluate(
            """() => (app.rootGraph ?? app.graph).nodes.map((node) => ({
                inside: node.subgraph?.nodes.map((each) => each.type) ?? [],
                widgets: (node.widgets ?? []).map((widget) => widget.name),
            }))"""
        )
        assert "HiPerLearnEmbedding" in seen["inside"]
        assert face <= set(seen["widgets"]), name
    assert editor.complaints == []
    editor.page.close()
    server.post("/settings", {"Comfy.VueNodes.Enabled": False})


WIRED = """() => {
    const graph = app.rootGraph ?? app.graph;
    const [face] = graph.nodes;
    const add = (type) => {
        const node = LiteGraph.createNode(type);
        graph.add(node);
        return node;
    };
    const [model, animal] = ["HiPerLoadDemoModel", "HiPerDrawDemoAnimal"].map(add);
    const wire = (node, output, name) =>
        node.connect(output, face, face.inputs.findIndex((input) => input.name === name));
    ["model", "clip", "vae"].forEach((name, output) => wire(model, output, name));
    wire(animal, 0, "picture");
    const prompts = { "source prompt": "a standing dog", "target prompt": "a sitting dog" };
    for (const widget of face.widgets) widget.value = prompts[widget.name] ?? widget.value;
    const learn = face.subgraph.nodes.find((node) => node.type === "HiPerLearnEmbedding");
    learn.widgets.find(({ name }) => name === "steps").value = 2;
    return face.id;
}"""


@pytest.mark.parametrize("modern", [False, True], ids=["canvas", "Nodes 2.0"])
def test_the_viewer_inside_is_seen_and_chosen_on_the_face(browser, server, modern: bool) -> None:
    editor = Editor(browser, server, **{"Comfy.VueNodes.Enabled": modern})
    path = PACK / "subgraphs" / "Learn and Compose (HiPer).json"
    editor.load(json.loads(path.read_text(encoding="utf-8")))
    number = editor.page.evaluate(WIRED)
    editor.show(number)
    view = editor.page.locator(".hiper-view:visible")  # the viewer's own is in the subgraph
    view.wait_for()
    editor.run()
    editor.page.locator(".hiper-view[data-shown]:visible").wait_for()
    editor.page.locator(".hiper-view:visible").get_by_role("button", name="dog", exact=True).click()
    chosen = """number => (app.rootGraph ?? app.graph).getNodeById(number).subgraph.nodes
        .find((node) => node.type === "HiPerAttentionViewer").widgets
        .find(({ name }) => name === "tokens").value"""
    assert editor.page.evaluate(chosen, number) == "dog"
    editor.page.evaluate(
        """number => {
            const face = (app.rootGraph ?? app.graph).getNodeById(number);
            app.canvas.openSubgraph(face.subgraph, face);
        }""",
        number,
    )
    editor.page.wait_for_function("!app.canvas.graph.isRootGraph")
    editor.page.evaluate(
        """() => {
            const viewer = app.canvas.graph.nodes.find((node) => node.type.endsWith("Viewer"));
            app.canvas.ds.scale = 1;
            app.canvas.ds.offset = [100 - viewer.pos[0], 100 - viewer.pos[1]];
            app.canvas.setDirty(true, true);
        }"""
    )
    editor.page.locator(".hiper-view[data-shown]:visible").wait_for()  # it shows them itself, too
    editor.page.wait_for_function(
        """() => app.canvas.graph.nodes
            .find((node) => node.type === "HiPerLearnEmbedding")
            .widgets.some(({ name, value }) => name === "$$node-text-preview" && value)"""
    )  # and Learn what it said
    assert editor.complaints == []
    editor.page.close()
    server.post("/settings", {"Comfy.VueNodes.Enabled": False})
