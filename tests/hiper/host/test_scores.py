"""Scores are `transformers`' own, on the same weights and a real photograph's parts."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hiper.scores import Seen, scored

pytestmark = pytest.mark.usefixtures("host")
transformers = pytest.importorskip("transformers")
WIDTH, SIDE = 96, 64
TEXTS = ("a photo of a woman in uniform", "a photo of a woman asleep on the beach")
NEAR = 1e-5


def photographs() -> list[Image.Image]:
    """Of unlike shapes, cut from real ones that packages ship."""
    import matplotlib

    root = Path(matplotlib.get_data_path()) / "sample_data"
    with Image.open(root / "grace_hopper.jpg") as whole:
        whole = whole.convert("RGB")
    width, height = whole.size
    parts = ((0, 0, width, height), (0, 0, width, height // 2), (40, 60, 173, 600))
    return [whole.crop(part) for part in parts]


def filled(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Random weights that make no two pictures alike, as half precision has them: ComfyUI keeps
    such encoders in it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            spread = 0.5 if "embedding" in name else 2.0 / max(weight[0].numel(), 1) ** 0.5
            if weight.ndim > 1 or "cls" in name or "class" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * spread)
            weight.copy_(weight.half().float())
    return model.eval()


def as_on_disk(model) -> dict[str, torch.Tensor]:
    """The weights under the names that files have."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(Path(folder) / "model.safetensors")


def clip_vision(projected: bool = True):
    """A tiny CLIP in ComfyUI's own class and in `transformers`', and its processor."""
    from comfy.clip_vision import ClipVisionModel
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    config = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=8,
        projection_dim=WIDTH,
        hidden_act="quick_gelu",
    )
    theirs = filled(CLIPVisionModelWithProjection(config))
    ours = ClipVisionModel(config.to_dict() | {"num_channels": 3, "projection_dim": WIDTH})
    weights = {n: w for n, w in as_on_disk(theirs).items() if projected or "projection" not in n}
    missing, _ = ours.load_sd(weights)
    assert not [name for name in missing if "position_ids" not in name]
    size = {"shortest_edge": SIDE}
    crop = {"height": SIDE, "width": SIDE}
    return ours, theirs, CLIPImageProcessorPil(size=size, crop_size=crop)


def dinov2(image_size: int = 518):
    from comfy.clip_vision import ClipVisionModel
    from transformers import Dinov2Config, Dinov2Model
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

    config = Dinov2Config(
        hidden_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=image_size,
        patch_size=14,
    )
    theirs = filled(Dinov2Model(config))
    ours = ClipVisionModel(config.to_dict() | {"model_type": "dinov2", "use_swiglu_ffn": False})
    missing, unexpected = ours.load_sd(as_on_disk(theirs))
    assert not missing and not unexpected
    processor = BitImageProcessorPil(
        size={"shortest_edge": 256},
        crop_size={"height": 224, "width": 224},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
        resample=Image.Resampling.BICUBIC,
    )
    return ours, theirs, processor


def text_encoder():
    """CLIP-L in its own size, with weights of chance, as Load CLIP brings it; and in
    `transformers`' class."""
    import comfy.sd
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        projection_dim=768,
        hidden_act="quick_gelu",
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=49407,
    )
    theirs = filled(CLIPTextModelWithProjection(config))
    weights = as_on_disk(theirs)
    options = {"dtype": torch.float32}
    ours = comfy.sd.load_text_encoder_state_dicts([weights], model_options=options)
    return ours, theirs


@torch.no_grad()
def test_clip_sees_as_transformers_does() -> None:
    from hiper.host.scores import pictures_by_clip

    ours, theirs, processor = clip_vision()
    pictures = photographs()
    pixels = torch.stack(
        [torch.as_tensor(processor(p, return_tensors="np")["pixel_values"][0]) for p in pictures]
    )
    expected = theirs(pixel_values=pixels).image_embeds
    found = pictures_by_clip(ours, pictures)
    scores, wanted = (scored(Seen(e[:1]), Seen(e[1:]), None) for e in (found, expected))
    assert (scores.clip_i - wanted.clip_i).abs().max() < NEAR
    assert torch.nn.functional.cosine_similarity(found, expected).min() > 1 - NEAR
    assert float(wanted.clip_i.max()) < 0.999  # the pictures differ, so that this can fail


@torch.no_grad()
def test_dinov2_sees_as_transformers_does() -> None:
    from hiper.host.scores import pictures_by_dino

    ours, theirs, processor = dinov2()
    pictures = photographs()
    pixels = torch.stack(
        [torch.as_tensor(processor(p, return_tensors="np")["pixel_values"][0]) for p in pictures]
    )
    expected = theirs(pixel_values=pixels).last_hidden_state[:, 0]
    own = ours.model.embeddings.interpolate_pos_encoding
    found = pictures_by_dino(ours, pictures)
    scores, wanted = (scored(Seen(None, e[:1]), Seen(None, e[1:]), None) for e in (found, expected))
    assert (scores.dino_i - wanted.dino_i).abs().max() < NEAR
    assert float(wanted.dino_i.max()) < 0.999
    ours.encode_image(torch.rand(1, 70, 70, 3))  # the model itself is as it was
    assert ours.model.embeddings.interpolate_pos_encoding == own


@torch.no_grad()
def test_prompts_are_read_as_transformers_reads_them() -> None:
    import comfy.sd1_clip
    from transformers import CLIPTokenizer

    from hiper.host.scores import text_by_clip

    ours, theirs = text_encoder()
    folder = Path(comfy.sd1_clip.__file__).with_name("sd1_tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    for text in (*TEXTS, ""):
        ids = tokenizer(text, return_tensors="pt", padding="max_length", max_length=77)
        expected = theirs(**ids).text_embeds[0]
        found = text_by_clip(ours, text, 768)
        assert torch.nn.functional.cosine_similarity(found, expected, dim=0) > 1 - NEAR
    assert torch.equal(
        text_by_clip(ours, "a (red:1.4) dog", 768), text_by_clip(ours, "a red dog", 768)
    )


def test_a_clip_without_its_projection_is_refused(tmp_path) -> None:
    """From its file, as Load CLIP reads it: what ComfyUI has in its place is left to chance."""
    import comfy.sd
    from safetensors.torch import save_file

    from hiper.host.scores import text_by_clip

    _, theirs = text_encoder()
    path = tmp_path / "clip_l.safetensors"
    weights = as_on_disk(theirs)
    save_file({n: w for n, w in weights.items() if "projection" not in n}, path)
    sentence = r"clip_l has no text projection.* Load CLIP"
    with pytest.raises(ValueError, match=sentence):
        text_by_clip(comfy.sd.load_clip([str(path)]), TEXTS[0], 768)
    save_file(weights, path)
    assert text_by_clip(comfy.sd.load_clip([str(path)]), TEXTS[0], 768).shape == (768,)


def test_a_projection_that_happened_to_be_in_memory_is_none(tmp_path, monkeypatch) -> None:
    """The file tells: it holds that of another encoder alone."""
    from safetensors.torch import save_file

    from hiper.host.scores import text_by_clip

    ours, _ = text_encoder()
    path = tmp_path / "checkpoint.safetensors"
    monkeypatch.setattr(ours.patcher, "cached_patcher_init", (None, (str(path),)))
    other = {"conditioner.embedders.1.model.text_projection": torch.zeros(1280, 1280)}
    save_file(other, path)
    with pytest.raises(ValueError, match="clip_l has no text projection"):
        text_by_clip(ours, TEXTS[0], 768)
    save_file(other | {"clip_l.transformer.text_projection.weight": torch.zeros(768, 768)}, path)
    assert text_by_clip(ours, TEXTS[0], 768).shape == (768,)


def test_pictures_without_a_projection_and_other_models_are_refused() -> None:
    from hiper.host.scores import pictures_by_clip, pictures_by_dino, text_by_clip

    bare, whole = clip_vision(projected=False)[0], clip_vision()[0]
    pictures = [Image.new("RGB", (80, 80))]
    with pytest.raises(ValueError, match="no projection"):
        pictures_by_clip(bare, pictures)
    with pytest.raises(ValueError, match="dinov2 is a clip_vision_model, but wants a DINOv2"):
        pictures_by_dino(whole, pictures)
    with pytest.raises(ValueError, match="clip_vision is a dinov2, but wants OpenAI"):
        pictures_by_clip(dinov2()[0], pictures)
    clip, _ = text_encoder()
    with pytest.raises(ValueError, match="embeddings are 96 wide, but clip's are clip_l 768"):
        text_by_clip(clip, TEXTS[0], WIDTH)


def test_scores_by_hand() -> None:
    source = Seen(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]))
    edited = Seen(torch.tensor([[0.0, 3.0], [4.0, 0.0]]), torch.tensor([[0.0, 1.0], [1.0, 1.0]]))
    texts = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 5.0])
    found = scored(source, edited, texts, 0.5)
    assert found.clip_t.tolist() == [1.0, 0.0]
    assert found.clip_i.tolist() == [0.0, 1.0]
    assert np.allclose(found.clip_d.tolist(), [1.0, 0.0])
    assert np.allclose(found.dino_i.tolist(), [1.0, 0.5**0.5])
    assert np.allclose(found.id_p.tolist(), [1.0, 0.0])  # the second ignores the prompt
    assert scored(source, edited, (texts[0], texts[0])).clip_d is None
