"""`python -m hiper.demo` as a person runs it: once in a process of its own, then in this one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from support.comfyui import PACK

import hiper.demo.__main__ as command
import hiper.demo.showing as showing

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


def in_a_process(*arguments: str | Path) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", "hiper.demo", *map(str, arguments)]
    return subprocess.run(line, cwd=PACK, capture_output=True, text=True, timeout=300)


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The command on pictures of few steps, from the folder where a person stands."""
    monkeypatch.setattr(showing, "STEPS", 3)
    monkeypatch.chdir(PACK)

    def run(*arguments: str | Path) -> None:
        monkeypatch.setattr(sys, "argv", ["hiper.demo", *map(str, arguments)])
        command.main()

    return run


def test_it_leaves_a_picture_and_prints_where(tmp_path: Path) -> None:
    out = tmp_path / "new" / "sheet.png"
    ran = in_a_process("--steps", 5, "--out", out)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == str(out)
    assert "learning [##############################] 5/5" in ran.stderr
    with Image.open(out) as sheet:
        assert min(sheet.size) > 600


def test_json_is_one_object_with_the_measures(demo, capsys, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    demo("--steps", 5, "--tokens", 2, "--strength", 1.1, "--json", "--out", out)
    found = json.loads(capsys.readouterr().out)
    assert found.keys() >= KEYS and found["out"] == str(out)
    assert 0 <= found["pose_found"] <= 1 and found["seconds_learning"] < found["seconds"]


def test_a_picture_of_ones_own_has_no_best_possible(demo, capsys, tmp_path: Path) -> None:
    Image.new("RGB", (90, 70), "#4060a0").save(tmp_path / "mine.jpg")
    image, out = tmp_path / "mine.jpg", tmp_path / "sheet.png"
    demo("--image", image, "--prompt", "a cat", "--steps", 3, "--json", "--out", out)
    found = json.loads(capsys.readouterr().out)
    assert found["identity_closed"] is None and out.is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--prompt", "a cat in Paris"], "doesn't know the word 'paris'; it knows: a, an, the"),
        (["--tokens", "77"], "77"),
        (["--image", "nowhere.png"], "nowhere.png"),
        (["--image", "README.md"], "README.md"),
        (["--out", "sheet"], "--out sheet has no ending of a picture: name it sheet.png"),
    ],
)
def test_bad_input_is_one_sentence(
    demo, capsys, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    if arguments[0] != "--out":
        arguments = [*arguments, "--out", str(tmp_path / "sheet.png")]
    with pytest.raises(SystemExit) as ended:
        demo(*arguments)
    words = str(ended.value)
    assert words.startswith("hiper.demo: ") and sentence in words and "\n" not in words
    assert capsys.readouterr().out == "" and not list(tmp_path.iterdir())


def test_a_process_with_bad_input_ends_with_the_sentence_alone(tmp_path: Path) -> None:
    ran = in_a_process("--steps", "0", "--out", tmp_path / "sheet.png")
    assert ran.returncode == 1 and ran.stdout == "" and not list(tmp_path.iterdir())
    assert ran.stderr.startswith("hiper.demo: steps is 0: choose 1 or more")
    assert ran.stderr.strip().count("\n") == 0


def test_nothing_of_comfyui_is_imported() -> None:
    code = (
        "import sys, hiper.demo.__main__, hiper.demo.train, hiper.demo.train_analyser; "
        "print([m for m in sys.modules if m.split('.')[0] in ('comfy', 'folder_paths', 'nodes')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=PACK, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]", ran.stderr
