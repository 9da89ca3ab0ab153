"""Score Edit: how well an edit kept its subject and followed its prompt, in the papers' scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from comfy_api.v0_0_2 import io
from PIL import Image
from torch import Tensor

from ..hiper.demo.scoring import DemoScores, nothing, reader
from ..hiper.figures.images import to_image, to_pictures
from ..hiper.figures.page import Heading
from ..hiper.figures.table import Row, in_places, table
from ..hiper.host.graph import withheld
from ..hiper.host.scores import pictures_by_clip, pictures_by_dino, text_by_clip
from ..hiper.scores import THRESHOLD, Scores, Seen, scored
from .types import CATEGORY

COLUMNS = ("CLIP-T", "CLIP-I", "CLIP-D", "DINOv2-I", "ID(P)")
OF_DEMO = ("identity", "pose", "ground")
PLAIN = "plain prompt"
WANTS = {
    "CLIP-T": "clip_vision, clip and target_prompt",
    "CLIP-I": "clip_vision",
    "CLIP-D": "clip_vision, clip, source_prompt and another target_prompt",
    "DINOv2-I": "dinov2",
    "ID(P)": "clip_vision, clip and target_prompt",
    "identity": "demo_animals on, and the plain prompt's pictures in plain",
    "pose": "demo_animals on, and a pose in target_prompt",
    "ground": "demo_animals on, and a place in target_prompt",
}


@dataclass(frozen=True)
class Measured:
    """A row of the table: its name, and for each column one number a picture or none."""

    name: str
    scores: Scores
    demo: DemoScores

    @property
    def columns(self) -> dict[str, Tensor | None]:
        values = [*_each(self.scores), *_each(self.demo)]
        return dict(zip((*COLUMNS, *OF_DEMO), values, strict=True))

    @property
    def means(self) -> dict[str, float | None]:
        return {n: None if v is None else float(v.mean()) for n, v in self.columns.items()}


def _each(scores: Scores | DemoScores) -> list[Tensor | None]:
    return [getattr(scores, field.name) for field in fields(scores)]


class ScoreEdit(io.ComfyNode):
    """LIPE's four scores, SeFi-IDE's ID(P), and on the demo model what its own reader sees."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiPerScoreEdit",
            display_name="Score Edit",
            category=CATEGORY,
            description="Say in numbers how much of the source picture's subject an edit kept "
            "(CLIP-I, DINOv2-I), how well it follows the target prompt (CLIP-T, CLIP-D), and both "
            "at once (ID(P)). Each score needs its model connected.",
            search_aliases=[
                "hiper", "score", "metric", "clip score", "dino", "evaluate", "benchmark", "table",
            ],
            inputs=[
                io.Image.Input(
                    "source", tooltip="The picture of the subject, or several of them."
                ),
                io.Image.Input("edited", tooltip="The edited pictures."),
                io.String.Input(
                    "source_prompt", default="", tooltip="What the source picture shows."
                ),
                io.String.Input(
                    "target_prompt", default="", tooltip="What the edit was asked for."
                ),
                io.String.Input(
                    "name", default="HiPer", tooltip="What the row of the table is called."
                ),
                io.ClipVision.Input(
                    "clip_vision",
                    optional=True,
                    tooltip="CLIP's eye, from Load CLIP Vision: CLIP-I, and with clip CLIP-T, "
                    "CLIP-D and ID(P).",
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="The text encoder that belongs to clip_vision, from Load CLIP: the "
                    "same file of a whole CLIP. Most checkpoints' own have no projection.",
                ),
                io.ClipVision.Input(
                    "dinov2",
                    optional=True,
                    tooltip="DINOv2, from Load CLIP Vision: DINOv2-I, and the identity in ID(P).",
                ),
                io.Image.Input(
                    "plain",
                    optional=True,
                    tooltip="What the target prompt alone draws: a second row to compare with.",
                ),
                io.String.Input(
                    "report",
                    optional=True,
                    force_input=True,
                    tooltip="What Learn or Edit Picture says of its time: it is written below.",
                ),
                io.Float.Input(
                    "threshold",
                    default=THRESHOLD,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="From which CLIP-T on the prompt counts as followed; below, ID(P) is 0 "
                    "(SeFi-IDE: 0.23).",
                    optional=True,
                    advanced=True,
                ),
                io.Boolean.Input(
                    "demo_animals",
                    default=False,
                    tooltip="For pictures of the demo model: its own reader says identity, pose "
                    "and ground, without a download.",
                    optional=True,
                    advanced=True,
                ),
            ],
            outputs=[
                io.Image.Output(display_name="table", tooltip="The means as a picture."),
                io.String.Output(display_name="text", tooltip="Each picture's numbers, in words."),
                *(
                    io.Float.Output(display_name=name, tooltip=f"The mean; needs {WANTS[name]}.")
                    for name in (*COLUMNS, *OF_DEMO)
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls,
        source,
        edited,
        source_prompt: str,
        target_prompt: str,
        name: str,
        clip_vision=None,
        clip=None,
        dinov2=None,
        plain=None,
        report: str = "",
        threshold: float = THRESHOLD,
        demo_animals: bool = False,
    ) -> io.NodeOutput:
        if clip_vision is None and dinov2 is None and not demo_animals:
            raise ValueError(
                "Nothing is there to score with: connect clip_vision, dinov2 or both (Load CLIP "
                "Vision), or turn demo_animals on for pictures of the demo model."
            )
        if clip is not None and clip_vision is not None and not target_prompt.strip():
            raise ValueError(
                "target_prompt is empty, and clip is there to compare it with the edit: write what "
                "the edit was asked for, or disconnect clip."
            )
        given = [(PLAIN, plain), (name.strip() or "edit", edited)]
        rows = [(row, images) for row, images in given if images is not None]
        seen = seen_by(clip_vision, dinov2)
        origin = seen(to_pictures(source))
        texts = None
        if clip is not None and origin.clip is not None:
            width = origin.clip.shape[-1]
            before = text_by_clip(clip, source_prompt, width) if source_prompt.strip() else None
            texts = before, text_by_clip(clip, target_prompt, width)
        read = reader(source, plain, target_prompt) if demo_animals else nothing
        measured = [
            Measured(row, scored(origin, seen(to_pictures(images)), texts, threshold), read(images))
            for row, images in rows
        ]
        check_scored(measured)
        means = measured[-1].means
        outputs = [
            withheld(f"{column} needs {WANTS[column]}.") if value is None else value
            for column, value in means.items()
        ]
        return io.NodeOutput(
            to_image(shown(measured, target_prompt, threshold, dinov2 is not None, report)),
            told(measured),
            *outputs,
        )


def check_scored(measured: list[Measured]) -> None:
    """One sentence where there is not one number."""
    if all(mean is None for mean in measured[-1].means.values()):
        raise ValueError(
            "There is nothing to score the demo model's pictures by: connect plain, or name a pose "
            "or a place in target_prompt."
        )


def seen_by(clip_vision, dinov2) -> Callable[[list], Seen]:
    """What the encoders that are connected make of pictures."""

    def seen(pictures: list) -> Seen:
        return Seen(
            None if clip_vision is None else pictures_by_clip(clip_vision, pictures),
            None if dinov2 is None else pictures_by_dino(dinov2, pictures),
        )

    return seen


def shown(
    measured: list[Measured], prompt: str, threshold: float, by_dino: bool, report: str
) -> Image.Image:
    """The table of means; a column that no row has is left out."""
    means = [row.means for row in measured]
    columns = [name for name in means[0] if any(row[name] is not None for row in means)]
    rows = [
        Row(row.name, [mean[column] for column in columns])
        for row, mean in zip(measured, means, strict=True)
    ]
    count = len(next(v for v in measured[-1].columns.values() if v is not None))
    notes = ["of one picture" if count == 1 else f"means of {count} pictures"]
    if "ID(P)" in columns:
        identity = "DINOv2-I" if by_dino else "CLIP-I"
        notes.append(f"ID(P): {identity}, counted as 0 where CLIP-T is below {threshold:g}")
    if "identity" in columns:
        notes.append("identity: from the plain prompt's coat (0) to the source's own (1)")
    if report.strip():
        notes.append(report.strip())
    return table(Heading("Scores", prompt.strip()), columns, rows, notes)


def told(measured: list[Measured]) -> str:
    """A line a row, and one for each of its pictures."""
    lines = []
    for row in measured:
        there = {name: values for name, values in row.columns.items() if values is not None}
        lines.append(f"{row.name}: " + _numbers({n: float(v.mean()) for n, v in there.items()}))
        count = min(len(values) for values in there.values()) if there else 0
        if count > 1:
            for index in range(count):
                each = {name: float(values[index]) for name, values in there.items()}
                lines.append(f"  {index + 1}: " + _numbers(each))
    return "\n".join(lines)


def _numbers(values: dict[str, float]) -> str:
    numbers = [f"{name} {in_places(value)}" for name, value in values.items()]
    return ", ".join(numbers) or "nothing to score"
