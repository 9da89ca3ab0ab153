"""The grid nodes and the demo picture through ComfyUI's own list execution."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from support.comfyui_server import PromptError
from support.graphs import node

RED, GREEN, BLUE = 0xFF0000, 0x00FF00, 0x0000FF


def values(*given: object, name: str = "") -> dict:
    return node("HiPerGridValues", values="\n".join(map(str, given)), name=name)


def colour(source: list, height: int = 32) -> dict:
    return node("EmptyImage", width=32, height=height, batch_size=1, color=source)


def grid(images: list, **change) -> dict:
    given = {"images": images, "title": "", "columns": 0, "order": "row by row", "cell": 64}
    return node("HiPerPictureGrid", **(given | change))


def picture(server, outputs: dict, name: str) -> np.ndarray:
    (found,) = outputs[name]["images"]
    return np.asarray(Image.open(io.BytesIO(server.get_bytes("/view", **found))).convert("RGB"))


def box(page: np.ndarray, wanted: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a colour."""
    there = (page == [(wanted >> shift) & 255 for shift in (16, 8, 0)]).all(-1)
    rows, columns = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
    return columns[0], rows[0], columns[-1], rows[-1]


def test_one_node_runs_for_each_value_and_the_grid_holds_all(server) -> None:
    graph = {
        "values": values(RED, GREEN, BLUE, name="colour"),
        "paint": colour(["values", 2]),
        "grid": grid(["paint", 0], column_labels=["values", 3], title="three colours"),
    }
    page = picture(server, server.run(graph), "grid")
    boxes = [box(page, wanted) for wanted in (RED, GREEN, BLUE)]
    assert boxes[0][2] < boxes[1][0] and boxes[1][2] < boxes[2][0]
    assert len({(top, bottom) for _, top, _, bottom in boxes}) == 1


def test_pairs_run_every_row_with_every_column(server) -> None:
    graph = {
        "colours": values(RED, GREEN),
        "sizes": values(16, 24, 32),
        "pairs": node("HiPerGridPairs", rows=["colours", 2], columns=["sizes", 2]),
        "paint": node(
            "EmptyImage", width=32, batch_size=1, color=["pairs", 0], height=["pairs", 1]
        ),
        "grid": grid(["paint", 0], row_labels=["colours", 3], column_labels=["sizes", 3]),
    }
    page = picture(server, server.run(graph), "grid")
    red, green = box(page, RED), box(page, GREEN)
    assert red[3] < green[1], "the first row is red, the second green"
    height = [
        int(((page[..., 0] == 255) & (page[..., 1] == 0))[: green[1], x].sum())
        for x in np.linspace(red[0] + 20, red[2] - 20, 3).astype(int)
    ]
    assert height == sorted(height) and height[0] < height[2], "columns are the three heights"


def test_two_runs_stand_above_one_another_when_taken_by_column(server) -> None:
    graph = {
        "upper": values(RED, GREEN, BLUE),
        "lower": values(0xFFFF00, 0x00FFFF, 0xFF00FF),
        "plain": colour(["upper", 2]),
        "kept": colour(["lower", 2]),
        "both": node("ImageBatch", image1=["plain", 0], image2=["kept", 0]),
        "names": values("plain", "kept"),
        "grid": grid(["both", 0], order="column by column", row_labels=["names", 3]),
    }
    page = picture(server, server.run(graph), "grid")
    assert box(page, RED)[0] == box(page, 0xFFFF00)[0]
    assert box(page, RED)[3] < box(page, 0xFFFF00)[1]
    assert box(page, RED)[1] == box(page, GREEN)[1]


@pytest.mark.parametrize(
    ("graph", "sentence"),
    [
        ({"v": values("a dog"), "paint": colour(["v", 2])}, "'a dog' is not a whole number"),
        ({"v": values(" "), "paint": colour(["v", 2])}, "There are no values"),
        (
            {
                "v": values(RED, GREEN, BLUE),
                "w": values(RED, GREEN),
                "paint": colour(["v", 2]),
                "labels": grid(
                    ["paint", 0], column_labels=["w", 3], row_labels=["w", 3], columns=3
                ),
            },
            "3 pictures stand in 1 rows of 3, but there are 2 column labels",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(server, graph: dict, sentence: str) -> None:
    if "labels" not in graph:
        graph["grid"] = grid(["paint", 0])
    with pytest.raises(PromptError, match=sentence):
        server.run(graph)


def test_a_demo_animal_keeps_its_coat_wherever_it_is(server) -> None:
    def drawn(pose: str, seed: int) -> dict:
        return node("HiPerDrawDemoAnimal", animal="dog", pose=pose, ground="night", seed=seed)

    outputs = server.run(
        {"a": drawn("standing", 1), "b": drawn("sitting", 1), "c": drawn("standing", 2)}
    )
    first, second, other = (picture(server, outputs, name) for name in "abc")
    assert first.shape == (128, 128, 3)

    def coat(page: np.ndarray) -> set:
        colours, counts = np.unique(page.reshape(-1, 3), axis=0, return_counts=True)
        return {tuple(each) for each, count in zip(colours, counts, strict=True) if count > 160}

    ground = coat(first) & coat(second) & coat(other)
    assert (coat(first) & coat(second)) - ground, "no colour of the coat is shared"
    assert not (coat(first) & coat(other)) - ground
