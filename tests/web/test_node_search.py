"""The editor's own node search, in both renderers: what people type finds the node they want.

The editor ranks by id and display name first, then by how often a node is used, and by aliases
last: where nodes of others have the very word in their name, no alias comes before them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.editor import LOADING, Editor

LEARN, VIEWER, EDIT = "Learn HiPer Embedding", "Attention Map Viewer", "Edit Picture"
FILES = {"Save HiPer Embedding", "Load HiPer Embedding"}
MAPS = {"Save Attention Maps", "Load Attention Maps"}
FIRST_THREE = {
    "train embedding": LEARN,
    "subject": LEARN,
    "dreambooth": LEARN,
    "token": LEARN,
    "personalize": LEARN,
    "identity": LEARN,
    "edit": EDIT,
    "inversion": "Picture Inversion",
    "xyz plot": "HiPer Picture Grid",
    "daam": VIEWER,
    "attention": VIEWER,
}
# ComfyUI's own nodes have these words in their names and come first: ours are found behind them
NAMED_BY_OTHERS = {"character": LEARN, "face": LEARN, "pose": EDIT, "mask": "Edit Masks"}


@pytest.fixture(scope="module", params=[False, True], ids=["canvas", "Nodes 2.0"])
def editor(request, browser, server) -> Iterator[Editor]:
    opened = Editor(browser, server, **{"Comfy.VueNodes.Enabled": request.param})
    # how often nodes are used is read a moment after the editor is ready
    with opened.page.expect_response("**/sorted-custom-node-map.json", timeout=LOADING):
        opened.page.reload(timeout=LOADING)
        opened.wait_until_ready()
    opened.page.evaluate("app.extensionManager.command.execute('Workspace.SearchBox.Toggle')")
    yield opened
    assert opened.complaints == []
    opened.page.close()


def found(editor: Editor, words: str) -> list[str]:
    """The names that the search shows for what was typed, best first."""
    dialog = editor.page.get_by_role("dialog")
    dialog.locator("input[aria-controls=results-list]").fill(words)
    editor.page.wait_for_timeout(300)  # a search begins a moment after the last key
    rows = dialog.get_by_test_id("result-item")
    rows.first.wait_for()
    return [
        name.strip() for name in rows.locator(".text-foreground > span.truncate").all_inner_texts()
    ]


@pytest.mark.parametrize(("words", "wanted"), FIRST_THREE.items())
def test_a_node_is_among_the_first_three(editor, words: str, wanted: str) -> None:
    names = found(editor, words)
    assert wanted in names[:3], names[:8]


@pytest.mark.parametrize(("words", "wanted"), NAMED_BY_OTHERS.items())
def test_what_others_are_named_by_still_finds_ours(editor, words: str, wanted: str) -> None:
    names = found(editor, words)
    assert wanted in names, names
    taken = [words in name.lower() for name in names[:2]]
    assert all(taken), f"no longer taken by others, so let it find {wanted} first: {names[:8]}"


@pytest.mark.parametrize("words", [*FIRST_THREE, *NAMED_BY_OTHERS])
def test_files_do_not_come_before_what_makes_them(editor, words: str) -> None:
    names = found(editor, words)
    for ours, files in ((LEARN, FILES), (VIEWER, MAPS)):
        before = names[: names.index(ours)] if ours in names else []
        assert not files & set(before), names[:8]
