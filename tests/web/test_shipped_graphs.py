"""Every shipped graph opens in the editor: the editor knows all of its nodes, each lies within a
group, and what Run sends is what the graph was made to be."""

from __future__ import annotations

import json

from support.comfyui import PACK
from support.editor import Editor

from workflows.source.prompt import to_prompt

# a node that reaches out of the group that its corner is in: a long title widens one
OUTSIDE = """() => {
    const graph = app.rootGraph ?? app.graph;
    return graph.nodes.filter(({ pos, size, flags }) => !flags.collapsed && !graph.groups.some(
        ({ boundingRect: [x, y, width, height] }) => pos[0] >= x && pos[1] >= y
            && pos[0] + size[0] <= x + width && pos[1] + size[1] <= y + height,
    )).map(({ title, size }) => `${title}: ${size[0]} wide`);
}"""


def test_every_graph_opens_as_it_was_made(browser, server) -> None:
    editor = Editor(browser, server)
    paths = sorted((PACK / "workflows").glob("*.json"))
    assert paths
    outside, definitions = {}, server.get("/object_info")
    for path in paths:
        graph = json.loads(path.read_text(encoding="utf-8"))
        editor.load(graph)
        unknown = editor.page.evaluate(
            """() => (app.rootGraph ?? app.graph).nodes
                .map((node) => node.type)
                .filter((type) => !LiteGraph.registered_node_types[type])"""
        )
        assert unknown == [], path.name
        sent = editor.page.evaluate("async () => (await app.graphToPrompt()).output")
        for number, node in to_prompt(graph, definitions).items():
            assert sent[number]["inputs"] == node["inputs"], f"{path.name}: {number}"
        if found := editor.page.evaluate(OUTSIDE):
            outside[path.name] = found
        count = editor.page.evaluate("() => (app.rootGraph ?? app.graph).nodes.length")
        assert count == len(graph["nodes"]), path.name
    assert not outside, "\n".join(map(str, outside.items()))
    assert editor.complaints == []
    editor.page.close()
