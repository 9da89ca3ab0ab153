"""HiPer's figures as graphs: prompts, seeds, strength, number of tokens, source prompt."""

from __future__ import annotations

from .graph import Graph, Socket
from .scene import SOURCE_PROMPT, Scene, Stage

SOURCES = "a", "a dog", "a standing dog", "a standing dog on grass"


def many_prompts(graph: Graph, stage: Stage) -> None:
    """Figures 1 and 5: one subject, several prompts."""
    scene = Scene(graph, stage)
    embedding = scene.learned_once()
    graph.group("3 · Several prompts")
    prompts = scene.targets(6)
    target = scene.prompt(prompts["text"], "Each prompt")
    negative = scene.prompt("", "Negative prompt")
    positive = scene.compose(target, embedding)
    graph.note(
        "Figures 1 and 5 of HiPer",
        "The values run one by one through the nodes behind them. Look for "
        "the same coat in every picture, and for the pose and the place of each prompt.",
    )
    graph.group("4 · Sample and compare")
    image = scene.sample(positive, negative)
    graph.column()
    scene.grid(image, column_labels=prompts["labels"], columns=3)


def token_counts(graph: Graph, stage: Stage) -> None:
    """Figure 7: N against the prompt."""
    scene = Scene(graph, stage)
    scene.picture()
    graph.group("2 · Learn with several N")
    source = scene.prompt(SOURCE_PROMPT, "Source prompt")
    counts = graph.node("HiPerGridValues", "Tokens", values="1, 5, 10, 20", name="N")
    learned = scene.learn(source, tokens=counts["integer"])
    graph.note(
        "Figure 7 of HiPer: how many tokens",
        "More tokens keep more of the picture and follow the prompt less: look at the coat from "
        "row to row, and whether pose and place still obey."
        + (
            " On the demo model the rows differ little: one token nearly holds a coat."
            if stage.name == "demo"
            else ""
        )
        + " Learning runs once for every N.",
    )
    _crossed(graph, scene, learned["embedding"], counts["labels"])


def source_texts(graph: Graph, stage: Stage) -> None:
    """Figure 9: what the source prompt says, the tail need not learn."""
    scene = Scene(graph, stage)
    scene.picture()
    graph.group("2 · Learn with several source prompts")
    texts = graph.node(
        "HiPerGridValues",
        "Source prompts",
        values="\n".join(stage.says(text) for text in SOURCES),
        name="",
        text_height=130,
    )
    learned = scene.learn(scene.prompt(texts["text"], "Each source prompt"))
    graph.note(
        "Figure 9 of HiPer: the source prompt",
        "What the source prompt does not say, the tail learns: a prompt that leaves "
        "the pose out binds the pose to the subject. Learning runs once for every prompt.",
    )
    _crossed(graph, scene, learned["embedding"], texts["labels"])


def with_and_without(graph: Graph, stage: Stage) -> None:
    """Figure 10: the same noise with and without the tail."""
    scene = Scene(graph, stage)
    embedding = scene.learned_once()
    graph.group("3 · Several prompts")
    prompts = scene.targets(4)
    target = scene.prompt(prompts["text"], "Each prompt")
    negative = scene.prompt("", "Negative prompt")
    composed = scene.compose(target, embedding)
    graph.note(
        "Figure 10 of HiPer: without and with",
        "The upper row has the prompt alone, the lower row the same prompt and the "
        "same noise with the tail. Only the lower row keeps the subject.",
    )
    graph.group("4 · Sample both")
    plain = scene.sample(target, negative, "Without the tail")
    graph.column()
    kept = scene.sample(composed, negative, "With the tail")
    graph.column()
    scene.two_rows(plain, kept, prompts["labels"])


def seeds(graph: Graph, stage: Stage) -> None:
    """Figure 12: ten seeds."""
    scene = Scene(graph, stage)
    embedding = scene.learned_once()
    graph.group("3 · One prompt, ten seeds")
    target = scene.prompt("a sitting dog at night", "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    composed = scene.compose(target, embedding)
    numbers = graph.node(
        "HiPerGridValues", "Seeds", values="1, 2, 3, 4, 5, 6, 7, 8, 9, 10", name="seed"
    )
    graph.note(
        "Figure 12 of HiPer: ten seeds",
        "Ten seeds of the sampler, above without and below with the tail. The "
        "subject should not depend on the seed.",
    )
    graph.group("4 · Sample both")
    plain = scene.sample(target, negative, "Without the tail", seed=numbers["integer"])
    graph.column()
    kept = scene.sample(composed, negative, "With the tail", seed=numbers["integer"])
    graph.column()
    scene.two_rows(plain, kept, numbers["labels"])


def strengths(graph: Graph, stage: Stage) -> None:
    """α of equation 6 against several prompts."""
    scene = Scene(graph, stage)
    embedding = scene.learned_once()
    graph.group("3 · Every strength with every prompt")
    values = graph.node("HiPerGridValues", "Strengths", values="0, 0.4, 0.8, 1.2", name="α")
    prompts = scene.targets(4)
    pairs = graph.node("HiPerGridPairs", rows=values["number"], columns=prompts["text"])
    negative = scene.prompt("", "Negative prompt")
    graph.column()
    target = scene.prompt(pairs["column"], "Each prompt")
    positive = scene.compose(target, embedding, strength=pairs["row"])
    graph.note(
        "Strength, α of equation 6",
        "At 0 the tail says nothing, and some other subject comes; the paper uses 0.8. Look for "
        "the row where the subject is kept and the prompt still followed.",
    )
    graph.group("4 · Sample and compare")
    image = scene.sample(positive, negative)
    graph.column()
    scene.grid(image, row_labels=values["labels"], column_labels=prompts["labels"])


def _crossed(graph: Graph, scene: Scene, embeddings: Socket, labels: Socket) -> None:
    """Every embedding with every prompt, as one grid."""
    graph.group("3 · Every embedding with every prompt")
    prompts = scene.targets(4)
    targets = scene.prompt(prompts["text"], "Each prompt")
    negative = scene.prompt("", "Negative prompt")
    graph.column()
    pairs = graph.node("HiPerGridPairs", rows=embeddings, columns=targets)
    positive = scene.compose(pairs["column"], pairs["row"])
    graph.group("4 · Sample and compare")
    image = scene.sample(positive, negative)
    graph.column()
    scene.grid(image, row_labels=labels, column_labels=prompts["labels"])
