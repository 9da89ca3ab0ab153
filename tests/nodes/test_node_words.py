"""What Learn and Save say on the node, while they run and in what is left of the run."""

from __future__ import annotations

import math
import re

from support.comfyui_server import Server
from support.graphs import node
from support.tiny_graphs import learned, tiny_model

from hiper.files import embeddings as storage

LOSS = r"Loss on fixed noise (0\.\d{4}|\d\.\d{4}) → (0\.\d{4}|\d\.\d{4})"


def said_while(server: Server, graph: dict) -> tuple[dict, list[str]]:
    """The outputs, and every text that the editor was sent for the node "learn"."""
    before = len(server.previews)
    outputs = server.run(graph)
    head = b"\x00\x00\x00\x03" + len(b"learn").to_bytes(4, "big") + b"learn"
    told = [data[len(head) :] for data in server.previews[before:] if data.startswith(head)]
    return outputs, [text.decode() for text in told]


def test_learn_says_its_step_and_the_fixed_loss_while_it_runs(server: Server) -> None:
    _, told = said_while(server, learned(tiny_model(), steps=120, seed=31))
    assert re.fullmatch(r"Step 1 of 120, [\d.]+ a second  \nLoss on fixed noise \d\.\d{4}", told[0])
    assert re.fullmatch(rf"Step 120 of 120, [\d.e+]+ a second  \n{LOSS}", told[-1])


def test_the_report_leads_with_the_fixed_loss_and_stays_on_the_node(server: Server) -> None:
    """Stopping by itself or not; when nothing ran anew, too."""
    for auto_stop, why in ((False, "All 120 steps in"), (True, r"\d+ of 3000 steps, no more gain")):
        steps = 3000 if auto_stop else 120
        graph = learned(tiny_model(), recipe="fast", auto_stop=auto_stop, steps=steps, seed=32)
        outputs = server.run(graph)
        (words,) = outputs["learn"]["text"]
        assert re.match(rf"Fixed loss \d\.\d{{3}} → \d\.\d{{3}}  \n{why}", words)
        (report,) = outputs["digest"]["text"]
        first, last = re.match(LOSS.replace("noise", "timesteps and noise"), report).groups()
        assert float(last) < float(first)
        again = server.run(graph)
        assert again["learn"]["text"] == [words]


def test_the_file_says_the_fixed_loss(server: Server) -> None:
    graph = learned(tiny_model(), steps=60, seed=33)
    graph["save"] = node(
        "HiPerSaveEmbedding", embedding=["learn", 0], name="words/one", if_exists="overwrite"
    )
    graph["load"] = node("HiPerLoadEmbedding", name="words/one.safetensors")
    outputs = server.run({key: graph[key] for key in graph if key != "load"})
    assert outputs["save"]["text"] == ["Saved as models/hiper/words/one.safetensors"]
    details = storage.read(server.base / "models/hiper/words/one.safetensors").details
    assert details.last_fixed_loss < details.first_fixed_loss
    assert not math.isnan(details.first_loss)
    graph["told"] = node("HiPerTestDigest", text=["load", 1])
    (told,) = server.run({key: graph[key] for key in ("load", "told")})["told"]["text"]
    fixed = f"{details.first_fixed_loss:.4f} → {details.last_fixed_loss:.4f}"
    assert f"loss on fixed noise {fixed}" in told
