"""Where is a coat's identity lost?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from hiper.demo.measures import closed, look, share
from hiper.demo.scene import PATTERNS

if TYPE_CHECKING:
    from method import Bench, Case


def by_pattern(bench: Bench, cases: list[Case], plain: Tensor, drawn: Tensor) -> dict:
    """Identity, and how often the pattern is kept, for plain, spotted and striped coats each."""
    found = {}
    for name in PATTERNS:
        rows = [i for i, case in enumerate(cases) if case.scene.coat.pattern == name]
        if not rows:
            continue
        some = [cases[i] for i in rows]
        chance, reached = (bench.judged(some, each[rows]) for each in (plain, drawn))
        best = bench.best(some)["identity_distance"]
        seen = look(bench.analyser, bench.model, drawn[rows])
        found[name] = {
            "animals": len(rows),
            "identity_closed": closed(
                chance["identity_distance"], reached["identity_distance"], best
            ),
            "pattern_kept": share(seen.pattern.argmax(1), [name] * len(rows), PATTERNS),
        }
    return found
