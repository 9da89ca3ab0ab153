"""Graphs that invert a drawn picture and edit it."""

from __future__ import annotations

from support.graphs import Graph, node, sampler

SOURCE, TARGET = "a sitting dog on grass", "a sleeping dog on grass"
STEPS = 4


def demo(**change) -> Graph:
    return {
        "loader": node("HiPerLoadDemoModel"),
        "drawn": node("HiPerDrawDemoAnimal", animal="dog", pose="sitting", ground="grass", seed=0),
        "picture": node("VAEEncode", pixels=["drawn", 0], vae=["loader", 2]),
        "source text": node("CLIPTextEncode", text=SOURCE, clip=["loader", 1]),
        "target text": node("CLIPTextEncode", text=TARGET, clip=["loader", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["loader", 1]),
        "source": word("source text"),
        "target": word("target text"),
        "invert": inverted(**change),
    }


def word(of: str, **change) -> dict:
    given = {"conditioning": [of, 0], "word": "dog", "clip": ["loader", 1]} | change
    return node("HiPerIdentityWord", **given)


def inverted(**change) -> dict:
    given = {"model": ["loader", 0], "conditioning": ["source", 0], "latent": ["picture", 0]}
    given |= {"steps": STEPS, "scheduler": "normal", "method": "ddpm", "seed": 1}
    return node("HiPerInvertPicture", **(given | change))


def blended(**change) -> dict:
    given = {"model": ["loader", 0], "inversion": ["invert", 0], "masks": "source and target"}
    return node("HiPerBlendWithSource", **(given | {"threshold": 0.4} | change))


def editing(sampling: dict | None = None, **change) -> Graph:
    graph = demo() | {"blend": blended(**change)}
    given = {"model": ["blend", 0], "latent_image": ["picture", 0], "steps": STEPS}
    given |= {"sampler_name": "euler_ancestral", "scheduler": "normal"}
    given |= sampling or {}
    graph["sampler"] = sampler(given.pop("positive", "target"), **given)
    graph["masks"] = node("HiPerEditMasks", edit=["blend", 1], latent=["sampler", 0])
    graph["shown"] = node("PreviewImage", images=["masks", 3])
    graph["digest"] = node("HiPerTestDigest", latent=["sampler", 0])
    return graph
