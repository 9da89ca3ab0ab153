"""Hearing the attention of a running ComfyUI model without touching what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key

from ...attention.calls import CROSS, AttentionCall
from ..families import family_of
from .layouts import ModelCall, around, layout_of, patches

KEY = "hiper_attention"

Tell = Callable[[AttentionCall], None]
Owner = tuple[Any, int]  # an entry's uuid and the number of its conditioning
# asked at each model call, whose rows these are; answers whom to tell, or that nobody wants to know
Listener = Callable[[Sequence[Owner]], Tell | None]


class Observer:
    """Tells a listener of the attention calls within each model call: those to the prompt, and on
    request those of the picture to itself. Gradients pass, where they are recorded at all.

    It hangs next to the model in some options, and is gone when these options are.
    """

    def __init__(self, model: ModelPatcher, kinds: tuple[str, ...] = (CROSS,)) -> None:
        self._layout = layout_of(family_of(model))
        self._kinds = kinds
        self._listener: Listener | None = None
        self._turn = RLock()  # a model split over several devices is called from a thread for each

    @property
    def deaf(self) -> bool:
        """Whether nothing of this model's attention can be heard."""
        return self._layout is None

    def install(self, model_options: dict[str, Any]) -> None:
        add_wrapper_with_key(
            WrappersMP.APPLY_MODEL, KEY, self._apply_model, model_options, is_model_options=True
        )

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        before, self._listener = self._listener, listener
        try:
            yield
        finally:
            self._listener = before

    def _apply_model(
        self, executor, x, t, c_concat=None, c_crossattn=None, control=None, options=None, **kwargs
    ):
        options = options if options is not None else kwargs.pop("transformer_options", {})
        if self._listener is None or "uuids" not in options:
            return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)
        owners = zip(options["uuids"], options["cond_or_uncond"], strict=True)
        with self._turn:
            tell = self._listener(tuple(owners))
            if tell is not None and self._layout is not None:

                def wanted(call: AttentionCall) -> None:
                    if call.kind in self._kinds:
                        tell(call)

                self._layout.begin(ModelCall(c_crossattn, patches(executor.class_obj, x)))
                options = self._layout.installed(options, wanted)
                with around(self._layout):
                    return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)
        return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)
