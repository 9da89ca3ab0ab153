"""Photograph the quick start in the graph editor: `python -m workflows.source.screenshot`.

Wants a running ComfyUI with the pack in it, Playwright, and a Chromium or Chrome on the PATH.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from .__main__ import FOLDER, Server

PICTURE = FOLDER.parent / "docs" / "quick_start.png"
SIZE = {"width": 1600, "height": 1000}
TALL = {"width": 1600, "height": 1300}  # for one node
QUIET = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
}
LOADING, RUNNING = 180_000, 900_000
FIT = """() => {
    const nodes = (app.rootGraph ?? app.graph).nodes;
    const left = Math.min(...nodes.map((node) => node.pos[0])) - 30;
    const top = Math.min(...nodes.map((node) => node.pos[1])) - 90;
    const right = Math.max(...nodes.map((node) => node.pos[0] + node.size[0])) + 30;
    const bottom = Math.max(...nodes.map((node) => node.pos[1] + node.size[1])) + 30;
    const width = app.canvas.canvas.clientWidth - 70, height = app.canvas.canvas.clientHeight - 110;
    const scale = Math.min(width / (right - left), height / (bottom - top));
    app.canvas.ds.scale = scale;
    app.canvas.ds.offset = [70 / scale - left, 100 / scale - top];
    app.canvas.setDirty(true, true);
}"""

# a node at its own size, clear of the editor's bars
ALONE = """(title) => {
    const { nodes } = app.rootGraph ?? app.graph;
    const node = nodes.find((each) => (each.title || each.type) === title);
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [120 - node.pos[0], 140 - node.pos[1]];
    app.canvas.setDirty(true, true);
    return node.id;
}"""
ITS_PLACE = """(number) => {
    const drawn = document.querySelector(`[data-node-id="${number}"]`)?.getBoundingClientRect();
    const { x, y } = app.canvas.canvas.getBoundingClientRect();
    const [width, height] = (app.rootGraph ?? app.graph).getNodeById(number).size;
    const place = drawn ?? { x: x + 120, y: y + 110, width, height: height + 30 };
    return { x: place.x, y: place.y, width: place.width, height: place.height };
}"""


def photographed(page: Page, graph: dict, run: bool, node: str | None) -> Image.Image:
    """What a person sees of a graph that fits the window, or of one node, once it has run."""
    page.wait_for_function("window.app?.vueAppReady && app.api.socket?.readyState === 1")
    page.evaluate("graph => app.loadGraphData(graph)", graph)
    if run:
        page.evaluate("""async () => {
            const ended = new Promise((resolve, reject) => {
                app.api.addEventListener("execution_success", resolve);
                app.api.addEventListener("execution_error", ({ detail }) =>
                    reject(detail.exception_message));
            });
            await app.queuePrompt(0);
            await ended;
        }""")
    number = page.evaluate(ALONE, node) if node else page.evaluate(FIT)
    page.wait_for_timeout(4000)  # pictures come a moment later
    clip = page.evaluate(ITS_PLACE, number) if node else None
    shot = page.screenshot(animations="disabled", clip=clip)
    return Image.open(io.BytesIO(shot)).convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m workflows.source.screenshot", description=__doc__
    )
    parser.add_argument("--server", default="http://127.0.0.1:8188", help="a running ComfyUI")
    parser.add_argument("--graph", default="01_quick_start_demo")
    parser.add_argument("--node", help="the title of one node, to photograph it alone")
    parser.add_argument("--nodes-2", action="store_true", help="in the newer renderer")
    parser.add_argument("--no-run", action="store_true", help="as it opens")
    parser.add_argument("--out", type=Path, default=PICTURE)
    given = parser.parse_args()
    server = Server(given.server)
    server.fetch("/settings", QUIET | {"Comfy.VueNodes.Enabled": given.nodes_2})
    graph = json.loads((FOLDER / f"{given.graph}.json").read_text(encoding="utf-8"))
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport=TALL if given.node else SIZE)
        page.set_default_timeout(RUNNING)
        page.goto(given.server, timeout=LOADING)
        photographed(page, graph, not given.no_run, given.node).save(given.out, optimize=True)


if __name__ == "__main__":
    main()
