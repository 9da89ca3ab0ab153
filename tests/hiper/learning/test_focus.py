"""SeFi-IDE's attention loss and its stages, keys and values on the demo model."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hiper.attention.calls import CROSS, AttentionCall, shares_of
from hiper.demo.drawing import draw
from hiper.demo.grounding import inside
from hiper.demo.model import DemoDenoiser, load
from hiper.demo.scene import Coat, Scene
from hiper.demo.text import words_of
from hiper.embedding import split
from hiper.learning.focus import Focus, relative
from hiper.learning.loop import LearningSettings, learn
from hiper.learning.objective import Prediction, predicted
from hiper.learning.optimiser import StagedOptimiser, TailOptimiser
from hiper.learning.recipe import FAST
from hiper.learning.terms import EQUATION_4, Weighted, squared_error

SCENE = Scene("dog", "sitting", "snow", Coat((90, 200, 30), (10, 20, 200), "spotted"))
PROMPT = "a sitting dog in snow"
WORD = (1 + words_of(PROMPT).index("dog") - 77,)


@pytest.fixture(scope="module")
def demo():
    model = load()
    with torch.no_grad():
        head, tail = split(model.text.encode(PROMPT), 5)
    return DemoDenoiser(model, head), model.encode(draw(SCENE)), tail[None].clone()


def call_of(batch: int, size: tuple[int, int], columns: int, joint: int = 0) -> AttentionCall:
    generator = torch.Generator().manual_seed(columns)
    cells = size[0] * size[1]
    q = torch.randn(batch, 3, cells, 8, generator=generator)
    k = torch.randn(batch, 3, columns + joint, 8, generator=generator)
    return AttentionCall("one", q, k, size, slice(0, columns))


def prediction_of(calls: list[AttentionCall], region: Tensor | None = None) -> Prediction:
    nothing = torch.zeros(len(calls[0].q), 4, 8, 8)
    one = torch.ones(len(nothing))
    return Prediction(nothing, nothing, one, one, attention=tuple(calls), region=region)


def by_hand(call: AttentionCall, of: str, tokens: int, word: int) -> Tensor:
    """Equation 4 from its own words, with loops."""
    likeness = torch.einsum("bhld,bhsd->bhls", call.q, call.k) / math.sqrt(call.q.shape[-1])
    maps = likeness.softmax(-1).mean(1)[..., call.columns]
    total = torch.zeros(len(maps))
    for sample in range(len(maps)):
        wanted = maps[sample, :, word]
        for token in range(maps.shape[-1] - tokens, maps.shape[-1]):
            own = maps[sample, :, token]
            if of == "paper":
                total[sample] += ((own - wanted) ** 2).sum() / tokens
            else:
                apart = own / own.mean() - wanted / wanted.mean()
                total[sample] += (apart**2).mean() / tokens
    return total


@pytest.mark.parametrize("joint", [0, 35], ids=["cross", "joint"])
@pytest.mark.parametrize("reduction", ["relative", "paper"])
def test_focus_is_the_equation(reduction: str, joint: int) -> None:
    calls = [call_of(2, (5, 7), 12, joint), call_of(2, (3, 4), 12, joint)]
    focus = Focus(4, word=(2 - 12,), reduction=reduction)
    wanted = torch.stack([by_hand(call, reduction, 4, 2) for call in calls]).mean(0)
    assert torch.allclose(focus(prediction_of(calls)), wanted, rtol=1e-4)


def test_focus_means_the_same_for_any_resolution_layers_and_tokens() -> None:
    """Maps that are the same picture at several sizes, with one map for every token."""
    base = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0)) + 0.1

    def loss(size: int, tokens: int, layers: int) -> float:
        wide = torch.nn.functional.interpolate(base, (size, size)).flatten(2)  # (1, 1, L)
        logits = torch.zeros(1, 1, size * size, tokens + 2)
        logits[..., -tokens:] = wide.log()[..., None]
        q = torch.nn.functional.pad(logits, (0, 0))
        k = torch.eye(tokens + 2)[None, None]
        call = AttentionCall("x", q, k, (size, size), slice(0, tokens + 2), scale=1.0)
        return float(Focus(tokens, word=(-tokens - 1,))(prediction_of([call] * layers)))

    assert loss(4, 3, 1) == pytest.approx(loss(8, 3, 1), rel=1e-4)
    assert loss(4, 3, 1) == pytest.approx(loss(4, 3, 6), rel=1e-4)


def test_chunks_that_are_computed_again_give_the_same_gradient() -> None:
    call = call_of(1, (16, 16), 12)
    grads = []
    for cells in (2**22, 100):
        q = call.q.clone().requires_grad_(True)
        import hiper.attention.calls as calls_module

        maps = calls_module.probabilities(
            q, call.k, cells_at_once=cells, columns=torch.tensor([3, 7])
        )
        (gradient,) = torch.autograd.grad(maps.square().sum(), [q])
        grads.append(gradient)
    assert torch.allclose(*grads, atol=1e-7)


def test_the_gradient_of_focus_is_a_difference(demo) -> None:
    denoiser, clean, start = demo
    u = torch.tensor([0.5])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        seen = predicted(denoiser, clean, u, noise, start, True)
        fixed = [relative(shares_of(c, WORD)) for c in seen.attention if c.kind == CROSS]

    def focus_to_fixed(tail: Tensor) -> Tensor:
        """The word's map held still, as the loss holds it."""
        calls = [
            c for c in predicted(denoiser, clean, u, noise, tail, True).attention if c.kind == CROSS
        ]
        apart = [
            (relative(shares_of(c, tuple(range(-5, 0)))) - w).square().mean()
            for c, w in zip(calls, fixed, strict=True)
        ]
        return torch.stack(apart).mean()

    tail = start.clone().requires_grad_(True)
    loss = Focus(5, word=WORD)(predicted(denoiser, clean, u, noise, tail, True)).sum()
    (gradient,) = torch.autograd.grad(loss, [tail])
    along = gradient / gradient.norm()
    with torch.no_grad():
        difference = focus_to_fixed(start + 0.02 * along) - focus_to_fixed(start - 0.02 * along)
    assert float(difference) / 0.04 == pytest.approx(float(gradient.norm()), rel=0.05)


@pytest.mark.parametrize("to_mask", [False, True], ids=["word", "mask"])
def test_focus_brings_the_tail_to_its_subject(demo, to_mask: bool) -> None:
    denoiser, clean, start = demo
    animal = inside(SCENE, clean.shape[-1])
    region = animal[None, None]
    found = {}
    for weight in (0.0, 0.01):
        focus = Focus(5, () if to_mask else WORD, to_mask)
        terms = (*EQUATION_4, Weighted(focus, weight)) if weight else EQUATION_4
        settings = LearningSettings(40, recipe=FAST, terms=terms)
        from hiper.learning.loop import LearningRun

        run = LearningRun(clean, start, settings, region=region)
        learned = run.go_on(denoiser, clean).tail
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(5))
        with torch.no_grad():
            seen = predicted(denoiser, clean, torch.tensor([0.4]), noise, learned, True)
        within = []
        for call in seen.attention:
            if not to_mask:  # the word's own map is what it is held to, wherever that lies
                own, word = (relative(shares_of(call, c)) for c in (tuple(range(-5, 0)), WORD))
                within.append(1 - (own - word).square().mean())
                continue
            where = torch.nn.functional.adaptive_avg_pool2d(region, call.size).flatten()
            tail = relative(shares_of(call, tuple(range(-5, 0)))).mean(-1)[0]
            within.append((tail * where).sum() / tail.sum())
        found[weight] = 1 - float(torch.stack(within).mean())
    assert found[0.01] < 0.8 * found[0.0]


def test_layers_that_count() -> None:
    calls = [call_of(1, size, 12) for size in ((8, 8), (4, 4), (2, 2), (4, 4), (8, 8))]
    from hiper.learning.focus import of_layers

    sizes = {
        name: [c.size[0] for c in of_layers(calls, name)]
        for name in ("all", "first half", "second half", "coarsest", "finest")
    }
    assert sizes == {
        "all": [8, 4, 2, 4, 8],
        "first half": [8, 4, 2],
        "second half": [2, 4, 8],
        "coarsest": [2],
        "finest": [8, 8],
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "no word and no mask"),
        ({"word": (-3,), "layers": "some"}, "layers is 'some'"),
        ({"word": (-3,), "reduction": "sum"}, "reduction is 'sum'"),
    ],
)
def test_wrong_settings_are_one_sentence(given: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Focus(5, **given)


def test_keys_and_values_of_one_tail_are_that_tail(demo) -> None:
    denoiser, clean, tail = demo
    u, noise = torch.tensor([0.6]), torch.randn_like(clean)
    one = squared_error(denoiser, clean, u, noise, tail)
    two = squared_error(denoiser, clean, u, noise, tail.repeat(1, 2, 1, 1))
    assert torch.allclose(one, two)


def test_keys_steer_attention_and_values_do_not(demo) -> None:
    denoiser, clean, tail = demo
    u, noise = torch.tensor([0.6]), torch.randn_like(clean)
    both = tail.repeat(1, 2, 1, 1).requires_grad_(True)
    seen = predicted(denoiser, clean, u, noise, both, True)
    first = seen.attention[0].shares()[..., -5:].sum()
    (gradient,) = torch.autograd.grad(first, [both], retain_graph=True)
    assert gradient[:, 0].any() and not gradient[:, 1].any()
    (gradient,) = torch.autograd.grad(seen.estimate.square().sum(), [both])
    assert gradient[:, 0].any() and gradient[:, 1].any()


def test_keys_and_values_are_learned_apart(demo) -> None:
    denoiser, clean, tail = demo
    learned = learn(denoiser, clean, tail.repeat(1, 2, 1, 1), LearningSettings(10, 0.01)).tail
    assert learned.shape == (1, 2, 5, 128)
    assert not torch.allclose(learned[:, 0], learned[:, 1])


@pytest.mark.parametrize("recipe", ["paper", "fast"])
def test_a_stage_rests_while_another_is_in_force(recipe: str) -> None:
    """Each stage goes as it would alone, whatever comes between its steps."""
    from hiper.learning.recipe import RECIPES

    start = torch.randn(3, 1, 4, 6, generator=torch.Generator().manual_seed(0))
    together = StagedOptimiser(start, 0.01, RECIPES[recipe])
    alone = [TailOptimiser(stage, 0.01, RECIPES[recipe]) for stage in start]
    generator = torch.Generator().manual_seed(1)
    for step in range(12):
        gradient = torch.zeros_like(start)
        in_force = (0, 2, 2, 0, 1)[step % 5]
        gradient[in_force] = torch.randn(1, 4, 6, generator=generator)
        assert together.step(gradient)
        alone[in_force].step(gradient[in_force])
        assert torch.equal(together.tail, torch.stack([one.tail for one in alone]))
        assert torch.equal(together.average, torch.stack([one.average for one in alone]))


def test_an_overflow_of_one_stage_is_skipped_by_all() -> None:
    start = torch.ones(2, 1, 2, 3)
    optimiser = StagedOptimiser(start, 0.1, FAST, loss_scale=2.0**10)
    before = optimiser.tail.detach().clone()
    assert float(optimiser.scaled(torch.tensor(1.0))) == 2.0**10
    gradient = torch.ones_like(start)
    gradient[1, 0, 0, 0] = torch.inf
    assert not optimiser.step(gradient)
    assert torch.equal(optimiser.tail, before)
    assert float(optimiser.scaled(torch.tensor(1.0))) == 2.0**9
    assert optimiser.step(torch.full_like(start, 2.0**9))
    alone = TailOptimiser(start, 0.1, FAST)
    alone.step(torch.ones_like(start))
    assert torch.allclose(optimiser.tail, alone.tail)
