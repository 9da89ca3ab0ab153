"""ComfyUI's MODEL as eq. 4's frozen denoiser."""
