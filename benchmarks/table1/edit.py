"""LIPE: the picture itself is edited, so that its ground is not drawn anew."""

from __future__ import annotations

from torch import Tensor

from benchmarks.editing import Editing, Way

from .contender import Meter, Task


def lipe(editing: Editing):
    """The edit with each animal's own tail; a new ground has to come out of the target's mask."""

    def method(task: Task, meter: Meter) -> Tensor:
        with meter.running():
            tails = editing.tails
        meter.evaluations += editing.steps * len(task.cases)
        return editing.edited(Way("LIPE"), tails)[0]

    return method
