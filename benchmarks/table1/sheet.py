"""What the methods draw, beside the source and what the prompt alone gives."""

from __future__ import annotations

from PIL import Image
from torch import Tensor

from hiper.figures.grid import Labels, picture_grid

from .contender import Task

SHOWN = 6  # animals, the first ones


class Sheet:
    """A column for each method, a row for each of the first animals and its target prompt."""

    def __init__(self, task: Task, plain: Tensor) -> None:
        self._model, self._some = task.model, task.part(0, SHOWN)
        self._columns: list[tuple[str, list[Image.Image]]] = []
        self.add("source", "", self._some.clean)
        self.add("plain prompt", "", plain)

    def add(self, method: str, settings: str, latents: Tensor) -> None:
        """Of as many animals as there are."""
        name = f"{method}, {settings}" if settings else method
        self._columns.append((name, self._model.decode(latents[:SHOWN])))

    def page(self) -> Image.Image:
        names, columns = zip(*self._columns, strict=True)
        rows = len(self._some.cases)
        pictures = [column[row] for row in range(rows) for column in columns]
        targets = tuple(case.target for case in self._some.cases)
        labels = Labels("Table 1 on the demo model", targets, names)
        return picture_grid(pictures, (rows, len(columns)), labels, cell=128)
