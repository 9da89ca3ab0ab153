"""Every shipped graph opens in the editor, and the editor knows all of its nodes."""

from __future__ import annotations

import json

from support.comfyui import PACK
from support.editor import Editor


def test_no_graph_has_an_unknown_node(browser, server) -> None:
    editor = Editor(browser, server)
    paths = sorted((PACK / "workflows").glob("*.json"))
    assert paths
    for path in paths:
        graph = json.loads(path.read_text(encoding="utf-8"))
        editor.load(graph)
        unknown = editor.page.evaluate(
            """() => (app.rootGraph ?? app.graph).nodes
                .map((node) => node.type)
                .filter((type) => !LiteGraph.registered_node_types[type])"""
        )
        assert unknown == [], path.name
        count = editor.page.evaluate("() => (app.rootGraph ?? app.graph).nodes.length")
        assert count == len(graph["nodes"]), path.name
    assert editor.complaints == []
    editor.page.close()
