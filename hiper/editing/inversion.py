"""A picture's way back into noise, so that sampling can lead to it again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

DDPM, DETERMINISTIC = "ddpm", "deterministic"
METHODS = (DDPM, DETERMINISTIC)
NEAR = 1e-4  # σs that are meant to be the same


@dataclass(frozen=True)
class Inversion:
    """x_T … x_0 of one run over `sigmas` (S + 1), in the model's own space `(S + 1, B, …)`."""

    method: str
    model: str  # its kind, to know another
    sigmas: Tensor
    latents: Tensor
    source: Tensor  # the LATENT's samples, as they were given
    noises: Tensor | None = None  # z of each step but the last `(S − 1, B, …)`; DDPM alone
    remainder: Tensor | None = None  # what the last step, which has no noise, is off by
    seen: Tensor | None = None  # where the subject is in the source `(B, h, w)`, in 0 … 1

    @property
    def steps(self) -> int:
        return len(self.sigmas) - 1

    @property
    def bytes(self) -> int:
        kept = (self.latents, self.noises, self.remainder, self.source)
        return sum(each.numel() * each.element_size() for each in kept if each is not None)

    def first_step(self, sigmas: Tensor) -> int:
        """At which of its steps a run over these σs begins, or one sentence."""
        wanted = sigmas.detach().float().cpu()
        for first in range(self.steps):
            own = self.sigmas[first : first + len(wanted)]
            if len(own) == len(wanted) and torch.allclose(own, wanted, rtol=NEAR, atol=NEAR):
                return first
        raise ValueError(
            f"The sampler runs {len(wanted) - 1} steps from σ {float(wanted[0]):.4g}, but the "
            f"picture was inverted in {self.steps} steps from σ {float(self.sigmas[0]):.4g}: use "
            "the inversion's steps and scheduler, or its sigmas, in the sampler."
        )

    def at(self, sigma: float, first: int, x: Tensor) -> Tensor:
        """x_t at a σ, for the step that holds it; between two σs, on the way between them."""
        below = [i for i, own in enumerate(self.sigmas) if own <= sigma * (1 + NEAR)]
        after = max(below[0] if below else self.steps, first)
        found = self.latents[after]
        own = float(self.sigmas[after])
        if after > first and abs(own - sigma) > NEAR * max(sigma, 1.0):
            before = float(self.sigmas[after - 1])
            found = torch.lerp(found, self.latents[after - 1], (sigma - own) / (before - own))
        return fitted(found, x)


def fitted(kept: Tensor, like: Tensor) -> Tensor:
    """One picture for all of a batch, or one for each."""
    kept = kept.to(like)
    return kept.expand_as(like) if len(kept) == 1 else kept


def check_sigmas(sigmas: Tensor) -> None:
    """One sentence on a schedule that can't be gone back along."""
    if len(sigmas) < 2:
        raise ValueError(f"The schedule has {len(sigmas)} σs, so no step: give it at least one.")
    if bool((sigmas[1:] >= sigmas[:-1]).any()):
        raise ValueError(
            "The schedule's σs do not fall from one to the next, so that no picture can be "
            "inverted along them: use one of ComfyUI's schedulers."
        )
    if float(sigmas[-1]) != 0:
        raise ValueError(
            f"The schedule ends at σ {float(sigmas[-1]):.4g} and not at 0, where the picture is: "
            "give all of it, and cut it for the sampler alone."
        )
