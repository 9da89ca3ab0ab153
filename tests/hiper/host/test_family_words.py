"""What each family's own tokenizer says of a prompt: its labels, and the padding it leaves."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType, SimpleNamespace

import pytest

from hiper.attention.maps import AttentionMaps, Prompt
from hiper.host.tokenizer import check_free_tokens, free_tokens, read_tokens
from hiper.prompts.families import family_named, last_encoder
from hiper.prompts.placement import TailMark

pytestmark = pytest.mark.usefixtures("host")
TEXT = "a standing dog"


def cutting(name: str):
    """A CLIP as far as its tokenizer goes, which ComfyUI ships; the encoder is gigabytes."""
    import comfy.text_encoders.flux
    import comfy.text_encoders.pixart_t5
    import comfy.text_encoders.qwen_image
    import comfy.text_encoders.sd3_clip
    import comfy.text_encoders.z_image

    made = {
        "SD 3": comfy.text_encoders.sd3_clip.SD3Tokenizer,
        "Flux": comfy.text_encoders.flux.FluxTokenizer,
        "Chroma": comfy.text_encoders.pixart_t5.PixArtTokenizer,
        "Qwen-Image": comfy.text_encoders.qwen_image.QwenImageTokenizer,
        "Z-Image": comfy.text_encoders.z_image.ZImageTokenizer,
    }[name]()
    return SimpleNamespace(tokenizer=made, tokenize=made.tokenize_with_weights)


# how long the sequence is, and the column of "dog" in it
LENGTHS = {
    "SD 3": (154, [3, 77 + 3]),
    "Flux": (256, [3]),
    "Chroma": (5, [3]),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_words_stand_in_their_columns(name: str) -> None:
    length, columns = LENGTHS[name]
    tokens = read_tokens(cutting(name), TEXT, length, family_named(name))
    assert [token.index for token in tokens] == list(range(length))
    assert [token.index for token in tokens if token.text == "dog"] == columns


@pytest.mark.parametrize(("name", "dropped"), [("Qwen-Image", 34), ("Z-Image", 0)])
def test_a_template_that_the_encoder_drops_has_no_column(name: str, dropped: int) -> None:
    """Qwen-Image's encoder leaves out what stands before the prompt, Z-Image's keeps it."""
    clip = cutting(name)
    ((chunk,),) = clip.tokenize(TEXT).values()
    length = len(chunk) - dropped
    tokens = read_tokens(clip, TEXT, length, family_named(name))
    assert [token.index for token in tokens] == list(range(length))
    (dog,) = (token for token in tokens if token.text == "dog")
    ((_, word),) = clip.tokenizer.untokenize([chunk[dropped + dog.index]])
    assert word == "Ġdog"
    marks = [token.label for token in tokens if token.kind == "special"]
    assert marks[-4:] == ["<|im_end|>", "‹line›", "<|im_start|>", "‹line›"]


@pytest.fixture
def inputs(host) -> ModuleType:
    """The viewing nodes' own module, in the package that ComfyUI made of the pack."""
    package = host.NODE_CLASS_MAPPINGS["HiPerLearnEmbedding"].__module__.rpartition(".")[0]
    return import_module(f"{package}.attention.inputs")


LONG = " ".join(["dog"] * 73)


def test_only_the_encoder_whose_text_is_the_sequence_counts(host) -> None:
    """73 words leave CLIP two tokens beside its end, but Flux's sequence is T5's 256."""
    clip = cutting("Flux")
    assert free_tokens(clip, LONG) == 2
    assert free_tokens(clip, LONG, last_encoder(family_named("Flux"), 256)) == 256 - 74
    check_free_tokens(5, 256, clip, LONG, "t5xxl")
    with pytest.raises(ValueError, match=r"tokens is 183, .* leaves 182 of 256 tokens free"):
        check_free_tokens(183, 256, clip, LONG, "t5xxl")


def test_stable_diffusion_3_without_its_t5_is_clips_77(host) -> None:
    family = family_named("SD 3")
    assert last_encoder(family, 77) == "" and last_encoder(family, 154) == "t5xxl"
    assert free_tokens(cutting("SD 3"), LONG, last_encoder(family, 77)) == 2


def test_labels_of_a_viewed_prompt_leave_its_appended_tail_out(inputs: ModuleType) -> None:
    clip = cutting("Qwen-Image")
    ((chunk,),) = clip.tokenize(TEXT).values()
    length = len(chunk) - 34
    prompt = Prompt("positive", 1, length + 4, tuple(range(length + 4)), (TailMark(length, 4),))
    maps = AttentionMaps((prompt,), (), (), (8, 8), model="QwenImage")
    (labelled,) = inputs.with_labels(maps, (0,), clip, TEXT, None).prompts
    assert len(labelled.words) == length
    (dog,) = (token for token in labelled.words if token.text == "dog")
    ((_, word),) = clip.tokenizer.untokenize([chunk[34 + dog.index]])
    assert word == "Ġdog"
