"""What is checked of a family on its tiny model; the tests assert it, the benchmark prints it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from hiper.learning.loop import LearningSettings
from hiper.learning.terms import squared_error
from hiper.prompts.placement import compose, initial_tail, placement_of, tail_marks
from support.tiny_families import REFUSED, TINY
from support.tiny_models import Tiny, build, picture, prompt

TOKENS = 4
STEPS = 20
STRENGTH = 0.8
DIRECTIONS = 3
DIFFERENCE = 1e-3  # of the tail, along a direction of length 1


@dataclass(frozen=True)
class Checked:
    """One row of the table of families."""

    name: str
    family: str = ""
    placement: str = ""
    learns: bool = False
    composes: bool = False
    samples: bool = False
    views: bool = False
    latents_equal: bool = False
    gradient_error: float | None = None
    why: str = ""  # it is refused, or can't be viewed


class InDouble(TorchFunctionMode):
    """Every float32 that a model asks for is a float64, so that small differences count."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is Tensor.float:
            return args[0].double()
        args = tuple(torch.float64 if value is torch.float32 else value for value in args)
        kwargs = {
            name: torch.float64 if value is torch.float32 else value
            for name, value in (kwargs or {}).items()
        }
        return func(*args, **kwargs)


@contextmanager
def in_double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with InDouble():
            yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def pytorch_attention_chosen():
    """The two models that are deaf to options as `--use-pytorch-cross-attention` binds them.

    ComfyUI chooses it by itself on most GPUs, but not on a CPU.
    """
    import comfy.ldm.hydit.attn_layers
    import comfy.ldm.pixart.blocks
    from comfy.ldm.modules.attention import attention_pytorch

    modules = comfy.ldm.hydit.attn_layers, comfy.ldm.pixart.blocks
    before = [module.optimized_attention for module in modules]
    for module in modules:
        module.optimized_attention = attention_pytorch
    try:
        yield
    finally:
        for module, bound in zip(modules, before, strict=True):
            module.optimized_attention = bound


def learn(tiny: Tiny, model, steps: int = STEPS):
    """What Learn runs, on this model's own kind of prompt and picture."""
    from hiper.host.families import check_learnable
    from hiper.host.learning import HostSettings, learn_on_host

    check_learnable(model)
    settings, host = LearningSettings(steps=steps), HostSettings(tokens=TOKENS, preview_every=0)
    return learn_on_host(model, prompt(tiny), picture(tiny), settings, host)


def sample(
    tiny: Tiny, model, positive: list, steps: int = 2, seed: int = 5, cfg: float = 4.0
) -> Tensor:
    """What KSampler runs."""
    import comfy.sample

    latent = torch.zeros_like(picture(tiny))
    noise = comfy.sample.prepare_noise(latent, seed)
    return comfy.sample.sample(
        model,
        noise,
        steps,
        cfg,
        "euler",
        "normal",
        positive,
        prompt(tiny, seed=3),
        latent,
        disable_pbar=True,
        seed=seed,
    )


def composes(target: list, composed: list, embedding) -> bool:
    """α · tail stands in its place, the rest is the target's, pooled vector and keys included."""
    ((old, old_options),), ((new, options),) = target, composed
    (mark,) = tail_marks(options)
    replaced = embedding.details.placement == "replace"
    rest = torch.cat([new[:, : mark.start], new[:, mark.start + mark.tokens :]], dim=1)
    kept = old[:, : mark.start] if replaced else old
    same = all(
        options[key] is value for key, value in old_options.items() if key != "attention_mask"
    )
    mask, seen = old_options.get("attention_mask"), options.get("attention_mask")
    if mask is not None:
        same = same and seen.shape[-1] == new.shape[1]
        same = same and int(seen.sum()) == int(mask.sum()) + mark.tokens
        same = same and bool(seen[:, list(mark.columns)].all())
    return (
        same
        and new.shape[1] == old.shape[1] + (0 if replaced else mark.tokens)
        and torch.equal(rest, kept)
        and torch.equal(new[0, list(mark.columns)], embedding.tail[0, 0] * STRENGTH)
    )


def why_not_viewed(model, composed: list, latent: Tensor) -> str:
    """Nothing where every cell's maps sum to 1 over the prompt's tokens; else what was said."""
    from hiper.host.attention.view import Moment, view

    try:
        maps = view(model, {"positive": composed}, {"samples": latent}, Moment(progress=0.5))
    except ValueError as error:
        return str(error)
    (shown,) = maps.prompts
    (mark,) = tail_marks(composed[0][1])
    if shown.tails != (mark,) or shown.length != composed[0][0].shape[1]:
        return f"the maps are of {shown.length} tokens, {shown.tails} learned"
    off = max(float((part.maps.sum(1) - 1).abs().max()) for part in maps.parts)
    return "" if off < 1e-4 else f"a cell's maps are {off:.1e} off from summing to 1"


def first_keys(tiny: Tiny, model, positive: list, seed: int) -> Tensor:
    """The keys `(B, H, T, D)` that the layout takes for the text's in the first layer it finds."""
    from hiper.host.attention.observer import Observer

    seen: list[Tensor] = []
    patcher = model.clone()
    observer = Observer(patcher)
    observer.install(patcher.model_options)
    with observer.listening(lambda _owners: lambda call: seen.append(call.k[..., call.columns, :])):
        sample(tiny, patcher, positive, steps=1, seed=seed, cfg=1.0)
    return seen[0]


def gradient_error(tiny: Tiny) -> float:
    """The gradient along three directions against central differences, relative, in float64."""
    from hiper.host.families import family_of
    from hiper.host.model.denoiser import frozen_denoiser

    model = build(tiny, dtype=torch.float64)
    source, clean = prompt(tiny), picture(tiny).double()
    vectors, options = source[0]
    placement = placement_of(family_of(model), vectors, options, TOKENS)
    generator = torch.Generator().manual_seed(7)
    # a little off the prompt's own vectors, which may be zeros, where norms have no slope
    tail = initial_tail(vectors, TOKENS, placement).double()
    tail = tail + 0.5 * torch.randn(tail.shape, generator=generator, dtype=torch.float64)
    noise = torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    u = torch.full((1,), 0.6, dtype=torch.float64)
    errors = []
    with in_double(), frozen_denoiser(model, source, clean.shape, placement) as denoiser:

        def loss(tail: Tensor) -> Tensor:
            return squared_error(denoiser, clean, u, noise, tail).mean()

        tail.requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss(tail), [tail])
        for _ in range(DIRECTIONS):
            along = torch.randn(tail.shape, generator=generator, dtype=torch.float64)
            along = along / along.norm() * DIFFERENCE
            measured = (loss(tail + along) - loss(tail - along)).detach() / 2
            expected = (gradient * along).sum()
            errors.append(float((measured - expected).abs() / expected.abs()))
    return max(errors)


def check(name: str) -> Checked:
    """Learn, compose, sample and look, as ComfyUI's nodes would: in inference mode."""
    tiny = TINY[name]
    with pytorch_attention_chosen(), torch.inference_mode():
        model, target = build(tiny), prompt(tiny, seed=2)
        before = sample(tiny, model, target)
        learned = learn(tiny, model)
        after = sample(tiny, model, target)
        embedding = learned.embedding
        placement = embedding.details.placement
        moved = (embedding.tail - initial_tail(prompt(tiny)[0][0], TOKENS, placement)).abs()
        composed = compose(target, embedding, STRENGTH)
        ours = sample(tiny, model, composed)
        why = why_not_viewed(model, composed, picture(tiny))
        again = sample(tiny, model, target)
    return Checked(
        name,
        family=embedding.details.family,
        placement=placement,
        learns=bool(torch.isfinite(learned.learned.losses).all() and moved.max() > 1e-3),
        composes=composes(target, composed, embedding),
        samples=bool(torch.isfinite(ours).all() and not torch.equal(ours, after)),
        views=not why,
        latents_equal=torch.equal(before, after) and torch.equal(before, again),
        gradient_error=gradient_error(tiny),
        why=why,
    )


def check_refused(name: str) -> Checked:
    """The sentence on a model that nothing can be learned on; it samples as it did."""
    tiny, why = REFUSED[name], ""
    with torch.inference_mode():
        model, target = build(tiny), prompt(tiny, seed=2)
        before = sample(tiny, model, target)
        try:
            learn(tiny, model, steps=1)
        except (ValueError, RuntimeError) as error:
            why = str(error)
        equal = torch.equal(before, sample(tiny, model, target))
    finite = bool(torch.isfinite(before).all())
    return Checked(name, samples=finite, latents_equal=equal, learns=not why, why=why)
