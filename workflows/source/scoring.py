"""LIPE's and HiPer's tables as a graph: one method's row for a person's own picture."""

from __future__ import annotations

from .graph import Graph
from .scene import Scene, Stage

SOURCE, TARGET = "a standing dog on grass", "a sleeping dog on the beach"
PICTURES = 4
NUMBERS = "1, 2, 3, 4"
CLIP = "clip-vit-large-patch14.safetensors"  # whole: its eye and its text encoder
DINO = "dinov2-large.safetensors"


def table1(graph: Graph, stage: Stage) -> None:
    """Learn a subject, draw it and the prompt alone from the same noises, and score both."""
    scene = Scene(graph, stage)
    scene.picture()
    graph.group("2 · Learn the subject")
    learned = scene.learn(scene.prompt(SOURCE, "Source prompt"))
    graph.group("3 · With it and without, the same noises")
    target = scene.prompt(TARGET, "Target prompt")
    negative = scene.prompt("", "Negative prompt")
    plain = scene.sample(target, negative, "Prompt alone", batch=PICTURES)
    graph.column()
    kept = scene.compose(target, learned["embedding"])
    edited = scene.sample(kept, negative, "With HiPer", batch=PICTURES)
    graph.group("4 · Table 1")
    scored = {"demo_animals": True}
    if stage.name != "demo":
        eye = graph.node("CLIPVisionLoader", clip_name=CLIP)["CLIP_VISION"]
        text = graph.node("CLIPLoader", clip_name=CLIP, type="stable_diffusion")["CLIP"]
        dino = graph.node("CLIPVisionLoader", clip_name=DINO)["CLIP_VISION"]
        scored = {"clip_vision": eye, "clip": text, "dinov2": dino}
        graph.note(
            "What to load",
            "OpenAI's CLIP ViT-L/14, whole, in *models/clip_vision* and in "
            "*models/text_encoders*; Meta's DINOv2, large or giant, in *models/clip_vision*: each "
            "one's *model.safetensors* under a name of its own. Any may be left out: its columns "
            "go with it.",
        )
        graph.column()
    score = graph.node(
        "HiPerScoreEdit",
        source=scene.image,
        edited=edited,
        plain=plain,
        source_prompt=stage.says(SOURCE),
        target_prompt=stage.says(TARGET),
        report=learned["report"],
        **scored,
    )
    graph.node("PreviewImage", "Table", wide=520, preview=300, shown=True, images=score["table"])
    graph.node("PreviewAny", "Each picture's numbers", source=score["text"], preview=120)
    graph.column()
    scene.two_rows(plain, edited, scene.labels(NUMBERS, "picture"))
    graph.note(
        "One row of the papers' tables",
        "Likeness to the subject and to the prompt, beside what the prompt "
        "alone draws from the same noises. Time and steps are those of Learn's report.",
    )
