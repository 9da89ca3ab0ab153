"""The parts that most graphs have in common: model, picture, learning, sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .graph import Graph, Socket

Sockets = dict[str, Socket]

# the checkpoint that ComfyUI's own first template names, so that the editor offers to fetch it
CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"
CHECKPOINT_FILE = {
    "name": CHECKPOINT,
    "url": "https://huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/"
    + CHECKPOINT,
    "directory": "checkpoints",
}


@dataclass(frozen=True)
class Stage:
    """What a graph is played on: the demo model, or a person's checkpoint and picture."""

    name: str
    size: int
    steps: int
    guidance: float
    recipe: str
    auto_stop: bool


DEMO = Stage("demo", 128, steps=25, guidance=3.0, recipe="fast", auto_stop=True)
SD15 = Stage("sd15", 512, steps=50, guidance=7.5, recipe="paper", auto_stop=False)  # the paper's
SAMPLER = {"sampler_name": "ddim", "scheduler": "normal"}
SOURCE_PROMPT = "a standing dog on grass"
TARGETS = (
    "a sitting dog on grass",
    "a jumping dog in snow",
    "a sleeping dog on the beach",
    "a standing dog at night",
    "a sitting dog at night",
    "a jumping dog on the beach",
)


class Scene:
    """The parts that most graphs begin with: model, picture, negative prompt."""

    def __init__(self, graph: Graph, stage: Stage) -> None:
        self.graph, self.stage = graph, stage
        graph.group("1 · Model and picture")
        if stage.name == "demo":
            loader = graph.node("HiPerLoadDemoModel")
        else:
            loader = graph.node(
                "CheckpointLoaderSimple", ckpt_name=CHECKPOINT, models=[CHECKPOINT_FILE]
            )
        self.model, self.clip, self.vae = loader.values()

    def picture(self, shown: bool = False) -> None:
        """The source picture and its latent."""
        graph = self.graph
        if self.stage.name == "demo":
            drawn = graph.node(
                "HiPerDrawDemoAnimal", "Source picture", preview=220, shown=shown, seed=4
            )
        else:
            drawn = graph.node(
                "LoadImage", "Source picture", preview=300, shown=shown, image="example.png"
            )
        self.image = next(iter(drawn.values()))
        self.latent = graph.node("VAEEncode", pixels=self.image, vae=self.vae)["LATENT"]

    def prompt(self, text: str | Socket, title: str) -> Socket:
        encode = self.graph.node("CLIPTextEncode", title, clip=self.clip, text=text)
        return encode["CONDITIONING"]

    def learn(self, conditioning: Socket, **settings: Any) -> Sockets:
        return self.graph.node(
            "HiPerLearnEmbedding",
            model=self.model,
            conditioning=conditioning,
            latent=self.latent,
            recipe=self.stage.recipe,
            auto_stop=self.stage.auto_stop,
            **settings,
        )

    def learned_once(self) -> Socket:
        """The picture's subject, learned once for everything that follows."""
        self.picture()
        self.graph.group("2 · Learn once")
        return self.learn(self.prompt(SOURCE_PROMPT, "Source prompt"))["embedding"]

    def compose(self, conditioning: Socket, embedding: Socket, **settings: Any) -> Socket:
        composed = self.graph.node(
            "HiPerComposeConditioning", conditioning=conditioning, embedding=embedding, **settings
        )
        return composed["conditioning"]

    def sample(
        self, positive: Socket, negative: Socket, title: str | None = None, batch: int = 1, **change
    ) -> Socket:
        """Pictures from noise: nothing of the source picture goes into the sampler."""
        graph, size = self.graph, self.stage.size
        empty = graph.node("EmptyLatentImage", width=size, height=size, batch_size=batch)
        latent = graph.node(
            "KSampler",
            title,
            model=self.model,
            positive=positive,
            negative=negative,
            latent_image=empty["LATENT"],
            **(
                SAMPLER
                | {"steps": self.stage.steps, "cfg": self.stage.guidance, "seed": 1}
                | change
            ),
        )
        return graph.node("VAEDecode", samples=latent["LATENT"], vae=self.vae)["IMAGE"]

    def targets(self, count: int) -> Sockets:
        """A list of target prompts to run through."""
        return self.graph.node(
            "HiPerGridValues",
            "Target prompts",
            text_height=30 + 20 * count,
            values="\n".join(TARGETS[:count]),
            name="",
        )

    def result(self, image: Socket, prefix: str) -> None:
        """The one picture that the graph is for, saved."""
        self.graph.node(
            "SaveImage", "Result", preview=380, shown=True, images=image, filename_prefix=prefix
        )

    def grid(self, images: Socket, **settings: Any) -> None:
        """The labelled pictures, with the source picture before them."""
        self.graph.node(
            "HiPerPictureGrid",
            wide=560,
            preview=460,
            shown=True,
            images=images,
            source=self.image,
            **settings,
        )

    def two_rows(self, plain: Socket, kept: Socket, labels: Socket) -> None:
        """The same prompts or seeds without the tail above and with it below."""
        both = self.graph.node("ImageBatch", "Plain above, HiPer below", image1=plain, image2=kept)
        rows = "prompt alone\nwith HiPer"
        names = self.graph.node("HiPerGridValues", "Rows", values=rows, name="")
        self.grid(
            both["IMAGE"],
            row_labels=names["labels"],
            column_labels=labels,
            order="column by column",
        )
