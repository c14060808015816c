"""The search against pretended runtimes, whose pods start or not, also by chance."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_memdoctor.calibration.search import (
    CONFIRMING_TRIES,
    CONTROLS,
    LARGEST_BYTES,
    MOST_AT_ONCE,
    MOST_PODS,
    SMALLEST_BYTES,
    STEPS,
    added,
    grid,
    is_narrow,
    next_step,
    pods_of,
    sandbox_evidence,
)
from kubectl_memdoctor.measured_minimum import Try, failed_bytes, ready_bytes

KIB, MIB = 1 << 10, 1 << 20
GRID = grid()
Chance = Callable[[int], float]
"""A limit in bytes -> how likely it is enough."""


def always_from(smallest: int) -> Chance:
    return lambda limit: float(limit >= smallest)


def rising(never: int, always: int) -> Chance:
    return lambda limit: min(1.0, max(0.0, (limit - never) / (always - never)))


ALWAYS = always_from(0)


@dataclass(frozen=True, slots=True)
class Searched:
    tries: tuple[Try, ...]
    sandbox_tries: tuple[Try, ...]
    steps: int

    @property
    def ready(self) -> int:
        found = ready_bytes(self.tries)
        assert found is not None
        return found

    @property
    def sandboxes(self) -> tuple[Try, ...]:
        return sandbox_evidence(self.tries, self.sandbox_tries)

    @property
    def pods(self) -> int:
        return pods_of((*self.tries, *self.sandbox_tries))


def search(
    container: Chance,
    sandbox: Chance = ALWAYS,
    *,
    untold: float = 0.0,
    limits: tuple[int, ...] = GRID,
    seed: int = 1,
) -> Searched:
    """The whole of it, as a run goes through it. `untold`: how likely a pod that fails does not show where."""
    chance = random.Random(seed)
    tries: tuple[Try, ...] = ()
    sandbox_tries: tuple[Try, ...] = ()
    steps = 0
    while (step := next_step(tries, sandbox_tries, limits)) is not None:
        limit = step.limit_bytes
        assert limit in limits
        assert 1 <= step.pods <= MOST_AT_ONCE
        for _ in range(step.pods):
            stage: Literal["", "sandbox", "container"]
            if chance.random() >= sandbox(limit):
                stage = "sandbox"
            else:
                stage = "container" if not step.sandbox_only and chance.random() >= container(limit) else ""
            counts = {"ready": 0, "failed": 1} if stage else {"ready": 1, "failed": 0}
            if step.sandbox_only:
                sandbox_tries = added(sandbox_tries, Try(limit_bytes=limit, failed_at=stage, **counts))
            else:
                told = "" if chance.random() < untold else stage
                tries = added(tries, Try(limit_bytes=limit, failed_at=told, **counts))
        steps += 1
    found = Searched(tries, sandbox_tries, steps)
    assert found.pods <= MOST_PODS
    return found


def next_above(limit: int) -> int:
    return next(entry for entry in GRID if entry >= limit)


def test_the_grid_has_equal_steps_and_whole_pages() -> None:
    assert (GRID[0], GRID[-1]) == (SMALLEST_BYTES, LARGEST_BYTES)
    assert all(limit % 4096 == 0 for limit in GRID)
    assert all(small < large <= small * (STEPS + 1) // STEPS for small, large in itertools.pairwise(GRID))
    assert set(CONTROLS) <= set(GRID)


@given(st.integers(1, 64 * MIB))
def test_a_sharp_edge_is_found_to_the_step(smallest: int) -> None:
    found = search(always_from(smallest))
    assert found.ready == next_above(smallest)
    assert is_narrow(found.tries, GRID)
    (confirmed,) = (entry for entry in found.tries if entry.limit_bytes == found.ready)
    assert confirmed.ready >= CONFIRMING_TRIES


@given(st.integers(1, 64 * MIB), st.floats(0.001, 1), st.floats(0, 1), st.integers(0, 2**32))
def test_sandboxes_have_an_edge_of_their_own(smallest: int, part: float, untold: float, seed: int) -> None:
    """Also where few pods that fail show whether it was the sandbox that did."""
    smallest_sandbox = max(1, int(smallest * part))
    found = search(always_from(smallest), always_from(smallest_sandbox), untold=untold, seed=seed)
    failed, started = failed_bytes(found.sandboxes), ready_bytes(found.sandboxes)
    assert found.ready == next_above(smallest)
    assert started is not None
    assert failed < smallest_sandbox <= started <= found.ready
    if found.pods < MOST_PODS:
        assert started == next_above(smallest_sandbox)


@pytest.mark.parametrize(("sandbox", "container"), [(160, 384), (160, 640), (400, 640), (3584, 4608), (16, 640)])
@pytest.mark.parametrize("untold", [0.0, 1.0])
def test_edges_as_runtimes_have_them_are_found_within_the_pods(sandbox: int, container: int, untold: float) -> None:
    found = search(always_from(container * KIB), always_from(sandbox * KIB), untold=untold)
    assert found.ready == next_above(container * KIB)
    assert is_narrow(found.sandboxes, GRID)
    assert ready_bytes(found.sandboxes) == next_above(sandbox * KIB)


def test_pods_that_fail_without_saying_where_or_by_chance_prove_nothing_of_sandboxes() -> None:
    tries = (
        Try(limit_bytes=64 * MIB, ready=1, failed=0),
        Try(limit_bytes=2 * MIB, ready=1, failed=1),
        Try(limit_bytes=MIB, ready=0, failed=2),
        Try(limit_bytes=512 * KIB, ready=0, failed=2, failed_at="container"),
        Try(limit_bytes=256 * KIB, ready=1, failed=1, failed_at="sandbox"),
    )
    sandbox_tries = (
        Try(limit_bytes=512 * KIB, ready=2, failed=0),
        Try(limit_bytes=384 * KIB, ready=1, failed=1, failed_at="sandbox"),
    )
    counts = {entry.limit_bytes: (entry.ready, entry.failed) for entry in sandbox_evidence(tries, sandbox_tries)}
    assert counts == {
        64 * MIB: (1, 0),
        2 * MIB: (1, 0),
        512 * KIB: (4, 0),
        384 * KIB: (1, 1),
    }


@settings(max_examples=100)
@given(st.integers(16 * KIB, 40 * MIB), st.floats(1.01, 8), st.integers(0, 2**32))
def test_what_is_reported_is_so_by_its_tries(never: int, times: float, seed: int) -> None:
    """However wide the span in which it is chance: every pod of the limit and above was ready, one just below not."""
    found = search(rising(never, int(never * times) + 1), seed=seed)
    ready = ready_bytes(found.tries)
    if ready is None:
        assert failed_bytes(found.tries) >= CONTROLS[0]
        return
    assert all(entry.failed == 0 for entry in found.tries if entry.limit_bytes >= ready)
    assert failed_bytes(found.tries) < ready
    assert ready > never
    if is_narrow(found.tries, GRID):
        below = [limit for limit in GRID if limit < ready]
        assert failed_bytes(found.tries) == below[-1]
    else:
        assert found.pods == MOST_PODS


@pytest.mark.parametrize(("never", "always"), [(4 * MIB, 6 * MIB), (2 * MIB, 16 * MIB), (8 * MIB, 24 * MIB)])
def test_a_span_of_chance_is_left_behind(never: int, always: int) -> None:
    """As measured for runc: the limit that is reported nearly always suffices, whatever luck the search had."""
    chance = rising(never, always)
    found = [search(chance, chance, seed=seed).ready for seed in range(300)]
    assert sum(map(chance, found)) / len(found) > 0.95
    assert sum(limit >= always * 0.7 for limit in found) > 0.9 * len(found)


def test_a_runtime_that_wants_much_gets_a_larger_control() -> None:
    assert search(always_from(130 * MIB)).ready == 160 * MIB
    assert search(always_from(900 * MIB)).ready == 1024 * MIB


def test_nothing_that_starts_ends_the_search_soon() -> None:
    found = search(always_from(1 << 40))
    assert [entry.limit_bytes for entry in found.tries] == [*reversed(CONTROLS)]
    assert found.pods == len(CONTROLS)
    assert ready_bytes(found.tries) is None
    assert not is_narrow(found.tries, GRID)


def test_everything_that_starts_is_no_failure() -> None:
    found = search(always_from(1))
    assert (failed_bytes(found.tries), found.ready) == (0, SMALLEST_BYTES)


def test_an_overhead_is_the_least_that_is_tried() -> None:
    limits = grid(120 * MIB)
    assert limits[0] == 128 * MIB
    found = search(always_from(200 * MIB), limits=limits)
    assert found.ready == 224 * MIB
    assert min(entry.limit_bytes for entry in found.tries) >= limits[0]


@given(st.integers(1, 64 * MIB))
def test_it_takes_few_steps(smallest: int) -> None:
    assert search(always_from(smallest)).steps <= 16


def test_tries_with_one_limit_are_one_entry() -> None:
    tries = added((), Try(limit_bytes=4096, ready=1, failed=0))
    tries = added(tries, Try(limit_bytes=4096, ready=0, failed=1, failed_at="container"))
    tries = added(tries, Try(limit_bytes=8192, ready=1, failed=0))
    tries = added(tries, Try(limit_bytes=4096, ready=0, failed=1, failed_at="sandbox"))
    tries = added(tries, Try(limit_bytes=4096, ready=1, failed=0))
    assert [(entry.limit_bytes, entry.ready, entry.failed, entry.failed_at) for entry in tries] == [
        (8192, 1, 0, ""),
        (4096, 2, 2, "sandbox"),
    ]


def test_a_stage_that_is_not_told_may_be_the_earlier_one() -> None:
    tries = added((), Try(limit_bytes=4096, ready=0, failed=1, failed_at="container"))
    tries = added(tries, Try(limit_bytes=4096, ready=1, failed=0))
    assert [entry.failed_at for entry in tries] == ["container"]
    tries = added(tries, Try(limit_bytes=4096, ready=0, failed=1))
    assert [entry.failed_at for entry in tries] == [""]
