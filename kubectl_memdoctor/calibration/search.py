"""Which limit to try next: bisection over a grid of limits, with several tries of each, since near the minimum it is
chance whether a pod starts.

Pure: from the tries so far to the next step, and from the tries to the figure.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from kubectl_memdoctor.measured_minimum import Try, failed_bytes, ready_bytes

SMALLEST_BYTES, LARGEST_BYTES = 16 << 10, 1 << 30
STEPS = 4
"""To each doubling: 2Mi, 2560Ki, 3Mi, 3584Ki, 4Mi. The figure is not finer than these."""
CONTROLS = (64 << 20, 256 << 20, LARGEST_BYTES)
"""Tried first, one after the other until a pod becomes ready: without one that does, failures prove nothing about
memory. Every runtime that was measured starts with the first; those with virtual machines may want the others."""
TRIES = 2
"""Pods with a limit that is new: one that fails is enough to look higher."""
FAR = 16
"""While so many limits are left to choose from, one pod does: what it gets by luck shows with the next ones."""
CONFIRMING_TRIES = 8
"""So many pods in a row must become ready with the limit that is reported."""
CONFIRMING_SANDBOXES = 4
"""The same for the limit from which on sandboxes start: so many did, and none failed."""
SANDBOX_TRIES = 1
"""For a limit that is new to them. Few pods are left by then, and where one has luck, those that confirm may not."""
MOST_AT_ONCE = 4
MOST_PODS = 30
"""On one node."""


class Step(Struct, frozen=True):
    """`sandbox_only`: the containers of its pods are not to start."""

    limit_bytes: int
    pods: int
    sandbox_only: bool = False


def grid(above_bytes: int = 0) -> tuple[int, ...]:
    """All limits that may be tried, smallest first; a RuntimeClass's overhead is the least that can be had."""
    limits: list[int] = []
    base = SMALLEST_BYTES
    while base < LARGEST_BYTES:
        limits += (base + base * step // STEPS for step in range(STEPS))
        base *= 2
    return tuple(limit for limit in (*limits, LARGEST_BYTES) if limit > above_bytes)


def next_step(tries: tuple[Try, ...], sandbox_tries: tuple[Try, ...], limits: tuple[int, ...]) -> Step | None:
    """What to try after these (each limit once), on the grid `limits`. None when there is nothing left to try.

    First until a pod becomes ready at all; then for the smallest limit with which all do; then, with the pods that are
    left, for the smallest with which sandboxes start.
    """
    wanted = _wanted(tries, sandbox_tries, limits)
    pods = min(wanted.pods, MOST_PODS - pods_of((*tries, *sandbox_tries))) if wanted else 0
    return replace(wanted, pods=pods) if wanted and pods else None


def _wanted(tries: tuple[Try, ...], sandbox_tries: tuple[Try, ...], limits: tuple[int, ...]) -> Step | None:
    if ready_bytes(tries) is None:
        return _control(failed_bytes(tries), limits)
    wanted = _narrowing(tries, limits, TRIES, CONFIRMING_TRIES)
    if wanted is not None:
        return wanted
    wanted = _narrowing(sandbox_evidence(tries, sandbox_tries), limits, SANDBOX_TRIES, CONFIRMING_SANDBOXES)
    return replace(wanted, sandbox_only=True) if wanted else None


def _control(failed: int, limits: tuple[int, ...]) -> Step | None:
    control = next((limit for limit in CONTROLS if limit > failed and limit in limits), None)
    return None if control is None else Step(control, 1)


def _narrowing(tries: tuple[Try, ...], limits: tuple[int, ...], pods: int, enough: int) -> Step | None:
    """Brings what failed and what did not together, by `pods` a limit. A failure of what seemed enough moves the lower
    end up, and the search goes on between that and the next larger limit that did not fail."""
    between = _between(tries, limits)
    if between:
        return Step(between[len(between) // 2], pods if len(between) < FAR else 1)
    ready = ready_bytes(tries)
    assert ready is not None, "some pod became ready, and so its sandbox had started"
    so_far = sum(entry.ready + entry.failed for entry in tries if entry.limit_bytes == ready)
    return Step(ready, min(MOST_AT_ONCE, enough - so_far)) if so_far < enough else None


def _between(tries: tuple[Try, ...], limits: tuple[int, ...]) -> list[int]:
    """The limits above the largest that failed and below the smallest above it that did not."""
    failed, ready = failed_bytes(tries), ready_bytes(tries)
    return [limit for limit in limits if ready is not None and failed < limit < ready]


def sandbox_evidence(tries: Iterable[Try], sandbox_tries: Iterable[Try]) -> tuple[Try, ...]:
    """What both prove about sandboxes: where a container fails, its sandbox has started; but a pod that failed proves
    nothing where the API does not tell which of the two did. Where others of the same limit became ready, it is chance
    whether a sandbox fails, and that is left to the pods that have nothing but a sandbox."""
    shown = tuple(sandbox_tries)
    for entry in tries:
        started = entry.ready + (entry.failed if entry.failed_at == "container" else 0)
        failed = entry.failed if entry.failed_at == "sandbox" else 0
        if bool(started) != bool(failed):
            shown = added(shown, Try(limit_bytes=entry.limit_bytes, ready=started, failed=failed))
    return shown


def pods_of(tries: Iterable[Try]) -> int:
    return sum(entry.ready + entry.failed for entry in tries)


def is_narrow(tries: Iterable[Try], limits: tuple[int, ...]) -> bool:
    """Whether no limit of the grid is left between what failed and what did not."""
    tries = tuple(tries)
    return ready_bytes(tries) is not None and not _between(tries, limits)


_STAGES = ("sandbox", "", "container")


def added(tries: Iterable[Try], new: Try) -> tuple[Try, ...]:
    """`tries` with `new`, largest limit first; tries with one limit are one entry."""
    merged = {entry.limit_bytes: entry for entry in tries}
    old = merged.get(new.limit_bytes)
    if old is not None:
        new = Try(
            limit_bytes=new.limit_bytes,
            ready=old.ready + new.ready,
            failed=old.failed + new.failed,
            # The earliest stage that it may have been: what fails there at times is not enough for it.
            failed_at=min((one.failed_at for one in (old, new) if one.failed), key=_STAGES.index, default=""),
        )
    merged[new.limit_bytes] = new
    return tuple(sorted(merged.values(), key=lambda entry: -entry.limit_bytes))
