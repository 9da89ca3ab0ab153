"""An edit that is cancelled, fails or runs out of memory leaves model and cache as they were."""

from __future__ import annotations

import pytest
from support.comfyui_server import PromptError, Server
from support.editing_graphs import STEPS, editing
from support.graphs import Graph, latent, node
from support.tiny_graphs import with_model_state

IN_INVERSION, IN_EDIT = 2, 2 * STEPS + 2  # calls of the model; the inversion is checked by a replay


def failing(how: str, call: int) -> Graph:
    graph = editing()
    graph["fail"] = node(
        "HiPerTestFail", model=["loader", 0], how=how, call=call, copy=call, sampling=True
    )
    for name in ("invert", "blend"):
        graph[name]["inputs"]["model"] = ["fail", 0]
    return graph


def stated(server: Server, turn: int) -> dict:
    graph = editing() | {"start": latent(seed=7, channels=12)}
    found = server.run(with_model_state(graph, turn))
    digests = [found[name]["digest"] for name in ("digest", f"bits {turn}")]
    return {"state": found[f"state {turn}"]["state"], "digests": digests}


@pytest.mark.parametrize("call", [IN_INVERSION, IN_EDIT])
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("error", "a failure to order"),
        ("out of memory", "to order"),
        ("cancel before", "interrupted"),
        ("cancel after", "interrupted"),
    ],
)
def test_an_ended_edit_leaves_nothing_behind(
    server: Server, how: str, said: str, call: int
) -> None:
    before = stated(server, 0)
    with pytest.raises(PromptError, match=said):
        server.run(failing(how, call))
    assert stated(server, 1) == before
