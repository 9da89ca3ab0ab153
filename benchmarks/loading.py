"""What the pack adds to ComfyUI's start: `python benchmarks/loading.py --json`.

Milliseconds of processor time in ComfyUI's own loader, on a copy of the files that a release ships:
the first start, which compiles them, and the median of the starts after it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[1:1] = [str(ROOT / "tests"), str(ROOT)]

from support import comfyui, release  # noqa: E402

SCRIPT = ROOT / "tests" / "support" / "loaded_alone.py"


def starts(base: Path, count: int) -> list[dict]:
    """What each start of ComfyUI says of loading the pack."""
    root = comfyui.find()
    if root is None:
        raise SystemExit(f"This benchmark needs ComfyUI: {comfyui.why_not()}")
    pack = base / "custom_nodes" / "comfyui-hiper"
    release.copy_to(pack)
    command = [sys.executable, str(SCRIPT), str(root), str(base), str(pack)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    said = [
        subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", check=True, env=environment
        )
        for _ in range(count)
    ]
    return [json.loads(one.stdout.splitlines()[-1]) for one in said]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--starts", type=int, default=6, help="how often ComfyUI is started")
    given = parser.parse_args()
    if given.starts < 2:
        parser.error(f"--starts is {given.starts}: choose 2 or more, the first compiles")
    with tempfile.TemporaryDirectory() as base:
        said = starts(Path(base), given.starts)
    milliseconds = [1000 * one["processor_seconds"] for one in said]
    found = {
        "starts": given.starts,
        "first_ms": round(milliseconds[0], 1),
        "later_ms": round(statistics.median(milliseconds[1:]), 1),
        "modules": len(said[-1]["modules"]),
    }
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
