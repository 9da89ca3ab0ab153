"""Ending a learning by hand: the node's button asks for it by one small route of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from .graph import running_node, running_prompt, serving

ROUTE = "/hiper/finish"
NOT_LEARNING = "No learning of that prompt and node is under way: it has ended, or not begun."


class Learnings:
    """Those under way, each by its prompt and node, and whether it is to end at its next step."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], bool] = {}

    @contextmanager
    def one(self, prompt: str, node: str) -> Iterator[Callable[[], bool]]:
        """While it lasts; what it gives says whether the end was asked for."""
        key = prompt, node
        self._asked[key] = False
        try:
            yield lambda: self._asked[key]
        finally:
            del self._asked[key]

    def finish(self, prompt: str, node: str) -> bool:
        """Whether there was one to end."""
        if (prompt, node) not in self._asked:
            return False
        self._asked[prompt, node] = True
        return True


LEARNINGS = web.AppKey("hiper_learnings", Learnings)


def register() -> None:
    """The route, and beside it what it speaks of; without a server, as in a script, neither."""
    server = serving()
    if server is None or LEARNINGS in server.app:
        return
    server.app[LEARNINGS] = Learnings()
    server.routes.post(ROUTE)(_finish)


async def _finish(request: web.Request) -> web.Response:
    try:
        asked = await request.json()
        prompt, node = str(asked["prompt_id"]), str(asked["node_id"])
    except (ValueError, KeyError, TypeError):
        return web.json_response({"error": "Wanted prompt_id and node_id."}, status=400)
    if not request.app[LEARNINGS].finish(prompt, node):
        return web.json_response({"error": NOT_LEARNING}, status=404)
    return web.json_response({})


@contextmanager
def finishable() -> Iterator[Callable[[], bool]]:
    """The learning of the node that runs can be ended by hand; what this gives says if it was."""
    prompt, node, server = running_prompt(), running_node(), serving()
    if prompt is None or node is None or server is None or LEARNINGS not in server.app:
        yield lambda: False
        return
    with server.app[LEARNINGS].one(prompt, node) as asked:
        yield asked
