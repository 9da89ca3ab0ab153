"""HiPer for ComfyUI: highly personalized text embeddings, learned from one picture."""

from .nodes.extension import comfy_entrypoint

WEB_DIRECTORY = "./nodes/web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
