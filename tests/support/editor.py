"""ComfyUI's graph editor in a browser: open it, load a graph, run it, look at a node."""

from __future__ import annotations

import io
import time
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

LOADING = 120_000
PACK = "/comfyui-hiper/"
# no first-visit dialogs, nothing over the graph, the smaller parts in a test's view, in English
QUIET = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "Comfy.Locale": "en",
}


class Editor:
    """One tab of the graph editor; `complaints` are the errors that come from the pack."""

    def __init__(self, browser: Browser, server, **settings: Any) -> None:
        server.post("/settings", QUIET | settings)
        self.server = server
        self.page: Page = browser.new_page(viewport={"width": 1500, "height": 1300})
        self.page.set_default_timeout(20_000)
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self._threw(error))
        self.page.goto(server.url, timeout=LOADING)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        self.page.wait_for_function(
            "window.app?.vueAppReady && app.api.socket?.readyState === WebSocket.OPEN",
            timeout=LOADING,
        )

    def _heard(self, message: ConsoleMessage) -> None:
        ours = PACK in message.location.get("url", "") or "HiPer" in message.text
        if message.type in ("error", "warning") and ours:
            self.complaints.append(message.text)

    def _threw(self, error) -> None:
        if PACK in (error.stack or ""):
            self.complaints.append(f"{error.message}\n{error.stack}")

    def load(self, graph: dict[str, Any]) -> None:
        self.page.evaluate("graph => app.loadGraphData(graph)", graph)

    def reload(self) -> None:
        self.page.reload(timeout=LOADING)
        self.wait_until_ready()

    def run(self, seconds: float = 90) -> None:
        """Queue the graph as the Run button does, and wait for its end."""
        before = self.server.get("/history").keys()
        assert self.page.evaluate("() => app.queuePrompt(0)"), "the graph was not accepted"
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for prompt in self.server.get("/history").keys() - before:
                self.server.wait(prompt)
                return
            self.page.wait_for_timeout(100)
        raise TimeoutError(f"The graph took over {seconds} s.")

    def node(self, number: int) -> Any:
        """A handle of the node itself."""
        return self.page.evaluate_handle(
            "number => (app.rootGraph ?? app.graph).getNodeById(number)", number
        )

    def show(self, number: int, scale: float = 1.0) -> None:
        """Move the canvas so that the node stands at its upper left."""
        self.page.wait_for_function(
            "number => (app.rootGraph ?? app.graph)?.getNodeById(number)", arg=number
        )
        self.page.evaluate(
            """([number, scale]) => {
                const { pos } = (app.rootGraph ?? app.graph).getNodeById(number);
                app.canvas.ds.scale = scale;
                app.canvas.ds.offset = [-pos[0] + 120 / scale, -pos[1] + 100 / scale];
                app.canvas.setDirty(true, true);
            }""",
            [number, scale],
        )

    def state(self, number: int) -> dict[str, Any] | None:
        """What the viewer keeps with the node."""
        return self.node(number).evaluate("node => node.properties.hiper_viewer")


def picture_of(part: Locator) -> Image.Image:
    """What a person sees of a part of the page."""
    return Image.open(io.BytesIO(part.screenshot(animations="disabled"))).convert("RGB")


def painted(view: Locator) -> str:
    """The first map's own pixels, as a data address."""
    return view.locator(".hiper-map").first.evaluate("canvas => canvas.toDataURL()")
