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
TRIES = 2
"""Pods with a limit that is new: one that fails is enough to look higher."""
CONFIRMING_TRIES = 8
"""So many pods in a row must become ready with the limit that is reported."""
CONFIRMING_SANDBOXES = 4
"""The same for the limit from which on sandboxes start."""
MOST_AT_ONCE = 4
MOST_PODS = 30
"""On one node."""


@dataclass(frozen=True, slots=True)
class Step:
    limit_bytes: int
    pods: int


@dataclass(frozen=True, slots=True)
class Span:
    """The largest limit that failed (0: none did), and the smallest above it that was tried, which did not."""

    failed_bytes: int
    enough_bytes: int


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

    First until a pod becomes ready at all; then for the smallest limit with which all do; then, with the pods that are
    left, for the smallest with which their sandboxes start.
    """
    tries = tuple(tries)
    ready = ready_bytes(tries)
    if ready is None:
        wanted = _control(failed_bytes(tries), limits)
    else:
        wanted = _narrowing(tries, limits, Span(failed_bytes(tries), ready), CONFIRMING_TRIES) or _narrowing(
            tries, limits, sandbox_span(tries), CONFIRMING_SANDBOXES
        )
    pods = min(wanted.pods, MOST_PODS - pods_of(tries)) if wanted else 0
    return Step(wanted.limit_bytes, pods) if wanted and pods else None


def _control(failed: int, limits: tuple[int, ...]) -> Step | None:
    control = next((limit for limit in CONTROLS if limit > failed and limit in limits), None)
    return None if control is None else Step(control, 1)


def _narrowing(tries: tuple[Try, ...], limits: tuple[int, ...], span: Span, enough: int) -> Step | None:
    """Brings the ends of the span together. A failure of what seemed enough moves the lower one up, and the search goes
    on between that and the next larger limit that did not fail."""
    between = _between(limits, span)
    if between:
        return Step(between[len(between) // 2], TRIES)
    so_far = sum(entry.ready + entry.failed for entry in tries if entry.limit_bytes == span.enough_bytes)
    return Step(span.enough_bytes, min(MOST_AT_ONCE, enough - so_far)) if so_far < enough else None


def _between(limits: tuple[int, ...], span: Span) -> list[int]:
    return [limit for limit in limits if span.failed_bytes < limit < span.enough_bytes]


def sandbox_span(tries: Iterable[Try]) -> Span:
    """The same figures for sandboxes alone: where a container fails, its sandbox has started. Some pod was ready."""
    tries = tuple(tries)
    failed = max((entry.limit_bytes for entry in tries if entry.failed_at == "sandbox"), default=0)
    return Span(failed, min(entry.limit_bytes for entry in tries if entry.limit_bytes > failed))


def pods_of(tries: Iterable[Try]) -> int:
    return sum(entry.ready + entry.failed for entry in tries)


def is_narrow(tries: Iterable[Try], limits: tuple[int, ...]) -> bool:
    """Whether no limit of the grid is left between what failed and what did not."""
    tries = tuple(tries)
    ready = ready_bytes(tries)
    return ready is not None and not _between(limits, Span(failed_bytes(tries), ready))


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
