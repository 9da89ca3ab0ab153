"""Looking into a running ComfyUI model."""
