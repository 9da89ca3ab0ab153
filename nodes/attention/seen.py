"""What the viewer looks at: a finished picture, a recording of a run, or saved maps."""

from __future__ import annotations

import time

from ...hiper.attention.maps import AttentionMaps
from ...hiper.attention.stages import StageMaps, joined
from ...hiper.host.attention.recording import Recording
from ...hiper.host.attention.view import Moment, view
from ..latent import checked_latent
from ..types import AttentionRecordingSocket
from ..words import Graph, sampler_spoken, samplers_before
from .inputs import checked_conditioning, with_labels

POSITIVE = "positive"
NO_LATENT = (
    "A recording is connected, but no latent: connect the LATENT that the recorded sampler gives "
    "out, so that the viewer waits for it."
)


def not_connected(given: dict[str, str]) -> str:
    """One sentence on what is missing among the connected inputs, of which the types are known."""
    if "maps" in given:
        alone = given["maps"] == AttentionRecordingSocket.io_type and "latent" not in given
        return NO_LATENT if alone else ""
    missing = [name for name in ("model", "conditioning", "latent") if name not in given]
    if not missing:
        return ""
    return (
        f"Nothing is connected to {' and '.join(missing)}: connect model, conditioning and latent "
        "to look at a picture, or maps to show a recording."
    )


def looked_at(model, conditioning, latent, moment: Moment) -> tuple[AttentionMaps, str]:
    """One call of the model on the finished picture."""
    given = {"model": model, "conditioning": conditioning, "latent": latent}
    missing = not_connected({name: name for name, value in given.items() if value is not None})
    if missing:
        raise ValueError(missing)
    checked_latent(latent, model)
    checked_conditioning(conditioning, model)
    started = time.perf_counter()
    found = view(model, {POSITIVE: conditioning}, latent, moment)
    return found, f"one model call in {time.perf_counter() - started:.2f} s"


def saved(maps: AttentionMaps) -> tuple[AttentionMaps, str]:
    """What was saved of a run, or handed on by another viewer."""
    kept = f"{len(maps.steps)} of {maps.total_steps} steps, {maps.bytes / 2**20:.1f} MB"
    return maps, kept


def recorded(
    recording: Recording, latent, graph: Graph | None, node: str | None, named: tuple
) -> tuple[AttentionMaps, str]:
    """What was seen of the runs that led to a latent, each with the words of its own sampler."""
    if latent is None:
        raise ValueError(NO_LATENT)
    side, clip, labels = named
    stages = []
    for stage, sampler in recording.stages(latent["samples"], samplers_before(graph, node)):
        said = sampler_spoken(graph, sampler, side)
        maps = with_labels(stage.maps, stage.maps.prompts_of(side), clip, labels, said)
        stages.append(StageMaps(maps, stage.texts))
    found = joined(stages)
    runs = f" in {len(stages)} stages" if len(stages) > 1 else ""
    return found, (
        f"{len(found.steps)} of {found.total_steps} steps recorded{runs}, "
        f"{found.bytes / 2**20:.1f} MB of at most {recording.wish.limit / 2**20:.0f} MB"
    )
