"""`python -m hiper.demo` as a person runs it, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from support.comfyui import PACK

KEYS = {
    "identity_closed",
    "pose_found",
    "pose_found_plain",
    "ground_found",
    "ground_found_plain",
    "seconds_learning",
    "seconds",
    "out",
}


def demo(*arguments: str | Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "hiper.demo", *map(str, arguments)]
    return subprocess.run(command, cwd=PACK, capture_output=True, text=True, timeout=300)


def test_it_leaves_a_picture_and_prints_where(tmp_path: Path) -> None:
    out = tmp_path / "new" / "sheet.png"
    ran = demo("--steps", 5, "--out", out)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == str(out)
    assert "learning [##############################] 5/5" in ran.stderr
    with Image.open(out) as sheet:
        assert min(sheet.size) > 600


def test_json_is_one_object_with_the_measures(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    ran = demo("--steps", 5, "--tokens", 2, "--strength", 1.1, "--json", "--out", out)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found.keys() >= KEYS and found["out"] == str(out)
    assert 0 <= found["pose_found"] <= 1 and found["seconds_learning"] < found["seconds"]


def test_a_picture_of_ones_own_has_no_best_possible(tmp_path: Path) -> None:
    Image.new("RGB", (90, 70), "#4060a0").save(tmp_path / "mine.jpg")
    image, out = tmp_path / "mine.jpg", tmp_path / "sheet.png"
    ran = demo("--image", image, "--prompt", "a cat", "--steps", 3, "--json", "--out", out)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["identity_closed"] is None and out.is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--prompt", "a cat in Paris"], "doesn't know the word 'paris'; it knows: a, an, the"),
        (["--tokens", "77"], "77"),
        (["--steps", "0"], "steps is 0: choose 1 or more"),
        (["--image", "nowhere.png"], "nowhere.png"),
        (["--image", "README.md"], "README.md"),
        (["--out", "sheet"], "--out sheet has no ending of a picture: name it sheet.png"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    if arguments[0] != "--out":
        arguments = [*arguments, "--out", str(tmp_path / "sheet.png")]
    ran = demo(*arguments)
    assert ran.returncode == 1 and ran.stdout == ""
    assert ran.stderr.startswith("hiper.demo: ") and sentence in ran.stderr
    assert ran.stderr.strip().count("\n") == 0 and not list(tmp_path.iterdir())


def test_nothing_of_comfyui_is_imported() -> None:
    code = (
        "import sys, hiper.demo.__main__, hiper.demo.train, hiper.demo.train_analyser; "
        "print([m for m in sys.modules if m.split('.')[0] in ('comfy', 'folder_paths', 'nodes')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=PACK, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]", ran.stderr
