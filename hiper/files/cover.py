"""A small picture inside an embedding's file, where ComfyUI's own model library looks for one."""

from __future__ import annotations

import base64
import io
import json

from PIL import Image

COVER = "ssmd_cover_images"  # the metadata's key, as trainers of LoRAs write and ComfyUI reads it
SIDE = 160
QUALITY = 80
LENGTH = 8  # of the number in front of a safetensors header, and what the header is padded to


def with_cover(content: bytes, picture: Image.Image) -> bytes:
    """A safetensors file's bytes with the picture in its metadata; equal ones give equal bytes."""
    end = LENGTH + int.from_bytes(content[:LENGTH], "little")
    header = json.loads(content[LENGTH:end])
    header["__metadata__"] = header.get("__metadata__", {}) | {COVER: json.dumps([_small(picture)])}
    # sorted by hand, since safetensors keeps no order among several keys
    text = json.dumps(header, sort_keys=True, ensure_ascii=False).encode()
    text += b" " * (-len(text) % LENGTH)
    return len(text).to_bytes(LENGTH, "little") + text + content[end:]


def _small(picture: Image.Image) -> str:
    small, kept = picture.convert("RGB"), io.BytesIO()
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    small.save(kept, "WEBP", quality=QUALITY)
    return base64.b64encode(kept.getvalue()).decode()
