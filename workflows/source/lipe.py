"""LIPE as graphs: an edit, its masks over the steps, what each part brings, and both priors."""

from __future__ import annotations

from typing import Any

from .graph import Graph, Socket
from .scene import DOG, Scene, Stage

SOURCE = "a standing dog on grass"
TARGET = "a sleeping dog on grass"
SAMPLER = "euler_ancestral"
REFERENCES = (("sitting", "snow"), ("jumping", "beach"), ("sleeping", "night"))


class Editing(Scene):
    """What the editing graphs have in common: both prompts, the inversion, the sampler."""

    def edit(self, source: Socket, target: Socket, negative: Socket, **more: Any) -> Socket:
        """The picture that Edit Picture makes."""
        found = self.graph.node(
            "HiPerEditPicture",
            model=more.pop("model", self.model),
            source=source,
            target=target,
            negative=negative,
            latent=self.latent,
            clip=self.clip,
            word=self.stage.subject,
            steps=self.stage.steps,
            cfg=self.stage.guidance,
            seed=1,
            **more,
        )
        self.graph.node("PreviewAny", "How it went", source=found["report"], preview=60)
        return self.decoded(found["latent"])

    def marked(self, conditioning: Socket) -> Socket:
        node = self.graph.node(
            "HiPerIdentityWord", conditioning=conditioning, word=self.stage.subject, clip=self.clip
        )
        return node["conditioning"]

    def prompts(self, marked: bool = False) -> tuple[Socket, Socket, Socket]:
        """Source, target and negative, the subject marked in the first two where asked for."""
        own = self.marked if marked else lambda prompt: prompt
        source = own(self.prompt(SOURCE, "Source prompt"))
        target = own(self.prompt(TARGET, "Target prompt"))
        return source, target, self.prompt("", "Negative prompt")

    def inverted(self, source: Socket) -> Socket:
        return self.graph.node(
            "HiPerInvertPicture",
            model=self.model,
            conditioning=source,
            latent=self.latent,
            steps=self.stage.steps,
        )["inversion"]

    def blended(
        self, inversion: Socket, target: Socket, negative: Socket, title: str, **how: Any
    ) -> tuple[Socket, Socket]:
        """The edited latent, and the edit's masks."""
        blend = self.graph.node(
            "HiPerBlendWithSource", title, model=self.model, inversion=inversion, **how
        )
        latent = self.graph.node(
            "KSampler",
            model=blend["model"],
            positive=target,
            negative=negative,
            latent_image=self.latent,
            steps=self.stage.steps,
            cfg=self.stage.guidance,
            seed=1,
            sampler_name=SAMPLER,
            scheduler="normal",
        )
        return latent["LATENT"], blend["edit"]

    def compared(self, images: list[Socket], names: str) -> None:
        """The pictures side by side behind the source picture."""
        labels = self.labels(names)
        self.grid(self.row(images), column_labels=labels, columns=len(images))


def edit(graph: Graph, stage: Stage) -> None:
    """A picture's subject does something else on its own ground, beside HiPer from fresh noise."""
    scene = Editing(graph, stage)
    scene.picture()
    graph.group("2 · Learn the subject")
    source = scene.prompt(SOURCE, "Source prompt: what the picture shows")
    embedding = scene.learn(source)["embedding"]
    larger = " SDXL goes as well: choose its checkpoint and a picture of about 1024×1024."
    graph.note(
        "Edit a picture",
        "The source prompt says what the picture shows, the target prompt what "
        "it shall show. The learned subject goes behind both, and outside of the subject the "
        "picture stays as it is, to the bit." + larger * (stage.name != "demo"),
    )
    graph.group("3 · Edit")
    target = scene.prompt(TARGET, "Target prompt: what it shall show")
    negative = scene.prompt("", "Negative prompt")
    edited = scene.edit(source, target, negative, embedding=embedding)
    graph.group("4 · Beside fresh noise")
    fresh = scene.sample(scene.compose(target, embedding), negative, "HiPer from fresh noise")
    graph.column()
    scene.compared([fresh, edited], "HiPer, fresh noise\nedited")


def masks(graph: Graph, stage: Stage) -> None:
    """LIPE's Figure 3: the identity masks over the steps, each step of the method a node."""
    scene = Editing(graph, stage)
    scene.picture()
    graph.group("2 · Which word is the subject")
    source, target, negative = scene.prompts(marked=True)
    graph.group("3 · Invert, then blend while sampling")
    inversion = scene.inverted(source)
    latent, found = scene.blended(inversion, target, negative, "Blend with both masks")
    graph.note(
        "Figure 3 of LIPE: the masks",
        "Where the subject was comes from the inversion, where it is being "
        "drawn from each step so far. Outside of both the latents are led back to the inverted "
        "ones. Steps and scheduler must be the same in both nodes.",
    )
    graph.group("4 · The masks over the steps")
    shown = graph.node("HiPerEditMasks", edit=found, latent=latent, image=scene.image)
    graph.node(
        "PreviewImage", "Figure 3", wide=520, preview=420, shown=True, images=shown["figure"]
    )
    graph.column()
    scene.compared([scene.decoded(latent)], "edited")


def ablation(graph: Graph, stage: Stage) -> None:
    """What each mask brings, on one inversion."""
    scene = Editing(graph, stage)
    scene.picture()
    graph.group("2 · Which word is the subject")
    source, target, negative = scene.prompts(marked=True)
    inversion = scene.inverted(source)
    everywhere = graph.node("SolidMask", value=1.0, width=stage.size, height=stage.size)["MASK"]
    ways = {
        "no masks": {"masks": "painted alone", "mask": everywhere},
        "source mask": {"masks": "source"},
        "target mask": {"masks": "target"},
        "both (LIPE)": {"masks": "source and target"},
    }
    graph.note(
        "What each mask brings",
        "Without masks the background moves; with the source's alone "
        "the new pose is cut off where it reaches beyond the old one; with the target's alone "
        "something of the old one stays.",
    )
    graph.group("3 · Four ways from one inversion")
    images = []
    for number, (name, how) in enumerate(ways.items()):
        if number:
            graph.column()
        latent, _ = scene.blended(inversion, target, negative, name, **how)
        images.append(scene.decoded(latent))
    graph.group("4 · Compare")
    scene.compared(images, "\n".join(ways))


def several_pictures(graph: Graph, stage: Stage) -> None:
    """The identity prior without tuning: an embedding from several pictures, a prompt for each."""
    scene = Editing(graph, stage)
    scene.picture()
    latents, prompts = _references(scene, graph, stage)
    graph.group("3 · Learn from all of them")
    scene.latent, one = latents, scene.latent
    embedding = scene.learn(prompts)["embedding"]
    scene.latent = one
    graph.note(
        "Several pictures",
        "As many prompts as pictures, combined in the order of the batch: "
        "what each says of its own picture the tail need not learn, and what is left is the "
        "subject.",
    )
    graph.group("4 · Edit")
    source, target, negative = scene.prompts()
    edited = scene.edit(source, target, negative, embedding=embedding)
    graph.column()
    scene.compared([edited], "edited")


def tuned_prior(graph: Graph, stage: Stage) -> None:
    """The paper's own prior: the model tuned on the references and on a set that holds it."""
    scene = Editing(graph, stage)
    scene.picture()
    latents, prompts = _references(scene, graph, stage, regularised=True)
    graph.group("3 · Tune")
    trained = graph.node(
        "TrainLoraNode",
        preview=30,  # in Nodes 2.0 so many rows are taller than a few
        model=scene.model,
        latents=latents,
        positive=prompts,
        steps=200,
        learning_rate=5e-4,
        rank=8,
        training_dtype="fp32",
        lora_dtype="fp32",
    )
    tuned = graph.node("LoraModelLoader", model=scene.model, lora=trained["lora"])
    graph.note(
        "The paper's prior",
        "ComfyUI's *Train LoRA* learns the references with a prompt each, "
        "and other animals beside them, so that the word keeps its meaning. *Edit Picture* takes "
        "the tuned MODEL; no embedding is needed.",
    )
    graph.group("4 · Edit")
    source, target, negative = scene.prompts()
    edited = scene.edit(source, target, negative, model=next(iter(tuned.values())))
    graph.column()
    scene.compared([edited], "edited")


def _references(
    scene: Editing, graph: Graph, stage: Stage, regularised: bool = False
) -> tuple[Socket, Socket]:
    """The picture and others of the same subject, as one batch and one combined prompt; with other
    subjects beside them where a model is tuned."""
    graph.group("2 · Other pictures of it, with a prompt each")
    latents, prompts = scene.latent, scene.prompt(SOURCE, "Prompt of the picture")
    others = [("Reference", pose, ground, DOG) for pose, ground in REFERENCES]
    if regularised:
        others += [
            ("Another subject", pose, ground, 50 + n) for n, (pose, ground) in enumerate(REFERENCES)
        ]
    for number, (title, pose, ground, seed) in enumerate(others):
        if number:
            graph.column()
        animal = {"animal": "dog", "pose": pose, "ground": ground, "seed": seed}
        pixels = scene.drawn(title, **animal)
        place = {"snow": "in snow", "beach": "on the beach", "night": "at night"}[ground]
        own = scene.prompt(f"a {pose} dog {place}", f"Its prompt ({title.lower()})")
        latent = scene.encoded(pixels)
        latents = graph.node("LatentBatch", collapsed=True, samples1=latents, samples2=latent)[
            "LATENT"
        ]
        prompts = next(
            iter(
                graph.node(
                    "ConditioningCombine",
                    collapsed=True,
                    conditioning_1=prompts,
                    conditioning_2=own,
                ).values()
            )
        )
    return latents, prompts
