"""The first graphs that a person opens: learn a subject and use it, use one that is saved."""

from __future__ import annotations

from .graph import Graph, Socket
from .layout import GAP_X
from .scene import PLAIN_AND_KEPT, SOURCE_PROMPT, Scene, Stage


def quick_start(graph: Graph, stage: Stage) -> None:
    """One picture learned, the prompt alone beside HiPer, and where the model looked."""
    graph.wide = 244
    scene = Scene(graph, stage)
    scene.picture()
    graph.note(
        "What this does",
        "One picture and one sentence go in. What the sentence does not say of the subject is "
        "learned as a few token vectors. Behind another prompt they bring the subject back."
        + (
            "\n\nNo prompt of the demo model can name this coat. Another *seed* is another dog."
            if stage.name == "demo"
            else "\n\nChoose a checkpoint and a picture with one clear subject, and say in the "
            "source prompt what it shows."
        ),
    )
    graph.group("2 · Learn the subject")
    source = scene.prompt(SOURCE_PROMPT, "Source prompt")
    learned = scene.learn(source)
    name = "my_demo_dog" if stage.name == "demo" else "my_subject"
    saved = graph.node(
        "HiPerSaveEmbedding",
        "Save embedding",
        collapsed=True,
        embedding=learned["embedding"],
        name=name,
    )
    graph.group("3 · Put it behind another prompt")
    target = scene.prompt("a sitting dog in snow", "Target prompt")
    positive = scene.compose(target, saved["embedding"])
    negative = scene.prompt("", "Negative prompt")
    empty = scene.empty()
    plain = scene.sampled(target, negative, empty, "Prompt alone", collapsed=True)
    plain = scene.decoded(plain)
    labels = scene.labels(PLAIN_AND_KEPT)
    graph.column()
    latent = scene.sampled(positive, negative, empty, "With HiPer")
    image = scene.decoded(latent)
    pictures = scene.pair(plain, image, labels, column=-2)  # where there is room
    graph.group("4 · The prompt alone, and with HiPer", below=True)
    graph.node(
        "PreviewImage",
        "The result",
        wide=2 * graph.wide + GAP_X,
        shown=True,
        images=pictures,
    )
    graph.group("5 · Where it looked")
    looked_at(scene, positive, latent, image, wide=410, room=505)


def looked_at(
    scene: Scene, positive: Socket, latent: Socket, image: Socket, wide: int, room: int
) -> None:
    """The viewer on a finished picture."""
    scene.graph.node(
        "HiPerAttentionViewer",
        wide=wide,
        preview=room,
        model=scene.model,
        conditioning=positive,
        latent=latent,
        image=image,
        clip=scene.clip,
    )


def saved_subject(graph: Graph, stage: Stage) -> None:
    """No learning: an embedding from its file, behind a prompt."""
    scene = Scene(graph, stage)
    name = "demo_dog" if stage.name == "demo" else "my_subject"
    loaded = graph.node("HiPerLoadEmbedding", name=f"{name}.safetensors")
    graph.node("PreviewAny", "What the file says", source=loaded["report"], preview=80)
    graph.note(
        "A learned subject from a file",
        "*demo_dog* comes with the pack. What you saved yourself is in the same list: press R to "
        "refresh it."
        if stage.name == "demo"
        else "Run *01_quick_start_sd15* first: it saves *my_subject*, which the list of *Load* "
        "then offers (press R). A subject goes with checkpoints of the family it was learned on.",
    )
    graph.group("2 · Put it behind another prompt")
    target = scene.prompt("a jumping dog in snow", "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    positive = scene.compose(target, loaded["embedding"])
    graph.group("3 · Prompt alone, and with HiPer")
    plain = scene.sample(target, negative, "Prompt alone")
    graph.column()
    image = scene.sample(positive, negative, "With HiPer")
    graph.group("4 · The result")
    graph.node(
        "PreviewImage",
        "The result",
        wide=520,
        preview=300,
        shown=True,
        images=scene.pair(plain, image, scene.labels(PLAIN_AND_KEPT)),
    )
    scene.saved(image, "saved_subject")
