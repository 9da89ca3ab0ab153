"""The blueprints that the pack brings: whole tasks in one node, which can be opened."""

from __future__ import annotations

from typing import Any

from .blueprint import Blueprint
from .graph import Socket

MODELS = (("model", "MODEL"), ("clip", "CLIP"), ("vae", "VAE"), ("picture", "IMAGE"))


def learn_and_compose(definitions: dict[str, Any]) -> Blueprint:
    """Picture and two prompts in; the conditioning for any sampler out, and a view of the tail."""
    made = Blueprint(
        definitions,
        "Learn and Compose (HiPer)",
        "Learns the subject of a picture and puts it behind another prompt; shows where in the "
        "picture the learned tail looks.",
    )
    model, clip, vae, picture = (made.given(*each) for each in MODELS)
    source_prompt = made.given("source prompt", "STRING")
    target_prompt = made.given("target prompt", "STRING")
    made.group("1 · Learn the subject")
    latent = made.node("VAEEncode", pixels=picture, vae=vae)["LATENT"]
    source = _encoded(made, clip, source_prompt, "Source prompt")
    learned = made.node("HiPerLearnEmbedding", model=model, conditioning=source, latent=latent)
    embedding = learned["embedding"]
    made.group("2 · Put it behind another prompt")
    target = _encoded(made, clip, target_prompt, "Target prompt")
    composed = _composed(made, target, embedding)
    made.group("3 · Where the tail looks in the picture")
    again = _composed(made, source, embedding)
    made.node(
        "HiPerAttentionViewer",
        wide=420,
        preview=600,
        model=model,
        conditioning=again,
        latent=latent,
        image=picture,
        clip=clip,
    )
    made.shows_viewer()
    made.gives("conditioning", composed)
    made.gives("embedding", embedding)
    return made


def edit_picture(definitions: dict[str, Any]) -> Blueprint:
    """A picture and what it shall show in; the edited picture out."""
    made = Blueprint(
        definitions,
        "Edit Picture (HiPer)",
        "Learns the subject of a picture, and lets it do something else there; the background "
        "stays as it is.",
    )
    model, clip, vae, picture = (made.given(*each) for each in MODELS)
    source_prompt = made.given("source prompt", "STRING")
    target_prompt = made.given("target prompt", "STRING")
    word = made.given("word", "STRING")
    made.group("1 · Learn the subject")
    latent = made.node("VAEEncode", pixels=picture, vae=vae)["LATENT"]
    source = _encoded(made, clip, source_prompt, "Source prompt")
    learned = made.node("HiPerLearnEmbedding", model=model, conditioning=source, latent=latent)
    made.group("2 · Edit")
    target = _encoded(made, clip, target_prompt, "Target prompt")
    negative = made.node("CLIPTextEncode", "Negative prompt", clip=clip, text="")["CONDITIONING"]
    edited = made.node(
        "HiPerEditPicture",
        model=model,
        source=source,
        target=target,
        negative=negative,
        latent=latent,
        clip=clip,
        word=word,
        embedding=learned["embedding"],
    )
    image = made.node("VAEDecode", samples=edited["latent"], vae=vae)["IMAGE"]
    made.gives("image", image)
    made.gives("embedding", learned["embedding"])
    return made


def _encoded(made: Blueprint, clip: Socket, text: Socket, title: str) -> Socket:
    return made.node("CLIPTextEncode", title, clip=clip, text=text)["CONDITIONING"]


def _composed(made: Blueprint, conditioning: Socket, embedding: Socket) -> Socket:
    node = made.node("HiPerComposeConditioning", conditioning=conditioning, embedding=embedding)
    return node["conditioning"]


BLUEPRINTS = {
    "Learn and Compose (HiPer)": learn_and_compose,
    "Edit Picture (HiPer)": edit_picture,
}
