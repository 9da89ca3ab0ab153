"""A prompt for the server, written a node at a time."""

from __future__ import annotations

from typing import Any

from .scene import DEMO, SAMPLER

SEEDS = 4, 11  # of the learned animal, and of the other one in the picture of several
Link = list[Any]


class Sheet:
    """A prompt for the server, a node at a time."""

    def __init__(self) -> None:
        self.prompt: dict[str, Any] = {}

    def node(self, kind: str, **inputs: Any) -> str:
        name = str(len(self.prompt) + 1)
        self.prompt[name] = {"class_type": kind, "inputs": inputs}
        return name

    def text(self, text: str | Link) -> Link:
        return [self.node("CLIPTextEncode", clip=[self.demo, 1], text=text), 0]

    def values(self, values: str, name: str) -> str:
        return self.node("HiPerGridValues", values=values, name=name)

    def learn(self, tokens: int | Link, text: str | Link | None = None, **more: Any) -> str:
        settings = {"steps": 400, "learning_rate": 5e-3, "seed": 0, "batch_size": 4}
        settings |= {"precision": "auto", "gradient_checkpointing": "auto", "preview_every": 0}
        return self.node(
            "HiPerLearnEmbedding",
            model=[self.demo, 0],
            conditioning=self.text(text or [self.animal, 2]),
            latent=[self.latent, 0],
            tokens=tokens,
            recipe="fast",
            auto_stop=True,
            **(settings | more),
        )

    def compose(self, text: Link, embedding: Link, strength: float | Link) -> Link:
        kind = "HiPerComposeConditioning"
        wires = {"conditioning": text, "embedding": embedding}
        return [self.node(kind, **wires, strength=strength), 0]

    def sample(self, positive: Link, steps: int = DEMO.steps, **change: Any) -> tuple[Link, Link]:
        empty = self.node("EmptyLatentImage", width=DEMO.size, height=DEMO.size, batch_size=1)
        settings = SAMPLER | {"cfg": DEMO.guidance, "seed": 1, "denoise": 1.0}
        given = {"model": [self.demo, 0], "positive": positive, "negative": self.text("")}
        latent = self.node(
            "KSampler", latent_image=[empty, 0], steps=steps, **(settings | given | change)
        )
        return [latent, 0], self.decode([latent, 0])

    def decode(self, latent: Link) -> Link:
        return [self.node("VAEDecode", samples=latent, vae=[self.demo, 2]), 0]

    def grid(self, images: Link, cell: int = 128, **given: Any) -> str:
        settings = {"title": "", "columns": 0, "order": "row by row", "cell": cell}
        return self.node("HiPerPictureGrid", images=images, **(settings | given))

    def scene(self) -> None:
        """Model, source picture and one learned embedding, which most pictures begin with."""
        self.demo = self.node("HiPerLoadDemoModel")
        where = {"animal": "dog", "pose": "standing", "ground": "grass"}
        self.animal = self.node("HiPerDrawDemoAnimal", **where, seed=SEEDS[0])
        self.latent = self.node("VAEEncode", pixels=[self.animal, 0], vae=[self.demo, 2])
