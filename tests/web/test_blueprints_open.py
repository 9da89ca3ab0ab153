"""A blueprint as a node in the editor: its prompts on its face."""

from __future__ import annotations

import json

import pytest
from support.comfyui import PACK
from support.editor import Editor

FACES = {
    "Learn and Compose (HiPer)": {"source prompt", "target prompt"},
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
