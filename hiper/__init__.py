"""Highly Personalized Text Embedding (HiPer), the method: torch only, no ComfyUI."""
