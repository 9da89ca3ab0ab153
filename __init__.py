"""HiPer for ComfyUI: highly personalized text embeddings, learned from one picture."""

if __package__:  # as a pack inside ComfyUI; test runners import this file on its own
    from .nodes.extension import comfy_entrypoint

    __all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]

WEB_DIRECTORY = "./nodes/web"
