"""The nodes on models of other families, and on all that a MODEL can carry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.family_checks import STRENGTH, TOKENS
from support.tiny_families import TINY
from support.tiny_models import Tiny, build, picture, prompt

from hiper.embedding import EmbeddingDetails, HiperEmbedding

pytestmark = pytest.mark.usefixtures("host")


@pytest.fixture
def call(host, base: Path) -> Callable:
    """Run a node as ComfyUI does, in inference mode."""

    def run(kind: str, **inputs):
        cls = host.NODE_CLASS_MAPPINGS[kind].PREPARE_CLASS_CLONE(None)
        with torch.inference_mode():
            return cls.execute(**inputs).result

    return run


@pytest.fixture
def learn(call) -> Callable:
    def run(tiny: Tiny, model=None, **change):
        given = {
            "model": build(tiny) if model is None else model,
            "conditioning": prompt(tiny),
            "latent": {"samples": picture(tiny)},
            "tokens": TOKENS,
            "steps": 3,
            "learning_rate": 5e-3,
            "seed": 0,
            "preview_every": 0,
            "recipe": "paper",
            "auto_stop": False,
        }
        return call("HiPerLearnEmbedding", **(given | change))[0]

    return run


@pytest.mark.parametrize("name", ["Flux", "Z-Image", "Qwen-Image", "Anima"])
def test_learn_compose_and_view(call, learn, name: str) -> None:
    tiny = TINY[name]
    model = build(tiny)
    embedding = learn(tiny, model)
    assert embedding.details.family == name and embedding.details.architecture == tiny.kind
    (composed,) = call(
        "HiPerComposeConditioning",
        conditioning=prompt(tiny, seed=2),
        embedding=embedding,
        strength=STRENGTH,
    )
    given = {"model": model, "conditioning": composed, "latent": {"samples": picture(tiny)}}
    given |= {"timestep": 50.0, "tokens": "tail", "mask": "soft"}
    if name == "Anima":
        with pytest.raises(ValueError, match=r"\(Anima\) can't be shown: an adapter"):
            call("HiPerAttentionViewer", **given)
        return
    tokens, mask, _, _, _, report, *_ = call("HiPerAttentionViewer", **given)
    assert tokens.shape[-1] == 3 and mask.shape[-2:] == (64, 96) and float(mask.max()) == 1.0
    assert report.endswith(
        f"{composed[0][0].shape[1]} tokens, mean of heads, of the attention to text"
    )


def test_a_flat_latent_is_a_film_of_one_frame(learn) -> None:
    """VAEs of models that also know time give pictures with and without that axis."""
    tiny = TINY["Qwen-Image"]
    flat = {"samples": picture(tiny)[:, :, 0]}
    assert torch.equal(learn(tiny, latent=flat).tail, learn(tiny).tail)


@pytest.mark.parametrize("name", [name for name in TINY if "inpainting" not in name])
def test_gradient_checkpointing_changes_no_bit(learn, name: str) -> None:
    tails = [learn(TINY[name], gradient_checkpointing=c).tail for c in ("on", "off")]
    assert torch.equal(*tails)


@pytest.mark.parametrize("name", ["SD 1.x", "Flux"])
def test_a_lora_on_the_model_counts(learn, name: str) -> None:
    tiny = TINY[name]
    model = build(tiny)
    weights = {key: value for key, value in model.model.state_dict().items() if value.ndim == 2}
    key = max(weights, key=lambda key: ("to_k" in key or "txt_attn.qkv" in key, key))
    patched = model.clone()
    change = 0.5 * torch.randn(weights[key].shape, generator=torch.Generator().manual_seed(3))
    patched.add_patches({key: ("diff", (change,))}, 1.0)
    without, with_it, again = (learn(tiny, m).tail for m in (model, patched, model))
    assert torch.equal(without, again)
    assert not torch.equal(without, with_it)


@pytest.mark.parametrize("name", ["SD 1.x", "SD 3", "Flux", "Z-Image"])
def test_weights_in_fp8(learn, name: str) -> None:
    """Weights stored in 8 bits, computed in 32: learning works and leaves every bit as it was."""
    tiny = TINY[name]
    model = build(tiny, dtype=torch.float8_e4m3fn, cast=torch.float32)
    before = {key: value.clone() for key, value in model.model.state_dict().items()}
    assert {value.dtype for value in before.values()} >= {torch.float8_e4m3fn}
    embedding = learn(tiny, model)
    assert torch.isfinite(embedding.tail).all()
    assert not torch.equal(embedding.tail, learn(tiny).tail)
    for key, value in model.model.state_dict().items():
        assert torch.equal(value.view(torch.uint8), before[key].view(torch.uint8)), key


def test_bf16_models_learn_in_their_own_precision(learn) -> None:
    for name in ("Flux", "Z-Image", "AuraFlow"):
        embedding = learn(TINY[name], build(TINY[name], dtype=torch.bfloat16))
        assert torch.isfinite(embedding.tail).all(), name


EDITS = {
    "concat_latent_image": "a picture to paint into",
    "reference_latents": "a reference picture",
    "unclip_conditioning": "a picture from CLIP Vision",
}


@pytest.mark.parametrize("key", EDITS)
def test_a_prompt_with_a_picture_in_it_is_refused(learn, key: str) -> None:
    source = prompt(TINY["Flux"])
    source[0][1][key] = [torch.zeros(1, 16, 8, 12)]
    with pytest.raises(ValueError, match=f"The source conditioning carries {EDITS[key]}"):
        learn(TINY["Flux"], conditioning=source)


def test_a_prompt_of_another_encoder_is_refused_by_both_widths(learn, call) -> None:
    sentence = r"encoded for SDXL, .* \(width 2048\), but the Flux here reads width 4096"
    with pytest.raises(ValueError, match=sentence):
        learn(TINY["Flux"], conditioning=prompt(TINY["SDXL"]))
    with pytest.raises(ValueError, match=sentence):
        call(
            "HiPerAttentionViewer",
            model=build(TINY["Flux"]),
            conditioning=prompt(TINY["SDXL"]),
            latent={"samples": picture(TINY["Flux"])},
            timestep=50.0,
            tokens="",
            mask="soft",
        )


def test_a_sampling_that_denoises_nothing_is_refused(learn) -> None:
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    (model,) = ModelSamplingDiscrete().patch(build(TINY["SD 1.x"]), "img_to_img", False)
    with pytest.raises(ValueError, match="learned on SD15: it turns one picture into another"):
        learn(TINY["SD 1.x"], model)


def brand_new(tiny: Tiny):
    """The same model under a name that the table doesn't hold."""
    import comfy.supported_models
    import comfy.supported_models_base

    known = getattr(comfy.supported_models, tiny.kind)
    facts = {
        name: value
        for parent in reversed(known.__mro__[:-2])
        for name, value in vars(parent).items()
        if not name.startswith("__") or name == "__init__"
    }
    facts.pop("__init__", None)
    model = build(tiny)
    model.model.model_config.__class__ = type(
        "BrandNew", (comfy.supported_models_base.BASE,), facts
    )
    return model


@pytest.mark.parametrize(
    ("name", "placement"),
    [
        ("SD 1.x", "replace"),
        ("Z-Image", "append"),
        ("Flux.2 Klein", "replace"),
        ("Chroma", "append"),
    ],
)
def test_a_family_of_tomorrow_learns_by_what_its_conditioning_shows(
    call, learn, name: str, placement: str
) -> None:
    tiny = TINY[name]
    model = brand_new(tiny)
    embedding = learn(tiny, model)
    details = embedding.details
    assert (details.architecture, details.family) == ("BrandNew", "")
    assert details.placement == placement
    (composed,) = call(
        "HiPerComposeConditioning",
        conditioning=prompt(tiny, seed=2),
        embedding=embedding,
        strength=STRENGTH,
    )
    given = {"model": model, "conditioning": composed, "latent": {"samples": picture(tiny)}}
    given |= {"timestep": 50.0, "tokens": "tail", "mask": "soft"}
    if name == "SD 1.x":
        call("HiPerAttentionViewer", **given)
    else:
        with pytest.raises(ValueError, match=r"attention of this model \(BrandNew\) is not known"):
            call("HiPerAttentionViewer", **given)


def test_a_tail_that_takes_paddings_place_wants_padding(call) -> None:
    """Flux's T5 pads to 256; the same T5 as Chroma's loader sets it up gives the prompt alone."""
    bare = [[torch.randn(1, 12, 4096), {"pooled_output": torch.randn(1, 768)}]]
    embedding = HiperEmbedding(
        torch.zeros(1, 1, TOKENS, 4096), EmbeddingDetails(architecture="Flux", family="Flux")
    )
    with pytest.raises(ValueError, match=r"gives up to 256 tokens, but this prompt is 12 tokens"):
        call("HiPerComposeConditioning", conditioning=bare, embedding=embedding, strength=1.0)


def test_an_appended_tail_behind_padding_is_said(call, caplog) -> None:
    tiny = TINY["Z-Image"]
    tail = HiperEmbedding(
        torch.zeros(1, 1, TOKENS, 2560), EmbeddingDetails(family="Z-Image", placement="append")
    )
    call("HiPerComposeConditioning", conditioning=prompt(tiny), embedding=tail, strength=1.0)
    assert "padding" not in caplog.text
    padded = prompt(tiny)
    padded[0][1]["attention_mask"][:, -6:] = 0
    call("HiPerComposeConditioning", conditioning=padded, embedding=tail, strength=1.0)
    assert "this prompt has 6 padding tokens; the tail comes after them" in caplog.text


def test_a_file_keeps_the_family(call, learn) -> None:
    embedding = learn(TINY["Lumina 2"])
    call("HiPerSaveEmbedding", embedding=embedding, name="families/lumina", if_exists="overwrite")
    loaded = call("HiPerLoadEmbedding", name="families/lumina.safetensors")[0]
    assert torch.equal(loaded.tail, embedding.tail)
    assert loaded.details.family == "Lumina 2" and loaded.details.placement == "append"
