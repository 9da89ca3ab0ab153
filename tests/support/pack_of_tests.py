"""Nodes for tests alone, loaded by ComfyUI beside the pack: conditioning and tensors to order."""

import hashlib
from types import SimpleNamespace

import torch
from comfy_api.v0_0_2 import ComfyExtension, io


class RandomConditioning(io.ComfyNode):
    """Text vectors of any width, where a text encoder would be gigabytes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestConditioning",
            category="test",
            inputs=[
                io.Int.Input("width", default=768),
                io.Int.Input("length", default=77),
                io.Int.Input("pooled", default=0),
                io.Int.Input("seed", default=0),
                io.Int.Input("entries", default=1, min=0),
            ],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, width: int, length: int, pooled: int, seed: int, entries: int):
        generator = torch.Generator().manual_seed(seed)
        made = []
        for _ in range(entries):
            options = {}
            if pooled:
                options["pooled_output"] = torch.randn(1, pooled, generator=generator)
            made.append([torch.randn(1, length, width, generator=generator), options])
        return io.NodeOutput(made)


class RandomLatent(io.ComfyNode):
    """Latents of any shape; `broken` makes one number NaN."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestLatent",
            category="test",
            inputs=[
                io.Int.Input("channels", default=4),
                io.Int.Input("height", default=16),
                io.Int.Input("width", default=16),
                io.Int.Input("batch", default=1),
                io.Int.Input("seed", default=0),
                io.Boolean.Input("broken", default=False),
            ],
            outputs=[io.Latent.Output()],
        )

    @classmethod
    def execute(cls, channels, height, width, batch, seed, broken):
        generator = torch.Generator().manual_seed(seed)
        samples = torch.randn(batch, channels, height, width, generator=generator)
        if broken:
            samples[0, 0, 0, 0] = float("nan")
        return io.NodeOutput({"samples": samples})


class Digest(io.ComfyNode):
    """Says a tensor's hash, so that bits can be compared through the server."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestDigest",
            category="test",
            is_output_node=True,
            inputs=[
                io.Latent.Input("latent", optional=True),
                io.Custom("HIPER_EMBEDDING").Input("embedding", optional=True),
                io.Conditioning.Input("conditioning", optional=True),
                io.String.Input("text", optional=True, force_input=True),
            ],
            outputs=[],
        )

    @classmethod
    def execute(cls, latent=None, embedding=None, conditioning=None, text=None):
        tensors = []
        if latent is not None:
            tensors.append(latent["samples"])
        if embedding is not None:
            tensors.append(embedding.tail)
        if conditioning is not None:
            tensors += [entry[0] for entry in conditioning]
        digest = hashlib.sha256()
        for tensor in tensors:
            digest.update(tensor.contiguous().float().cpu().numpy().tobytes())
        said = {
            "digest": [digest.hexdigest()],
            "shapes": [list(tensor.shape) for tensor in tensors],
            "finite": [bool(all(torch.isfinite(tensor).all() for tensor in tensors))],
            "text": [text],
        }
        return io.NodeOutput(ui=said)


class Vision(io.ComfyNode):
    """What a CLIP Vision would say of a picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestVision",
            category="test",
            inputs=[],
            outputs=[io.ClipVisionOutput.Output()],
        )

    @classmethod
    def execute(cls):
        return io.NodeOutput(SimpleNamespace(image_embeds=torch.zeros(1, 8)))


class TestExtension(ComfyExtension):
    async def get_node_list(self):
        return [RandomConditioning, RandomLatent, Digest, Vision]


async def comfy_entrypoint():
    return TestExtension()
