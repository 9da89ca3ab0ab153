"""The one door to ComfyUI; imported by `nodes/` only."""
