"""What works on each family of models: `python benchmarks/families.py --json`.

Tiny models of ComfyUI's own classes with random weights: shapes and gradients are checked here,
not pictures. One row a family; `why` says what is refused or can't be viewed.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# before any copy that pip has installed
sys.path[1:1] = [str(ROOT / "tests"), str(ROOT)]

from full_size import find_comfyui  # noqa: E402


def measure(wanted: list[str]) -> list[dict]:
    """One row a family, in the order of the table."""
    from support.family_checks import check, check_refused
    from support.tiny_families import REFUSED, TINY

    rows = [check(name) for name in TINY if not wanted or name in wanted]
    rows += [check_refused(name) for name in REFUSED if not wanted or name in wanted]
    return [asdict(row) for row in rows]


def table(rows: list[dict]) -> str:
    """The rows as a Markdown table."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *[[shown(row[key]) for key in head] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0e}"
    return "–" if value is None else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", help="only these, by name")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    given = parser.parse_args()
    find_comfyui()
    logging.disable(logging.WARNING)
    rows = measure(given.families)
    print(json.dumps(rows, indent=1, ensure_ascii=False) if given.json else table(rows))


if __name__ == "__main__":
    main()
