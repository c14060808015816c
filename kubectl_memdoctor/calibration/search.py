"""Which limit to try next: bisection over a grid of limits, with several tries of each, since near the minimum it is
chance whether a pod starts.

Pure: from the tries so far to the next step, and from the tries to the figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubectl_memdoctor.measured_minimum import Try, failed_bytes, ready_bytes

SMALLEST_BYTES, LARGEST_BYTES = 16 << 10, 1 << 30
STEPS = 4
"""To each doubling: 2Mi, 2560Ki, 3Mi, 3584Ki, 4Mi. The figure is not finer than these."""
CONTROLS = (64 << 20, 256 << 20, LARGEST_BYTES)
"""Tried first, one after the other until a pod becomes ready: without one that does, failures prove nothing about
memory. Every runtime that was measured starts with the first; those with virtual machines may want the others."""
TRIES = 3
"""Pods side by side with the same limit."""
CONFIRMING_TRIES = 9
"""So many pods in a row must become ready with the limit that is reported."""
MOST_PODS = 30
"""On one node."""


@dataclass(frozen=True, slots=True)
class Step:
    limit_bytes: int
    pods: int


def grid(above_bytes: int = 0) -> tuple[int, ...]:
    """All limits that may be tried, smallest first; a RuntimeClass's overhead is the least that can be had."""
    limits: list[int] = []
    base = SMALLEST_BYTES
    while base < LARGEST_BYTES:
        limits += (base + base * step // STEPS for step in range(STEPS))
        base *= 2
    return tuple(limit for limit in (*limits, LARGEST_BYTES) if limit > above_bytes)


def next_step(tries: Iterable[Try], limits: tuple[int, ...]) -> Step | None:
    """What to try after `tries` (each limit once), on the grid `limits`. None when there is nothing left to try.

    The largest limit that failed and the smallest above it that did not are brought together. A failure of what
    seemed enough moves the first up, and the search goes on between it and the next larger limit that did not fail.
    """
    tries = tuple(tries)
    pods_left = MOST_PODS - sum(entry.ready + entry.failed for entry in tries)
    failed, ready = failed_bytes(tries), ready_bytes(tries)
    if ready is None:
        control = next((limit for limit in CONTROLS if limit > failed and limit in limits), None)
        wanted = None if control is None else Step(control, 1)
    else:
        between = [limit for limit in limits if failed < limit < ready]
        so_far = next(entry.ready for entry in tries if entry.limit_bytes == ready)
        wanted = (
            Step(between[len(between) // 2], TRIES) if between else Step(ready, min(TRIES, CONFIRMING_TRIES - so_far))
        )
    if wanted is None or min(wanted.pods, pods_left) <= 0:
        return None
    return Step(wanted.limit_bytes, min(wanted.pods, pods_left))


def is_narrow(tries: Iterable[Try], limits: tuple[int, ...]) -> bool:
    """Whether no limit of the grid is left between what failed and what did not."""
    tries = tuple(tries)
    failed, ready = failed_bytes(tries), ready_bytes(tries)
    return ready is not None and not any(failed < limit < ready for limit in limits)


def added(tries: Iterable[Try], new: Try) -> tuple[Try, ...]:
    """`tries` with `new`, largest limit first; tries with one limit are one entry."""
    merged = {entry.limit_bytes: entry for entry in tries}
    old = merged.get(new.limit_bytes)
    if old is not None:
        stages = {old.failed_at, new.failed_at} - {""}
        new = Try(
            limit_bytes=new.limit_bytes,
            ready=old.ready + new.ready,
            failed=old.failed + new.failed,
            # The earlier of the two stages: what fails there at times is not enough for it.
            failed_at="sandbox" if "sandbox" in stages else new.failed_at or old.failed_at,
        )
    merged[new.limit_bytes] = new
    return tuple(sorted(merged.values(), key=lambda entry: -entry.limit_bytes))
