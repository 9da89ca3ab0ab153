"""Live pictures while learning: no graph is kept for them, and nothing is loaded to draw them."""

from __future__ import annotations

import pytest
import torch
from support.family_checks import TOKENS
from support.tiny_families import TINY
from support.tiny_models import build, picture, prompt

from hiper.learning.loop import LearningSettings

pytestmark = pytest.mark.usefixtures("host")


class Previewer:
    """As TAESD's: a decoder whose weights ask for a gradient."""

    def __init__(self) -> None:
        self.weight = torch.ones(1, requires_grad=True)
        self.recorded: list[bool] = []

    def decode_latent_to_preview_image(self, _format: str, latent: torch.Tensor):
        self.recorded.append((latent * self.weight).requires_grad)
        return None


def test_a_preview_keeps_no_graph(monkeypatch) -> None:
    import latent_preview

    from hiper.host.learning import HostSettings, learn_on_host

    shown = Previewer()
    monkeypatch.setattr(latent_preview, "get_previewer", lambda *_: shown)
    tiny = TINY["SDXL"]
    settings, host = LearningSettings(steps=4), HostSettings(tokens=TOKENS, preview_every=2)
    learn_on_host(build(tiny), prompt(tiny), picture(tiny), settings, host)
    assert shown.recorded == [False, False]


def test_a_previewer_with_a_vae_of_its_own_gives_way_to_colours(monkeypatch) -> None:
    """ComfyUI would load that VAE, and push the model that is learning off its device."""
    import comfy.sd
    import latent_preview

    from hiper.host.progress import previewer_of

    vae = object.__new__(comfy.sd.VAE)
    heavy = latent_preview.TAESDPreviewerImpl(vae)
    monkeypatch.setattr(latent_preview, "get_previewer", lambda *_: heavy)
    assert isinstance(previewer_of(build(TINY["SDXL"])), latent_preview.Latent2RGBPreviewer)
    light = latent_preview.TAESDPreviewerImpl(torch.nn.Identity())
    monkeypatch.setattr(latent_preview, "get_previewer", lambda *_: light)
    assert previewer_of(build(TINY["SDXL"])) is light
