"""What must be connected is missed before anything expensive runs; no picture is not learned."""

from __future__ import annotations

import pytest
from support.comfyui_server import PromptError
from support.graphs import WIDGETS, node
from support.tiny_graphs import learned, tiny_model

RECORD = {"record": "both", "tokens": "all tokens", "memory_limit": 64, "every": 1}
RECORD |= {"layers": "mean of equal sizes", "head": 0}


@pytest.mark.parametrize(
    ("wires", "sentence"),
    [
        ({"conditioning": ["target", 0]}, "Nothing is connected to model and latent: connect"),
        ({}, "Nothing is connected to model and conditioning and latent: connect"),
        ({"maps": ["record", 1]}, "A recording is connected, but no latent: connect"),
        ({"maps": ["target", 0]}, "maps wants HIPER_ATTENTION_RECORDING,HIPER_ATTENTION_MAPS"),
        (
            {"model": ["target", 0], "conditioning": ["target", 0], "latent": ["picture", 0]},
            "model wants MODEL, but is given CONDITIONING",
        ),
    ],
)
def test_a_viewer_without_inputs_is_refused_before_the_run(server, wires, sentence: str) -> None:
    graph = tiny_model() | {"record": node("HiPerRecordAttention", model=["loader", 0], **RECORD)}
    graph["view"] = node("HiPerAttentionViewer", **WIDGETS, **wires)
    before = len(server.messages)
    with pytest.raises(PromptError) as refused:
        server.run(graph)
    (error,) = refused.value.answer["node_errors"]["view"]["errors"]
    assert sentence in error["details"] and error["type"] == "custom_validation_failed"
    assert not [m for m in server.messages[before:] if m["type"] == "executing"]


def test_an_empty_latent_is_not_learned(server) -> None:
    graph = learned(tiny_model())
    graph["picture"] = node("EmptyLatentImage", width=128, height=128, batch_size=1)
    with pytest.raises(PromptError, match="is zero everywhere, which is no picture"):
        server.run(graph)
