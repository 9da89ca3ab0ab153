"""The release is what the registry asks for, and ships what the pack needs and no more."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import comfyui, release
from support.release import PACK

MEGABYTES = 20
VERSION = r"\d+\.\d+\.\d+"


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return release.pyproject()


@pytest.fixture(scope="module")
def files() -> list[str]:
    found = release.tracked()
    if not found:
        pytest.skip("not in a git repository: what would be shipped can't be told")
    return found


def test_the_registry_gets_what_it_asks_for(project) -> None:
    """docs.comfy.org, "pyproject.toml": the name is for ever, the rest is what people see."""
    said, comfy = project["project"], project["tool"]["comfy"]
    assert re.fullmatch(r"[a-z][a-z0-9]*([-_.][a-z0-9]+)*", said["name"])
    assert len(said["name"]) < 100 and "comfyui" not in said["name"]
    assert re.fullmatch(VERSION, said["version"]) and 20 < len(said["description"]) < 300
    assert (PACK / said["license"]["file"]).is_file() and (PACK / said["readme"]).is_file()
    for name in ("Repository", "Documentation", "Bug Tracker"):
        assert said["urls"][name].startswith("https://")
    assert re.fullmatch(r"[a-z0-9-]+", comfy["PublisherId"]) and comfy["DisplayName"]
    assert "Operating System :: OS Independent" in said["classifiers"]
    # the scripts' folder is said in __init__.py; said twice, each script would load twice
    assert "web" not in comfy


def test_icon_and_banner_are_what_the_registry_shows(project) -> None:
    """docs.comfy.org: a square of 400 pixels at most, and 21:9; `docs/icon_and_banner.py` draws."""
    comfy, repository = project["tool"]["comfy"], project["project"]["urls"]["Repository"]
    for name in ("Icon", "Banner"):
        path = comfy[name].removeprefix(f"{repository}/raw/main/")
        assert path != comfy[name], f"{name} is not a file of this repository: {comfy[name]}"
        with Image.open(PACK / path) as picture:
            width, height = picture.size
        fits = width == height <= 400 if name == "Icon" else 9 * width == 21 * height
        assert fits, f"{name} is {width}×{height}"


def test_the_oldest_comfyui_is_the_one_that_is_tested(project) -> None:
    assert project["tool"]["comfy"]["requires-comfyui"] == f">={comfyui.OLDEST_VERSION}"
    assert f"ComfyUI {comfyui.OLDEST_VERSION} or later" in text("README.md")
    assert f"v{comfyui.OLDEST_VERSION}" in text(".github/workflows/tests.yml")


def test_the_changelog_begins_with_this_version(project) -> None:
    (first, *_) = re.findall(rf"^## ({VERSION})", text("CHANGELOG.md"), re.MULTILINE)
    assert first == project["project"]["version"]


def test_pip_installs_every_package_and_the_weights(project, files) -> None:
    """setuptools takes each folder with an __init__.py that one of the patterns names."""
    folders = {f.rpartition("/")[0] for f in files if f.startswith("hiper/") and f.endswith(".py")}
    assert {f"{folder}/__init__.py" for folder in folders} <= set(files)
    patterns = project["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {folder.replace("/", ".") for folder in folders}
    assert all(any(fnmatch(name, pattern) for pattern in patterns) for name in packages)
    for package, globs in project["tool"]["setuptools"]["package-data"].items():
        folder = PACK / package.replace(".", "/")
        assert all(list(folder.glob(pattern)) for pattern in globs)


def test_it_ships_what_runs_and_leaves_out_what_tests(files) -> None:
    assert all(pattern.startswith("/") and "*" not in pattern for pattern in release.ignored())
    names = [pattern.strip("/") for pattern in release.ignored()]
    stale = [name for name in names if not (PACK / name).exists() and name not in readme()]
    assert not stale, f".comfyignore names what is not there: {stale}"
    kept = set(release.shipped(files))
    needed = {"__init__.py", "pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md"}
    folders = ("hiper/", "nodes/", "locales/", "subgraphs/", "workflows/")
    needed |= {f for f in files if f.startswith(folders) and not f.startswith("workflows/source/")}
    assert kept >= needed
    unwanted = kept - needed - {".comfyignore", ".gitignore"}
    assert not unwanted, f"these are shipped, but nothing in ComfyUI needs them: {unwanted}"
    assert sum((PACK / name).stat().st_size for name in kept) < MEGABYTES * 2**20


def test_no_requirements_beyond_what_comfyui_installs(files) -> None:
    """ComfyUI-Manager installs requirements.txt; there is nothing to install."""
    assert not [name for name in files if Path(name).name in ("requirements.txt", "install.py")]


def test_the_registrys_security_rules(files) -> None:
    """What `comfy node validate` runs: no exec, no eval, one statement a line."""
    if shutil.which("ruff") is None:
        pytest.skip('ruff is not installed: run `python -m pip install ".[test]"`')
    python = [name for name in release.shipped(files) if name.endswith(".py")]
    rules = ["check", "--isolated", "--select", "S102,S307,E702,S602,S605", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *rules, *python], cwd=PACK, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_ci_runs_the_readmes_test_command() -> None:
    (command,) = re.findall(r"^python -m pip install .*&& python -m pytest tests$", readme(), re.M)
    assert f"run: {command}\n" in text(".github/workflows/tests.yml")
    for system in ("ubuntu", "windows", "macos"):
        assert f"{system}-latest" in text(".github/workflows/tests.yml")


def test_the_contribution_page_fits_on_a_screen() -> None:
    assert len(text("CONTRIBUTING.md").splitlines()) <= 45


def readme() -> str:
    return text("README.md")


def text(name: str) -> str:
    return (PACK / name).read_text(encoding="utf-8")
