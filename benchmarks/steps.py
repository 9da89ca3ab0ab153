"""A learning step on a full-size SD1.x UNet, timed and weighed against what it can't go below.

Run through `benchmarks/learning.py`; every way of stepping runs in a process of its own, so that
peak memory is its own too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import full_size
import torch

WAYS = ("floor", "step", "checkpointed", "unfrozen")
FOCUSED = ("step", "focus")  # without and with the attention loss
# glibc keeps freed memory above this size to itself unless told; peaks would carry it along
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "131072"}


def peak() -> float:
    """The most memory this process has held since `forget_peak`, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def clock() -> float:
    """Seconds; one thread alone counts its own, which other work does not change."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def timed(step: Callable[[], None], count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        started = clock()
        step()
        seconds.append(clock() - started)
    return seconds


def bare_step(denoiser, clean: torch.Tensor) -> Callable[[], None]:
    """One forward and one backward of the net to its context, and nothing else: the floor."""
    net = denoiser._model.diffusion_model
    context = full_size.prompt()[0][0].requires_grad_(True)
    timestep = torch.tensor([500])
    options = denoiser._options["transformer_options"]

    def step() -> None:
        out = net(clean, timestep, context=context, transformer_options=dict(options))
        torch.autograd.grad(out.square().mean(), [context])

    return step


def unfrozen_step(denoiser, clean: torch.Tensor, tail: torch.Tensor) -> Callable[[], None]:
    """The published code's step: weights keep their gradients, which are thrown away."""
    from hiper.learning.terms import squared_error

    denoiser._model.diffusion_model.requires_grad_(True)
    tail = tail.clone().requires_grad_(True)
    adam = torch.optim.Adam([tail], lr=5e-3)

    def step() -> None:
        noise = torch.randn_like(clean)
        squared_error(denoiser, clean, torch.rand(1), noise, tail).mean().backward()
        adam.step()
        adam.zero_grad()

    return step


def measure(way: str, size: int, count: int) -> dict:
    """Seconds of each of `count` steps after one more, and the peak beyond what was there."""
    full_size.find_comfyui()
    from hiper.host.model.denoiser import frozen_denoiser
    from hiper.learning.focus import Focus
    from hiper.learning.loop import LearningSettings, learn
    from hiper.learning.terms import EQUATION_4, Weighted

    clean, model = full_size.latent(size), full_size.full_size_unet()
    tail = torch.zeros(1, 1, 5, full_size.CONTEXT)
    with frozen_denoiser(
        model, full_size.prompt(), clean.shape, "replace", "auto", way == "checkpointed"
    ) as denoiser:
        forget_peak()
        before = peak()
        if way == "floor":
            seconds = timed(bare_step(denoiser, clean), count + 1)
        elif way == "unfrozen":
            seconds = timed(unfrozen_step(denoiser, clean, tail), count + 1)
        else:
            seconds, started = [], clock()

            def on_step(_step) -> None:
                nonlocal started
                now = clock()
                seconds.append(now - started)
                started = now

            terms = EQUATION_4
            if way == "focus":
                terms = (*EQUATION_4, Weighted(Focus(5, word=(-75,)), 3e-4))
            learn(denoiser, clean, tail, LearningSettings(count + 1, terms=terms), on_step)
        return {"seconds": seconds[1:], "peak": peak() - before}


def apart(way: str, size: int, count: int) -> dict:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, way, str(size), str(count)]
    answer = subprocess.run(
        command, env=os.environ | ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(answer.stdout.splitlines()[-1])


def medians(ways: tuple[str, ...], size: int, rounds: int, count: int) -> dict[str, float]:
    """Seconds a step over alternating rounds, so that a machine's moods fall on every way alike."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in ways if number % 2 == 0 else ways[::-1]:
            seconds[way] += apart(way, size, count)["seconds"]
            print(f"{size}×{size} {way}: {seconds[way][-1]:.2f} s", file=sys.stderr, flush=True)
    return {way: statistics.median(values) for way, values in seconds.items()}


def focus_over_plain(size: int, rounds: int, count: int) -> float:
    """What the attention loss makes of a step's time."""
    middle = medians(FOCUSED, size, rounds, count)
    return round(middle["focus"] / middle["step"], 3)


def times(size: int, rounds: int, count: int) -> dict[str, float]:
    middle = medians(WAYS, size, rounds, count)
    return {
        "time_latent": size,
        "step_over_floor": round(middle["step"] / middle["floor"], 3),
        "step_over_unfrozen": round(middle["step"] / middle["unfrozen"], 3),
        "checkpointed_step_over_step": round(middle["checkpointed"] / middle["step"], 3),
        "step_seconds": round(middle["step"], 3),
    }


def memory(size: int) -> dict[str, float]:
    """Peaks beyond the weights, in MB, and as shares of the published loop's."""
    peaks = {way: apart(way, size, 1)["peak"] for way in WAYS[1:]}
    return {
        "memory_latent": size,
        "memory_mb": round(peaks["step"]),
        "memory_checkpointed_mb": round(peaks["checkpointed"]),
        "memory_unfrozen_mb": round(peaks["unfrozen"]),
        "memory_over_unfrozen": round(peaks["step"] / peaks["unfrozen"], 3),
        "memory_checkpointed_over_unfrozen": round(peaks["checkpointed"] / peaks["unfrozen"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=(*WAYS, "focus"))
    parser.add_argument("size", type=int)
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    print(json.dumps(measure(given.way, given.size, given.count)))


if __name__ == "__main__":
    main()
