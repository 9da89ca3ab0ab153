"""One observer: attention to the prompt and of the picture to itself, with and without gradients,
in a sampling run and outside of one."""

from __future__ import annotations

import pytest
import torch
from support import family_checks, tiny_models
from support.tiny_families import TINY
from support.tiny_unets import LAYERS, picture, sample, text, tiny_unet

from hiper.attention.calls import CROSS, SELF
from hiper.learning.objective import predicted

pytestmark = pytest.mark.usefixtures("host")


def heard(model, kinds: tuple[str, ...], run) -> list:
    from hiper.host.attention.observer import Observer

    calls: list = []
    patcher = model.clone()
    observer = Observer(patcher, kinds)
    observer.install(patcher.model_options)
    with observer.listening(lambda _owners: calls.append):
        run(patcher)
    before = len(calls)
    run(patcher)  # nobody listens any more
    assert len(calls) == before
    return calls


def test_a_unet_tells_both_kinds_and_draws_the_same() -> None:
    model, latent = tiny_unet(), picture(6, 10)
    plain = sample(model, text(), text(seed=2), latent, steps=1)
    results: list[torch.Tensor] = []
    calls = heard(
        model,
        (CROSS, SELF),
        lambda m: results.append(sample(m, text(), text(seed=2), latent, steps=1)),
    )
    assert all(torch.equal(result, plain) for result in results)
    for kind in (CROSS, SELF):
        own = [call for call in calls if call.kind == kind]
        assert len(own) == LAYERS
        for call in own:
            shares = call.shares()
            height, width = call.size
            assert shares.shape[1:] == (height * width, 77 if kind == CROSS else height * width)
            assert (shares.sum(-1) - 1).abs().max() < 1e-5
    assert all(
        call.kind == CROSS
        for call in heard(
            model, (CROSS,), lambda m: sample(m, text(), text(seed=2), latent, steps=1)
        )
    )


def test_a_map_as_long_as_the_prompt_is_told_apart() -> None:
    """7 × 11 cells look at 77 tokens: as many keys as in self-attention."""
    calls = heard(
        tiny_unet(),
        (CROSS, SELF),
        lambda m: sample(m, text(), text(seed=2), picture(7, 11), steps=1),
    )
    kinds = [call.kind for call in calls if call.q.shape[-2] == 77]
    assert kinds.count(CROSS) == kinds.count(SELF) > 0


@pytest.mark.parametrize("block", [("input", 1, 0), ("middle", 0, 0)])
@pytest.mark.parametrize("name", ["attn1", "attn2"])
def test_a_node_that_stands_in_for_attention_is_heard_too(name: str, block: tuple) -> None:
    from comfy.ldm.modules.attention import optimized_attention

    def replacement(q, k, v, options):
        return optimized_attention(q, k, v, options["n_heads"], transformer_options=options)

    model = tiny_unet()
    getattr(model, f"set_model_{name}_replace")(replacement, *block[:2], *block[2:])
    calls = heard(
        model,
        (CROSS, SELF),
        lambda m: sample(m, text(), text(seed=2), picture(6, 10), steps=1),
    )
    assert [call.kind for call in calls].count(CROSS) == LAYERS
    assert [call.kind for call in calls].count(SELF) == LAYERS


@pytest.mark.parametrize("name", ["SD 3", "Flux", "Z-Image", "Qwen-Image"])
def test_joint_attention_tells_what_the_picture_gives_itself(name: str) -> None:
    tiny = TINY[name]
    calls = heard(
        tiny_models.build(tiny),
        (CROSS, SELF),
        lambda m: family_checks.sample(tiny, m, tiny_models.prompt(tiny), steps=1, seed=1, cfg=1.0),
    )
    own = [call for call in calls if call.kind == SELF]
    assert own and len(own) == sum(call.kind == CROSS for call in calls)
    for call in own:
        cells = call.size[0] * call.size[1]
        assert call.shares().shape[1:] == (cells, cells)


@pytest.mark.parametrize("name", ["SDXL", "Flux"])
def test_learning_hears_the_very_call_with_its_gradient(name: str) -> None:
    from hiper.host.model.denoiser import frozen_denoiser

    tiny = TINY[name]
    model, prompt, clean = (
        tiny_models.build(tiny),
        tiny_models.prompt(tiny),
        tiny_models.picture(tiny),
    )
    placement = "append" if name == "Flux" else "replace"
    generator = torch.Generator().manual_seed(0)
    tail = torch.randn(1, 1, 5, tiny.text.width, generator=generator).requires_grad_(True)
    noise = torch.randn(clean.shape, generator=generator)
    with frozen_denoiser(model, prompt, clean.shape, placement) as denoiser:
        u = torch.tensor([0.5])
        plain = predicted(denoiser, clean, u, noise, tail)
        watched = predicted(denoiser, clean, u, noise, tail, attention=True)
        assert torch.equal(plain.estimate, watched.estimate)
        for kind in (CROSS, SELF):
            share = sum(c.shares().square().mean() for c in watched.attention if c.kind == kind)
            (gradient,) = torch.autograd.grad(share, [tail], retain_graph=True)
            assert torch.isfinite(gradient).all() and gradient.abs().max() > 0


def test_a_sample_of_each_stage_in_one_call() -> None:
    """A batch whose samples are in different stages is as if each were alone."""
    from hiper.host.model.denoiser import frozen_denoiser

    tiny = TINY["SDXL"]
    model, prompt, clean = (
        tiny_models.build(tiny),
        tiny_models.prompt(tiny),
        tiny_models.picture(tiny),
    )
    generator = torch.Generator().manual_seed(0)
    stages = torch.randn(3, 1, 5, tiny.text.width, generator=generator)
    noise = torch.randn(3, *clean.shape[1:], generator=generator)
    u = torch.tensor([0.9, 0.5, 0.1])
    many = clean.expand(3, *clean.shape[1:])
    with frozen_denoiser(model, prompt, clean.shape, "replace") as denoiser, torch.no_grad():
        together = predicted(denoiser, many, u, noise, stages).estimate
        for stage in range(3):
            one = slice(stage, stage + 1)
            alone = predicted(denoiser, clean, u[one], noise[one], stages[one]).estimate
            assert torch.allclose(together[one], alone, atol=1e-4)
        one = predicted(denoiser, clean, u[:1], noise[:1], stages).estimate
        two = predicted(denoiser, clean, u[:1], noise[:1], stages.repeat(1, 2, 1, 1)).estimate
        assert torch.allclose(one, two, atol=1e-4)  # keys and values of one tail are that tail


def test_a_finished_recording_keeps_nothing_of_the_run() -> None:
    import gc
    import weakref

    from hiper.attention.gathering import Wish
    from hiper.host.attention.recording import Recording, watched

    recording = Recording(Wish())
    model = tiny_unet()
    entries = text()
    kept = weakref.ref(entries[0][0])
    sample(watched(model, recording), entries, text(seed=2), picture(6, 10), steps=2)
    del entries
    gc.collect()
    assert len(recording.maps().steps) == 2
    assert kept() is None
