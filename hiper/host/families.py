"""Which family a loaded model is of, and whether its subject can be learned."""

from __future__ import annotations

from typing import Any

import comfy.model_sampling
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..prompts.families import (
    Family,
    families_of_text,
    family_of_model,
    names_of_width,
    other_task,
)

# these make one picture of another in a single step
NO_DENOISERS = (comfy.model_sampling.IMG_TO_IMG, comfy.model_sampling.IMG_TO_IMG_FLOW)


# where configurations say how wide the text is that a transformer reads
WIDTHS = (
    "context_in_dim",
    "cap_feat_dim",
    "joint_attention_dim",
    "cond_seq_dim",
    "text_feat_dim",
    "crossattn_emb_channels",
)


def class_names(model: ModelPatcher) -> list[str]:
    """The model configuration's class and its parents, own first."""
    return [kind.__name__ for kind in type(model.model.model_config).__mro__]


def family_of(model: ModelPatcher) -> Family | None:
    """What is known of this model, or None: then its conditioning tells how it is read."""
    return family_of_model(class_names(model), transformer_width(model))


def transformer_width(model: ModelPatcher) -> int | None:
    """How wide the text is that a transformer reads, where its configuration says so."""
    config = model.model.model_config.unet_config
    return next((config[key] for key in WIDTHS if isinstance(config.get(key), int)), None)


def check_learnable(model: ModelPatcher) -> None:
    """One sentence on a model that no subject can be learned on."""
    names = class_names(model)
    family, task = family_of(model), other_task(names)
    if not task and family is not None:
        task = family.refused
    if not task and isinstance(model.get_model_object("model_sampling"), NO_DENOISERS):
        task = "it turns one picture into another and denoises none"
    if task:
        raise ValueError(
            f"No subject can be learned on {names[0]}: {task}. Use a model that draws pictures "
            "from text."
        )


def check_width(model: ModelPatcher, conditioning: list) -> None:
    """One sentence on a prompt whose vectors are not as wide as those that the model reads."""
    name, family = class_names(model)[0], family_of(model)
    of_unet = model.model.model_config.unet_config.get("context_dim")
    read = of_unet if isinstance(of_unet, int) else transformer_width(model)
    wanted = (read,) if read is not None else family.widths if family is not None else ()
    for prompt, _ in conditioning:
        found = prompt.shape[-1]
        if wanted and found not in wanted:
            raise ValueError(
                f"The prompt was encoded for {names_of_width(found)} (width {found}), but the "
                f"{name} here reads width {' or '.join(map(str, wanted))}: encode it with the "
                "text encoder that belongs to the model."
            )


def encoded_family(model: ModelPatcher, prompt: Tensor, options: dict[str, Any]) -> str:
    """The family that a prompt `(B, T, C)` was encoded for, as its tail's file will name it.

    The model's own, unless another family's text encoder was used on purpose.
    """
    own = family_of(model)
    names = [family.name for family in families_of_text(prompt, options)]
    if own is None:
        return ""
    return own.name if own.name in names or not names else names[0]


def why_unseen(model: ModelPatcher) -> str:
    """One sentence on why no attention to the prompt was seen in a model that was called."""
    name, family = class_names(model)[0], family_of(model)
    if family is None:
        return (
            f"Where text and picture stand in the attention of this model ({name}) is not known to "
            "this version of the pack: use a model of a family that its README lists."
        )
    if family.unseen:
        return f"The attention of this model ({name}) can't be shown: {family.unseen}."
    if family.hidden:
        return (
            f"Nothing was heard of the attention of this model ({name}), which only PyTorch's own "
            "function lets be heard: start ComfyUI with --use-pytorch-cross-attention."
        )
    return (
        f"No cross-attention to the prompt was seen in this model ({name}): either it has none, or "
        "another node on the MODEL stands in its place; take such nodes off."
    )
