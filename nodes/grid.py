"""Grids without a spreadsheet: values to sweep, all pairs of two lists, the labelled picture."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.v0_0_2 import io, ui

from ..hiper.figures.grid import Labels, by_rows, picture_grid, shape_of
from ..hiper.figures.images import to_image, to_pictures
from .types import CATEGORY

TEXT, NUMBER, INTEGER = 0, 1, 2  # Grid Values' outputs
GRIDS = f"{CATEGORY}/grids"
BY_ROW, BY_COLUMN = "row by row", "column by column"


class GridValues(io.ComfyNode):
    """One widget's values as a list: ComfyUI runs what follows once for each."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerGridValues",
            display_name="HiPer Grid Values",
            category=GRIDS,
            description="A list of values to compare: strengths, token counts, seeds or prompts. "
            "Whatever it is wired to runs once for each value; HiPer Picture Grid lays the "
            "pictures out with the labels.",
            search_aliases=["hiper", "xyz plot", "xy plot", "sweep", "list", "compare", "grid"],
            inputs=[
                io.String.Input(
                    "values",
                    default="0, 0.4, 0.8, 1.2",
                    multiline=True,
                    tooltip="One value a line; numbers may share a line, with commas between.",
                ),
                io.String.Input(
                    "name",
                    default="α",
                    tooltip="What the values are, for the labels: 'α' gives 'α = 0.8'. Leave it "
                    "empty for prompts, which label themselves.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="text", is_output_list=True, tooltip="Each value as text."
                ),
                io.Float.Output(
                    display_name="number",
                    is_output_list=True,
                    tooltip="Each value as a number, for strength and the like.",
                ),
                io.Int.Output(
                    display_name="integer",
                    is_output_list=True,
                    tooltip="Each value as a whole number, for tokens, steps and seeds.",
                ),
                io.String.Output(
                    display_name="labels",
                    is_output_list=True,
                    tooltip="Each value with its name, for HiPer Picture Grid.",
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, values: str, name: str) -> io.NodeOutput:
        texts = listed(values)
        used = outputs_in_use(cls.hidden.prompt, cls.hidden.unique_id)
        numbers = [float_of(text, NUMBER in used) for text in texts]
        integers = [int_of(text, INTEGER in used) for text in texts]
        name = name.strip()
        labels = [f"{name} = {text}" if name else text for text in texts]
        return io.NodeOutput(texts, numbers, integers, labels)


class GridPairs(io.ComfyNode):
    """Every row with every column, row by row."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        row = io.MatchType.Template("row")
        column = io.MatchType.Template("column")
        return io.Schema(
            node_id="HiPerGridPairs",
            display_name="HiPer Grid Pairs",
            category=GRIDS,
            description="Pairs every item of one list with every item of another, row by row. "
            "Without it, ComfyUI pairs the first with the first, the second with the second.",
            search_aliases=["hiper", "xyz plot", "xy plot", "combinations", "grid"],
            is_input_list=True,
            inputs=[
                io.MatchType.Input(
                    "rows",
                    template=row,
                    tooltip="A list of anything: embeddings, conditionings, numbers.",
                ),
                io.MatchType.Input(
                    "columns",
                    template=column,
                    tooltip="Another list; each row meets all of it.",
                ),
            ],
            outputs=[
                io.MatchType.Output(
                    template=row,
                    display_name="row",
                    is_output_list=True,
                    tooltip="Each row's item, once for every column.",
                ),
                io.MatchType.Output(
                    template=column,
                    display_name="column",
                    is_output_list=True,
                    tooltip="The columns' items, once through for every row.",
                ),
            ],
        )

    @classmethod
    def execute(cls, rows: list, columns: list) -> io.NodeOutput:
        pairs = [(row, column) for row in rows for column in columns]
        return io.NodeOutput([row for row, _ in pairs], [column for _, column in pairs])


class PictureGrid(io.ComfyNode):
    """All pictures of a list in one, labelled."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerPictureGrid",
            display_name="HiPer Picture Grid",
            category=GRIDS,
            description="Lays pictures out in rows and columns with labels, like a figure of a "
            "paper: by token count, strength, prompt or seed.",
            search_aliases=["hiper", "xyz plot", "xy plot", "contact sheet", "image grid"],
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Image.Input(
                    "images",
                    tooltip="The pictures, row by row: a list, a batch, or a list of batches (each "
                    "batch a row).",
                ),
                io.String.Input(
                    "row_labels",
                    optional=True,
                    force_input=True,
                    tooltip="One label a row: the labels of HiPer Grid Values.",
                ),
                io.String.Input(
                    "column_labels",
                    optional=True,
                    force_input=True,
                    tooltip="One label a column: the labels of HiPer Grid Values.",
                ),
                io.Image.Input(
                    "source",
                    optional=True,
                    tooltip="The source picture, shown to the left of the grid.",
                ),
                io.String.Input(
                    "title", default="", tooltip="Written above the grid; may stay empty."
                ),
                io.Int.Input(
                    "columns",
                    default=0,
                    min=0,
                    max=100,
                    tooltip="Pictures a row; 0 lets labels and batches decide.",
                ),
                io.Combo.Input(
                    "order",
                    options=[BY_ROW, BY_COLUMN],
                    default=BY_ROW,
                    tooltip="How the pictures come: row by row, or column by column (then each "
                    "batch is a column).",
                    advanced=True,
                ),
                io.Int.Input(
                    "cell",
                    default=256,
                    min=64,
                    max=2048,
                    step=8,
                    tooltip="Width of a picture in the grid, in pixels.",
                    advanced=True,
                ),
            ],
            outputs=[
                io.Image.Output(display_name="grid", tooltip="The whole grid as one picture.")
            ],
        )

    @classmethod
    def execute(
        cls,
        images: list[torch.Tensor],
        title: list[str],
        columns: list[int],
        order: list[str],
        cell: list[int],
        row_labels: list[str] | None = None,
        column_labels: list[str] | None = None,
        source: list[torch.Tensor] | None = None,
    ) -> io.NodeOutput:
        pictures = [picture for batch in images for picture in to_pictures(batch)]
        labels = Labels(title[0].strip(), tuple(row_labels or ()), tuple(column_labels or ()))
        by_column = order[0] == BY_COLUMN
        batches = [len(batch) for batch in images]
        shape = shape_of(len(pictures), labels, batches, columns[0], by_column)
        if by_column:
            pictures = by_rows(pictures, shape)
        first = to_pictures(source[0])[0] if source else None
        grid = to_image(picture_grid(pictures, shape, labels, cell[0], first))
        return io.NodeOutput(grid, ui=ui.PreviewImage(grid, cls=cls))


def listed(values: str) -> list[str]:
    """The values a person wrote: a line each, or numbers with commas between."""
    texts: list[str] = []
    for line in values.splitlines():
        parts = [part.strip() for part in line.split(",") if part.strip()]
        numeric = all(
            float_of(part, wanted=False) == float_of(part, wanted=False) for part in parts
        )
        texts += parts if numeric else [line.strip()]
    if not texts:
        raise ValueError("There are no values: write one a line, such as 0.4 or a prompt.")
    return texts


def float_of(text: str, wanted: bool) -> float:
    """The number a text says; NaN for other text, unless somebody wants the number."""
    try:
        return float(text)
    except ValueError:
        if wanted:
            raise ValueError(
                f"{text!r} is not a number, but the output 'number' is connected: write numbers, "
                "or connect 'text'."
            ) from None
        return float("nan")


def int_of(text: str, wanted: bool) -> int:
    """The whole number a text says; 0 for other text, unless somebody wants the number."""
    try:
        return int(text)
    except ValueError:
        if wanted:
            raise ValueError(
                f"{text!r} is not a whole number, but the output 'integer' is connected: write "
                "whole numbers, or connect 'number' or 'text'."
            ) from None
        return 0


def outputs_in_use(graph: dict[str, Any] | None, node_id: str | None) -> set[int]:
    """Which of a node's outputs something is wired to."""
    links = (value for node in (graph or {}).values() for value in node.get("inputs", {}).values())
    return {
        link[1]
        for link in links
        if isinstance(link, list) and len(link) == 2 and link[0] == node_id
    }
