"""Write every shipped graph, and with `--pictures` run each and keep what it shows."""

from __future__ import annotations

import argparse
import io
import json
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image

from .blueprints import BLUEPRINTS
from .graph import Graph
from .order import GRAPHS
from .prompt import to_prompt
from .thumbnail import of_graph, side_by_side

FOLDER = Path(__file__).resolve().parents[1]
SUBGRAPHS = FOLDER.parent / "subgraphs"  # where ComfyUI looks for a pack's blueprints
WAIT = 1800  # seconds


class Server:
    """A running ComfyUI with the pack in it."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def fetch(self, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{path}", data)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def definitions(self) -> dict[str, Any]:
        return json.loads(self.fetch("/object_info"))

    def run(self, prompt: dict[str, Any]) -> dict[str, Any]:
        """Queue a prompt and wait for what its output nodes give."""
        number = json.loads(self.fetch("/prompt", {"prompt": prompt}))["prompt_id"]
        for _ in range(WAIT):
            history = json.loads(self.fetch(f"/history/{number}"))
            if number in history:
                status = history[number]["status"]
                if status["status_str"] != "success":
                    _, failed = status["messages"][-1]
                    raise RuntimeError(f"The run failed: {failed.get('exception_message', failed)}")
                return history[number]["outputs"]
            time.sleep(1)
        raise TimeoutError(f"The run took longer than {WAIT} seconds.")

    def picture(self, found: dict[str, str]) -> Image.Image:
        query = urllib.parse.urlencode(found)
        return Image.open(io.BytesIO(self.fetch(f"/view?{query}"))).convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m workflows.source", description=__doc__)
    parser.add_argument("--server", default="http://127.0.0.1:8188", help="a running ComfyUI")
    parser.add_argument("--only", nargs="*", default=list(GRAPHS), help="names of graphs")
    parser.add_argument(
        "--pictures", action="store_true", help="also their .jpg: runs those of the demo model"
    )
    arguments = parser.parse_args()
    server = Server(arguments.server)
    definitions = server.definitions()
    for name, draw_inside in BLUEPRINTS.items():
        path = SUBGRAPHS / f"{name}.json"
        path.write_text(draw_inside(definitions).to_json(), encoding="utf-8")
        print(path.name, flush=True)
    for name in arguments.only:
        draw, stage = GRAPHS[name]
        graph = Graph(definitions)
        draw(graph, stage)
        text = graph.to_json()
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{name}.json", flush=True)
        if not arguments.pictures:
            continue
        if stage.name == "demo":
            outputs = server.run(to_prompt(json.loads(text), definitions))
            shown = [server.picture(outputs[str(node)]["images"][0]) for node in graph.shown]
            picture = side_by_side(shown)
        else:
            picture = of_graph(json.loads(text), title_of(name))
        picture.save(FOLDER / f"{name}.jpg", quality=88)
        print(f"{name}.jpg", flush=True)


def title_of(name: str) -> str:
    """01_quick_start_sd15 as a person says it: Quick start."""
    words = name.partition("_")[2].rpartition("_")[0].replace("_", " ").capitalize()
    return words.replace("Sefi ide", "SeFi-IDE")


if __name__ == "__main__":
    main()
