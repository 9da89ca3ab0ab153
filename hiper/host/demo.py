"""The demo model as ComfyUI's own: BaseModel over its UNet, CLIP over its text encoder, VAE."""

from __future__ import annotations

import comfy.clip_model
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import torch
from comfy.taesd.taesd import TAESD
from torch import Tensor, nn

from ..demo.captions import WORDS
from ..demo.latents import CELL, CHANNELS, KEPT, PATCH, LatentSpace, colour_planes
from ..demo.model import split_weights
from ..demo.text import CLIP_CONFIG, END, START, WIDTH, words_of
from ..demo.unet import COMFY_CONFIG

CLIP_ROWS = 49408


class DemoLatentFormat(comfy.latent_formats.LatentFormat):
    """12 channels, an eighth of the picture's size; the means of each patch give the preview."""

    latent_channels = CHANNELS
    spacial_downscale_ratio = CELL

    def __init__(self) -> None:
        space = split_weights()["latents"]
        mean, deviation = space["mean"], space["deviation"]
        planes = torch.cat([colour_planes()[[p]].repeat(len(k), 1) for p, k in enumerate(KEPT)])
        flat = torch.tensor([frequency == (0, 0) for kept in KEPT for frequency in kept])
        factors = planes * flat[:, None] / PATCH
        self.latent_rgb_factors = (factors * deviation[:, None]).tolist()
        self.latent_rgb_factors_bias = (factors * mean[:, None]).sum(0).tolist()


class HiPerDemo(comfy.supported_models_base.BASE):
    """What ComfyUI knows of a family of models, for this one."""

    unet_config = COMFY_CONFIG
    unet_extra_config = {}  # noqa: RUF012
    sampling_settings = {"zsnr": True}  # noqa: RUF012
    latent_format = DemoLatentFormat
    supported_inference_dtypes = [torch.float32]  # noqa: RUF012
    memory_usage_factor = 0.5


class DemoWords:
    """The closed vocabulary where ComfyUI expects a tokenizer of transformers'."""

    @classmethod
    def from_pretrained(cls, _path: str, **_options) -> DemoWords:
        return cls()

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [START, *(WORDS.index(word) for word in words_of(text)), END]}

    def get_vocab(self) -> dict[str, int]:
        return {**{word: i for i, word in enumerate(WORDS)}, "<start>": START, "<end>": END}

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return " ".join(WORDS[i] for i in ids if i < len(WORDS))


class DemoTokens(comfy.sd1_clip.SDTokenizer):
    def __init__(self, embedding_directory=None, tokenizer_data=None) -> None:
        super().__init__(
            tokenizer_path="hiper.demo",
            embedding_directory=embedding_directory,
            embedding_size=WIDTH,
            embedding_key="clip_demo",
            tokenizer_class=DemoWords,
            tokenizer_data=tokenizer_data or {},
        )


class DemoTokenizer(comfy.sd1_clip.SD1Tokenizer):
    def __init__(self, embedding_directory=None, tokenizer_data=None) -> None:
        super().__init__(embedding_directory, tokenizer_data or {}, "demo", DemoTokens)


class DemoTextModel(comfy.sd1_clip.SDClipModel):
    def __init__(self, device="cpu", dtype=None, model_options=None) -> None:
        super().__init__(
            device=device,
            dtype=dtype,
            textmodel_json_config=dict(CLIP_CONFIG),
            special_tokens={"start": START, "end": END, "pad": END},
            return_projected_pooled=False,
            model_options=model_options or {},
        )


class DemoClipModel(comfy.sd1_clip.SD1ClipModel):
    def __init__(self, device="cpu", dtype=None, model_options=None) -> None:
        super().__init__(device, dtype, model_options or {}, "demo", DemoTextModel)


class DemoFirstStage(nn.Module):
    """The latent space where ComfyUI expects an autoencoder."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.space = LatentSpace()
        self.space.load_state_dict(weights)
        self.train(False).requires_grad_(False)

    def encode(self, pixels: Tensor, **_options) -> Tensor:
        return self.space.encode(pixels)

    def decode(self, latent: Tensor, **_options) -> Tensor:
        return self.space.decode(latent)


def load_model(disable_dynamic: bool = False) -> comfy.model_patcher.ModelPatcher:
    """The UNet's weights in ComfyUI's own UNetModel."""
    config = HiPerDemo(COMFY_CONFIG)
    config.set_inference_dtype(torch.float32, None)
    offload = comfy.model_management.unet_offload_device()
    model = comfy.model_base.BaseModel(
        config, model_type=comfy.model_base.ModelType.V_PREDICTION, device=offload
    )
    model.load_model_weights(split_weights()["unet"])
    kind = (
        comfy.model_patcher.ModelPatcher
        if disable_dynamic
        else comfy.model_patcher.CoreModelPatcher
    )
    patcher = kind(model, comfy.model_management.get_torch_device(), offload)
    patcher.cached_patcher_init = (load_model, ())
    return patcher


def load_clip() -> comfy.sd.CLIP:
    """The text encoder in ComfyUI's own CLIP, with its weighting of words."""
    target = comfy.supported_models_base.ClipTarget(DemoTokenizer, DemoClipModel)
    weights = split_weights()["text"]
    # ComfyUI's CLIP always has the real one's 49,408 rows; ids beyond the vocabulary never come
    words = weights["text_model.embeddings.token_embedding.weight"]
    padded = torch.zeros(CLIP_ROWS, WIDTH)
    padded[: len(words)] = words
    weights["text_model.embeddings.token_embedding.weight"] = padded
    return comfy.sd.CLIP(
        target,
        parameters=sum(tensor.numel() for tensor in weights.values()),
        state_dict={f"clip_demo.transformer.{name}": t for name, t in weights.items()},
        model_options={"dtype": torch.float32},
        tokenizer_data={},
    )


def load_vae() -> comfy.sd.VAE:
    """ComfyUI's VAE around the demo's latent space.

    ComfyUI builds its VAE for the autoencoders it knows; it is built for the smallest of them, and
    then handed this one.
    """
    vae = comfy.sd.VAE(sd=TAESD(latent_channels=CHANNELS).state_dict(), dtype=torch.float32)
    vae.first_stage_model = DemoFirstStage(split_weights()["latents"])
    vae.downscale_ratio = vae.upscale_ratio = CELL
    vae.latent_channels = CHANNELS
    vae.memory_used_encode = vae.memory_used_decode = lambda shape, dtype: 2**26
    vae.patcher = comfy.model_patcher.CoreModelPatcher(
        vae.first_stage_model,
        load_device=vae.device,
        offload_device=comfy.model_management.vae_offload_device(),
    )
    vae.size = None
    return vae
