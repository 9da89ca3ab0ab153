"""Learning on ComfyUI's models that gains nothing."""

from __future__ import annotations

import pytest
from support.tiny_families import TINY
from support.tiny_models import build, picture, prompt

from hiper.learning.loop import LearningSettings
from hiper.learning.stopping import FixedLoss, StopRule

pytestmark = pytest.mark.usefixtures("host")


def test_nothing_gained_is_an_error_that_says_what_to_change(monkeypatch) -> None:
    """Told that the fixed loss only rose; the last tail is kept, and going on is no such error."""
    from hiper.host import folders
    from hiper.host.learning import HostSettings, learn_on_host

    tiny = TINY["SDXL"]
    rising = iter(range(1, 100))
    monkeypatch.setattr(FixedLoss, "__call__", lambda _self, _tail: float(next(rising)))
    before = set(folders.save_folder().glob("unfinished*"))
    settings = LearningSettings(6, stop=StopRule(every=2, pairs=2))
    given = build(tiny), prompt(tiny), picture(tiny), settings
    with pytest.raises(RuntimeError) as refused:
        learn_on_host(*given, HostSettings(preview_every=0, recipe="paper"))
    words = str(refused.value)
    assert words.startswith("Nothing was learned in 6 of 6 steps: the loss on fixed timesteps")
    assert "1.0000 at the start, 1.0000 at best and 4.0000 at the end" in words
    assert "choose a lower learning_rate (0.005 now)" in words and "Kept as" in words
    (kept,) = set(folders.save_folder().glob("unfinished*")) - before
    from hiper.files.embeddings import read

    go_on = HostSettings(preview_every=0, recipe="paper", start=read(kept))
    assert learn_on_host(*given, go_on).learned.gained is False
    kept.unlink()
