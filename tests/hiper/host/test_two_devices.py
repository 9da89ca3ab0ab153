"""A model that core's MultiGPU CFG Split has spread over two devices, called from a thread each.

Where there is one device, a second name for it ("cpu:0") gives core the same two to deal out.
"""

from __future__ import annotations

import pytest
import torch
from support.tiny_edits import HALF, edited, inverted
from support.tiny_unets import CONTEXT, picture, sample, text, tiny_unet

from hiper.embedding import EmbeddingDetails, HiperEmbedding
from hiper.learning.loop import LearningSettings
from hiper.prompts.placement import compose

pytestmark = pytest.mark.usefixtures("host")
NEAR = 1e-3  # of the largest: positive and negative are no longer one batch


def whole():
    model = tiny_unet()
    model.cached_patcher_init = (tiny_unet, ())  # as core's loaders leave it
    return model


def split(model):
    """What the node does with the devices that it finds."""
    import comfy.multigpu

    model = model.clone()
    other = model.deepclone_multigpu(new_load_device=torch.device("cpu", 0))
    other.is_multigpu_base_clone = True
    model.set_additional_models("multigpu", [other])
    model.match_multigpu_clones()
    comfy.multigpu.GPUOptionsGroup().register(model)
    return model


def near(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return bool((found - wanted).abs().max() < NEAR * wanted.abs().max())


def recorded(model, after: bool = False):
    """The latents, and what a recording saw of them; `after` it the model is split."""
    from hiper.attention.gathering import Wish
    from hiper.host.attention.recording import Recording, watched

    recording = Recording(Wish(dtype=torch.float32))
    model = watched(model, recording)
    drawn = sample(split(model) if after else model, text(), text(seed=2), picture())
    return drawn, recording.maps()


def test_the_work_is_split() -> None:
    """Core calls the two rows apart, each on the network of its device."""
    import threading

    from comfy.patcher_extension import WrappersMP

    model, seen = whole(), set()

    def called(executor, *args, **kwargs):
        seen.add((threading.get_ident(), id(executor.class_obj)))
        return executor(*args, **kwargs)

    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "test", called)
    sample(split(model), text(), text(seed=2), picture())
    assert len(seen) == len({thread for thread, _ in seen}) == len({net for _, net in seen}) == 2


@pytest.mark.parametrize("after", [False, True], ids=["split, recorded", "recorded, split"])
def test_every_map_of_both_prompts_is_recorded(after: bool) -> None:
    drawn, maps = recorded(whole() if after else split(whole()), after)
    alone, wanted = recorded(whole())
    assert near(drawn, alone)
    assert torch.equal(drawn, sample(split(whole()), text(), text(seed=2), picture()))
    assert len(maps.parts) == len(wanted.parts)
    for prompt in range(2):
        assert near(maps.mean(prompt), wanted.mean(prompt))


def test_an_edit_is_the_same() -> None:
    inversion = inverted(whole())
    found, edit = edited(split(whole()), inversion, painted=HALF)
    wanted, alone = edited(whole(), inversion, painted=HALF)
    assert near(found, wanted)
    for one, other in zip(edit.steps, alone.steps, strict=True):
        assert (one.union - other.union).abs().mean() < 0.02
    again = inverted(split(whole()))
    assert near(again.latents, inversion.latents) and near(again.seen, inversion.seen)


@pytest.mark.parametrize("role", ["kept", "values"])
def test_what_a_prompt_carries_holds_on_each_device(role: str) -> None:
    from hiper.host.attention.keeping import keep
    from hiper.host.attention.values import bring_values

    def bring(_number, entry, mark, vectors) -> None:
        if role == "kept":
            keep(entry[1], mark, vectors[0], entry[0].shape[1], region=HALF)
        else:
            bring_values(entry[1], mark, vectors)

    generator = torch.Generator().manual_seed(1003)  # no prompt's
    vectors = torch.randn(1, 1 if role == "kept" else 2, 5, CONTEXT, generator=generator)
    tail = HiperEmbedding(vectors, EmbeddingDetails(placement="replace"))
    positive = compose(text(), tail, 1.0, bring)
    wanted = sample(whole(), positive, text(seed=2), picture())
    assert near(sample(split(whole()), positive, text(seed=2), picture()), wanted)
    shared = HiperEmbedding(vectors[:, :1], tail.details)
    without = sample(whole(), compose(text(), shared, 1.0), text(seed=2), picture())
    assert not near(without, wanted)


def test_learning_takes_the_first_device() -> None:
    """To the bit what it learns on the model that is not split."""
    from hiper.host.learning import HostSettings, learn_on_host

    given = text(), picture()["samples"], LearningSettings(4)
    settings = HostSettings(preview_every=0, recipe="paper")
    found = [
        learn_on_host(model, *given, settings).embedding.tail for model in (whole(), split(whole()))
    ]
    assert torch.equal(*found)
