"""The socket types of this pack."""

from comfy_api.v0_0_2 import io

from ..hiper.attention.maps import AttentionMaps
from ..hiper.editing.inversion import Inversion
from ..hiper.embedding import HiperEmbedding
from ..hiper.host.attention.recording import Recording
from ..hiper.host.editing.replay import Edit
from ..hiper.learning.sefi import SefiSettings


@io.comfytype(io_type="HIPER_EMBEDDING")
class HiperEmbeddingSocket(io.ComfyTypeIO):
    """A learned tail and what it knows of itself."""

    Type = HiperEmbedding


@io.comfytype(io_type="HIPER_ATTENTION_MAPS")
class AttentionMapsSocket(io.ComfyTypeIO):
    """Cross-attention maps that were looked at, and their tokens' labels."""

    Type = AttentionMaps


@io.comfytype(io_type="HIPER_ATTENTION_RECORDING")
class AttentionRecordingSocket(io.ComfyTypeIO):
    """Cross-attention maps to come: filled when the sampler has run."""

    Type = Recording


@io.comfytype(io_type="HIPER_SEFI")
class SefiSettingsSocket(io.ComfyTypeIO):
    """What is to be learned apart, and what a tail's attention is held to."""

    Type = SefiSettings


@io.comfytype(io_type="HIPER_INVERSION")
class InversionSocket(io.ComfyTypeIO):
    """A picture's way back into noise."""

    Type = Inversion


@io.comfytype(io_type="HIPER_EDIT")
class EditSocket(io.ComfyTypeIO):
    """An edit's masks to come: filled when the sampler has run."""

    Type = Edit


CATEGORY = "HiPer"
