"""LIPE on a ComfyUI model: inversion, identity masks and blending around its own samplers."""
