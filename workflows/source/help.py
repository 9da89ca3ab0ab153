"""Draw the pictures of the help pages: `python -m workflows.source.help --server ADDRESS`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from PIL import Image

from .__main__ import Server
from .scene import DEMO, SOURCE_PROMPT, TARGETS
from .sheet import SEEDS, Link, Sheet

FOLDER = Path(__file__).resolve().parents[2] / "nodes" / "web" / "docs" / "images"
WIDEST, LEAST, GAP = 900, 160, 12
THRESHOLD = 0.3
POSES = "sitting", "jumping", "sleeping"
DRAWN = (
    "a standing orange cat",
    "a sitting spotted dog",
    "a jumping white rabbit",
    "a standing blue bird",
)


def pages() -> tuple[dict[str, Any], dict[str, list[str]]]:
    """One prompt for all pictures, and the nodes whose pictures stand side by side in each."""
    sheet = Sheet()
    sheet.scene()
    learned = sheet.learn(5)
    tail = [learned, 0]
    target = sheet.text("a sitting dog at night")
    positive = sheet.compose(target, tail, 1.0)
    latent, image = sheet.sample(positive)
    show = {
        name: sheet.node("PreviewImage", images=link)
        for name, link in (("loss", [learned, 1]), ("result", image))
    }
    made = {"learn": [sheet.animal, show["loss"], show["result"]]}

    subjects = sheet.values("\n".join(DRAWN), "")
    places = sheet.values("on grass\nin snow\non the beach\nat night", "")
    both = sheet.node("HiPerGridPairs", rows=[subjects, 0], columns=[places, 0])
    joined = sheet.node("StringConcatenate", string_a=[both, 0], string_b=[both, 1], delimiter=" ")
    names = {"row_labels": [subjects, 3], "column_labels": [places, 3]}
    drawn = sheet.sample(sheet.text([joined, 0]))[1]
    made["model"] = [sheet.grid(drawn, **names)]

    strengths = sheet.values("0, 0.4, 0.8, 1", "α")
    several = sheet.compose(target, tail, [strengths, 1])
    named = {"column_labels": [strengths, 3], "source": [sheet.animal, 0]}
    made["values"] = [sheet.grid(sheet.sample(several)[1], **named)]

    prompts = sheet.values("\n".join(TARGETS[:3]), "")
    pairs = sheet.node("HiPerGridPairs", rows=sheet.text([prompts, 0]), columns=[strengths, 1])
    crossed = sheet.compose([pairs, 0], tail, [pairs, 1])
    names = {"row_labels": [prompts, 3], "column_labels": [strengths, 3]}
    made["compose"] = [sheet.grid(sheet.sample(crossed)[1], **names, source=[sheet.animal, 0])]

    counts = sheet.values("1, 5, 10", "N")
    taught = sheet.learn([counts, 2])
    pairs = sheet.node("HiPerGridPairs", rows=[taught, 0], columns=sheet.text([prompts, 0]))
    crossed = sheet.compose([pairs, 1], [pairs, 0], 1.0)
    names = {"row_labels": [counts, 3], "column_labels": [prompts, 3]}
    made["grid"] = [sheet.grid(sheet.sample(crossed)[1], **names, source=[sheet.animal, 0])]

    saved = {"embedding": tail, "name": "help/a_dog", "if_exists": "overwrite"}
    kept = [sheet.node("HiPerSaveEmbedding", **saved), 0]
    reused = sheet.compose(sheet.text([prompts, 0]), kept, 1.0)
    row = {"column_labels": [prompts, 3], "source": [sheet.animal, 0]}
    made["load"] = [sheet.grid(sheet.sample(reused)[1], **row)]

    drawn = [
        sheet.node("HiPerDrawDemoAnimal", animal=animal, pose=pose, ground=ground, seed=seed)
        for animal, ground, seed in (("dog", "grass", SEEDS[0]), ("cat", "snow", SEEDS[1]))
        for pose in ("standing", "jumping")
    ]
    made["animals"] = drawn

    view = {"timestep": 100.0, "tokens": "", "mask": "soft", "threshold": 0.5, "opacity": 0.6}
    view |= {"labels": "", "layers": "all", "head": 0, "seed": 0, "side": "positive"}
    wires = {"model": [sheet.demo, 0], "conditioning": positive, "latent": latent}
    seen = {**wires, "image": image, "clip": [sheet.demo, 1]}
    viewer = sheet.node("HiPerAttentionViewer", **seen, **view, save_animation=False)
    made["viewer"] = [sheet.node("PreviewImage", images=[viewer, 0])]

    plain = sheet.text(SOURCE_PROMPT)
    three = {"a": plain, "b": sheet.compose(plain, tail, 1.0), "c": positive}
    names = {"a": "source", "b": "source + tail", "c": "target + tail"}
    asked = {f"title_{key}": names[key] for key in names} | {f"labels_{key}": "" for key in names}
    asked |= {f"conditioning_{key}": link for key, link in three.items()}
    asked |= {key: view[key] for key in ("timestep", "layers", "head", "seed")}
    wires = {"model": [sheet.demo, 0], "clip": [sheet.demo, 1], "latent": [sheet.latent, 0]}
    kind = "HiPerCompareAttention"
    compared = sheet.node(kind, **asked, **wires, image=[sheet.animal, 0], show="words and tail")
    made["compare"] = [sheet.node("PreviewImage", images=[compared, 0])]

    wish = {"record": "positive", "tokens": "all tokens", "memory_limit": 512, "every": 4}
    kept = {"layers": "mean of equal sizes", "head": 0, "model": [sheet.demo, 0]}
    recorder = sheet.node("HiPerRecordAttention", **wish, **kept)
    ended, image = sheet.sample(positive, model=[recorder, 0])
    seen = {"maps": [recorder, 1], "latent": ended, "image": image, "clip": [sheet.demo, 1]}
    viewer = sheet.node("HiPerAttentionViewer", **seen, **view, save_animation=False)
    made["record"] = [sheet.node("PreviewImage", images=[viewer, 4])]
    source, wanted = SOURCE_PROMPT, "a sleeping dog on the beach"
    both = [sheet.text(wanted), sheet.compose(sheet.text(wanted), tail, 1.0)]
    plain, edited = (sheet.sample(one)[1] for one in both)
    asked = {"source_prompt": source, "target_prompt": wanted, "name": "HiPer"}
    seen = {"source": [sheet.animal, 0], "plain": plain, "edited": edited}
    scored = sheet.node("HiPerScoreEdit", **asked, **seen, demo_animals=True, report=[learned, 2])
    made["scores"] = [sheet.node("PreviewImage", images=[scored, 0])]
    made |= of_sefi_ide(sheet)
    made |= of_lipe(sheet, tail)
    return sheet.prompt, made


def of_sefi_ide(sheet: Sheet) -> dict[str, list[str]]:
    """One picture as many, and where a tail looks that was held to its subject or was not."""
    how = {"count": 8, "seed": 3, "flip": 0.5, "smallest": 0.4, "jitter": 0.0}
    wires = {"image": [sheet.animal, 0], "mask": [sheet.animal, 1]}
    many = sheet.node("HiPerAugmentPicture", **wires, **how)
    masks = sheet.node("MaskToImage", mask=[many, 1])
    made = {
        "augment": [sheet.grid([each, 0], columns=4) for each in (many, masks)],
    }
    asked = {"focus": 3e-3, "word": "dog", "stages": 1, "keys_and_values": False}
    sefi = sheet.node("HiPerSefiSettings", **asked, layers="all", reduction="relative")
    text, clip = "a dog", {"clip": [sheet.demo, 1]}
    tails = sheet.learn(5, text), sheet.learn(5, text, sefi=[sefi, 0], **clip)
    behind = [sheet.compose(sheet.text(text), [tail, 0], 1.0) for tail in tails]
    compared = sheet.node(
        "HiPerCompareAttention",
        conditioning_a=behind[0],
        conditioning_b=behind[1],
        title_a="learned from 'a dog'",
        title_b="the same with focus on 'dog'",
        title_c="",
        labels_a="",
        labels_b="",
        labels_c="",
        timestep=50.0,
        layers="all",
        head=0,
        seed=0,
        show="words and tail",
        model=[sheet.demo, 0],
        latent=[sheet.latent, 0],
        image=[sheet.animal, 0],
        **clip,
    )
    made["sefi"] = [sheet.node("PreviewImage", images=[compared, 0])]
    return made


def of_lipe(sheet: Sheet, tail: Link) -> dict[str, list[str]]:
    """A picture, where its subject is, its masks over the steps, and what became of it."""
    poses = sheet.values(
        "a sitting dog on grass\na jumping dog on grass\na sleeping dog on grass", ""
    )
    wires = {"model": [sheet.demo, 0], "latent": [sheet.latent, 0]}
    source = sheet.text(SOURCE_PROMPT)
    edited = sheet.node(
        "HiPerEditPicture",
        source=source,
        target=sheet.text([poses, 0]),
        negative=sheet.text(""),
        word="",  # the tail says what the subject is
        steps=DEMO.steps,
        cfg=DEMO.guidance,
        sampler_name="euler_ancestral",
        scheduler="normal",
        seed=1,
        strength=1.0,
        clip=[sheet.demo, 1],
        embedding=tail,
        **wires,
    )
    row = {"column_labels": [poses, 3], "source": [sheet.animal, 0]}
    made = {"edit": [sheet.grid(sheet.decode([edited, 0]), **row)]}

    def marked(text: Link) -> Link:
        word = {"word": "dog", "clip": [sheet.demo, 1]}
        return [sheet.node("HiPerIdentityWord", conditioning=text, **word), 0]

    schedule = {"steps": DEMO.steps, "scheduler": "normal"}
    inverted = sheet.node(
        "HiPerInvertPicture",
        conditioning=marked(source),
        method="ddpm",
        seed=1,
        **wires,
        **schedule,
    )
    mask = sheet.node("MaskPreview", mask=[inverted, 2])
    blend = {"inversion": [inverted, 0], "masks": "source and target", "model": [sheet.demo, 0]}
    blended = sheet.node("HiPerBlendWithSource", threshold=THRESHOLD, **blend)
    sampling = {"cfg": DEMO.guidance, "seed": 1, "denoise": 1.0, "sampler_name": "euler_ancestral"}
    run = {"model": [blended, 0], "negative": sheet.text(""), "latent_image": [sheet.latent, 0]}
    target = marked(sheet.text("a sleeping dog on grass"))
    latent = sheet.node("KSampler", positive=target, **run, **schedule, **sampling)
    masks = {"edit": [blended, 1], "latent": [latent, 0], "image": [sheet.animal, 0]}
    figure = sheet.node("HiPerEditMasks", **masks)
    result = sheet.node("PreviewImage", images=sheet.decode([latent, 0]))
    made["invert"] = [sheet.animal, mask, result]
    made["blend"] = [sheet.node("PreviewImage", images=[figure, 3])]
    return made


def needed(prompt: dict[str, Any], nodes: list[str]) -> dict[str, Any]:
    """The part of a prompt that gives these nodes."""
    part: dict[str, Any] = {}
    waiting = list(nodes)
    while waiting:
        name = waiting.pop()
        if name not in part:
            part[name] = prompt[name]
            inputs = prompt[name]["inputs"].values()
            waiting += [link[0] for link in inputs if isinstance(link, list)]
    return part


def side_by_side(pictures: list[Image.Image]) -> Image.Image:
    """On white, all as high as the highest one is when none is wider than the page allows."""
    height = max(LEAST, *(picture.height for picture in pictures))
    sized = [
        picture.resize(
            (round(picture.width * height / picture.height), height),
            Image.Resampling.NEAREST if picture.width <= DEMO.size else Image.Resampling.LANCZOS,
        )
        for picture in pictures
    ]
    page = Image.new("RGB", (sum(p.width for p in sized) + GAP * (len(sized) - 1), height), "white")
    x = 0
    for picture in sized:
        page.paste(picture, (x, 0))
        x += picture.width + GAP
    if page.width > WIDEST:
        size = WIDEST, round(page.height * WIDEST / page.width)
        page = page.resize(size, Image.Resampling.LANCZOS)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m workflows.source.help", description=__doc__)
    parser.add_argument("--server", default="http://127.0.0.1:8188", help="a running ComfyUI")
    prompt, made = pages()
    parser.add_argument("--only", nargs="*", default=list(made), help="names of pictures")
    arguments = parser.parse_args()
    server = Server(arguments.server)
    made = {name: made[name] for name in arguments.only}
    outputs = server.run(needed(prompt, [node for nodes in made.values() for node in nodes]))
    FOLDER.mkdir(exist_ok=True)
    for name, nodes in made.items():
        pictures = [server.picture(outputs[node]["images"][0]) for node in nodes]
        side_by_side(pictures).save(FOLDER / f"{name}.png", optimize=True)
        print(f"{name}.png", flush=True)


if __name__ == "__main__":
    main()
