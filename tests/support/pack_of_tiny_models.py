"""Nodes for tests alone: small models, models that run short or go wrong, and how a model is."""

import gc
import hashlib
import json

import comfy.clip_vision
import comfy.model_management
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import psutil
import torch
from comfy.patcher_extension import WrappersMP
from comfy_api.v0_0_2 import ComfyExtension, io

from .tiny_unets import CONTEXT, tiny_unet

BLIND = {  # no cross-attention anywhere
    "transformer_depth": [0, 0],
    "transformer_depth_output": [0, 0, 0, 0],
    "transformer_depth_middle": -1,
}
LAST_LAYER = "diffusion_model.out.2.weight"


def wrapped(model, wrapper):
    """The model with something around its UNet's every call."""
    patched = model.clone()
    patched.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "test", wrapper)
    return patched


class TinyModel(io.ComfyNode):
    """A UNet of half a million weights; `huge` ones are finite in fp32 and not in fp16.

    Another `copy` is another object of the same weights, as ComfyUI's cache sees it.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestModel",
            category="test",
            inputs=[
                io.Int.Input("seed", default=0),
                io.Boolean.Input("blind", default=False),
                io.Boolean.Input("huge", default=False),
                io.Int.Input("copy", default=0),
            ],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, seed, blind, huge, copy):
        model = tiny_unet(seed, **(BLIND if blind else {}))
        if huge:
            dict(model.model.named_parameters())[LAST_LAYER].data.mul_(1e8)
        return io.NodeOutput(model)


class LimitedModel(io.ComfyNode):
    """Out of memory, for real, when a call keeps more bytes for its gradient than there are."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestLimit",
            category="test",
            inputs=[io.Model.Input("model"), io.Int.Input("kilobytes", max=2**31)],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model, kilobytes):
        def limited(executor, *args, **kwargs):
            kept = 0

            def keep(tensor):
                nonlocal kept
                kept += tensor.numel() * tensor.element_size()
                if kept > kilobytes * 1024:
                    raise comfy.model_management.OOM_EXCEPTION(f"over {kilobytes} KB")
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                return executor(*args, **kwargs)

        return io.NodeOutput(wrapped(model, limited))


class FailingModel(io.ComfyNode):
    """Fails in one of several ways at one of its calls, while learning or while sampling."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestFail",
            category="test",
            inputs=[
                io.Model.Input("model"),
                io.Int.Input("call", min=1),
                io.Combo.Input(
                    "how",
                    options=["NaN", "error", "cancel before", "cancel after", "out of memory"],
                ),
                io.Int.Input("copy", optional=True),  # another counts its calls anew
                io.Boolean.Input("sampling", optional=True),  # without gradients
            ],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model, call, how, copy=0, sampling=False):
        calls = 0

        def failing(executor, *args, **kwargs):
            nonlocal calls
            if torch.is_grad_enabled() == sampling:
                return executor(*args, **kwargs)
            calls += 1
            if calls != call:
                return executor(*args, **kwargs)
            if how == "error":
                raise RuntimeError("a failure to order")
            if how == "out of memory":
                raise comfy.model_management.OOM_EXCEPTION("to order")
            if how == "cancel before":
                comfy.model_management.interrupt_current_processing()
            out = executor(*args, **kwargs)
            if how == "cancel after":
                comfy.model_management.interrupt_current_processing()
            return out * float("nan") if how == "NaN" else out

        return io.NodeOutput(wrapped(model, failing))


class TinyLora(io.ComfyNode):
    """A low-rank patch on every attention projection, or the same added into the weights."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestLora",
            category="test",
            inputs=[io.Model.Input("model"), io.Boolean.Input("baked", default=False)],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model, baked):
        generator = torch.Generator().manual_seed(3)
        patches = {}
        for name, weight in model.model.named_parameters():
            if "attn" in name and weight.ndim == 2:
                up = torch.randn(weight.shape[0], 2, generator=generator)
                down = torch.randn(2, weight.shape[1], generator=generator)
                patches[name] = 0.1 * up @ down
                if baked:
                    weight.data.add_(patches[name])
        if baked:
            return io.NodeOutput(model)
        patched = model.clone()
        taken = patched.add_patches({name: ("diff", (diff,)) for name, diff in patches.items()})
        if len(taken) != len(patches):
            raise RuntimeError(f"{len(taken)} of {len(patches)} patches were taken")
        return io.NodeOutput(patched)


class ModelState(io.ComfyNode):
    """All that learning could leave behind on a model and in ComfyUI."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestState",
            category="test",
            is_output_node=True,
            not_idempotent=True,
            inputs=[
                io.Model.Input("model"),
                io.Int.Input("turn", default=0),
                io.Boolean.Input("memory", default=True),
                io.AnyType.Input("after", optional=True),
            ],
            outputs=[],
        )

    @classmethod
    def execute(cls, model, turn=0, memory=True, after=None):
        held = memory_held() if memory else None
        return io.NodeOutput(ui={"state": [state(model)], "memory": [held]})


def state(model) -> dict:
    """What must not change, in words that JSON has."""
    weights = hashlib.sha256()
    tensors = [*model.model.named_parameters(), *model.model.named_buffers()]
    for _, tensor in tensors:
        weights.update(tensor.detach().float().cpu().numpy().tobytes())
    modules = list(model.model.modules())
    return {
        "weights": weights.hexdigest(),
        "require gradients": [name for name, tensor in tensors if tensor.requires_grad],
        "have gradients": [name for name, tensor in tensors if tensor.grad is not None],
        "inference tensors": sum(tensor.is_inference() for _, tensor in tensors),
        "objects": [id(tensor) for _, tensor in tensors[:3]],
        "hooks": sum(
            len(module._forward_hooks)
            + len(module._forward_pre_hooks)
            + len(module._backward_hooks)
            + len(module._backward_pre_hooks)
            for module in modules
        ),
        "own forwards": sum("forward" in module.__dict__ for module in modules),
        "training modules": sum(module.training for module in modules),
        "in training": comfy.model_management.in_training,
        "interrupted": comfy.model_management.processing_interrupted(),
        "patches": sorted(model.patches),
        "object patches": sorted(model.object_patches),
        "options": described(model.model_options),
        "dtype": str(model.model.get_dtype_inference()),
        "manual cast": str(model.model.manual_cast_dtype),
    }


def described(value) -> str:
    """Options as text: functions by name, since no two clones share a dictionary."""
    return json.dumps(value, sort_keys=True, default=lambda odd: getattr(odd, "__name__", str(odd)))


def memory_held() -> dict:
    gc.collect()
    live = [
        thing for thing in gc.get_objects() if type(thing) in (torch.Tensor, torch.nn.Parameter)
    ]
    return {
        "loaded models": len(comfy.model_management.current_loaded_models),
        "tensors": len(live),
        "tensor bytes": sum(tensor.numel() * tensor.element_size() for tensor in live),
        "resident": psutil.Process().memory_info().rss,
    }


class DescribedConditioning(io.ComfyNode):
    """Shape, options and tails of every entry."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestDescribe",
            category="test",
            is_output_node=True,
            inputs=[io.Conditioning.Input("conditioning")],
            outputs=[],
        )

    @classmethod
    def execute(cls, conditioning):
        entries = [
            {
                "shape": list(prompt.shape),
                "options": {
                    key: value
                    for key, value in options.items()
                    if isinstance(value, int | float | str | tuple) and key != "hiper_tails"
                },
                "keys": sorted(options),
                "tails": [[m.start, m.tokens] for m in options.get("hiper_tails", ())],
            }
            for prompt, options in conditioning
        ]
        return io.NodeOutput(ui={"entries": entries})


class TinyText(io.ComfyNode):
    """Text vectors that the small models read."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestText",
            category="test",
            inputs=[io.Int.Input("seed", default=0), io.Int.Input("length", default=77)],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, seed, length):
        generator = torch.Generator().manual_seed(seed)
        return io.NodeOutput([[2 * torch.randn(1, length, CONTEXT, generator=generator), {}]])


class TinyEye(io.ComfyNode):
    """CLIP Vision or DINOv2 in ComfyUI's own class, a few thousand weights of chance."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestEye",
            category="test",
            inputs=[io.Combo.Input("of", options=["clip_vision_model", "dinov2"])],
            outputs=[io.ClipVision.Output()],
        )

    @classmethod
    def execute(cls, of):
        config = {"model_type": of, "hidden_size": 64, "num_hidden_layers": 2}
        config |= {"num_attention_heads": 4, "intermediate_size": 128, "num_channels": 3}
        config |= {"layer_norm_eps": 1e-6, "use_swiglu_ffn": False, "hidden_act": "quick_gelu"}
        config |= {"patch_size": 14, "image_size": 56, "projection_dim": 48}
        vision = comfy.clip_vision.ClipVisionModel(config)
        generator = torch.Generator().manual_seed(5)
        for weight in vision.model.parameters():
            drawn = torch.randn(weight.shape, generator=generator)
            weight.data = (0.1 * drawn).to(weight.dtype)
        return io.NodeOutput(vision)


class TinyClip(io.ComfyNode):
    """CLIP's text encoder with its projection, of chance, to the vision's width."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerTestClip", category="test", inputs=[], outputs=[io.Clip.Output()]
        )

    @classmethod
    def execute(cls):
        config = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
        config |= {"intermediate_size": 96}
        target = comfy.supported_models_base.ClipTarget(
            comfy.sd1_clip.SD1Tokenizer, comfy.sd1_clip.SD1ClipModel
        )
        clip = comfy.sd.CLIP(target, model_options={"clip_l_model_config": config})
        generator = torch.Generator().manual_seed(6)
        for weight in clip.cond_stage_model.parameters():
            weight.data = torch.randn(weight.shape, generator=generator).to(weight.dtype)
        return io.NodeOutput(clip)


class TinyModelsExtension(ComfyExtension):
    async def get_node_list(self):
        return [
            TinyModel,
            LimitedModel,
            FailingModel,
            TinyLora,
            ModelState,
            TinyEye,
            TinyClip,
            DescribedConditioning,
            TinyText,
        ]


async def comfy_entrypoint():
    return TinyModelsExtension()
