"""The rows of Table 1: each method written from its own paper, LoRA as ComfyUI trains it."""
