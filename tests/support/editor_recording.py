"""A sampler of the demo model whose steps are recorded, in a graph of the editor."""

from __future__ import annotations

from workflows.source.graph import Graph, Socket


def recorded(
    made: Graph,
    demo: dict[str, Socket],
    positive: Socket,
    negative: Socket,
    side: int,
    steps: int,
) -> tuple[Socket, dict[str, Socket]]:
    """The recording, and what a viewer takes beside it: the latent, its picture, the CLIP."""
    record = made.node("HiPerRecordAttention", model=demo["model"])
    start = made.node("EmptyLatentImage", width=side, height=side)
    sampled = made.node(
        "KSampler",
        model=record["model"],
        positive=positive,
        negative=negative,
        latent_image=start["LATENT"],
        steps=steps,
        sampler_name="euler",
        scheduler="normal",
    )
    decoded = made.node("VAEDecode", samples=sampled["LATENT"], vae=demo["vae"])
    seen = {"latent": sampled["LATENT"], "image": decoded["IMAGE"], "clip": demo["clip"]}
    return record["recording"], seen
