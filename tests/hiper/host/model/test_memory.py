"""Room for a learning step: what it needs, who leaves the device, and models larger than that.

There is no card here: ComfyUI is told that the processor is one, and how much it holds.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.family_checks import learn
from support.tiny_families import TINY
from support.tiny_models import build, picture, prompt

from hiper.learning.terms import squared_error
from hiper.prompts.placement import placement_of

pytestmark = pytest.mark.usefixtures("host")


def denoiser_of(tiny, model, **change: Any):
    from hiper.host.families import family_of
    from hiper.host.model.denoiser import frozen_denoiser

    vectors, options = prompt(tiny)[0]
    placement = placement_of(family_of(model), vectors, options, 5)
    return frozen_denoiser(model, prompt(tiny), picture(tiny).shape, placement, **change)


def really_kept(denoiser, clean: torch.Tensor, tail: torch.Tensor) -> int:
    """Bytes that a step's gradient holds on to, each storage once, all of them alive."""
    kept, weights = {}, denoiser.weight_storages()

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    tail = tail.clone().requires_grad_(True)
    u, noise = torch.full((len(clean),), 0.5), torch.randn_like(clean)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        error = squared_error(denoiser, clean, u, noise, tail)
    assert error.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("name", ["SD 1.x", "SDXL", "SD 3", "Flux", "Z-Image"])
@pytest.mark.parametrize("count", [1, 3])
def test_the_probe_says_what_a_step_keeps(name: str, count: int) -> None:
    from hiper.host.model.memory import step_memory

    tiny = TINY[name]
    model, clean = build(tiny), picture(tiny)
    tail = prompt(tiny)[0][0][:, -5:][None].clone()
    with denoiser_of(tiny, model) as denoiser:
        memory = step_memory(denoiser, clean, tail, count)
        kept = really_kept(denoiser, clean.expand(count, *clean.shape[1:]), tail)
    assert memory.whole == pytest.approx(kept, rel=0.02)
    assert memory.recomputed < memory.whole


class Card:
    """The processor as a card of so many bytes, on which every model is loaded as on a card."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, total: float) -> None:
        import comfy.model_management as management

        self.total, self.loads, self.freed = total, [], []
        monkeypatch.setattr(management, "is_device_cpu", lambda _device: False)
        monkeypatch.setattr(management, "vram_state", management.VRAMState.NORMAL_VRAM)
        monkeypatch.setattr(management, "get_total_memory", lambda *_, **__: total)
        monkeypatch.setattr(management, "get_free_memory", self.free)
        monkeypatch.setattr(management, "minimum_inference_memory", lambda: 0)
        monkeypatch.setattr(management, "extra_reserved_memory", lambda: 0)
        load, free = management.load_models_gpu, management.free_memory

        def loading(models, memory_required=0, **options):
            self.loads.append((memory_required, options.get("force_full_load", False)))
            return load(models, memory_required=memory_required, **options)

        def freeing(memory_required, device, *args, **options):
            self.freed.append(memory_required)
            return free(memory_required, device, *args, **options)

        monkeypatch.setattr(management, "load_models_gpu", loading)
        monkeypatch.setattr(management, "free_memory", freeing)

    def free(self, *_, torch_free_too: bool = False, **__):
        import comfy.model_management as management

        held = sum(there.model_loaded_memory() for there in management.current_loaded_models)
        left = max(self.total - held, 0)
        return (left, 0) if torch_free_too else left


def test_everything_else_leaves_the_device_first(monkeypatch) -> None:
    """As core's trainer asks: text encoders and VAE must not count as unavailable."""
    card = Card(monkeypatch, 2**34)
    tiny = TINY["SDXL"]
    learn(tiny, build(tiny), steps=1)
    assert card.loads and all(asked >= 1e20 and whole for asked, whole in card.loads)


@pytest.mark.parametrize("name", ["SDXL", "Flux"])
def test_a_model_larger_than_the_device_learns(name: str, monkeypatch) -> None:
    """Partly loaded, every block recomputed, loaded once to measure and once to learn; the tail is
    the one that the whole model gives."""
    tiny = TINY[name]
    whole = learn(tiny, build(tiny), steps=3).embedding.tail
    model = build(tiny)
    card = Card(monkeypatch, 0.6 * model.model_size())
    learned = learn(tiny, model, steps=3)
    assert "part of the weights off the device" in str(learned.plan)
    assert max(card.freed) >= 1e30  # other models
    assert len(card.loads) == 2 and not any(fully for _, fully in card.loads)
    assert model.model.model_loaded_weight_memory < model.model_size()
    torch.testing.assert_close(learned.embedding.tail, whole, rtol=0, atol=1e-4)


def test_out_of_memory_goes_on_from_its_step(monkeypatch, caplog) -> None:
    """At step 4, with what saves memory on top, and the same tail at the end."""
    import comfy.model_management as management

    from hiper.host.model.denoiser import HostDenoiser

    tiny = TINY["SDXL"]
    whole = learn(tiny, build(tiny), steps=6).embedding.tail
    denoise, calls = HostDenoiser.denoise, []

    def short(self, noisy, sigma, tail):
        calls.append(torch.is_grad_enabled())
        if len(calls) == 5:  # the first is the probe
            raise management.OOM_EXCEPTION("to order")
        return denoise(self, noisy, sigma, tail)

    monkeypatch.setattr(HostDenoiser, "denoise", short)
    learned = learn(tiny, build(tiny), steps=6)
    assert "out of memory at step 4; going on from there with gradient" in caplog.text
    assert len(calls) == 1 + 6 + 1
    assert torch.equal(learned.embedding.tail, whole)


class Dynamic:
    """A patcher under dynamic memory, which lends a second one without it."""

    def __init__(self, patcher, other) -> None:
        self._patcher, self._other = patcher, other
        self.non_dynamic_delegate_model = None
        self.cached_patcher_init = (lambda: None, ())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._patcher, name)

    def is_dynamic(self) -> bool:
        return True

    def get_non_dynamic_delegate(self):
        self.non_dynamic_delegate_model = self._other.get_clone_model_override()
        return self._other


def test_the_model_loaded_a_second_time_goes_when_learning_ends() -> None:
    import comfy.model_management as management

    tiny = TINY["SDXL"]
    other = build(tiny)
    model = Dynamic(build(tiny), other)
    learn(tiny, model, steps=2)
    assert model.non_dynamic_delegate_model is None
    loaded = [there.model for there in management.current_loaded_models if there.model is not None]
    assert all(patcher.model is not other.model for patcher in loaded)


def test_a_loader_that_left_nothing_to_load_by_gets_a_sentence() -> None:
    tiny = TINY["SDXL"]
    model = Dynamic(build(tiny), build(tiny))
    model.cached_patcher_init = None
    with pytest.raises(ValueError, match=r"loader of this model left nothing.*own loaders, or"):
        learn(tiny, model, steps=1)
