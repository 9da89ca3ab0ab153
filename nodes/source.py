"""What learning asks of its source prompt."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..hiper.prompts.placement import check_conditioning
from ..hiper.prompts.tails import tails_in

# what learning from a plain prompt can't take into account, and what to do instead
UNWANTED = {
    "control": "a ControlNet: take the conditioning from before Apply ControlNet",
    "gligen": "GLIGEN boxes: take the conditioning from before them",
    "hooks": "hooks: apply the LoRA to the MODEL instead",
    "area": "an area: take the conditioning from before Set Area",
    "mask": "a mask: take the conditioning from before Set Mask",
    "concat_latent_image": "a picture to paint into: take the conditioning from before it",
    "reference_latents": "a reference picture, which the tail would leave to the model: take the "
    "conditioning from before Reference Latent",
    "unclip_conditioning": "a picture from CLIP Vision: take the conditioning from before it",
}


def source_prompts(conditioning: list, pictures: int) -> list:
    """The one plain prompt that learning wants, or one for each of the pictures, as entries of one
    row each."""
    check_conditioning(conditioning)
    entries = [
        [prompt[row : row + 1], _of_row(options, row, len(prompt))]
        for prompt, options in conditioning
        for row in range(len(prompt))
    ]
    if len(entries) not in (1, pictures):
        wanted = "one" if pictures == 1 else f"one, or one for each of the {pictures} pictures"
        mend = (
            "connect a single CLIP Text Encode."
            if pictures == 1
            else "join as many with Conditioning (Combine) as the latent's batch has pictures."
        )
        raise ValueError(
            f"The source conditioning holds {len(entries)} prompts; learning wants {wanted}: {mend}"
        )
    for prompt, options in entries:
        for key, sentence in UNWANTED.items():
            if options.get(key) is not None:
                raise ValueError(f"The source conditioning carries {sentence}.")
        if tails_in(prompt, options):
            raise ValueError(
                "The source conditioning has a HiPer tail in it already: take it from before "
                "Compose."
            )
    return entries


def _of_row(options: dict[str, Any], row: int, rows: int) -> dict[str, Any]:
    """One row's options, where a prompt of several has pooled vectors for each."""
    if rows == 1:
        return options
    return {
        key: value[row : row + 1]
        if isinstance(value, Tensor) and value.ndim > 1 and len(value) == rows
        else value
        for key, value in options.items()
    }
