"""The socket types of this pack."""

from comfy_api.v0_0_2 import io

from ..hiper.embedding import HiperEmbedding


@io.comfytype(io_type="HIPER_EMBEDDING")
class HiperEmbeddingSocket(io.ComfyTypeIO):
    """A learned tail and what it knows of itself."""

    Type = HiperEmbedding


CATEGORY = "HiPer"
