"""Messages name the folder that was used, also where extra_model_paths.yaml says another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("host")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Another folder for embeddings, the first of them, as a person's configuration makes it."""
    import folder_paths

    before = folder_paths.folder_names_and_paths["hiper"]
    folder_paths.folder_names_and_paths["hiper"] = ([*before[0]], set(before[1]))
    folder_paths.add_model_folder_path("hiper", str(tmp_path / "subjects"), is_default=True)
    yield tmp_path / "subjects"
    folder_paths.folder_names_and_paths["hiper"] = before


def test_a_file_is_shown_where_it_is(elsewhere: Path) -> None:
    from hiper.host import folders

    path = folders.path_for("dog")
    assert path == (elsewhere / "dog.safetensors").resolve()
    assert folders.shown(path) == str(path)


def test_a_file_in_comfyuis_own_folder_is_shown_short() -> None:
    from hiper.host import folders

    assert folders.shown(folders.path_for("sub/dog")) == "models/hiper/sub/dog.safetensors"


@pytest.mark.parametrize("name", ["../dog", "a//b", "con"])
def test_a_refused_name_is_told_the_folder(elsewhere: Path, name: str) -> None:
    from hiper.host import folders

    with pytest.raises(ValueError, match="can't be a file's name") as refused:
        folders.path_for(name)
    assert str(elsewhere) in str(refused.value)


def test_a_missing_embedding_is_told_the_folder(elsewhere: Path) -> None:
    from hiper.host import folders

    with pytest.raises(ValueError, match="There is no embedding 'nobody'") as refused:
        folders.path_of("nobody")
    assert str(elsewhere) in str(refused.value)


def test_the_packs_own_embedding_is_listed_and_stays_where_it_is(elsewhere: Path) -> None:
    from hiper.host import folders

    assert "demo_dog.safetensors" in folders.names()
    assert folders.path_of("demo_dog.safetensors").parent == folders.SHIPPED
    assert not folders.path_for("demo_dog").is_relative_to(folders.SHIPPED)


def test_a_persons_embedding_comes_before_the_packs(elsewhere: Path) -> None:
    from hiper.host import folders

    own = folders.path_for("demo_dog")
    own.parent.mkdir()
    own.write_bytes(b"")
    assert folders.path_of("demo_dog.safetensors") == own
