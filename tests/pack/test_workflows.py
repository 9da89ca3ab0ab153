"""Every shipped graph is what its source makes, has a picture, and runs to the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support.comfyui import PACK

from hiper.embedding import EmbeddingDetails, HiperEmbedding
from hiper.files.embeddings import write
from workflows.source.definition import default_of, is_widget, specs
from workflows.source.graph import Graph
from workflows.source.order import GRAPHS, TWINS
from workflows.source.prompt import to_prompt

FOLDER = PACK / "workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
# fewer steps and smaller pictures than a person wants, and the demo model for a checkpoint of
# gigabytes; everything else stays as shipped
FAST = {
    "HiPerLearnEmbedding": {"steps": 2, "batch_size": 1, "preview_every": 0, "auto_stop": False},
    "HiPerSefiSettings": {"stages": 2},  # no more than there are steps
    "KSampler": {"steps": 2},
    "HiPerInvertPicture": {"steps": 2},
    "HiPerEditPicture": {"steps": 2},
    "HiPerExchangeParts": {"stages": "all"},
    "TrainLoraNode": {"steps": 2},
    "EmptyLatentImage": {"width": 64, "height": 64},
}
LOADERS = ("HiPerLoadDemoModel", "CheckpointLoaderSimple", "HiPerDrawDemoAnimal", "LoadImage")
DEMO_WIDTH = 128
SAVES = {  # the nodes that keep a file, and the input that names it
    "SaveImage": "filename_prefix",
    "HiPerSaveEmbedding": "name",
    "HiPerSaveAttentionMaps": "filename_prefix",
}
MADE_WITH = "0.33.0"  # the ComfyUI whose definitions of its own nodes are in the files


def stand_in(node: dict[str, Any]) -> dict[str, Any] | None:
    """A small model in the place of one that would have to be downloaded."""
    if node["class_type"] == "CheckpointLoaderSimple":
        return {"class_type": "HiPerLoadDemoModel", "inputs": {}}
    if node["class_type"] == "CLIPLoader":
        return {"class_type": "HiPerTestClip", "inputs": {}}
    if node["class_type"] == "CLIPVisionLoader":
        kind = "dinov2" if "dino" in node["inputs"]["clip_name"] else "clip_vision_model"
        return {"class_type": "HiPerTestEye", "inputs": {"of": kind}}
    return None


def graph_of(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def known(server) -> dict[str, Any]:
    return server.get("/object_info")


@pytest.fixture(scope="module")
def example(base: Path) -> None:
    """The picture that ComfyUI brings as input/example.png."""
    pixels = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0)) * 255
    Image.fromarray(pixels.byte().numpy()).save(base / "input" / "example.png")


def test_the_shipped_graphs_are_those_of_the_source() -> None:
    assert sorted(GRAPHS) == NAMES


def test_the_names_sort_as_a_person_reads_them() -> None:
    numbers = [int(name.partition("_")[0]) for name in GRAPHS]
    assert list(GRAPHS) == NAMES
    assert sorted(set(numbers)) == list(range(1, len(TWINS) + 1))


def test_no_two_graphs_save_under_one_name(known) -> None:
    taken: dict[tuple[str, str], str] = {}
    for name in NAMES:
        for node in to_prompt(graph_of(name), known).values():
            if node["class_type"] in SAVES:
                key = node["class_type"], node["inputs"][SAVES[node["class_type"]]]
                assert key not in taken, f"{name} and {taken[key]} both save as {key[1]}"
                taken[key] = name
    assert taken


def test_learn_and_compose_are_set_as_a_fresh_node_is(known) -> None:
    """Only what the graph is about is set otherwise; a person finds here what the node gives."""
    about = {
        "number_of_tokens": {"tokens"},
        "what_each_part_carries": {"steps", "learning_rate", "recipe", "auto_stop"}
        | {"preview_every"},
        "sefi_ide_setting": {"recipe", "auto_stop"},
        "strength": {"strength"},
        "two_subjects": {"keep_to"},
    }
    for name in NAMES:
        title = name.partition("_")[2].rpartition("_")[0]
        for node in to_prompt(graph_of(name), known).values():
            if node["class_type"] in ("HiPerLearnEmbedding", "HiPerComposeConditioning"):
                asked = specs(known[node["class_type"]])
                values = {k: v for k, v in node["inputs"].items() if is_widget(asked[k])}
                changed = {k for k, v in values.items() if v != default_of(asked[k])}
                assert changed <= about.get(title, set()), name


def test_a_note_has_a_title_and_no_code() -> None:
    """In Nodes 2.0 a span of code is dark blue on brown."""
    for name in NAMES:
        for node in graph_of(name)["nodes"]:
            if node["type"] == "MarkdownNote":
                assert node["title"] and "`" not in node["widgets_values"][0], name


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_is_what_its_source_makes(server, known, name: str) -> None:
    version = server.get("/system_stats")["system"]["comfyui_version"]
    if version != MADE_WITH:
        pytest.skip(f"ComfyUI {version} is not {MADE_WITH}, which the graphs were written with")
    draw, stage = GRAPHS[name]
    graph = Graph(known)
    draw(graph, stage)
    shipped = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert graph.to_json() == shipped, (
        f"workflows/{name}.json is not what workflows/source makes: with ComfyUI running, "
        "python -m workflows.source --pictures"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_has_its_picture(name: str) -> None:
    with Image.open(FOLDER / f"{name}.jpg") as picture:
        assert picture.format == "JPEG" and min(picture.size) >= 256
        assert max(high - low for low, high in picture.convert("RGB").getextrema()) > 64


@pytest.mark.parametrize("name", [name for name in TWINS if "score" not in name])
def test_the_twins_differ_only_in_what_they_are_played_on(name: str) -> None:
    demo, checkpoint = graph_of(f"{name}_demo"), graph_of(f"{name}_sd15")

    def shape(graph: dict[str, Any]) -> list:
        others = [node for node in graph["nodes"] if node["type"] not in LOADERS]
        return [(node["id"], node["type"], node.get("title")) for node in others]

    def wires(graph: dict[str, Any]) -> list:
        return [(link[1], link[3], link[5]) for link in graph["links"]]

    assert shape(demo) == shape(checkpoint) and wires(demo) == wires(checkpoint)


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_runs_to_the_end(server, base: Path, known, example, name: str) -> None:
    tail = torch.randn(1, 1, 5, DEMO_WIDTH, generator=torch.Generator().manual_seed(0))
    saved = HiperEmbedding(tail, EmbeddingDetails(source_prompt="a drawing of a standing girl"))
    write(saved, base / "models" / "hiper" / "my_subject.safetensors", overwrite=True)

    prompt = to_prompt(graph_of(name), known)
    for node in prompt.values():
        node |= stand_in(node) or {}
        for key, value in node["inputs"].items():  # the demo model knows no girl
            if isinstance(value, str):
                node["inputs"][key] = value.replace("girl", "dog")
        change = FAST.get(node["class_type"], {})
        assert change.keys() <= node["inputs"].keys(), f"{node['class_type']} lacks {change}"
        linked = {key for key, value in node["inputs"].items() if isinstance(value, list)}
        node["inputs"] |= {key: value for key, value in change.items() if key not in linked}
    outputs = server.run(prompt)

    expected = {key for key, node in prompt.items() if known[node["class_type"]]["output_node"]}
    assert outputs.keys() >= expected
    graph = Graph(known)
    draw, stage = GRAPHS[name]
    draw(graph, stage)
    shows = [str(i) for i in graph.shown if prompt[str(i)]["class_type"] != "LoadImage"]
    assert shows
    for shown in shows:
        for image in outputs[shown]["images"]:
            assert server.get_bytes("/view", **image)[:4] == b"\x89PNG"


def test_the_editor_lists_every_graph_with_its_picture(server) -> None:
    assert sorted(server.get("/workflow_templates")["comfyui-hiper"]) == NAMES
    for name in NAMES:
        served = server.get_bytes(f"/api/workflow_templates/comfyui-hiper/{name}.jpg")
        assert served[:2] == b"\xff\xd8"


def test_no_graph_holds_a_path_of_a_machine() -> None:
    for name in NAMES:
        text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
        assert "/home/" not in text and "/root/" not in text and ":\\" not in text


def test_every_node_has_a_help_page(known) -> None:
    """ComfyUI finds it as docs/<node id>.md below the web folder."""
    pages = {path.stem for path in (PACK / "nodes" / "web" / "docs").glob("*.md")}
    ours = {name for name in known if name.startswith("HiPer") and not name.startswith("HiPerTest")}
    assert ours == pages, f"without a page: {ours - pages}; page without a node: {pages - ours}"
