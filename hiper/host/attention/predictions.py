"""A sampler's own model calls, told from extra ones that packs make within them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from comfy.patcher_extension import WrappersMP, add_wrapper_with_key
from torch import Tensor

During = Callable[[Any, list, Tensor, Tensor], AbstractContextManager]


class Predictions:
    """Enters `during(model, conds, x, timestep)` for the first model call of each prediction."""

    def __init__(self, during: During) -> None:
        self._during = during
        self._fresh = False

    def install(self, key: str, model_options: dict[str, Any]) -> None:
        """Into one run's copy of the options, which is thrown away with the run."""
        for kind, wrapper in (
            (WrappersMP.PREDICT_NOISE, self._predict_noise),
            (WrappersMP.CALC_COND_BATCH, self._calc_cond_batch),
        ):
            add_wrapper_with_key(kind, key, wrapper, model_options, is_model_options=True)

    def _predict_noise(self, executor, *args, **kwargs):
        self._fresh = True
        try:
            return executor(*args, **kwargs)
        finally:
            self._fresh = False

    def _calc_cond_batch(self, executor, model, conds, x_in, timestep, model_options):
        if not self._fresh:
            return executor(model, conds, x_in, timestep, model_options)
        self._fresh = False
        with self._during(model, conds, x_in, timestep):
            return executor(model, conds, x_in, timestep, model_options)
