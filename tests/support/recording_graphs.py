"""Graphs of the demo model whose sampling is recorded, in one run or in several."""

from __future__ import annotations

from typing import Any

from support.graphs import Graph, node

SAMPLED = {"cfg": 3.0, "sampler_name": "euler", "scheduler": "normal"}
DOG, CAT = "a dog on grass", "a cat on beach"


def base(limit: int, text: str = DOG) -> Graph:
    """`limit` makes each test's recording its own."""
    return {
        "loader": node("HiPerLoadDemoModel"),
        "target": encoded(text),
        "negative": encoded(""),
        "start": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "record": node(
            "HiPerRecordAttention",
            model=["loader", 0],
            record="positive",
            tokens="all tokens",
            memory_limit=limit,
            every=1,
            layers="mean of equal sizes",
            head=0,
        ),
    }


def encoded(text: str) -> dict:
    return node("CLIPTextEncode", text=text, clip=["loader", 1])


def sampler(start: list, model: str = "record", **change: Any) -> dict:
    given = {"model": [model, 0], "positive": ["target", 0], "negative": ["negative", 0]}
    given |= {"latent_image": start, "seed": 1, "steps": 4, "denoise": 1.0}
    return node("KSampler", **(given | SAMPLED | change))


def part(start: list, first: int, last: int, **change: Any) -> dict:
    """A part of eight steps, with KSampler Advanced."""
    given = {"model": ["record", 0], "positive": ["target", 0], "negative": ["negative", 0]}
    given |= {"add_noise": "disable" if first else "enable", "noise_seed": 1, "steps": 8}
    given |= {"latent_image": start, "start_at_step": first, "end_at_step": last}
    given |= {"return_with_leftover_noise": "disable" if last == 8 else "enable"}
    return node("KSamplerAdvanced", **(given | SAMPLED | change))
