"""The search, with runtimes that are made up: every edge that it names must hold for the runtime it was given."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.bisection import PAGE, Effort, Search, SearchError, Try, edges, grid

KIB, MIB = 1 << 10, 1 << 20
LIMITS = grid(16 * KIB, 64 * MIB)
EFFORT = Effort(tries=10, agreeing=3, beyond=10, fill=True)


class Simulated:
    """A runtime that starts with a chance that grows with the limit."""

    def __init__(self, chance: Callable[[int], float], seed: int = 0) -> None:
        self.chance = chance
        self.random = random.Random(seed)
        self.made = 0

    def __call__(self, limit: int, most: int, until: str) -> Sequence[Try]:
        tries: list[Try] = []
        while len(tries) < most:
            started = self.random.random() < self.chance(limit)
            tries.append(Try(started=started, peak_bytes=limit, error="" if started else "killed"))
            if until and started == (until == "started"):
                break
        self.made += len(tries)
        return tries


def searched(runtime: Simulated, effort: Effort = EFFORT) -> Search:
    search = Search(LIMITS, effort, runtime)
    search.run()
    return search


def ramp(low: int, high: int) -> Callable[[int], float]:
    """0 up to `low`, 1 from `high` on."""
    return lambda limit: min(1.0, max(0.0, (limit - low) / (high - low)))


def test_the_grid_has_whole_pages_at_most_an_eighth_apart() -> None:
    assert LIMITS[0] == 16 * KIB
    assert LIMITS[-1] == 64 * MIB
    for below, limit in itertools.pairwise(LIMITS):
        assert limit % PAGE == 0
        assert limit - below <= max(PAGE, below // 8)


@given(st.sampled_from(LIMITS[4:-8]))
def test_a_sharp_edge_is_found_to_the_step(first: int) -> None:
    search = searched(Simulated(lambda limit: float(limit >= first)))
    below = LIMITS[LIMITS.index(first) - 1]
    assert edges(search.steps) == (below, first)
    assert search.steps[below].tries == search.steps[first].tries == EFFORT.tries


@given(st.integers(40 * KIB, 8 * MIB), st.floats(1.05, 4), st.integers(0, 99))
def test_a_span_is_never_named_wider_than_it_is_nor_off_by_more_than_chance(low: int, factor: float, seed: int) -> None:
    high = int(low * factor)
    search = searched(Simulated(ramp(low, high), seed))
    failed, ran = edges(search.steps)
    nearest_below = max(limit for limit in LIMITS if limit <= low)
    nearest_above = min(limit for limit in LIMITS if limit >= high)
    assert nearest_below <= failed < ran <= nearest_above
    for limit, step in search.steps.items():
        assert (step.started == 0) or limit > failed
        assert (step.started == step.tries) or limit < ran


def test_every_step_between_the_edges_has_all_its_tries() -> None:
    search = searched(Simulated(ramp(2 * MIB, 6 * MIB)))
    failed, ran = edges(search.steps)
    between = [limit for limit in LIMITS if failed <= limit <= ran]
    assert len(between) > 4
    assert all(search.steps[limit].tries >= EFFORT.tries for limit in between)


def test_a_hole_above_the_first_good_step_moves_the_edge_above_the_hole() -> None:
    hole = LIMITS[LIMITS.index(16 * MIB) + 1]
    search = searched(Simulated(lambda limit: 0.0 if limit == hole else float(limit >= 16 * MIB)))
    failed, ran = edges(search.steps)
    assert (failed, ran) == (14 * MIB + MIB, LIMITS[LIMITS.index(hole) + 1])


def test_less_effort_makes_fewer_tries() -> None:
    small = Effort(tries=5, agreeing=2, beyond=3, fill=False)
    much, little = Simulated(ramp(2 * MIB, 6 * MIB)), Simulated(ramp(2 * MIB, 6 * MIB))
    searched(much)
    searched(little, small)
    assert little.made < much.made / 2


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_what_the_limit_does_not_explain_is_an_error(chance: float) -> None:
    with pytest.raises(SearchError):
        searched(Simulated(lambda _: chance))


def test_a_runtime_that_fails_at_the_largest_limit_now_and_then_has_no_edge() -> None:
    with pytest.raises(SearchError, match="no edge"):
        searched(Simulated(lambda limit: 0.0 if limit < MIB else 0.8, seed=3))


def test_a_search_goes_on_from_what_is_known() -> None:
    runtime = Simulated(ramp(2 * MIB, 6 * MIB))
    search = searched(runtime)
    made = runtime.made
    search.run()
    assert runtime.made == made
