"""Files that went wrong in the ways files do, and widgets filled with nonsense."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import torch

from support.graphs import Graph, node, sampler
from support.tiny_graphs import tiny_model

Broken = tuple[str, bytes]  # a file's ending and its bytes

HEADERS = (
    {"hiper": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}},
    {"hiper": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}},
    {"hiper": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}},
    {"hiper": {"dtype": "F32", "shape": [0, 1, 5, 768], "data_offsets": [0, 0]}},
    {"__metadata__": {"hiper": "{}"}, "hiper": None},
    {"__metadata__": {"hiper": '{"format": 1}'}},
    [],
    "x" * 3000,
)
CONTENTS = ({"a": 1}, [torch.zeros(2)], torch.zeros(3, 3, 3, 3), torch.zeros(1, 5, 768).int(), 7)


def broken(good: bytes, chance: random.Random) -> Broken:
    kind = chance.choice((_turned, _cut, _length, _noise, _header, _description, _nan, _pickle))
    return kind(good, chance)


def _ending(chance: random.Random) -> str:
    return chance.choice((".safetensors", ".safetensors", ".safetensors", ".pt"))


def _turned(good: bytes, chance: random.Random) -> Broken:
    """Some bytes are others, mostly in the header, where it matters."""
    data = bytearray(good)
    for _ in range(chance.randint(1, 20)):
        reach = chance.choice((8, 400, len(data)))
        data[chance.randrange(reach)] = chance.randrange(256)
    return _ending(chance), bytes(data)


def _cut(good: bytes, chance: random.Random) -> Broken:
    return _ending(chance), good[: chance.randrange(len(good))]


def _length(good: bytes, chance: random.Random) -> Broken:
    """The first eight bytes say another length of the header."""
    return _ending(chance), chance.randrange(2 ** chance.choice((9, 20, 64))).to_bytes(
        8, "little"
    ) + good[8:]


def _noise(good: bytes, chance: random.Random) -> Broken:
    return _ending(chance), chance.randbytes(chance.randint(0, 4000))


def _header(good: bytes, chance: random.Random) -> Broken:
    header = json.dumps(chance.choice(HEADERS)).encode()
    return ".safetensors", len(header).to_bytes(8, "little") + header + b"\0" * 64


def _description(good: bytes, chance: random.Random) -> Broken:
    """The right length and the wrong words: each is as long as the one it stands for."""
    data = good
    for old, new in chance.sample(
        (
            (b'\\"format\\": 1', b'\\"format\\": 9'),
            (b'\\"steps\\": 0', b'\\"steps\\":[]'),
            (b"replace", b"explode"),
            (b'\\"strength\\": 0.8', b'\\"strength\\": [8]'),
            (b"details", b"detales"),
        ),
        k=chance.randint(1, 3),
    ):
        assert old in data and len(old) == len(new), old
        data = data.replace(old, new)
    return ".safetensors", data


def _nan(good: bytes, chance: random.Random) -> Broken:
    return ".safetensors", good[:-4] + b"\x00\x00\xc0\x7f"


def _pickle(good: bytes, chance: random.Random) -> Broken:
    """A torch file of something else, whole or with bytes turned over."""
    content = io.BytesIO()
    torch.save(chance.choice(CONTENTS), content)
    data = bytearray(content.getvalue())
    for _ in range(chance.randint(0, 10)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return ".pt", bytes(data)


NUMBERS = (0, -1, 1, 5, 77, 78, 1e308, -1e308, 2**63, 2**64, 0.5, "x", "", "NaN", "5", "１")
NUMBERS += (None, [], {}, True, float("nan"), float("inf"), [["text", 0]], ["nobody", 0])
TEXTS = ("", " ", ".", "..", "../out", "a/../../b", "/etc/hiper", "C:\\x", "con", "a\x00b", "\n")
TEXTS += ("x" * 400, "é ü/ß", "dog", "a:b", "nul.safetensors", "a/b/c/d", "\\\\host\\share", "~/x")
TEXTS += ("%2e%2e/x", "강아지", "1, 2", "1e999", "nan, inf", "-0", "😀" * 50, "0" * 400, "\ud800")
TEXTS += (7, None, [], {}, True, "all", "tail", "1-", "-3", "5-2", "0,0,0", "%date:yyyy%/%x%")
# of the files in a list, those that are whole: other tests leave others behind
WHOLE = ("good.safetensors", "maps_00001_.safetensors")
CHOICES = ("whatever", "", 0, None, [], "auto\n")
SLOW = {"steps": (1, 2, 3, 0, -1, "2", None, 2.5), "batch_size": (1, 2, 0, -1, 65, None)}

SEFI = {"focus": 3e-4, "word": "", "stages": 1, "keys_and_values": False}
SEFI |= {"layers": "all", "reduction": "relative"}

# what each socket is fed with; every node below is in each graph's reach
SOURCES: Graph = {
    "empty": node("HiPerTestConditioning", width=32, length=77, pooled=0, seed=0, entries=0),
    "wide": node("HiPerTestConditioning", width=768, length=77, pooled=0, seed=0, entries=1),
    "three": node("HiPerTestConditioning", width=32, length=77, pooled=4, seed=0, entries=3),
    "short": node("HiPerTestText", seed=1, length=1),
    "broken": node("HiPerTestLatent", channels=4, height=16, width=16, batch=1, broken=True),
    "other": node("HiPerTestLatent", channels=16, height=16, width=16, batch=1),
    "tiny": node("HiPerTestLatent", channels=4, height=1, width=3, batch=2),
    "paint": node("EmptyImage", width=128, height=128, batch_size=1, color=7),
    "two": node("EmptyImage", width=24, height=16, batch_size=2, color=7),
    "dot": node("EmptyImage", width=1, height=1, batch_size=1, color=7),
    "region": node("SolidMask", value=1.0, width=128, height=128),
    "hole": node("SolidMask", value=0.0, width=128, height=128),
    "slim": node("SolidMask", value=1.0, width=256, height=8),
    "focused": node("HiPerSefiSettings", **SEFI, region=["region", 0]),
    "apart": node("HiPerSefiSettings", **SEFI | {"focus": 0.0, "keys_and_values": True}),
    "many": node("HiPerSefiSettings", **SEFI | {"focus": 0.0, "stages": 10}),
    "nowhere": node("HiPerSefiSettings", **SEFI, region=["hole", 0]),
    "unsaid": node("HiPerSefiSettings", **SEFI | {"word": "dog"}),
    "blind": node("HiPerTestModel", blind=True),
    "tail": node("HiPerLoadEmbedding", name="good.safetensors"),
    "wide tail": node("HiPerLoadEmbedding", name="wide.safetensors"),
    "tailed": node(
        "HiPerComposeConditioning",
        conditioning=["target", 0],
        embedding=["tail", 0],
        strength=1.0,
    ),
    "demo": node("HiPerLoadDemoModel"),
    "text encoder": node("HiPerTestClip"),
    "eye": node("HiPerTestEye", of="clip_vision_model"),
    "other eye": node("HiPerTestEye", of="dinov2"),
    "spoken": node("CLIPTextEncode", text="a dog", clip=["demo", 1]),
    "inverted": node(
        "HiPerInvertPicture",
        model=["loader", 0],
        conditioning=["tailed", 0],
        latent=["picture", 0],
        steps=2,
        scheduler="normal",
        method="ddpm",
        seed=0,
    ),
    "blended": node(
        "HiPerBlendWithSource",
        model=["loader", 0],
        inversion=["inverted", 0],
        masks="source and target",
        threshold=0.4,
    ),
    "edited": sampler(
        "tailed", model=["blended", 0], latent_image=["picture", 0], steps=2, scheduler="normal"
    ),
    "recorded": node(
        "HiPerAttentionViewer",
        model=["loader", 0],
        conditioning=["target", 0],
        latent=["picture", 0],
        timestep=50.0,
        tokens="",
        mask="soft",
        threshold=0.5,
        opacity=0.5,
        labels="",
        layers="all",
        head=0,
        seed=0,
        side="positive",
        save_animation=False,
    ),
}
GOOD = {
    "MODEL": [["loader", 0]],
    "CONDITIONING": [["target", 0], ["source", 0]],
    "LATENT": [["picture", 0]],
    "IMAGE": [["paint", 0]],
    "MASK": [["region", 0]],
    "HIPER_EMBEDDING": [["tail", 0]],
    "HIPER_ATTENTION_MAPS": [["recorded", 3]],
    "HIPER_SEFI": [["focused", 0], ["apart", 0]],
    "HIPER_INVERSION": [["inverted", 0]],
    "HIPER_EDIT": [["blended", 1]],
    "CLIP": [["demo", 1]],
    "CLIP_VISION": [["eye", 0], ["other eye", 0]],
}
# what belongs together where a node is used as it is meant
TOGETHER = {
    ("HiPerIdentityWord", "conditioning"): ["spoken", 0],
    ("HiPerIdentityWord", "word"): "dog",
    ("HiPerEditMasks", "latent"): ["edited", 0],
    ("HiPerComposeConditioning", "strength"): -1.0,
    ("HiPerComposeConditioning", "keep_to"): None,
    ("HiPerComposeConditioning", "region"): None,
    ("HiPerEditPicture", "strength"): -1.0,
    ("HiPerEditPicture", "embedding"): ["tail", 0],
    ("HiPerEditPicture", "clip"): None,
    ("HiPerEditPicture", "scheduler"): "normal",
    ("HiPerInvertPicture", "scheduler"): "normal",
    ("HiPerScoreEdit", "clip"): ["text encoder", 0],
    ("HiPerScoreEdit", "target_prompt"): "a sleeping dog",
    ("HiPerScoreEdit", "clip_vision"): ["eye", 0],
    ("HiPerScoreEdit", "dinov2"): ["other eye", 0],
}
BAD = {  # the wrong things in the right sockets
    "MODEL": [["blind", 0]],
    "CONDITIONING": [["empty", 0], ["wide", 0], ["three", 0], ["short", 0]],
    "LATENT": [["broken", 0], ["other", 0], ["tiny", 0]],
    "IMAGE": [["dot", 0], ["two", 0]],
    "MASK": [["hole", 0], ["slim", 0]],
    "HIPER_EMBEDDING": [["wide tail", 0]],
    "HIPER_ATTENTION_MAPS": [["recorded", 3]],
    "HIPER_SEFI": [["many", 0], ["nowhere", 0], ["unsaid", 0]],
    "HIPER_INVERSION": [["inverted", 0]],
    "HIPER_EDIT": [["blended", 1]],
    "CLIP": [["demo", 1]],
    "CLIP_VISION": [["eye", 0], ["other eye", 0]],
}
# a value, something of another type, a node that is not there, an output that is not there
WRONG = (5, "x", None, [], ["loader", 0], ["target", 0], ["picture", 0], ["nobody", 0], ["tail", 9])


class Nonsense:
    """Graphs of one node of the pack, some of whose inputs are nonsense.

    `definitions` are ComfyUI's own, so that a new node is fuzzed from its first day.
    """

    def __init__(self, definitions: dict[str, Any], chance: random.Random) -> None:
        self.chance = chance
        self.definitions = {
            name: definition
            for name, definition in sorted(definitions.items())
            if name.startswith("HiPer") and not name.startswith("HiPerTest")
        }

    def graph(self, name: str, sound: bool = False) -> Graph:
        """A graph of the node; a sound one has no nonsense in it."""
        inputs = self._inputs(self.definitions[name])
        made, optional = {}, self.definitions[name]["input"].get("optional", {})
        nonsense = set(self.chance.sample(sorted(inputs), k=min(len(inputs), self._how_many())))
        nonsense = set() if sound else nonsense
        for key, (kind, options) in inputs.items():
            # the viewer can do without a model, but then there is little to go wrong
            spare = key in optional and kind not in ("MODEL", "CONDITIONING", "LATENT")
            if sound and (name, key) in TOGETHER:
                meant = TOGETHER[name, key]
                made[key] = LEFT_OUT if meant is None else meant
            elif spare and self.chance.random() < 0.5:
                made[key] = LEFT_OUT
            else:
                made[key] = self._value(key, kind, options, key in nonsense)
        made = {key: value for key, value in made.items() if value is not LEFT_OUT}
        graph = tiny_model() | SOURCES | {"fuzzed": node(name, **made)}
        for slot in range(len(self.definitions[name]["output"])):
            if slot and self.chance.random() < 0.5:  # what nobody asks for is not computed either
                continue
            graph[f"end {slot}"] = node("PreviewAny", source=["fuzzed", slot])
        return _reached(
            graph | {"held": node("HiPerTestState", model=["loader", 0], turn=0, memory=False)}
        )

    def sockets(self, graph: Graph) -> list[str]:
        """The fuzzed node's inputs that only a wire can feed."""
        inputs = self._inputs(self.definitions[graph["fuzzed"]["class_type"]])
        return [
            key
            for key, (kind, _) in inputs.items()
            if isinstance(kind, str) and any(part in GOOD for part in kind.split(","))
        ]

    def _how_many(self) -> int:
        return self.chance.choice((0, 1, 1, 1, 2, 3))

    @staticmethod
    def _inputs(definition: dict[str, Any]) -> dict[str, tuple[Any, dict[str, Any]]]:
        return {
            key: (spec[0], spec[1] if len(spec) > 1 else {})
            for part in ("required", "optional")
            for key, spec in definition["input"].get(part, {}).items()
        }

    def _value(self, key: str, kind: Any, options: dict[str, Any], nonsense: bool) -> Any:
        chance = self.chance
        if key in SLOW:
            return chance.choice(SLOW[key] if nonsense else SLOW[key][:2])
        if nonsense and chance.random() < 0.1:
            return LEFT_OUT
        if isinstance(kind, list) or kind == "COMBO":
            listed = kind if isinstance(kind, list) else options.get("options", [])
            if nonsense or not listed:
                return chance.choice(CHOICES)
            return chance.choice([one for one in listed if one in WHOLE] or listed)
        if kind in ("INT", "FLOAT", "BOOLEAN"):
            if not nonsense:
                return options.get("default", 1)
            ends = [options[end] for end in ("min", "max") if end in options]
            return (
                chance.choice(ends or NUMBERS) if chance.random() < 0.5 else chance.choice(NUMBERS)
            )
        if kind == "STRING":
            return chance.choice(TEXTS) if nonsense else options.get("default", "dog")
        kinds = [part for part in kind.split(",") if part in GOOD]
        if not kinds:
            return ["target", 0] if kind.startswith("COMFY") else LEFT_OUT
        part = chance.choice(kinds)
        return chance.choice([*BAD[part], *WRONG] if nonsense else GOOD[part])


LEFT_OUT = object()


def _reached(graph: Graph) -> Graph:
    """What the ends need: the rest would only be ballast."""
    waiting = [name for name in graph if name == "held" or name.startswith("end ")]
    waiting.append("fuzzed")
    reached: Graph = {}
    while waiting:
        name = waiting.pop()
        if name in reached or name not in graph:
            continue
        reached[name] = graph[name]
        for value in graph[name]["inputs"].values():
            if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
                waiting.append(value[0])
    return reached
