"""What learning asks of its source prompt."""

from __future__ import annotations

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


def check_source(conditioning: list) -> None:
    """Learning wants one plain prompt."""
    check_conditioning(conditioning)
    if len(conditioning) != 1 or len(conditioning[0][0]) != 1:
        found = len(conditioning) if len(conditioning) != 1 else len(conditioning[0][0])
        raise ValueError(
            f"The source conditioning holds {found} prompts; learning wants one: connect a single "
            "CLIP Text Encode."
        )
    options = conditioning[0][1]
    for key, sentence in UNWANTED.items():
        if options.get(key) is not None:
            raise ValueError(f"The source conditioning carries {sentence}.")
    if tails_in(*conditioning[0]):
        raise ValueError(
            "The source conditioning has a HiPer tail in it already: take it from before Compose."
        )
