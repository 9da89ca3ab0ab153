"""The blueprints are what their source makes; ComfyUI lists them, and they run to the end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.comfyui import PACK

from workflows.source.blueprint import INPUTS, OUTPUTS
from workflows.source.blueprints import BLUEPRINTS
from workflows.source.prompt import to_prompt

FOLDER = PACK / "subgraphs"
MADE_WITH = "0.33.0"  # the ComfyUI whose definitions of its own nodes are in the files
FAST = {"HiPerLearnEmbedding": {"steps": 2}, "HiPerEditPicture": {"steps": 2}}
SAID = {
    "source prompt": "a standing dog on grass",
    "target prompt": "a sitting dog on grass",
    "word": "dog",
}


@pytest.fixture(scope="module")
def known(server) -> dict[str, Any]:
    return server.get("/object_info")


def inside(name: str) -> dict[str, Any]:
    graph = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    (only,) = graph["definitions"]["subgraphs"]
    (seen,) = graph["nodes"]
    assert seen["type"] == only["id"] and [i["name"] for i in only["inputs"]] == [
        i["name"] for i in seen["inputs"]
    ]
    return only


def test_the_files_are_those_of_the_source() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted(BLUEPRINTS)


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_a_blueprint_is_what_its_source_makes(server, known, name: str) -> None:
    version = server.get("/system_stats")["system"]["comfyui_version"]
    if version != MADE_WITH:
        pytest.skip(f"ComfyUI {version} is not {MADE_WITH}, which the blueprints were written with")
    shipped = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert BLUEPRINTS[name](known).to_json() == shipped, "run python -m workflows.source"


def test_comfyui_lists_and_serves_them(server) -> None:
    listed = server.get("/global_subgraphs")
    ours = {
        entry["name"]: number
        for number, entry in listed.items()
        if entry["info"]["node_pack"] == "custom_nodes.comfyui-hiper"
    }
    assert ours.keys() == BLUEPRINTS.keys()
    for name, number in ours.items():
        served = json.loads(server.get(f"/global_subgraphs/{number}")["data"])
        assert served["definitions"]["subgraphs"][0]["name"] == name


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_a_blueprint_runs_to_the_end(server, known, name: str) -> None:
    """Its inside with the demo model and a drawn animal at its inputs."""
    graph = inside(name)
    order = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    links = [[link[key] for key in order] for link in graph["links"]]
    prompt = to_prompt({"nodes": graph["nodes"], "links": links}, known)
    prompt["demo"] = {"class_type": "HiPerLoadDemoModel", "inputs": {}}
    animal = {"animal": "dog", "pose": "standing", "ground": "grass", "seed": 4}
    prompt["animal"] = {"class_type": "HiPerDrawDemoAnimal", "inputs": animal}
    given = {"model": ["demo", 0], "clip": ["demo", 1], "vae": ["demo", 2]}
    given |= {"picture": ["animal", 0], **SAID}
    for node in prompt.values():
        for key, value in node["inputs"].items():
            if isinstance(value, list) and value[0] == str(INPUTS):
                node["inputs"][key] = given[graph["inputs"][value[1]]["name"]]
        node["inputs"] |= FAST.get(node["class_type"], {})
    ends = [link for link in links if link[3] == OUTPUTS]
    assert len(ends) == len(graph["outputs"])
    for number, (_, source, slot, *_) in enumerate(ends):
        shown = {"source": [str(source), slot]}
        prompt[f"end {number}"] = {"class_type": "PreviewAny", "inputs": shown}
    outputs = server.run(prompt)
    assert {f"end {number}" for number in range(len(ends))} <= outputs.keys()
