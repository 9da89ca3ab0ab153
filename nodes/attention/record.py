"""Record Cross-Attention over a sampling run, and keep maps in a file."""

from __future__ import annotations

from comfy_api.v0_0_2 import io

from ...hiper.attention.gathering import BY_SIZE, EACH, Wish
from ...hiper.attention.maps import AttentionMaps
from ...hiper.files import maps as maps_file
from ...hiper.host.attention import files
from ...hiper.host.attention.recording import Recording, watched
from ..types import CATEGORY, AttentionMapsSocket, AttentionRecordingSocket
from .inputs import head_input

BOTH, POSITIVE, NEGATIVE = "both", "positive", "negative"
ALL_TOKENS, TAIL_ONLY = "all tokens", "tail only"


class RecordAttention(io.ComfyNode):
    """Looks on while a sampler runs; what the sampler computes stays bit for bit the same."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerRecordAttention",
            display_name="Record Cross-Attention",
            category=CATEGORY,
            description="Put this between the model and any sampler: it keeps the cross-attention "
            "of every step for the Attention Map Viewer. The pictures stay exactly the same.",
            search_aliases=["daam", "attention heatmap", "explain", "hiper"],
            inputs=[
                io.Model.Input("model", tooltip="The model that the sampler is to use."),
                io.Combo.Input(
                    "record",
                    options=[BOTH, POSITIVE, NEGATIVE],
                    default=BOTH,
                    tooltip="Which of the sampler's conditionings.",
                ),
                io.Combo.Input(
                    "tokens",
                    options=[ALL_TOKENS, TAIL_ONLY],
                    default=ALL_TOKENS,
                    tooltip="Keeping only the learned tail takes a fraction of the memory.",
                ),
                io.Int.Input(
                    "memory_limit",
                    default=512,
                    min=1,
                    max=65536,
                    tooltip="MB that the recording may hold at most. If all steps would be more, "
                    "it keeps every second or third instead.",
                ),
                io.Int.Input(
                    "every",
                    default=1,
                    min=1,
                    max=1000,
                    tooltip="Record each step, or only every so many; the last is always kept.",
                    advanced=True,
                ),
                io.Combo.Input(
                    "layers",
                    options=[BY_SIZE, EACH],
                    default=BY_SIZE,
                    tooltip="Keep the mean of all layers with maps of the same size, or each "
                    "layer for itself (several times the memory; for export).",
                    advanced=True,
                ),
                head_input(),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="For the sampler."),
                AttentionRecordingSocket.Output(
                    display_name="recording",
                    tooltip="For the viewer's maps input; it holds the last run of each sampler "
                    "that uses the model.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model,
        record: str,
        tokens: str,
        memory_limit: int,
        every: int = 1,
        layers: str = BY_SIZE,
        head: int = 0,
    ) -> io.NodeOutput:
        wish = Wish(
            roles=None if record == BOTH else (record,),
            tail_only=tokens == TAIL_ONLY,
            head=head - 1 if head else None,
            layers=layers,
            every=every,
            limit=memory_limit * 2**20,
        )
        recording = Recording(wish)
        return io.NodeOutput(watched(model, recording), recording)


class SaveAttentionMaps(io.ComfyNode):
    """Raw maps with all that says what they are."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerSaveAttentionMaps",
            display_name="Save Attention Maps",
            category=CATEGORY,
            description="Write attention maps to a .safetensors file in the output folder, with "
            "labels, layers, steps and sizes in its metadata.",
            search_aliases=["export attention", "hiper"],
            is_output_node=True,
            inputs=[
                AttentionMapsSocket.Input("maps", tooltip="From the viewer or Compare."),
                io.String.Input(
                    "filename_prefix",
                    default="hiper/attention",
                    tooltip="The file's name in the output folder; a number is added.",
                ),
            ],
            outputs=[io.String.Output(display_name="path", tooltip="Where the file is.")],
        )

    @classmethod
    def execute(cls, maps: AttentionMaps, filename_prefix: str) -> io.NodeOutput:
        path = files.new_path(filename_prefix)
        maps_file.write(maps, path)
        size = path.stat().st_size / 2**20
        text = f"Saved as {files.shown(path)} ({size:.1f} MB)"
        return io.NodeOutput(str(path), ui={"text": [text]})


class LoadAttentionMaps(io.ComfyNode):
    """Reads what Save Attention Maps wrote."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerLoadAttentionMaps",
            display_name="Load Attention Maps",
            category=CATEGORY,
            description="Read attention maps from a .safetensors file in the output folder, for "
            "the Attention Map Viewer.",
            search_aliases=["import attention", "hiper"],
            inputs=[
                io.Combo.Input(
                    "name",
                    options=files.names(),
                    tooltip="A file that Save Attention Maps wrote. Press R to refresh the list.",
                )
            ],
            outputs=[AttentionMapsSocket.Output(display_name="maps", tooltip="For the viewer.")],
        )

    @classmethod
    def fingerprint_inputs(cls, name: str) -> str:
        """A file that was written anew is read anew."""
        try:
            return files.fingerprint(name)
        except (ValueError, OSError):
            return "missing"

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        return io.NodeOutput(maps_file.read(files.path_of(name)))
