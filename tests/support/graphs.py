"""API-format graphs that the tests queue."""

from __future__ import annotations

from typing import Any

from support.checkpoints import Shape

Graph = dict[str, dict[str, Any]]

# of the viewer, as a fresh node has them
WIDGETS = {
    "timestep": 100.0,
    "tokens": "",
    "mask": "soft",
    "threshold": 0.5,
    "opacity": 0.75,
    "labels": "",
    "layers": "all",
    "head": 0,
    "seed": 0,
    "side": "positive",
    "save_animation": False,
}


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def prompts(shape: Shape) -> Graph:
    """The checkpoint, a source and a target prompt and no negative one."""
    graph = {"loader": node("CheckpointLoaderSimple", ckpt_name=f"{shape.name}.safetensors")}
    if shape.clip:
        for name, text in (("source", "a standing dog"), ("target", "a dog"), ("negative", "")):
            graph[name] = node("CLIPTextEncode", text=text, clip=["loader", 1])
        return graph
    for seed, name in enumerate(("source", "target", "negative")):
        graph[name] = node(
            "HiPerTestConditioning",
            width=shape.context,
            pooled=shape.pooled,
            seed=seed,
            length=77,
            entries=1,
        )
    return graph


def latent(seed: int = 0, **change: Any) -> dict[str, Any]:
    given = {"channels": 4, "height": 16, "width": 16, "batch": 1, "broken": False} | change
    return node("HiPerTestLatent", seed=seed, **given)


def learn(**change: Any) -> dict[str, Any]:
    given = {
        "model": ["loader", 0],
        "conditioning": ["source", 0],
        "latent": ["picture", 0],
        "tokens": 5,
        "steps": 3,
        "learning_rate": 5e-3,
        "seed": 1,
        "batch_size": 1,
        "precision": "auto",
        "gradient_checkpointing": "auto",
        "preview_every": 0,
        "recipe": "paper",
        "auto_stop": False,
    }
    return node("HiPerLearnEmbedding", **(given | change))


def sampler(positive: str = "target", seed: int = 0, steps: int = 2, **change: Any) -> dict:
    given = {
        "model": ["loader", 0],
        "positive": [positive, 0],
        "negative": ["negative", 0],
        "latent_image": ["start", 0],
        "seed": seed,
        "steps": steps,
        "cfg": 4.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
    }
    return node("KSampler", **(given | change))


def sampled(shape: Shape, **change: Any) -> Graph:
    """A plain picture of the target prompt, and its latent's hash."""
    return prompts(shape) | {
        "start": latent(seed=7),
        "sampler": sampler(**change),
        "digest": node("HiPerTestDigest", latent=["sampler", 0]),
    }


def learned(shape: Shape, **change: Any) -> Graph:
    """The paper's road: learn, compose, sample."""
    return prompts(shape) | {
        "picture": latent(),
        "learn": learn(**change),
        "compose": node(
            "HiPerComposeConditioning",
            conditioning=["target", 0],
            embedding=["learn", 0],
            strength=0.8,
        ),
        "start": latent(seed=7),
        "sampler": sampler("compose"),
        "digest": node(
            "HiPerTestDigest", latent=["sampler", 0], embedding=["learn", 0], text=["learn", 2]
        ),
    }
