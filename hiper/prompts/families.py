"""What is known of each family of models: where its text sits, whether that is padded, what is new.

Facts only, by name, read by Learn, Compose and the viewer; a family that is not here is judged by
the conditioning itself. Each was read in ComfyUI's supported_models, text_encoders and model_base.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

REPLACE, APPEND = "replace", "append"


@dataclass(frozen=True)
class JointText:
    """Text and picture in one sequence: text first, behind `registers`, padded to a multiple."""

    registers: int = 0
    multiple: int = 1
    picture_first: bool = False
    picture_last: bool = False  # reference pictures stand before it


@dataclass(frozen=True)
class Family:
    """One kind of text conditioning and the models that read it."""

    name: str
    models: tuple[str, ...]  # ComfyUI's classes of model configurations; a subclass counts
    widths: tuple[int, ...]  # of a token's vector
    placement: str | None  # None: the conditioning's own mask says whether it is padded
    padded_to: int = 0  # tokens that its encoder never goes below
    pooled: int | None = None  # width of the pooled vector that comes with the text
    keys: tuple[str, ...] = ()  # options that only its encoder gives
    encoders: tuple[str, ...] = ()  # tokenizers whose texts make up the sequence, in its order
    drops_template: bool = False  # its encoder leaves out what stands before the prompt
    joint: JointText | None = None  # None: the text stands in a cross-attention of its own
    hidden: bool = False  # its attention is called without the options that a node can hook
    last_layer: int = 0  # of CLIP's, counted from the end, that its vectors are taken from
    unseen: str = ""  # why its attention can't be viewed
    refused: str = ""  # why nothing can be learned on it


FAMILIES = (
    Family("SD 1.x", ("SD15",), (768,), REPLACE, 77, 768, last_layer=-1),
    Family("SD 2.x", ("SD20",), (1024,), REPLACE, 77, 1024, last_layer=-2),
    Family("SDXL", ("SDXL",), (2048,), REPLACE, 77, 1280, last_layer=-2),
    Family("SDXL Refiner", ("SDXLRefiner",), (1280,), REPLACE, 77, 1280, last_layer=-2),
    Family(
        "SD 3",
        ("SD3",),
        (4096,),
        REPLACE,
        77,
        2048,
        encoders=("l", "t5xxl"),
        joint=JointText(),
    ),
    Family(
        "Flux",
        ("Flux", "FluxInpaint", "FluxSchnell"),
        (4096,),
        REPLACE,
        256,
        768,
        encoders=("t5xxl",),
        joint=JointText(),
    ),
    # Flux's network with a Qwen 3 of its own, which pads with zeros
    Family("Ovis-Image", ("Flux",), (2048,), REPLACE, 256, joint=JointText()),
    Family(
        "LongCat-Image", ("LongCatImage",), (3584,), APPEND, drops_template=True, joint=JointText()
    ),
    # Mistral gives the prompt alone, the Qwen 3 of Klein pads it: the mask tells
    Family("Flux.2", ("Flux2",), (15360, 7680, 12288), None, joint=JointText()),
    Family("Chroma", ("Chroma",), (4096,), APPEND, joint=JointText()),
    Family("Z-Image", ("ZImage",), (2560,), APPEND, joint=JointText(multiple=32)),
    Family("Lumina 2", ("Lumina2",), (2304,), APPEND, joint=JointText()),
    Family("NewBie", ("Lumina2",), (2560,), APPEND, pooled=1024, joint=JointText()),
    Family(
        "OmniGen2",
        ("Omnigen2",),
        (2048,),
        APPEND,
        keys=("attention_mask",),
        joint=JointText(picture_last=True),
    ),
    Family("Krea 2", ("Krea2",), (30720,), APPEND, drops_template=True, joint=JointText()),
    Family("Qwen-Image", ("QwenImage",), (3584,), APPEND, drops_template=True, joint=JointText()),
    Family("PixArt", ("PixArtAlpha",), (4096,), APPEND, hidden=True),
    Family("AuraFlow", ("AuraFlow",), (2048,), REPLACE, 256, joint=JointText(registers=8)),
    Family(
        "HunyuanDiT",
        ("HunyuanDiT",),
        (1024,),
        REPLACE,
        77,
        keys=("conditioning_mt5xl",),
        encoders=("hydit_clip",),
        hidden=True,
    ),
    Family(
        "HiDream",
        ("HiDream",),
        (4096,),
        REPLACE,
        128,
        2048,
        keys=("conditioning_llama3",),
        encoders=("t5xxl",),
        joint=JointText(picture_first=True),
    ),
    Family(
        "Anima",
        ("Anima",),
        (1024,),
        APPEND,
        keys=("t5xxl_ids",),
        unseen="an adapter turns the prompt's vectors, tail included, into others before the "
        "picture sees them, so that no column of its attention belongs to one token",
    ),
    Family("Cosmos Predict 2", ("CosmosT2IPredict2",), (1024,), REPLACE, 512),
)

UNETS = ("SD 1.x", "SD 2.x", "SDXL", "SDXL Refiner")  # keys and values are read of two contexts

# models that read something else than a prompt: learning one's subject there makes no sense
OTHER_TASKS = {
    "SVD_img2vid": "it makes a video of a picture and reads no text",
    "Stable_Zero123": "it turns a picture's object and reads no text",
    "SD_X4Upscaler": "it enlarges a picture, which the prompt hardly changes",
    "SD15_instructpix2pix": "it edits a picture, and a tail would learn only what that lacks",
    "SDXL_instructpix2pix": "it edits a picture, and a tail would learn only what that lacks",
    "LotusD": "it estimates depth and denoises no picture",
}


def family_of_model(classes: list[str], width: int | None = None) -> Family | None:
    """The family of a model configuration, by the names of its class and its parents, own first.

    One network may read several encoders' text; then its width tells, where that is known.
    """
    for name in classes:
        for family in FAMILIES:
            if name in family.models and width in (None, *family.widths):
                return family
    return None


def other_task(classes: list[str]) -> str:
    """What a model does instead of following a prompt, or nothing."""
    return next((OTHER_TASKS[name] for name in classes if name in OTHER_TASKS), "")


def families_of_text(prompt: Tensor, options: dict[str, Any]) -> tuple[Family, ...]:
    """The families that a prompt `(B, T, C)` may have been encoded for; none where unknown."""
    fitting = [family for family in FAMILIES if prompt.shape[-1] in family.widths]
    if len(fitting) < 2:
        return tuple(fitting)
    told = [f for f in fitting if f.keys and all(key in options for key in f.keys)]
    if told:
        return tuple(told)
    pooled = options.get("pooled_output")
    width = pooled.shape[-1] if isinstance(pooled, Tensor) else None
    plain = [f for f in fitting if not f.keys and f.pooled == width]
    return tuple(f for f in plain if prompt.shape[1] >= f.padded_to)


def last_encoder(family: Family | None, length: int) -> str:
    """The tokenizer whose text the end of a sequence of `length` is, or nothing where any may be.

    SD 3 without its T5 is CLIP's 77 tokens alone.
    """
    if family is None or not family.encoders or (len(family.encoders) > 1 and length <= 77):
        return ""
    return family.encoders[-1]


def family_named(name: str) -> Family | None:
    return next((family for family in FAMILIES if family.name == name), None)


def names_of_width(width: int) -> str:
    """The families that read text of a width, for a sentence."""
    names = [family.name for family in FAMILIES if width in family.widths]
    if len(names) > 2:
        return f"{', '.join(names[:2])} or another model of this width"
    return " or ".join(names) or "another model"
