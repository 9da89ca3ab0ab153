"""The parts that most graphs have in common: model, picture, learning, sampling."""

from __future__ import annotations

from collections.abc import Sequence
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
PICTURE = "example.png"  # ComfyUI brings it: a drawn girl on a meadow


@dataclass(frozen=True)
class Stage:
    """What a graph is played on: the demo model, or a person's checkpoint and picture."""

    name: str
    size: int
    steps: int
    guidance: float
    subject: str
    kind: str = ""  # of picture, where a prompt has to say it

    def says(self, text: str) -> str:
        """A prompt written for the demo's dog, for this stage's subject."""
        if not self.kind:
            return text
        words = text.removeprefix("a ").replace("dog", self.subject)
        return f"{self.kind} of a {words}" if text.startswith("a ") else text


DEMO = Stage("demo", 128, steps=25, guidance=3.0, subject="dog")
SD15 = Stage("sd15", 512, steps=50, guidance=7.5, subject="girl", kind="a drawing")  # the paper's
SAMPLER = {"sampler_name": "ddim", "scheduler": "normal"}
DOG = 139  # an individual with a pattern: whether it is kept can be seen without a second look
PLAIN_AND_KEPT = "prompt alone\nwith HiPer"
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

    image: Socket | None = None

    def picture(self, shown: bool = False) -> None:
        """The source picture and its latent."""
        drawn = self.drawn("Source picture", shown=shown, seed=DOG)
        self.image = drawn
        self.latent = self.encoded(drawn)

    def drawn(self, title: str, shown: bool = False, **animal: Any) -> Socket:
        """A picture: of the demo's animal, or a person's own."""
        graph = self.graph
        if self.stage.name == "demo":
            node = graph.node("HiPerDrawDemoAnimal", title, shown=shown, **animal)
        else:
            node = graph.node("LoadImage", title, shown=shown, image=PICTURE)
        return next(iter(node.values()))

    def encoded(self, image: Socket) -> Socket:
        return self.graph.node("VAEEncode", collapsed=True, pixels=image, vae=self.vae)["LATENT"]

    def decoded(self, latent: Socket) -> Socket:
        return self.graph.node("VAEDecode", collapsed=True, samples=latent, vae=self.vae)["IMAGE"]

    def prompt(self, text: str | Socket, title: str) -> Socket:
        """A prompt; what is written for the demo's dog is said for the stage's subject."""
        said = self.stage.says(text) if isinstance(text, str) else text
        empty = said == ""
        encode = self.graph.node(
            "CLIPTextEncode", title, collapsed=empty, clip=self.clip, text=said
        )
        return encode["CONDITIONING"]

    def learn(self, conditioning: Socket, **settings: Any) -> Sockets:
        return self.graph.node(
            "HiPerLearnEmbedding",
            model=self.model,
            conditioning=conditioning,
            latent=self.latent,
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

    def empty(self, batch: int = 1) -> Socket:
        size = self.stage.size
        node = self.graph.node(
            "EmptyLatentImage", collapsed=True, width=size, height=size, batch_size=batch
        )
        return node["LATENT"]

    def sampled(
        self, positive: Socket, negative: Socket, latent: Socket, title: str | None = None, **change
    ) -> Socket:
        """A latent from the sampler, with the stage's settings where nothing else is said."""
        settings = SAMPLER | {"steps": self.stage.steps, "cfg": self.stage.guidance, "seed": 1}
        given = {"model": self.model, "positive": positive, "negative": negative}
        settings |= given | {"latent_image": latent}
        return self.graph.node("KSampler", title, **(settings | change))["LATENT"]

    def sample(
        self, positive: Socket, negative: Socket, title: str | None = None, batch: int = 1, **change
    ) -> Socket:
        """Pictures from noise: nothing of the source picture goes into the sampler."""
        latent = self.sampled(positive, negative, self.empty(batch), title, **change)
        return self.decoded(latent)

    def targets(self, count: int) -> Sockets:
        """A list of target prompts to run through."""
        return self.graph.node(
            "HiPerGridValues",
            "Target prompts",
            text_height=40 + 20 * count,
            values="\n".join(self.stage.says(target) for target in TARGETS[:count]),
            name="",
        )

    def saved(self, image: Socket, name: str) -> None:
        """Keep the one picture that the graph is for, under the graph's own name."""
        prefix = f"hiper/{name}_{self.stage.name}"
        self.graph.node(
            "SaveImage", "Save the result", collapsed=True, images=image, filename_prefix=prefix
        )

    def grid(self, images: Socket, wide: int = 520, shown: bool = True, **settings: Any) -> None:
        """The labelled pictures, with the source picture before them."""
        room = settings.pop("preview", 460)
        given = {"source": self.image} | settings
        given = {name: value for name, value in given.items() if value is not None}
        self.graph.node(
            "HiPerPictureGrid", wide=wide, preview=room, shown=shown, images=images, **given
        )

    def labels(self, values: str, name: str = "") -> Socket:
        """What is written at the rows or columns of a grid, one name a line."""
        node = self.graph.node(
            "HiPerGridValues", "Labels", collapsed=True, values=values, name=name
        )
        return node["labels"]

    def row(self, pictures: Sequence[Socket]) -> Socket:
        """Pictures as one batch, in their order."""
        if len(pictures) == 1:
            return pictures[0]
        inputs = {f"images.image{number}": each for number, each in enumerate(pictures)}
        node = self.graph.node("BatchImagesNode", "The pictures", collapsed=True, **inputs)
        return node["IMAGE"]

    def pair(self, plain: Socket, kept: Socket, labels: Socket, column: int = -1) -> Socket:
        """One labelled picture: the source, the prompt alone and with the tail."""
        given = {} if self.image is None else {"source": self.image}
        grid = self.graph.node(
            "HiPerPictureGrid",
            "Side by side",
            collapsed=True,
            column=column,
            images=self.row([plain, kept]),
            column_labels=labels,
            columns=2,
            **given,
        )
        return grid["grid"]

    def two_rows(self, plain: Socket, kept: Socket, labels: Socket) -> None:
        """The same prompts or seeds without the tail above and with it below."""
        both = self.row([plain, kept])
        rows = self.labels(PLAIN_AND_KEPT)
        self.grid(both, row_labels=rows, column_labels=labels, order="column by column")
