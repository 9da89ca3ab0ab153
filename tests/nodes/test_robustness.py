"""Broken files, nonsense in widgets, hundreds of cancels: ComfyUI goes on, and nothing changed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from support.comfyui import PACK
from support.comfyui_server import PromptError, Server
from support.fuzzing import SOURCES, Nonsense, broken
from support.graphs import latent, node
from support.tiny_graphs import learned, tiny_model, with_model_state

from hiper.embedding import EmbeddingDetails, HiperEmbedding
from hiper.files.embeddings import to_bytes


@dataclass(frozen=True)
class Counts:
    """How many of each; the long counts are the ones that every release has to bear."""

    files: int = 100
    inputs: int = 320
    cycles: int = 40


LONG = Counts(500, 500, 200)


@pytest.fixture(scope="module")
def counts(thorough: bool) -> Counts:
    return LONG if thorough else Counts()


# ComfyUI's own: its log, its database, what it keeps of each person
UNWATCHED = ("server.log", "comfyui.db", "user")
MAY_WRITE = ("models/hiper", "output", "temp")
MAPS = {"maps": ["recorded", 3], "filename_prefix": "maps"}  # so that there are some to load
PLACES = (Path("/etc"), Path.home(), Path.cwd(), PACK)


def good(width: int = 768) -> bytes:
    tail = torch.randn(1, 1, 5, width, generator=torch.Generator().manual_seed(0))
    return to_bytes(HiperEmbedding(tail, EmbeddingDetails(source_prompt="a standing dog")))


def tree(base: Path) -> dict[str, int]:
    """Every file in the base directory and beside it, and its size."""
    found = {
        path.relative_to(base).as_posix(): path.stat().st_size
        for path in base.rglob("*")
        if path.is_file() and "custom_nodes" not in path.parts
    }
    beside = {str(path): 0 for place in (base.parent, *PLACES) for path in place.glob("*")}
    return beside | {name: size for name, size in found.items() if not name.startswith(UNWATCHED)}


@contextmanager
def unharmed(server: Server) -> Iterator[None]:
    """The same bits are sampled, the model is as it was, and all else is where it was."""
    before, files, said = (
        server.run(with_model_state(tiny_model(), 0)),
        tree(server.base),
        len(server.log),
    )
    yield
    assert "memory leak" not in server.log[said:]
    after = server.run(with_model_state(tiny_model(), 1))
    assert after["bits 1"]["digest"] == before["bits 0"]["digest"]
    (was,), (now,) = before["state 0"]["state"], after["state 1"]["state"]
    same_object = {key: value for key, value in now.items() if key != "objects"}
    assert same_object == {key: was[key] for key in same_object}
    changed = {name for name, _ in tree(server.base).items() ^ files.items()}
    outside = [name for name in changed if not name.startswith(MAY_WRITE)]
    assert not outside, f"written or removed where nothing may be: {outside}"
    assert not list(server.base.rglob("*.part")), "something half-written was left"


@pytest.fixture
def embeddings(server: Server) -> Iterator[Path]:
    """The models folder with two embeddings that are whole; what a test leaves there goes."""
    folder = server.base / "models" / "hiper"
    folder.mkdir(exist_ok=True)
    before = set(folder.rglob("*"))
    (folder / "good.safetensors").write_bytes(good(32))
    (folder / "wide.safetensors").write_bytes(good())
    yield folder
    for path in sorted(set(folder.rglob("*")) - before, reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def refusal(server: Server, prompt_id: str) -> dict | None:
    """What ComfyUI says of a prompt that a node refused."""
    try:
        server.wait(prompt_id)
    except PromptError as error:
        return error.answer
    return None


def problem(answer: dict, allowed: tuple[str, ...]) -> str | None:
    """Why an error is no clear sentence of the pack's own."""
    words, kind = answer["exception_message"].strip(), answer["exception_type"]
    if kind not in allowed:
        return f"{kind}: {words}"
    if "comfyui-hiper" not in answer["traceback"][-1]:
        return f"not the pack's own: {kind}: {words} {answer['traceback'][-1]}"
    if "\n" in words or len(words) > 700 or not words.endswith("."):
        return f"no sentence: {words}"
    return None


def test_broken_files_are_refused_in_a_sentence(server, embeddings, counts: Counts) -> None:
    chance = random.Random(0)
    folder = embeddings / "broken"
    folder.mkdir()
    names = []
    for number in range(counts.files):
        ending, data = broken(good(), chance)
        (folder / f"{number:03}{ending}").write_bytes(data)
        names.append(f"broken/{number:03}{ending}")
    with unharmed(server):
        queued = {name: server.queue(loaded(name)) for name in [*names, "wide.safetensors"]}
        # the whole one comes last, and is read though hundreds before it were not
        outputs = server.wait(queued.pop("wide.safetensors"))["outputs"]
        assert outputs["show"]["text"][0].startswith("5 tokens of width 768")
        answers = {name: refusal(server, prompt_id) for name, prompt_id in queued.items()}
    refused = {name: answer for name, answer in answers.items() if answer}
    unclear = {name: problem(answer, ("ValueError",)) for name, answer in refused.items()}
    unclear = {name: why for name, why in unclear.items() if why}
    assert not unclear, unclear
    unnamed = [n for n, a in refused.items() if Path(n).name not in a["exception_message"]]
    assert not unnamed, f"the sentence does not name the file: {unnamed}"
    assert len(refused) > counts.files * 0.8, (
        "most of these files are broken, and yet they were read"
    )


def loaded(name: str) -> dict:
    return tiny_model() | {
        "load": node("HiPerLoadEmbedding", name=name),
        "show": node("PreviewAny", source=["load", 1]),
        "held": node("HiPerTestState", model=["loader", 0], turn=0, memory=False),
    }


def test_nonsense_inputs_change_nothing(server, embeddings, counts: Counts) -> None:
    """Every node of the pack in turn, ComfyUI's own definitions saying what it has for inputs."""
    server.run(tiny_model() | SOURCES | {"save": node("HiPerSaveAttentionMaps", **MAPS)})
    nonsense = Nonsense(server.get("/object_info"), random.Random(2))
    names = sorted(nonsense.definitions)
    assert len(names) > 10
    with unharmed(server):
        # each node once as it is meant, so that none goes untried
        graphs = [
            nonsense.graph(names[number % len(names)], sound=number < len(names))
            for number in range(counts.inputs)
        ]
        queued = [server.queue(graph) for graph in graphs]
        ends = [how_it_ended(server, prompt_id) for prompt_id in queued]
    unclear = []
    for graph, (_, answer) in zip(graphs, ends, strict=True):
        why = answer and problem(answer, ("ValueError", "RuntimeError", "FileExistsError"))
        # the editor can't put a bare value where a wire belongs: there, ComfyUI's words will do
        if why and not bare(graph, nonsense.sockets(graph)):
            unclear.append((graph["fuzzed"], why))
    assert not unclear, unclear
    counted = {kind: Counter() for kind in ("ran", "refused by ComfyUI", "refused by the node")}
    for graph, (kind, _) in zip(graphs, ends, strict=True):
        counted[kind][graph["fuzzed"]["class_type"]] += 1
    idle = set(names) - set(counted["ran"])
    assert not idle, f"nodes that never ran were not tried: {idle}"
    assert all(counter.total() > counts.inputs // 20 for counter in counted.values()), counted


def how_it_ended(server: Server, prompt_id: str) -> tuple[str, dict | None]:
    """How a fuzzed graph ended, and what the node said if it refused."""
    try:
        outputs = server.wait(prompt_id)["outputs"]
    except PromptError as error:
        return "refused by the node", error.answer
    # a node that ComfyUI finds fault with is left out, and what does not need it still runs
    return "ran" if "end 0" in outputs else "refused by ComfyUI", None


def bare(graph: dict, sockets: list[str]) -> bool:
    inputs = graph["fuzzed"]["inputs"]
    return any(key in inputs and not isinstance(inputs[key], list) for key in sockets)


def test_cancels_leave_nothing_behind(server, embeddings, counts: Counts) -> None:
    """Every cycle is cancelled in its second step, but for every tenth one, which ends."""
    memory, part_of = [], counts.cycles // 4
    with unharmed(server):
        for part in range(4):
            first_of = part * part_of
            queued = [server.queue(cycle(first_of + number)) for number in range(part_of)]
            endings = Counter()
            for prompt_id in queued:
                try:
                    server.wait(prompt_id)
                    endings["finished"] += 1
                except PromptError as error:
                    endings[str(error)] += 1
            assert endings == {"interrupted": part_of * 9 // 10, "finished": part_of // 10}
            memory.append(
                server.run(with_model_state(tiny_model(), part))[f"state {part}"]["memory"][0]
            )
    first, *_, last = memory
    assert last["loaded models"] == first["loaded models"]
    assert last["tensors"] == first["tensors"]
    assert last["tensor bytes"] == first["tensor bytes"]
    # a model is 2 MB and thirty cycles or more lie between: one kept a cycle would be 60 MB
    assert last["resident"] - first["resident"] < 30 * 2**20


def cycle(number: int) -> dict:
    """One learning run of its own seed, cancelled in its second step unless it is a tenth one."""
    cancel = ("HiPerTestFail", {"how": "cancel before", "call": 2, "copy": number})
    graph = learned(tiny_model() if number % 10 == 0 else tiny_model(cancel), seed=number, steps=2)
    return graph | {"picture": latent(height=8, width=8)}
