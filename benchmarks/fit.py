"""Does learning at the defaults fit 8 GB with SD1.5 at 512², and 12 GB with SDXL at 1024²?

An estimate from measured bytes: what autograd keeps of one bf16 step on the full-size UNet with
random weights at 32×32 latents, scaled by the number of pixels, plus the weights; no card was used.
With checkpointing the largest block, computed again on the way back, comes on top.
Run through `benchmarks/learning.py --only fit`.
"""

from __future__ import annotations

import full_size
import torch

GIB = 2**30
SMALL = 32  # latent's side measured
# the text encoders are unloaded by then where they don't fit; what CUDA itself takes is room here
ROOM = 1.0 * GIB
SDXL = full_size.SHAPE | {
    "num_res_blocks": [2, 2, 2],
    "channel_mult": (1, 2, 4),
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "transformer_depth_middle": 10,
    "context_dim": 2048,
    "num_heads": -1,
    "num_head_channels": 64,
    "use_linear_in_transformer": True,
    "adm_in_channels": 2816,
    "num_classes": "sequential",
}
CASES = (
    ("SD1.5 at 512²", "SD15", full_size.SHAPE, 64, 8),
    ("SDXL at 1024²", "SDXL", SDXL, 128, 12),
)


def kept(model, width: int) -> tuple[int, int]:
    """Bytes that one step keeps for its gradient beside the weights: whole, and recomputed block
    by block, its largest block included."""
    from hiper.host.model.denoiser import frozen_denoiser
    from hiper.host.model.memory import step_memory

    prompt = [[torch.randn(1, 77, width), {"pooled_output": torch.randn(1, 1280)}]]
    clean = full_size.latent(SMALL)
    tail = torch.zeros(1, 1, 5, width)
    with frozen_denoiser(model, prompt, clean.shape, "replace") as denoiser:
        memory = step_memory(denoiser, clean, tail, 1)
    return memory.whole, memory.recomputed


def estimate() -> list[dict]:
    """One row a case: GiB of weights and activations in 16 bits, and what fits."""
    full_size.find_comfyui()
    rows = []
    for name, family, shape, side, card in CASES:
        model = full_size.unet(family, shape, torch.bfloat16)
        weights = sum(p.numel() * p.element_size() for p in model.model.parameters())
        scale = (side / SMALL) ** 2
        plain, checkpointed = (size * scale for size in kept(model, shape["context_dim"]))
        rows.append(
            {
                "case": name,
                "card_gib": card,
                "weights_gib": round(weights / GIB, 2),
                "activations_gib": round(plain / GIB, 2),
                "checkpointed_gib": round(checkpointed / GIB, 2),
                "fits": weights + plain + ROOM < card * GIB,
                "fits_checkpointed": weights + checkpointed + ROOM < card * GIB,
            }
        )
        del model
    return rows
