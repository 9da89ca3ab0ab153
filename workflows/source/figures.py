"""The graphs that the pack ships: a first one, and the paper's figures to open and run."""

from __future__ import annotations

from collections.abc import Callable

from .graph import Graph, Socket
from .lipe import LIPE
from .scene import DEMO, SD15, SOURCE_PROMPT, Scene, Stage
from .scoring import SCORING
from .sefi_ide import SEFI_IDE


def first_graph(graph: Graph, stage: Stage) -> None:
    scene = Scene(graph, stage)
    scene.picture(shown=True)
    graph.note(
        "**What this does.** One picture and one sentence go in; what the sentence does not say "
        "of the subject is learned as the last N token vectors of its prompt. Behind another "
        "prompt these vectors bring the subject back.\n\n"
        + (
            "The dog's coat has colours that no prompt of the demo model can name. Change the "
            "seed of the picture for another dog."
            if stage.name == "demo"
            else "Choose a Stable Diffusion checkpoint and a picture with one clear subject, "
            "about 512×512. No checkpoint yet? Open *quick_start_demo*."
        ),
        height=230,
    )
    graph.group("2 · Learn the subject")
    source = scene.prompt(SOURCE_PROMPT, "Source prompt: what the picture shows")
    learned = scene.learn(source)
    saved = graph.node("HiPerSaveEmbedding", embedding=learned["embedding"], name="my_subject")
    graph.column()
    graph.node("PreviewImage", "Loss", preview=260, images=learned["loss"])
    graph.note(
        "**Look here.** The line falls fast and then flattens. If it still falls at the end, more "
        "steps help.\n\nThe file lies in `models/hiper`; next time start from *load_and_compose* "
        "and skip the learning.",
        height=170,
    )
    graph.group("3 · Put it behind another prompt")
    target = scene.prompt("a sleeping dog on the beach", "Target prompt: what it shall do")
    negative = scene.prompt("", "Negative prompt")
    positive = scene.compose(target, saved["embedding"])
    graph.note(
        "**strength** is α of the paper. Subject not kept: raise it, or learn with more tokens or "
        "steps. Prompt ignored: lower it, or learn with fewer tokens.",
        height=130,
    )
    graph.group("4 · Sample")
    image = scene.sample(positive, negative)
    graph.column()
    scene.result(image, "hiper/first")


def load_and_compose(graph: Graph, stage: Stage) -> None:
    scene = Scene(graph, stage)
    graph.note(
        "Run *quick_start_demo* or *learn_and_compose* once before: it saves "
        "`my_subject.safetensors`, which the list below then offers (press R).",
        height=130,
    )
    loaded = graph.node("HiPerLoadEmbedding", name="my_subject.safetensors")
    graph.node("PreviewAny", "What the file says", source=loaded["report"], preview=80)
    graph.group("2 · Put it behind another prompt")
    target = scene.prompt("a jumping dog in snow", "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    positive = scene.compose(target, loaded["embedding"])
    graph.group("3 · Sample")
    image = scene.sample(positive, negative)
    graph.column()
    scene.result(image, "hiper/loaded")


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
        "**Figures 1 and 5.** The values run one by one through the nodes behind them. Look for "
        "the same coat in every picture, and for the pose and the place of each prompt.",
        height=130,
    )
    graph.group("4 · Sample and compare")
    image = scene.sample(positive, negative)
    graph.column()
    scene.grid(image, column_labels=prompts["labels"], columns=3)


def attention(graph: Graph, stage: Stage) -> None:
    """Figure 3: where each token looks, without the tail, with it, and behind another prompt."""
    scene = Scene(graph, stage)
    scene.picture()
    graph.group("2 · Learn")
    source = scene.prompt(SOURCE_PROMPT, "Source prompt")
    learned = scene.learn(source)
    graph.group("3 · Three prompts")
    with_tail = scene.compose(source, learned["embedding"], strength=1.0)
    target = scene.prompt("a sitting dog on grass", "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    composed = scene.compose(target, learned["embedding"])
    graph.note(
        "**Figure 3.** (a) the source prompt, (b) the source prompt with the learned tail, (c) the "
        "target prompt with the tail. Look where the tokens `hiper 1` … `hiper 5` light up, on the "
        "subject or beside it; a single head often says more than the mean of all.",
        height=160,
    )
    graph.group("4 · Where each token looks")
    compared = graph.node(
        "HiPerCompareAttention",
        wide=520,
        preview=420,
        model=scene.model,
        latent=scene.latent,
        clip=scene.clip,
        image=scene.image,
        conditioning_a=source,
        conditioning_b=with_tail,
        conditioning_c=composed,
    )
    graph.column()
    graph.node("PreviewImage", "Figure 3", preview=420, shown=True, images=compared["comparison"])
    image = scene.sample(composed, negative)
    graph.node("PreviewImage", "Result of (c)", preview=300, images=image)


def token_counts(graph: Graph, stage: Stage) -> None:
    """Figure 7: N against the prompt."""
    scene = Scene(graph, stage)
    scene.picture()
    graph.group("2 · Learn with several N")
    source = scene.prompt(SOURCE_PROMPT, "Source prompt")
    counts = graph.node("HiPerGridValues", "Tokens", values="1, 5, 10, 20", name="N")
    learned = scene.learn(source, tokens=counts["integer"])
    graph.note(
        "**Figure 7.** More tokens keep more of the picture and follow the prompt less. Learning "
        "runs once for every N.",
        height=110,
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
        values="a\na dog\na standing dog\na standing dog on grass",
        name="",
        text_height=130,
    )
    learned = scene.learn(scene.prompt(texts["text"], "Each source prompt"))
    graph.note(
        "**Figure 9.** What the source prompt does not say, the tail learns: a prompt that leaves "
        "the pose out binds the pose to the subject. Learning runs once for every prompt.",
        height=130,
    )
    _crossed(graph, scene, learned["embedding"], texts["labels"])


def without_tail(graph: Graph, stage: Stage) -> None:
    """Figure 10: the same noise with and without the tail."""
    scene = Scene(graph, stage)
    embedding = scene.learned_once()
    graph.group("3 · Several prompts")
    prompts = scene.targets(4)
    target = scene.prompt(prompts["text"], "Each prompt")
    negative = scene.prompt("", "Negative prompt")
    composed = scene.compose(target, embedding)
    graph.note(
        "**Figure 10.** The upper row has the prompt alone, the lower row the same prompt and the "
        "same noise with the tail. Only the lower row keeps the subject.",
        height=120,
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
    graph.group("3 · One prompt")
    target = scene.prompt("a sitting dog at night", "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    composed = scene.compose(target, embedding)
    numbers = graph.node(
        "HiPerGridValues", "Seeds", values="1, 2, 3, 4, 5, 6, 7, 8, 9, 10", name="seed"
    )
    graph.note(
        "**Figure 12.** Ten seeds of the sampler, above without and below with the tail. The "
        "subject should not depend on the seed.",
        height=110,
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
        "**α.** At 0 the tail says nothing; the paper uses 0.8. Look for the row where the subject "
        "is kept and the prompt still followed.",
        height=120,
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


FIGURES = {
    "load_and_compose": load_and_compose,
    "fig1_one_subject_many_prompts": many_prompts,
    "fig3_attention": attention,
    "fig7_number_of_tokens": token_counts,
    "fig9_source_prompt": source_texts,
    "fig10_without_the_tail": without_tail,
    "fig12_ten_seeds": seeds,
    "strength": strengths,
}
GRAPHS: dict[str, tuple[Callable[[Graph, Stage], None], Stage]] = {
    "quick_start_demo": (first_graph, DEMO),
    "learn_and_compose": (first_graph, SD15),
    **{
        f"{name}_{stage.name}": (draw, stage)
        for name, draw in (FIGURES | SEFI_IDE | LIPE).items()
        for stage in (DEMO, SD15)
    },
    **SCORING,
}
