"""How learning went, in one line; and in two, as the node itself has room for."""

from __future__ import annotations

from ..hiper.host.learning import HostLearned
from ..hiper.host.progress import LINE
from ..hiper.learning.learned import Learned, change

FIXED = "fixed timesteps and noise"


def report(found: HostLearned, asked: int) -> str:
    """What was gained, in how many steps of those asked for and why no more, and what was done."""
    details, learned = found.embedding.details, found.learned
    changed = change(learned.first_fixed_loss, learned.last_fixed_loss)
    told = [
        gain(learned) + f", {changed}" * bool(learned.fixed_losses),
        f"{details.steps} steps in {found.seconds:.0f} s "
        f"({details.steps / max(found.seconds, 1e-9):.1f} a second)" + why_no_more(found, asked),
    ]
    if learned.gained is False:
        told.append("nothing was gained over the embedding to go on from, which is given out again")
    if learned.halvings:
        told.append(
            f"begun again with the rate halved {learned.halvings} times, as the loss rose with more"
        )
    if found.plan.recompute:
        told.append(str(found.plan))
    return "; ".join(told)


def why_no_more(found: HostLearned, asked: int) -> str:
    """Nothing, where every step was taken that was asked for."""
    steps = found.embedding.details.steps
    if found.learned.by_hand:
        return f", finished by hand after step {steps} of {asked}"
    return f", stopped before {asked} as nothing more was gained" if steps < asked else ""


def in_short(found: HostLearned, asked: int) -> str:
    """The same for the node: the loss, and why it ended where it did."""
    steps, learned = found.embedding.details.steps, found.learned
    if learned.gained is False:
        why = f"{steps} steps: nothing was gained"
    elif learned.by_hand:
        why = f"Finished by hand after step {steps} of {asked}"
    elif steps < asked:
        why = f"{steps} of {asked} steps, no more gain"
    else:
        why = f"All {steps} steps in {found.seconds:.0f} s" if steps > 1 else "One step"
    # two short lines: the node has room for no more
    (first, last), own = ends(learned), "Fixed loss" if learned.fixed_losses else "Loss"
    return f"{own} {first:.3f} → {last:.3f}" + LINE + why


def gain(learned: Learned) -> str:
    """The loss before and after, and on which noise."""
    first, last = ends(learned)
    noise = FIXED if learned.fixed_losses else "each step's own noise"
    return f"Loss on {noise} {first:.4f} → {last:.4f}"


def ends(learned: Learned) -> tuple[float, float]:
    """The fixed loss before and after; of a few steps, for which it is not taken, their own."""
    if learned.fixed_losses:
        return learned.first_fixed_loss, learned.last_fixed_loss
    return learned.first_loss, learned.last_loss
