"""SeFi-IDE as graphs: its attention loss, its own setting, and two subjects in one picture."""

from __future__ import annotations

from typing import Any

from .graph import Graph, Socket
from .scene import DOG, Scene, Stage

CAT = 11  # another individual with a pattern
LITTLE = "a dog"  # a source prompt that says so little that pose and ground are learned, too
PAPER = {
    "focus": 0.003,
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
    held = scene.learn(source, clip=scene.clip, sefi=settings(graph, word=stage.subject))[
        "embedding"
    ]
    graph.note(
        "Figure 1 of SeFi-IDE: held to the subject",
        "A prompt that names neither pose nor ground leaves both to the "
        "tail, and later prompts are not followed. *focus* holds the tail's attention to where the "
        "word looks: the same steps, one more term of the loss.",
    )
    graph.group("3 · Where the tails look")
    both = [scene.compose(source, each) for each in (free, held)]
    compared = graph.node(
        "HiPerCompareAttention",
        wide=520,
        preview=520,
        model=scene.model,
        latent=scene.latent,
        clip=scene.clip,
        image=scene.image,
        conditioning_a=both[0],
        conditioning_b=both[1],
        title_a="left free",
        title_b=f"held to '{stage.subject}'",
        title_c="",
        timestep=50.0,
    )
    graph.node("PreviewImage", "Figure 1", preview=420, images=compared["comparison"])
    graph.group("4 · Another prompt, the same noise")
    target = scene.prompt("a jumping dog in snow", "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    images = [
        scene.sample(scene.compose(target, each), negative, title)
        for each, title in ((free, "Left free"), (held, "Held to its word"))
    ]
    graph.column()
    labels = scene.labels(f"left free\nheld to '{stage.subject}'")
    scene.grid(scene.row(images), column_labels=labels)


def paper_setting(graph: Graph, stage: Stage) -> None:
    """Five stages, keys and values apart, the attention loss and augmentation, 1,000 steps."""
    scene = Scene(graph, stage)
    scene.picture()
    many = graph.node("HiPerAugmentPicture", image=scene.image, smallest=0.1, count=16)
    pictures = scene.encoded(many["image"])
    graph.note(
        "SeFi-IDE as its paper has it",
        "But for what this pack does otherwise: the vectors are learned "
        "behind the text encoder, and the concept's word is the prompt's own. The paper also "
        "changes colours; on pictures whose colour matters *jitter* is better left at 0.",
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
        sefi=settings(graph, word=stage.subject, **PAPER),
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
        "Figure 4 of SeFi-IDE: the parts",
        "Keys, values and each stage in turn go back to what the prompt "
        "had there. The paper finds the subject in the values, layout in the early stages and "
        "detail in the late ones.",
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
        positives.append(scene.compose(target, embedding))
    graph.group("4 · The same noise for all")
    images = []
    for number, (name, positive) in enumerate(zip(taken, positives, strict=True)):
        if number and number % 2 == 0:
            graph.column()
        images.append(scene.sample(positive, negative, name))
    graph.column()
    row = scene.row(images)
    labels = scene.labels("\n".join(taken))
    graph.column()
    scene.grid(row, column_labels=labels, columns=3)


def two_subjects(graph: Graph, stage: Stage) -> None:
    """Figures 9 to 11: two learned subjects in one picture, each kept to its word."""
    scene = Scene(graph, stage)
    subjects = []
    words = (stage.subject, "cat")
    for title, animal, seed in (("First", "dog", DOG), ("Second", "cat", CAT)):
        picture = scene.drawn(f"{title} subject", animal=animal, seed=seed)
        subjects.append((title, animal, picture, scene.encoded(picture)))
        graph.column()
    graph.group("2 · Learn each")
    embeddings = []
    for title, animal, _, latent in subjects:
        source = scene.prompt(f"a standing {animal} on grass", f"{title} subject's source prompt")
        scene.latent = latent
        embeddings.append(scene.learn(source, clip=scene.clip)["embedding"])
        graph.column()
    graph.note(
        "Figures 9 to 11 of SeFi-IDE: two subjects",
        "Each has a tail of its own, behind one prompt that names both. "
        "*keep_to* is the word that each tail belongs to: it is looked at only from where that "
        "word is. Clear both, and the coats run into each other.",
    )
    graph.group("3 · One prompt for both")
    target = scene.prompt("a sitting dog and a standing cat on grass", "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    pairs = []
    for kept_to in (("", ""), words):
        graph.column()
        positive = target
        for embedding, word in zip(embeddings, kept_to, strict=True):
            positive = scene.compose(positive, embedding, keep_to=word, clip=scene.clip)
        pairs.append(positive)
    graph.group("4 · Sample both ways")
    images = [
        scene.sample(positive, negative, title)
        for positive, title in zip(pairs, ("Chained", "Kept to its word"), strict=True)
    ]
    shown = [subjects[0][2], subjects[1][2], *images]
    row = scene.row(shown)
    labels = scene.labels(f"the {words[0]}\nthe {words[1]}\nchained\nkept to its word")
    graph.column()
    scene.grid(row, column_labels=labels, columns=4, source=None)
