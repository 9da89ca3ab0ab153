"""What ComfyUI is told when it loads the pack."""

from comfy_api.v0_0_2 import ComfyExtension, io

from ..hiper.host import covers, finishing, folders
from .attention.compare import CompareAttention
from .attention.record import LoadAttentionMaps, RecordAttention, SaveAttentionMaps
from .attention.viewer import AttentionViewer
from .augment import AugmentPicture
from .compose import ComposeHiperConditioning
from .demo import LoadHiperDemoModel
from .demo_picture import DrawHiperDemoAnimal
from .editing.blend import BlendWithSource
from .editing.edit import EditPicture
from .editing.identity_word import IdentityWord
from .editing.invert import InvertPicture
from .editing.masks import EditMasks
from .files import LoadHiperEmbedding, SaveHiperEmbedding
from .grid import GridPairs, GridValues, PictureGrid
from .learn import LearnHiperEmbedding
from .parts import ExchangeParts
from .preset import HiperPreset
from .scores import ScoreEdit
from .sefi import SefiIdeSettings


class HiperExtension(ComfyExtension):
    """The pack's nodes, its model folder and its routes."""

    async def on_load(self) -> None:
        folders.register()
        finishing.register()
        covers.register()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            LearnHiperEmbedding,
            HiperPreset,
            SefiIdeSettings,
            AugmentPicture,
            ExchangeParts,
            ComposeHiperConditioning,
            SaveHiperEmbedding,
            LoadHiperEmbedding,
            EditPicture,
            InvertPicture,
            IdentityWord,
            BlendWithSource,
            EditMasks,
            ScoreEdit,
            GridValues,
            GridPairs,
            PictureGrid,
            LoadHiperDemoModel,
            DrawHiperDemoAnimal,
            AttentionViewer,
            RecordAttention,
            CompareAttention,
            SaveAttentionMaps,
            LoadAttentionMaps,
        ]


async def comfy_entrypoint() -> HiperExtension:
    return HiperExtension()
