"""Every family, on a tiny model of ComfyUI's own classes: learn, compose, sample, look."""

from __future__ import annotations

import pytest
import torch
from family_checks import TOKENS, check, learn
from tiny_models import TINY, prompt, unconditional_unet

from hiper.conditioning import compose
from hiper.embedding import EmbeddingDetails, HiperEmbedding

pytestmark = pytest.mark.usefixtures("host")

SAME_TEXT = {  # families whose encoders give one and the same, so that Compose can't tell
    frozenset(("PixArt", "Chroma")),
    frozenset(("SD 1.x", "SD 1.x inpainting")),
    frozenset(("Flux", "Flux inpainting")),
}


@pytest.mark.parametrize("name", TINY)
def test_a_family(name: str) -> None:
    row = check(name)
    assert row.family and name.startswith(row.family)
    assert row.learns and row.composes and row.samples and row.latents_equal
    assert row.gradient_error < 1e-4


def test_a_tail_of_one_family_is_refused_by_every_other() -> None:
    for learned_on, tiny in TINY.items():
        family = next(
            f for f in ("Flux.2", "SD 1.x", "Flux", learned_on) if learned_on[: len(f)] == f
        )
        embedding = HiperEmbedding(
            torch.zeros(1, 1, TOKENS, tiny.text.width),
            EmbeddingDetails(architecture=tiny.kind, family=family),
        )
        for other, target in TINY.items():
            if other == learned_on or frozenset((other, learned_on)) in SAME_TEXT:
                continue
            with pytest.raises(ValueError, match=r"learned on \w+ \(width.*encoded for.*load a"):
                compose(prompt(target), embedding, 1.0)


def test_a_model_that_follows_no_text_is_refused() -> None:
    with torch.inference_mode(), pytest.raises(RuntimeError, match="SD15 draws does not depend"):
        learn(TINY["SD 1.x"], unconditional_unet(), steps=1)
