"""How samples are drawn and tails averaged, beside the paper's way."""

import pytest
import torch
from support.linear_denoiser import LinearDenoiser

from hiper.learning.draws import Draws
from hiper.learning.loop import LearningSettings, learn
from hiper.learning.optimiser import Average, Bound
from hiper.learning.recipe import FAST, PAPER, Recipe
from hiper.learning.terms import squared_error

CLEAN = torch.zeros(1, 2, 4, 4)


def drawn(recipe: Recipe, count: int, batch_size: int = 1, seed: int = 0):
    draws = Draws(recipe, seed, batch_size)
    return [draws.next(CLEAN) for _ in range(count)]


def test_the_papers_recipe_is_the_default_and_changes_nothing() -> None:
    assert LearningSettings().recipe == PAPER == Recipe()
    generator = torch.Generator().manual_seed(3)
    for sample in drawn(PAPER, 5, seed=3):
        torch.randint(1, (1,), generator=generator)
        assert torch.equal(sample.u, torch.rand(1, generator=generator))
        assert torch.equal(sample.noise, torch.randn(1, 2, 4, 4, generator=generator))


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_any_run_of_spread_timesteps_is_even(batch_size: int, seed: int) -> None:
    u = torch.cat([s.u for s in drawn(Recipe(spread=True), 200 // batch_size, batch_size, seed)])
    assert u.min() >= 0 and u.max() < 1
    for first in range(0, 160, 7):
        gaps = u[first : first + 40].sort().values.diff()
        assert gaps.max() < 2.0 / 40  # by chance the largest of 40 gaps is near 4/40


def test_the_average_starts_at_the_tail_and_forgets_its_start() -> None:
    plain, average = Average(torch.ones(3), 0.0), Average(torch.ones(3), 0.9)
    for value in range(1, 200):
        plain.add(torch.full((3,), float(value)))
        average.add(torch.full((3,), float(value)))
    assert torch.equal(plain.tail, torch.full((3,), 199.0))
    # a mean that keeps 0.9 lags behind a line by 9 steps
    assert torch.allclose(average.tail, torch.full((3,), 190.0), atol=0.1)


def test_averaging_comes_nearer_to_the_best_tail() -> None:
    """With noise in the loss's weights the last iterate rattles around the least squares."""
    denoiser = LinearDenoiser(32, 2, 3)
    clean = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(2))
    best = torch.linalg.lstsq(denoiser.matrix, clean.flatten()[:, None]).solution.flatten()
    errors = {}
    for kept in (0.0, 0.98):
        errors[kept] = sum(
            float(
                (
                    learn(
                        denoiser,
                        clean,
                        torch.zeros(1, 1, 2, 3),
                        LearningSettings(600, 0.05, seed=seed, recipe=Recipe(average=kept)),
                    ).tail.flatten()
                    - best
                ).norm()
            )
            for seed in range(5)
        )
    assert errors[0.98] < errors[0.0]


def test_an_average_that_keeps_everything_is_refused() -> None:
    with pytest.raises(ValueError, match=r"average is 1\.0: choose one from 0 to below 1"):
        Recipe(average=1.0)


def test_a_bound_holds_each_vector_within_its_own_first_length() -> None:
    first = torch.tensor([[3.0, 4.0], [0.6, 0.8], [0.0, 0.0]])
    bound = Bound(first, 1.0)
    tail = torch.tensor([[30.0, 40.0], [0.3, 0.4], [5.0, 12.0]], requires_grad=True)
    bound.hold(tail)
    # shortened along itself; left where it is short enough; free where the first one was nothing
    assert torch.allclose(tail, torch.tensor([[3.0, 4.0], [0.3, 0.4], [5.0, 12.0]]))
    assert tail.requires_grad and tail.grad_fn is None
    free = torch.full((3, 2), 1e9)
    Bound(first, 0.0).hold(free)
    assert torch.equal(free, torch.full((3, 2), 1e9))
    nothing = torch.zeros(3, 2)
    bound.hold(nothing)
    assert torch.equal(nothing, torch.zeros(3, 2))


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_bounded_tail_never_gets_longer_than_it_began(average: float) -> None:
    denoiser = LinearDenoiser(32, 2, 3)
    clean = 9 * torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(2))
    first = torch.randn(1, 1, 2, 3, generator=torch.Generator().manual_seed(4))
    settings = LearningSettings(100, 0.5, recipe=Recipe(average=average, bound=1.0))
    seen: list[torch.Tensor] = []
    learned = learn(denoiser, clean, first, settings, on_step=lambda s: seen.append(s.tail.clone()))
    longest = first.norm(dim=-1) * (1 + 1e-6)
    assert all(bool((tail.norm(dim=-1) <= longest).all()) for tail in seen)
    assert not torch.allclose(learned.tail, first)
    free = learn(denoiser, clean, first, LearningSettings(100, 0.5, recipe=Recipe(average=average)))
    assert bool((free.tail.norm(dim=-1) > longest).any())


def test_a_rate_that_settles_falls_as_the_root_of_the_steps() -> None:
    assert [Recipe(rate=6.0).rate_at(step) for step in (0, 1, 1000)] == [6.0, 6.0, 6.0]
    settling = Recipe(rate=6.0, settles=10.0)
    assert [settling.rate_at(step) for step in (0, 30, 80)] == [6.0, 3.0, 2.0]
    with pytest.raises(ValueError, match=r"settles is -1\.0: choose 0 for a steady rate"):
        Recipe(settles=-1.0)


def test_learning_takes_the_steps_of_a_rate_that_settles() -> None:
    """Beside a loop by hand: Adam with the learning rate set before each step."""
    denoiser = LinearDenoiser(32, 2, 3)
    clean = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(2))
    recipe = Recipe(rate=20.0, settles=3.0)
    settings = LearningSettings(12, 0.01, recipe=recipe)
    learned = learn(denoiser, clean, torch.zeros(1, 1, 2, 3), settings)
    tail = torch.zeros(1, 1, 2, 3, requires_grad=True)
    adam, draws = torch.optim.Adam([tail]), Draws(recipe, 0, 1)
    for step in range(12):
        sample = draws.next(clean)
        adam.param_groups[0]["lr"] = 0.2 / (1 + step / 3) ** 0.5
        adam.zero_grad()
        squared_error(denoiser, clean, sample.u, sample.noise, tail).mean().backward()
        adam.step()
    assert torch.allclose(learned.tail, tail.detach(), atol=1e-6)


def test_a_bound_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bound is -1: choose 0 for none, or more"):
        Recipe(bound=-1)


def test_fast_is_bounded_and_the_papers_is_not() -> None:
    assert FAST.bound == 1.0 and PAPER.bound == 0.0
