"""Where the model looks, as graphs: on a finished picture, step by step, and prompts compared."""

from __future__ import annotations

from typing import Any

from .graph import Graph, Socket
from .scene import SOURCE_PROMPT, Scene, Stage

TARGET = "a sitting dog in snow"


def where_it_looks(graph: Graph, stage: Stage) -> None:
    """The viewer on a finished picture: one call of the model, no sampling."""
    scene = Scene(graph, stage)
    scene.picture(shown=True)
    graph.group("2 · What is asked of it")
    prompt = scene.prompt(SOURCE_PROMPT, "What the picture shows")
    graph.note(
        "Any finished picture",
        "No embedding and no sampler are needed: the picture is brought to one timestep of the "
        "sampling, and the model is asked once with this prompt. Click a word to see where it "
        "looks. Lower *timestep %* to see how the model looks through more noise.",
    )
    graph.group("3 · Where each word looks")
    viewer = _viewer(
        scene,
        model=scene.model,
        conditioning=prompt,
        latent=scene.latent,
        image=scene.image,
        tokens=stage.subject,
    )
    graph.column()
    graph.node("PreviewImage", "The word's map", preview=320, shown=True, images=viewer["overlay"])
    graph.node("PreviewImage", "All words", preview=320, images=viewer["tokens"])


def step_by_step(graph: Graph, stage: Stage) -> None:
    """A sampler watched while it draws a learned subject."""
    scene = Scene(graph, stage)
    embedding = scene.learned_once()
    graph.group("3 · Sample, and watch")
    positive, negative, recording = _watched(scene, embedding)
    latent = scene.sampled(positive, negative, scene.empty())
    image = scene.decoded(latent)
    graph.note(
        "Record between model and sampler",
        "The pictures stay the same to the bit. In the viewer press ▶, or drag its slider, to see "
        "the map of a word or of the tail grow from step to step.",
    )
    graph.group("4 · Where it looked, step by step")
    _recorded(scene, recording, latent, image)


def two_passes(graph: Graph, stage: Stage) -> None:
    """Two samplers on one recording: drawn small, then enlarged and drawn over."""
    scene = Scene(graph, stage)
    embedding = scene.learned_once()
    graph.group("3 · First pass")
    positive, negative, recording = _watched(scene, embedding)
    first = scene.sampled(positive, negative, scene.empty(), "First pass")
    graph.group("4 · Enlarge, second pass")
    larger = graph.node("LatentUpscaleBy", samples=first, scale_by=1.5)
    latent = scene.sampled(positive, negative, larger["LATENT"], "Second pass", denoise=0.5, seed=2)
    image = scene.decoded(latent)
    graph.note(
        "One recording, two samplers",
        "Both samplers take the MODEL that *Record* gives. The viewer finds the samplers that lead "
        "to its latent and shows their steps as two stages, one after the other.",
    )
    graph.group("5 · Where both passes looked")
    _recorded(scene, recording, latent, image)


def _watched(scene: Scene, embedding: Socket) -> tuple[Socket, Socket, Socket]:
    """The prompts of a sampler whose model is recorded, and the recording."""
    target = scene.prompt(TARGET, "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    positive = scene.compose(target, embedding)
    record = scene.graph.node("HiPerRecordAttention", model=scene.model)
    scene.graph.column()
    scene.model = record["model"]
    return positive, negative, record["recording"]


def _recorded(scene: Scene, recording: Socket, latent: Socket, image: Socket) -> None:
    viewer = _viewer(scene, maps=recording, latent=latent, image=image)
    scene.graph.column()
    scene.graph.node(
        "PreviewImage",
        "The tail over time",
        wide=520,
        shown=True,
        images=viewer["over time"],
    )
    scene.graph.node("PreviewImage", "The picture", preview=300, images=image)


def _viewer(scene: Scene, **given: Any) -> dict[str, Socket]:
    return scene.graph.node("HiPerAttentionViewer", wide=420, preview=600, clip=scene.clip, **given)


def compared(graph: Graph, stage: Stage) -> None:
    """Figure 3: where each token looks, without the tail, with it, and behind another prompt."""
    scene = Scene(graph, stage)
    scene.picture()
    graph.group("2 · Learn")
    source = scene.prompt(SOURCE_PROMPT, "Source prompt")
    learned = scene.learn(source)
    graph.group("3 · Three prompts")
    with_tail = scene.compose(source, learned["embedding"])
    target = scene.prompt("a sitting dog on grass", "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    composed = scene.compose(target, learned["embedding"])
    graph.note(
        "Figure 3 of HiPer",
        "(a) the source prompt, (b) the source prompt with the learned tail, (c) the target prompt "
        "with the tail. Look where the tokens *hiper 1* to *hiper 5* light up, on the subject or "
        "beside it; a single head often says more than the mean of all.",
    )
    graph.group("4 · Where each token looks")
    figure = graph.node(
        "HiPerCompareAttention",
        wide=460,
        preview=520,
        model=scene.model,
        latent=scene.latent,
        clip=scene.clip,
        image=scene.image,
        conditioning_a=source,
        conditioning_b=with_tail,
        conditioning_c=composed,
    )
    graph.column()
    graph.node(
        "PreviewImage",
        "Figure 3",
        wide=560,
        preview=560,
        shown=True,
        images=figure["comparison"],
    )
    image = scene.sample(composed, negative, "Sampled with (c)")
    graph.column()
    scene.grid(image, columns=1, wide=420, preview=300, shown=False)
