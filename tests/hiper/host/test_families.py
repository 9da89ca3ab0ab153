"""Every family, on a tiny model of ComfyUI's own classes: learn, compose, sample, look."""

from __future__ import annotations

import inspect

import pytest
import torch
from support.family_checks import (
    TOKENS,
    check,
    check_refused,
    first_keys,
    pytorch_attention_chosen,
    why_not_viewed,
)
from support.tiny_families import TINY
from support.tiny_models import build, is_known, picture, prompt

from hiper.embedding import EmbeddingDetails, HiperEmbedding
from hiper.prompts.families import family_of_model
from hiper.prompts.placement import compose, placement_of, tail_marks

pytestmark = pytest.mark.usefixtures("host")

REFINED = (
    "Z-Image",
    "Lumina 2",
    "NewBie",
    "OmniGen2",
    "Krea 2",
)  # their text looks at itself before the picture sees it
UNSEEN = ("Anima",)
SAME_TEXT = {  # families whose encoders give one and the same, so that Compose can't tell
    frozenset(("PixArt", "Chroma")),
    frozenset(("AuraFlow", "Ovis-Image")),
    frozenset(("Qwen-Image", "LongCat-Image")),
    frozenset(("SD 1.x", "SD 1.x inpainting")),
    frozenset(("Flux", "Flux inpainting")),
}


@pytest.mark.parametrize("name", TINY)
def test_a_family(name: str) -> None:
    row = check(name)
    assert row.family and name.startswith(row.family)
    assert row.learns and row.composes and row.samples and row.latents_equal
    assert row.gradient_error < 1e-4
    if name == "Cosmos Predict 2" and not cosmos_takes_patches():
        assert "No cross-attention to the prompt was seen" in row.why
    else:
        assert row.views or (name in UNSEEN and "can't be shown" in row.why), row.why


def cosmos_takes_patches() -> bool:
    """An older ComfyUI lets no node mark which of Cosmos' attention is to the prompt."""
    import comfy.ldm.cosmos.predict2

    return "attn2_patch" in inspect.getsource(comfy.ldm.cosmos.predict2)


def test_a_tail_of_one_family_is_refused_by_every_other() -> None:
    import comfy.supported_models

    known = {name: tiny for name, tiny in TINY.items() if is_known(tiny)}
    assert len(known) > 15
    for learned_on, tiny in known.items():
        classes = [kind.__name__ for kind in getattr(comfy.supported_models, tiny.kind).__mro__]
        embedding = HiperEmbedding(
            torch.zeros(1, 1, TOKENS, tiny.text.width),
            EmbeddingDetails(
                architecture=tiny.kind, family=family_of_model(classes, tiny.text.width).name
            ),
        )
        for other, target in known.items():
            if other == learned_on or frozenset((other, learned_on)) in SAME_TEXT:
                continue
            with pytest.raises(ValueError, match=r"learned on \w+ \(width.*encoded for.*load a"):
                compose(prompt(target), embedding, 1.0)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("SD 1.x without attention", "What SD15 draws does not depend on the prompt's token"),
        ("Instruct-Pix2Pix", "learned on SD15_instructpix2pix: it edits a picture"),
        ("Lotus", "learned on LotusD: it estimates depth"),
    ],
)
def test_a_model_that_nothing_can_be_learned_on_is_refused(name: str, sentence: str) -> None:
    row = check_refused(name)
    assert not row.learns and row.latents_equal
    assert sentence in row.why


@pytest.mark.parametrize("name", [n for n in TINY if n not in UNSEEN])
def test_the_columns_looked_at_are_the_texts(name: str) -> None:
    """Another picture changes no key of the text in the first layer, another tail only its own."""
    tiny = TINY[name]
    if name == "Cosmos Predict 2" and not cosmos_takes_patches():
        pytest.skip("this ComfyUI lets no node see which of Cosmos' attention is to the prompt")
    target = prompt(tiny)
    tails = [
        HiperEmbedding(
            torch.full((1, 1, TOKENS, tiny.text.width), value),
            EmbeddingDetails(placement=placement_of(None, *target[0], TOKENS)),
        )
        for value in (0.5, -0.5)
    ]
    one, other = (compose(target, tail, 1.0) for tail in tails)
    (mark,) = tail_marks(one[0][1])
    with pytorch_attention_chosen(), torch.inference_mode():
        model = build(tiny)
        first = first_keys(tiny, model, one, seed=0)
        repainted = first_keys(tiny, model, one, seed=1)
        retold = first_keys(tiny, model, other, seed=0)
    assert first.shape[-2] >= one[0][0].shape[1]
    assert torch.equal(first, repainted)
    changed = (first != retold).any(-1).any(1)[0].nonzero().flatten()
    before = first.shape[-2] - one[0][0].shape[1]
    ours = [before + column for column in mark.columns]
    if name in REFINED:
        assert set(ours) <= set(changed.tolist())
    else:
        assert changed.tolist() == ours


@pytest.mark.parametrize("name", ["PixArt", "HunyuanDiT"])
def test_attention_that_no_option_reaches_says_how_it_is_heard(name: str) -> None:
    tiny = TINY[name]
    tail = HiperEmbedding(torch.ones(1, 1, TOKENS, tiny.text.width))
    composed = compose(prompt(tiny), tail, 1.0)
    with torch.inference_mode():
        why = why_not_viewed(build(tiny), composed, picture(tiny))
    assert "start ComfyUI with --use-pytorch-cross-attention" in why
