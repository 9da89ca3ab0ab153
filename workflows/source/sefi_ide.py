"""SeFi-IDE as graphs: its attention loss, its own setting, and two subjects in one picture."""

from __future__ import annotations

from typing import Any

from .graph import Graph, Socket
from .scene import Scene, Stage

LITTLE = "a dog"  # a source prompt that says so little that pose and ground are learned, too
PAPER = {
    "focus": 0.003,
    "word": "dog",
    "stages": 5,
    "keys_and_values": True,
    "reduction": "paper",
}


def settings(graph: Graph, **chosen: Any) -> Socket:
    return graph.node("HiPerSefiSettings", **chosen)["sefi"]


def focus(graph: Graph, stage: Stage) -> None:
    """Figure 1: where the tail looks, left free and held to its subject; and what comes of it."""
    scene = Scene(graph, stage)
    scene.picture()
    graph.group("2 · Learn twice from a prompt that says little")
    source = scene.prompt(LITTLE, "Source prompt")
    free = scene.learn(source, clip=scene.clip)["embedding"]
    graph.column()
    held = scene.learn(source, clip=scene.clip, sefi=settings(graph, word="dog"))["embedding"]
    graph.note(
        "**Figure 1 of SeFi-IDE.** A prompt that names neither pose nor ground leaves both to the "
        "tail, and later prompts are not followed. *focus* holds the tail's attention to where the "
        "word looks: the same steps, one more term of the loss.",
        height=150,
    )
    graph.group("3 · Where the tails look")
    strong = {"strength": 1.0}
    both = [scene.compose(source, each, **strong) for each in (free, held)]
    compared = graph.node(
        "HiPerCompareAttention",
        wide=520,
        preview=420,
        model=scene.model,
        latent=scene.latent,
        clip=scene.clip,
        image=scene.image,
        conditioning_a=both[0],
        conditioning_b=both[1],
        title_a="left free",
        title_b="held to 'dog'",
        title_c="",
        timestep=50.0,
    )
    graph.node("PreviewImage", "Figure 1", preview=420, images=compared["comparison"])
    graph.group("4 · Another prompt, the same noise")
    target = scene.prompt("a jumping dog in snow", "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    images = [
        scene.sample(scene.compose(target, each, **strong), negative, title)
        for each, title in ((free, "Left free"), (held, "Held to its word"))
    ]
    graph.column()
    side = graph.node("ImageBatch", "Left free, held", image1=images[0], image2=images[1])
    names = graph.node("HiPerGridValues", "Columns", values="left free\nheld to 'dog'", name="")
    scene.grid(side["IMAGE"], column_labels=names["labels"])


def paper_setting(graph: Graph, stage: Stage) -> None:
    """Five stages, keys and values apart, the attention loss and augmentation, 1,000 steps."""
    scene = Scene(graph, stage)
    scene.picture()
    many = graph.node("HiPerAugmentPicture", image=scene.image, smallest=0.1, count=16)
    pictures = graph.node("VAEEncode", pixels=many["image"], vae=scene.vae)["LATENT"]
    graph.note(
        "**As SeFi-IDE has it**, but for what this pack does otherwise: the vectors are learned "
        "behind the text encoder, and the concept's word is the prompt's own. The paper also "
        "changes colours; on pictures whose colour matters *jitter* is better left at 0.",
        height=150,
    )
    graph.group("2 · Learn")
    source = scene.prompt(LITTLE, "Source prompt")
    learned = graph.node(
        "HiPerLearnEmbedding",
        model=scene.model,
        conditioning=source,
        latent=pictures,
        mask=many["mask"],
        clip=scene.clip,
        sefi=settings(graph, **PAPER),
        recipe="paper",
        auto_stop=False,
    )
    graph.node("PreviewImage", "Loss", preview=220, images=learned["loss"])
    graph.group("3 · Several prompts")
    prompts = scene.targets(4)
    target = scene.prompt(prompts["text"], "Each prompt")
    negative = scene.prompt("", "Negative prompt")
    positive = scene.compose(target, learned["embedding"])
    graph.group("4 · Sample and compare")
    image = scene.sample(positive, negative)
    graph.column()
    scene.grid(image, column_labels=prompts["labels"], columns=2)


def parts(graph: Graph, stage: Stage) -> None:
    """Figure 4: of five stages with keys and values apart, one part at a time is taken away."""
    scene = Scene(graph, stage)
    scene.picture()
    graph.group("2 · Learn by stages, keys and values apart")
    source = scene.prompt("a standing dog on grass", "Source prompt")
    apart = {"focus": 0.0, "stages": 5, "keys_and_values": True}
    learned = scene.learn(source, sefi=settings(graph, **apart))["embedding"]
    graph.column()
    untouched = graph.node(
        "HiPerLearnEmbedding",
        "The prompt's own vectors",
        model=scene.model,
        conditioning=source,
        latent=scene.latent,
        steps=1,
        learning_rate=1e-3,
        recipe="paper",
        auto_stop=False,
        preview_every=0,
    )["embedding"]
    graph.note(
        "**Figure 4 of SeFi-IDE.** Keys, values and each stage in turn go back to what the prompt "
        "had there. The paper finds the subject in the values, layout in the early stages and "
        "detail in the late ones.",
        height=120,
    )
    graph.group("3 · Take away one part at a time")
    target = scene.prompt("a sitting dog in snow", "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    taken = {"nothing taken": None, "no keys": ("all", "keys"), "no values": ("all", "values")}
    taken |= {f"no stage {n}": (str(n), "keys and values") for n in (1, 3, 5)}
    positives = []
    for number, how in enumerate(taken.values()):
        if number % 3 == 0:
            graph.column()
        embedding = learned
        if how is not None:
            embedding = graph.node(
                "HiPerExchangeParts",
                embedding=learned,
                other=untouched,
                stages=how[0],
                roles=how[1],
            )["embedding"]
        positives.append(scene.compose(target, embedding, strength=1.0))
    graph.group("4 · The same noise for all")
    images = []
    for number, (name, positive) in enumerate(zip(taken, positives, strict=True)):
        if number and number % 2 == 0:
            graph.column()
        images.append(scene.sample(positive, negative, name))
    graph.column()
    row = images[0]
    for each in images[1:]:
        row = graph.node("ImageBatch", image1=row, image2=each)["IMAGE"]
    names = graph.node(
        "HiPerGridValues", "Columns", values="\n".join(taken), name="", text_height=150
    )
    graph.column()
    scene.grid(row, column_labels=names["labels"], columns=3)


def two_subjects(graph: Graph, stage: Stage) -> None:
    """Figures 9 to 11: two learned subjects in one picture, each kept to its word."""
    scene = Scene(graph, stage)
    subjects = []
    for number, (animal, seed) in enumerate((("dog", 4), ("cat", 11))):
        if number:
            graph.column()
        picture = _picture(graph, stage, animal, seed)
        latent = graph.node("VAEEncode", pixels=picture, vae=scene.vae)["LATENT"]
        subjects.append((animal, picture, latent))
    graph.group("2 · Learn each")
    embeddings = []
    for animal, _, latent in subjects:
        source = scene.prompt(f"a standing {animal} on grass", f"Source prompt of the {animal}")
        scene.latent = latent
        embeddings.append(scene.learn(source, clip=scene.clip)["embedding"])
        graph.column()
    graph.note(
        "**Two subjects.** Each has a tail of its own, behind one prompt that names both. "
        "*keep_to* is the word that each tail belongs to: it is looked at only from where that "
        "word is. Clear both, and the coats run into each other.",
        height=150,
    )
    graph.group("3 · One prompt for both")
    target = scene.prompt("a sitting dog and a standing cat on grass", "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    pairs = []
    for words in (("", ""), ("dog", "cat")):
        graph.column()
        positive = target
        for embedding, word in zip(embeddings, words, strict=True):
            positive = scene.compose(
                positive, embedding, strength=1.0, keep_to=word, clip=scene.clip
            )
        pairs.append(positive)
    graph.group("4 · Sample both ways")
    images = [
        scene.sample(positive, negative, title)
        for positive, title in zip(pairs, ("Chained", "Kept to its word"), strict=True)
    ]
    graph.column()
    shown = [subjects[0][1], subjects[1][1], *images]
    row = shown[0]
    for each in shown[1:]:
        row = graph.node("ImageBatch", image1=row, image2=each)["IMAGE"]
    graph.column()
    names = graph.node(
        "HiPerGridValues",
        "Columns",
        values="the dog\nthe cat\nchained\nkept to its word",
        name="",
        text_height=110,
    )
    graph.node(
        "HiPerPictureGrid",
        wide=560,
        preview=460,
        shown=True,
        images=row,
        column_labels=names["labels"],
        columns=4,
    )


def _picture(graph: Graph, stage: Stage, animal: str, seed: int) -> Socket:
    title = f"Picture of the {animal}"
    if stage.name == "demo":
        drawn = graph.node("HiPerDrawDemoAnimal", title, preview=220, animal=animal, seed=seed)
    else:
        drawn = graph.node("LoadImage", title, preview=300, image="example.png")
    return next(iter(drawn.values()))


SEFI_IDE = {
    "sefi_focus": focus,
    "sefi_paper_setting": paper_setting,
    "sefi_fig4_parts": parts,
    "sefi_two_subjects": two_subjects,
}
