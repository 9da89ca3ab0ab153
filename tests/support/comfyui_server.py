"""A real ComfyUI server in a folder of its own, and a client that speaks to it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.comfyui import PACK

STARTING = 180
SUPPORT = Path(__file__).parent
# the tests' own nodes, as ComfyUI finds them in custom_nodes: two packs
TEST_PACKS = {
    "hiper_pack_of_tests.py": "pack_of_tests.py",
    "hiper_tiny_models/__init__.py": "pack_of_tiny_models.py",
    "hiper_tiny_models/tiny_unets.py": "tiny_unets.py",
}


def prepare_base(base: Path) -> Path:
    """A ComfyUI base directory with the pack, and the tests' own nodes, in custom_nodes."""
    for folder in ("models/checkpoints", "input", "output", "temp", "user", "custom_nodes"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    link = base / "custom_nodes" / "comfyui-hiper"
    if not link.exists():
        link.symlink_to(PACK, target_is_directory=True)
    for there, here in TEST_PACKS.items():
        path = base / "custom_nodes" / there
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((SUPPORT / here).read_bytes())
    return base


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PromptError(RuntimeError):
    """ComfyUI refused the prompt or a node in it failed; `answer` is what it said."""

    def __init__(self, message: str, answer: Any) -> None:
        super().__init__(message)
        self.answer = answer


@dataclass
class Server:
    """One running ComfyUI."""

    root: Path
    base: Path
    extra: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    client_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    messages: list[dict] = field(default_factory=list)
    previews: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.base / "server.log").read_text(errors="replace")

    def start(self) -> Server:
        command = [sys.executable, "main.py", "--cpu", "--base-directory", str(self.base)]
        command += ["--port", str(self.port), "--disable-auto-launch", *self.extra]
        command += ["--database-url", f"sqlite:///{self.base / 'comfyui.db'}"]
        with open(self.base / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.root,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"},
            )
        until = time.monotonic() + STARTING
        while True:
            try:
                self.get("/system_stats")
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.stop()
                    raise RuntimeError(f"ComfyUI did not start:\n{self.log[-4000:]}") from None
                time.sleep(0.2)
        self._listen()
        return self

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _listen(self) -> None:
        """Keep every websocket message; binary ones are live previews."""
        import aiohttp  # ComfyUI brings it; without one the tests still have to be collected

        ready = threading.Event()

        async def listen() -> None:
            address = f"{self.url}/ws?clientId={self.client_id}"
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(address, max_msg_size=0) as connection,
            ):
                ready.set()
                async for message in connection:
                    if message.type == aiohttp.WSMsgType.TEXT:
                        self.messages.append(json.loads(message.data))
                    elif message.type == aiohttp.WSMsgType.BINARY:
                        self.previews.append(message.data)

        threading.Thread(target=lambda: asyncio.run(listen()), daemon=True).start()
        if not ready.wait(20):
            raise RuntimeError("ComfyUI's websocket did not open.")

    def get(self, path: str, **query: str) -> Any:
        data = self.get_bytes(path, **query)
        return json.loads(data)

    def get_bytes(self, path: str, **query: str) -> bytes:
        address = f"{self.url}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        with urllib.request.urlopen(address, timeout=60) as answer:
            return answer.read()

    def post(self, path: str, content: Any) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}",
            json.dumps(content).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            content = json.loads(error.read() or b"{}")
            raise PromptError(json.dumps(content)[:2000], content) from None
        return json.loads(body) if body.strip() else None

    def upload(self, data: bytes, name: str) -> str:
        """Put a picture into the input folder; gives the name that LoadImage knows it by."""
        mark = uuid.uuid4().hex
        disposition = f'form-data; name="image"; filename="{name}"'
        head = f"--{mark}\r\nContent-Disposition: {disposition}\r\n\r\n"
        request = urllib.request.Request(
            f"{self.url}/upload/image",
            head.encode() + data + f"\r\n--{mark}--\r\n".encode(),
            {"Content-Type": f"multipart/form-data; boundary={mark}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["name"]

    def queue(self, graph: dict, **extra: Any) -> str:
        """Queue an API-format graph; what ComfyUI refuses raises `PromptError`."""
        content = {"prompt": graph, "client_id": self.client_id, "extra_data": extra}
        return self.post("/prompt", content)["prompt_id"]

    def wait(self, prompt_id: str, seconds: float = 240) -> dict:
        """The finished prompt's history; a failed node raises `PromptError` with its words."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            history = self.get(f"/history/{prompt_id}").get(prompt_id)
            if history and history["status"].get("completed") is not None:
                self._raise(history)
                return history
            if self.process.poll() is not None:
                raise RuntimeError(f"ComfyUI ended:\n{self.log[-4000:]}")
            time.sleep(0.1)
        raise TimeoutError(f"The prompt took over {seconds} s:\n{self.log[-4000:]}")

    @staticmethod
    def _raise(history: dict) -> None:
        for kind, data in history["status"]["messages"]:
            if kind == "execution_error":
                raise PromptError(data["exception_message"], data)
            if kind == "execution_interrupted":
                raise PromptError("interrupted", data)

    def run(self, graph: dict, **extra: Any) -> dict:
        return self.wait(self.queue(graph, **extra))["outputs"]

    def interrupt(self) -> None:
        self.post("/interrupt", {})

    def of(self, kind: str, prompt_id: str) -> list[dict]:
        """The websocket messages of one kind that belong to one prompt."""
        return [
            message["data"]
            for message in list(self.messages)
            if message["type"] == kind and message["data"].get("prompt_id") == prompt_id
        ]

    def soon(self, kind: str, prompt_id: str, seconds: float = 30) -> list[dict]:
        """The same, waited for: a prompt may stand in the history before its last message came."""
        until = time.monotonic() + seconds
        while not (found := self.of(kind, prompt_id)) and time.monotonic() < until:
            time.sleep(0.05)
        return found

    def cached(self, history: dict) -> set[str]:
        """The nodes that a finished prompt took from ComfyUI's cache."""
        return {
            node
            for kind, data in history["status"]["messages"]
            if kind == "execution_cached"
            for node in data["nodes"]
        }
