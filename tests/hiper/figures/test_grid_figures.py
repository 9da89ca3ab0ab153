"""The labelled grid: what stands where, what is written, what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from hiper.figures.grid import Labels, by_rows, picture_grid, shape_of, wrapped
from hiper.figures.images import to_pictures
from hiper.figures.lettering import covers, lettering

COLOURS = (
    (200, 30, 30),
    (30, 160, 30),
    (40, 60, 210),
    (220, 200, 40),
    (150, 40, 160),
    (20, 20, 20),
)


def blocks(count: int = 6, size: tuple[int, int] = (40, 40)) -> list[Image.Image]:
    return [Image.new("RGB", size, COLOURS[index % len(COLOURS)]) for index in range(count)]


def regions(page: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of where a colour stands."""
    there = (np.asarray(page) == colour).all(-1)
    rows, columns = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def test_pictures_stand_row_by_row_each_as_large_as_a_cell():
    page = picture_grid(blocks(), (2, 3), Labels(), cell=96)
    boxes = [regions(page, colour) for colour in COLOURS]
    for left, top, right, bottom in boxes:
        assert (right - left, bottom - top) == (96, 96)
    assert boxes[0][1] == boxes[1][1] == boxes[2][1] < boxes[3][1] == boxes[4][1]
    assert boxes[0][0] == boxes[3][0] < boxes[1][0] == boxes[4][0] < boxes[2][0]


def test_labels_and_source_take_room_beside_the_pictures_and_never_cover_them():
    labels = Labels("a title", ("N = 1", "N = 5"), ("a dog", "a cat", "a bird"))
    source = Image.new("RGB", (40, 40), (1, 200, 200))
    page = picture_grid(blocks(), (2, 3), labels, cell=96, source=source)
    plain = picture_grid(blocks(), (2, 3), Labels(), cell=96)
    assert page.width > plain.width + 96 and page.height > plain.height
    for colour in COLOURS:
        left, top, right, bottom = regions(page, colour)
        block = np.asarray(page)[top:bottom, left:right]
        assert (right - left, bottom - top) == (96, 96) and (block == colour).all()
    source_box, first = regions(page, (1, 200, 200)), regions(page, COLOURS[0])
    assert source_box[2] < first[0]
    above = np.asarray(page.convert("L"))[: first[1]]
    assert (above < 128).any(), "no label was drawn above the pictures"


def test_a_title_that_is_wider_than_the_page_goes_on_in_a_second_line():
    title = "blue: where it was, orange: where it is being drawn"
    page, short = (picture_grid(blocks(2), (1, 2), Labels(text), 96) for text in (title, "blue"))
    assert page.width == short.width and page.height > short.height
    above = np.asarray(page.convert("L"))[: regions(page, COLOURS[0])[1]]
    inked = np.flatnonzero((above < 128).any(0))
    assert inked.max() < page.width - 8, "the title reaches the page's edge"
    assert (
        page.height - short.height == regions(page, COLOURS[0])[1] - regions(short, COLOURS[0])[1]
    )


def test_pictures_of_other_shapes_stay_whole():
    wide, high = Image.new("RGB", (80, 40), COLOURS[0]), Image.new("RGB", (40, 80), COLOURS[1])
    page = picture_grid([wide, high], (1, 2), Labels(), cell=80)
    left, top, right, bottom = regions(page, COLOURS[0])
    assert (right - left) / (bottom - top) == 2
    left, top, right, bottom = regions(page, COLOURS[1])
    assert (bottom - top) / (right - left) == 2


@pytest.mark.parametrize(
    ("count", "labels", "batches", "columns", "shape"),
    [
        (6, Labels(columns=("a", "b", "c")), [1] * 6, 0, (2, 3)),
        (6, Labels(rows=("a", "b", "c")), [1] * 6, 0, (3, 2)),
        (8, Labels(), [4, 4], 0, (2, 4)),
        (6, Labels(), [6], 0, (2, 3)),
        (1, Labels(), [1], 0, (1, 1)),
        (6, Labels(), [1] * 6, 6, (1, 6)),
    ],
)
def test_labels_then_batches_decide_the_shape(count, labels, batches, columns, shape):
    assert shape_of(count, labels, batches, columns) == shape


def test_pictures_given_by_column_are_turned():
    assert shape_of(6, Labels(), [2, 2, 2], by_column=True) == (2, 3)
    assert by_rows(["a1", "b1", "a2", "b2", "a3", "b3"], (2, 3)) == [
        "a1",
        "a2",
        "a3",
        "b1",
        "b2",
        "b3",
    ]
    with pytest.raises(ValueError, match="5 pictures don't fill 2 rows of 3"):
        by_rows(list("abcde"), (2, 3))


@pytest.mark.parametrize(
    "labels", [Labels(columns=("a", "b"), rows=("a", "b")), Labels(rows=("a",))]
)
def test_labels_that_do_not_match_the_pictures_are_counted_out(labels):
    with pytest.raises(ValueError, match=r"6 pictures stand in . rows of ., but there are \d"):
        shape_of(6, labels, [6], 3)


def test_a_grid_too_large_for_any_program_names_the_cell():
    with pytest.raises(ValueError, match="choose a cell below 2048"):
        picture_grid(blocks(30), (1, 30), Labels(), cell=2048)


def test_images_become_pictures_and_say_what_was_wrong_with_others():
    image = torch.tensor([[[[0.0, 0.5, 1.0]]], [[[float("nan"), -1.0, 2.0]]]])
    first, second = to_pictures(image)
    assert first.getpixel((0, 0)) == (0, 128, 255) and second.getpixel((0, 0)) == (0, 0, 255)
    with pytest.raises(ValueError, match=r"shape \(1, 2, 2\)"):
        to_pictures(torch.zeros(1, 2, 2))


def test_long_labels_wrap_and_end_in_an_ellipsis():
    lines = wrapped("a dog that runs along a very long beach in the evening light " * 3, 16, 120)
    assert len(lines) == 3 and lines[-1].endswith("…")
    _, font = lettering("a", 16)
    assert all(font.getlength(line) <= 120 for line in lines)
    assert len(wrapped("x" * 60, 16, 120)) > 1


def test_letters_outside_the_built_in_font_are_drawn_or_spelled():
    text, font = lettering("α = 0.8", 16)
    assert text == "alpha = 0.8" or (text == "α = 0.8" and covers(font, text))


def test_a_label_for_every_picture_is_a_caption() -> None:
    pictures = [Image.new("RGB", (32, 32), "#3060a0") for _ in range(5)]
    labels = Labels(columns=("one", "two", "three", "four", "five"))
    shape = shape_of(5, labels, [1] * 5, columns=3)
    assert shape == (2, 3)
    page = picture_grid(pictures, shape, labels, cell=64)
    plain = picture_grid(pictures, shape, Labels(), cell=64)
    assert page.width == plain.width and page.height > plain.height + 20
    # ink above the second row's pictures, between them and the first row
    second = page.crop((0, page.height // 2 - 4, page.width, page.height - 64 - 6))
    assert min(second.convert("L").getextrema()) < 90
