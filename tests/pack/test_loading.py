"""ComfyUI's loader takes the shipped files alone, and loading them costs next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from support import comfyui, definitions, release
from support.comfyui import PACK

SNAPSHOT = PACK / "tests" / "nodes" / "schema_snapshot.json"
SCRIPT = PACK / "tests" / "support" / "loaded_alone.py"
SLOW = ("hiper.demo.train", "hiper.demo.__main__", "hiper.demo.analyser", "hiper.demo.sheet")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ComfyUI's own loader says of a copy of the files that a release ships."""
    if not release.tracked():
        pytest.skip("not in a git repository: what would be shipped can't be told")
    base = tmp_path_factory.mktemp("alone")
    pack = base / "custom_nodes" / "comfyui-hiper"
    release.copy_to(pack)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(comfyui.find()), str(base), str(pack)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_shipped_files_are_enough(loaded) -> None:
    assert loaded["loaded"]
    assert loaded["nodes"] == sorted(definitions.read(SNAPSHOT))
    assert loaded["web"], "the viewer's script is not served"


def test_loading_imports_nothing_but_the_pack(loaded) -> None:
    """No module of any other package: all that is heavy in ComfyUI is loaded already."""
    name_of_pack = next(name for name in loaded["modules"] if name.endswith("comfyui-hiper"))
    foreign = [name for name in loaded["modules"] if not name.startswith(name_of_pack)]
    assert not foreign, f"loading the pack also loads {foreign}"
    own = [name.removeprefix(name_of_pack + ".") for name in loaded["modules"]]
    assert not set(own) & set(SLOW), "what trains and measures the demo model is loaded at start-up"
    assert len(own) < 130
