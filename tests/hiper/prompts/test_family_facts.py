"""What a conditioning shows of its family, and where a tail goes in it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hiper.embedding import EmbeddingDetails, HiperEmbedding
from hiper.prompts.families import (
    APPEND,
    FAMILIES,
    REPLACE,
    families_of_text,
    family_named,
    family_of_model,
    other_task,
)
from hiper.prompts.placement import (
    compose,
    free_padding,
    initial_tail,
    place_tail,
    placement_of,
    tail_marks,
)


def masked(words: int, length: int) -> dict:
    mask = torch.zeros(1, length, dtype=torch.long)
    mask[:, :words] = 1
    return {"attention_mask": mask}


def named(prompt: torch.Tensor, **options) -> list[str]:
    return [family.name for family in families_of_text(prompt, options)]


def test_every_family_has_one_name_and_every_model_one_family() -> None:
    names = [family.name for family in FAMILIES]
    read = [(model, w) for f in FAMILIES for model in f.models for w in f.widths]
    assert len(set(names)) == len(names) and len(set(read)) == len(read)
    assert all(
        family_of_model([model], w) is f for f in FAMILIES for model in f.models for w in f.widths
    )
    assert all(family_named(family.name) is family for family in FAMILIES)


def test_a_subclass_is_of_its_parents_family_and_an_edit_model_of_none() -> None:
    assert family_of_model(["SSD1B", "SDXL", "BASE"]) is family_named("SDXL")
    assert family_of_model(["ZImage", "Lumina2"]) is family_named("Z-Image")
    assert family_of_model(["SomethingNew", "BASE"]) is None
    assert family_of_model(["Flux", "BASE"], 2048) is family_named("Ovis-Image")
    assert family_of_model(["Flux", "BASE"], 1234) is None
    assert other_task(["SD15_instructpix2pix", "SD15"]) and not other_task(["SD15"])


def test_text_is_told_apart_by_width_pooled_vector_and_keys() -> None:
    wide = torch.zeros(1, 256, 4096)
    assert named(wide, pooled_output=torch.zeros(1, 768)) == ["Flux"]
    assert named(wide, pooled_output=torch.zeros(1, 2048)) == ["SD 3"]
    llama = {"conditioning_llama3": torch.zeros(1)}
    assert named(wide, pooled_output=torch.zeros(1, 2048), **llama) == ["HiDream"]
    assert named(wide, pooled_output=None) == ["Chroma", "PixArt"]
    assert named(torch.zeros(1, 77, 768)) == ["SD 1.x"]
    assert named(torch.zeros(1, 77, 1024), pooled_output=torch.zeros(1, 1024)) == ["SD 2.x"]
    assert named(torch.zeros(1, 9, 1024), t5xxl_ids=torch.zeros(9)) == ["Anima"]
    assert named(torch.zeros(1, 77, 1024)) == []  # too short for Cosmos, no pooled for SD 2.x
    assert named(torch.zeros(1, 9, 31)) == []


@given(words=st.integers(0, 40), padding=st.integers(0, 40), before=st.integers(0, 40))
def test_free_padding_counts_from_the_end_of_what_the_mask_covers(words, padding, before) -> None:
    """A mask may cover only the last tokens: SD 3's is of T5, which follows CLIP."""
    if words + padding == 0:
        return
    options, length = masked(words, words + padding), before + words + padding
    assert free_padding(options, length, length) == padding
    taken = min(3, padding)
    assert free_padding(options, length - taken, length) == padding - taken


@pytest.mark.parametrize(
    ("family", "options", "length", "placement"),
    [
        ("Flux", {}, 256, REPLACE),
        ("Chroma", {}, 256, APPEND),
        ("Flux.2", masked(9, 512), 512, REPLACE),
        ("Flux.2", masked(40, 40), 40, APPEND),
        (None, masked(9, 64), 64, REPLACE),
        (None, masked(62, 64), 64, APPEND),
        (None, {}, 77, REPLACE),
        (None, {}, 231, REPLACE),
        (None, {}, 78, APPEND),
    ],
)
def test_placement_is_the_familys_or_what_the_conditioning_shows(
    family, options, length, placement
) -> None:
    known = family_named(family) if family else None
    assert placement_of(known, torch.zeros(1, length, 8), options, 5) == placement


def test_a_mask_of_the_last_tokens_opens_at_the_tail() -> None:
    embedding, options = place_tail(
        torch.zeros(1, 154, 8), masked(6, 77), torch.ones(5, 8), REPLACE
    )
    assert options["attention_mask"][0].tolist() == [1] * 6 + [0] * 66 + [1] * 5
    assert embedding[0, 149:].sum() == 40 and embedding[0, :149].sum() == 0
    _, twice = place_tail(embedding, options, torch.ones(5, 8), REPLACE)
    assert twice["attention_mask"][0].tolist() == [1] * 6 + [0] * 61 + [1] * 10
    assert [mark.start for mark in tail_marks(twice)] == [144, 149]


def test_a_masked_prompt_never_loses_a_word() -> None:
    with pytest.raises(ValueError, match="tail has 5 tokens, but only 3 of the prompt's 77"):
        place_tail(torch.zeros(1, 77, 8), masked(74, 77), torch.ones(5, 8), REPLACE)


def test_an_appended_tail_starts_as_the_prompts_last_vectors() -> None:
    prompt = torch.arange(12.0).view(1, 3, 4)
    assert torch.equal(initial_tail(prompt, 2, APPEND)[0, 0], prompt[0, 1:])
    longer = initial_tail(prompt, 5, APPEND)[0, 0]
    assert longer.shape == (5, 4) and torch.equal(longer[-3:], prompt[0])
    assert torch.equal(longer[:2], prompt[0, :1].expand(2, -1))


def test_a_family_that_is_not_known_is_told_by_width_alone() -> None:
    """A tail of a model of tomorrow goes behind any text of its width."""
    tail = HiperEmbedding(torch.zeros(1, 1, 5, 4096), EmbeddingDetails(architecture="BrandNew"))
    flux = [[torch.zeros(1, 256, 4096), {"pooled_output": torch.zeros(1, 768)}]]
    assert compose(flux, tail, 1.0)[0][0].shape == (1, 256, 4096)
    with pytest.raises(ValueError, match=r"learned on BrandNew \(width 4096\).*SDXL"):
        compose([[torch.zeros(1, 77, 2048), {}]], tail, 1.0)


def test_a_tail_of_flux_is_refused_by_text_of_sd3_of_the_same_width() -> None:
    tail = HiperEmbedding(
        torch.zeros(1, 1, 5, 4096), EmbeddingDetails(architecture="FluxSchnell", family="Flux")
    )
    sd3 = [[torch.zeros(1, 154, 4096), {"pooled_output": torch.zeros(1, 2048)}]]
    sentence = r"learned on FluxSchnell \(width 4096\), but the prompt was encoded for SD 3"
    with pytest.raises(ValueError, match=sentence):
        compose(sd3, tail, 1.0)
