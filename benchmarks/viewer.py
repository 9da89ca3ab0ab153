"""What looking at attention costs and shows: `python benchmarks/viewer.py --json`.

Costs are of a UNet of Stable Diffusion 1.x in full size at 64×64 latents. Times are taken in
pairs, with and without, whose order alternates; a share is the median over the pairs. Beside it
stands the share that the recording's own functions take of one run: a busy machine moves it less.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import logging
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from full_size import CONTEXT, PACK, find_comfyui, full_size_unet

# before any copy that pip has installed
sys.path[1:1] = [str(PACK / "tests"), str(PACK)]

# the functions of a recording that take time, by file; none calls another
WATCHING = {"attention.py": ("_seen",), "attention_recording.py": ("close_step",)}
PARTS = ["equality", "where", "costs"]
STEPS = 20  # of a usual run; bytes are told for so many


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    latent: int
    pairs: int
    pictures: int
    tails: int
    learning_steps: int


FULL = Size(latent=64, pairs=8, pictures=100, tails=100, learning_steps=400)
QUICK = Size(latent=16, pairs=4, pictures=8, tails=2, learning_steps=5)


@dataclass(frozen=True)
class Pair:
    """One measurement: seconds by the clock, and of the processor."""

    without: tuple[float, float]
    with_it: tuple[float, float]

    def ratio(self, clock: int) -> float:
        return self.with_it[clock] / self.without[clock]


def timed(act: Callable[[], object]) -> tuple[float, float]:
    started = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - started[0], time.process_time() - started[1]


def paired(without: Callable[[], object], with_it: Callable[[], object], pairs: int) -> list[Pair]:
    """Each once to warm up, then in pairs: A B, B A, A B, …"""
    without(), with_it()
    found = []
    for number in range(pairs):
        if number % 2:
            later = timed(with_it)
            found.append(Pair(timed(without), later))
        else:
            found.append(Pair(timed(without), timed(with_it)))
        say(f"pair {number + 1} of {pairs}: {found[-1].ratio(0):.4f} by the clock")
    return found


def within(act: Callable[[], object]) -> float:
    """Seconds in the recording's own functions over all others': both of one run, so that what
    else the machine does weighs on both."""
    profile = cProfile.Profile()
    profile.runcall(act)
    stats = pstats.Stats(profile)
    watching = 0.0
    for (file, _, function), (_, _, _, seconds, _) in stats.stats.items():
        if function in WATCHING.get(Path(file).name, ()):
            watching += seconds
    if not watching:
        raise RuntimeError(f"None of {WATCHING} ran: name what the recording calls now.")
    return watching / (stats.total_tt - watching)


def spread(values: list[float]) -> dict[str, float]:
    low, _, high = statistics.quantiles(values, n=4)
    return {
        "median": round(statistics.median(values), 4),
        "lower_quartile": round(low, 4),
        "upper_quartile": round(high, 4),
    }


def say(what: str) -> None:
    print(f"[{time.perf_counter() - STARTED:6.0f} s] {what}", file=sys.stderr, flush=True)


STARTED = time.perf_counter()


def text(seed: int) -> list:
    import torch

    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(1, 77, CONTEXT, generator=generator), {}]]


def costs(size: Size) -> dict[str, object]:
    """One view in model calls, and recording as a share of sampling."""
    import torch

    from hiper.attention.gathering import Wish
    from hiper.host.attention.recording import Recording, watched
    from hiper.host.attention.view import Moment, view

    say("making a full-size UNet of random weights")
    model = full_size_unet()
    generator = torch.Generator().manual_seed(1)
    latent = torch.randn(1, 4, size.latent, size.latent, generator=generator)
    recording = Recording(Wish())
    looked_at = watched(model, recording)
    calls = Calls()

    def one_call() -> None:
        """A sampler of one step without guidance: one prompt, as a view has it."""
        step(model, latent, 1.0)

    def one_view() -> None:
        view(calls.counted(model), {"positive": text(0)}, {"samples": latent}, Moment()).mean(0)

    def plain() -> None:
        step(model, latent, 7.5)

    def recorded() -> None:
        step(looked_at, latent, 7.5)
        recording.maps()  # files the step, as the next one of a longer run would

    with torch.inference_mode():
        viewed = paired(one_call, one_view, size.pairs // 2)
        shares = paired(plain, recorded, size.pairs)
        inside = [within(recorded) for _ in range(size.pairs // 2)]
        seen = view(model, {"positive": text(0)}, {"samples": latent}, Moment())
    say(f"{statistics.median(pair.without[0] for pair in shares):.2f} s a step without recording")
    return {
        "view_in_calls": {
            "model_calls": calls.count // (len(viewed) + 1),
            "by_the_clock": spread([pair.ratio(0) for pair in viewed]),
            "of_the_processor": spread([pair.ratio(1) for pair in viewed]),
        },
        "record_share": {
            "by_the_clock": spread([pair.ratio(0) - 1 for pair in shares]),
            "of_the_processor": spread([pair.ratio(1) - 1 for pair in shares]),
            "within_one_run": spread(inside),
            "pairs": size.pairs,
            "seconds_a_step": round(statistics.median(p.without[0] for p in shares), 3),
            "threads": torch.get_num_threads(),
        },
        "record_bytes": {
            "a_step": recording.held,
            f"of_{STEPS}_steps": recording.held * STEPS,
            "default_limit": Wish().limit,
        },
        "tokens_sum_error": sum_error(seen),
    }


class Calls:
    """Counts the calls of the model itself."""

    count = 0

    def counted(self, model):
        from comfy.patcher_extension import WrappersMP

        def diffusion_model(executor, *args, **kwargs):
            self.count += 1
            return executor(*args, **kwargs)

        clone = model.clone()
        clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "benchmark", diffusion_model)
        return clone


def step(model, latent, guidance: float):
    """One step of KSampler with euler; guidance 1 leaves the negative prompt out."""
    import comfy.sample

    noise = comfy.sample.prepare_noise(latent, 5)
    given = (1, guidance, "euler", "normal", text(0), text(2), latent)
    return comfy.sample.sample(model, noise, *given, disable_pbar=True, seed=5)


def sum_error(maps) -> float:
    """How far any place's probabilities are from summing to 1 over the tokens."""
    sums = [maps.mean(prompt).sum(dim=1) for prompt in range(len(maps.prompts))]
    return max(float((each - 1).abs().max()) for each in sums)


def equality() -> dict[str, object]:
    """Every sampler with and without a recording, on a small UNet: the same bits or not."""
    import comfy.samplers
    import torch
    from support.tiny_unets import picture, sample, small_unet
    from support.tiny_unets import text as small_text

    from hiper.attention.gathering import Wish
    from hiper.host.attention.recording import Recording, watched

    model = small_unet()
    samplers = comfy.samplers.KSampler.SAMPLERS
    different, worst = [], 0.0
    for sampler in samplers:
        recording = Recording(Wish(dtype=torch.float32))
        given = small_text(), small_text(154, 2), picture(), sampler
        plain = sample(model, *given)
        if not torch.equal(sample(watched(model, recording), *given), plain):
            different.append(sampler)
        worst = max(worst, sum_error(recording.maps()))
    equal = len(samplers) - len(different)
    say(f"{equal} of {len(samplers)} samplers are bit-equal")
    counts = {"samplers": len(samplers), "equal": equal, "different": different}
    return {"latents_equal": counts, "tokens_sum_error": worst}


def bounded() -> list[dict[str, int]]:
    """What is held under ever tighter limits, told before a run of 20 steps."""
    from support.tiny_unets import picture, sample, small_unet
    from support.tiny_unets import text as small_text

    from hiper.attention.gathering import Wish
    from hiper.host.attention.recording import Recording, watched

    model = small_unet()
    found: list[dict[str, int]] = []
    limit = Wish().limit
    for share in (0.5, 0.1, 0.0):
        recording = Recording(Wish(limit=limit))
        given = small_text(), small_text(77, 2), picture(), "euler", STEPS
        sample(watched(model, recording), *given)
        kept = len(recording.maps().steps)
        found.append({"limit": limit, "held": recording.held, "steps_kept": kept})
        limit = int(found[0]["held"] * share)
    return found


def latents_and_limits() -> dict[str, object]:
    return equality() | {"under_limits": bounded()}


def where(size: Size) -> dict[str, object]:
    from where_it_looks import everywhere

    pictures = everywhere(size.pictures, size.tails, size.learning_steps, say)
    return {"inside_over_outside": pictures}


def measured(size: Size, parts: list[str]) -> dict[str, object]:
    found: dict[str, object] = {"latent_size": size.latent}
    errors = []
    for part, measure in (
        ("equality", latents_and_limits),
        ("where", lambda: where(size)),
        ("costs", lambda: costs(size)),
    ):
        if part in parts:
            found |= measure()
            errors.append(found.pop("tokens_sum_error", 0.0))
    if {"equality", "costs"} & set(parts):
        found["tokens_sum_error"] = max(errors)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="only these")
    given = parser.parse_args()
    find_comfyui()
    logging.disable(logging.WARNING)
    found = measured(QUICK if given.quick else FULL, given.parts)
    if given.json:
        print(json.dumps(found, indent=1))
        return
    for name, value in found.items():
        print(f"{name}: {json.dumps(value)}")


if __name__ == "__main__":
    main()
