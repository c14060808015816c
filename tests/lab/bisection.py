"""Finds the span of limits within which a sandbox starts at times: below it never, above it always.

Starting is chance near the edge, and not even steadily more likely with more memory (a garbage collector runs, or does
not). So an edge counts only when steps beyond it agree with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

PAGE = 4096


@dataclass(frozen=True, slots=True)
class Try:
    started: bool
    peak_bytes: int = 0
    """The most that the pod used; 0 where the kernel does not say."""
    error: str = ""


@dataclass(slots=True)
class Step:
    """All tries with one limit."""

    tries: int = 0
    started: int = 0
    peak_bytes: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, made: Try) -> None:
        self.tries += 1
        self.started += made.started
        self.peak_bytes = max(self.peak_bytes, made.peak_bytes)
        if not made.started:
            self.errors[made.error] += 1


@dataclass(frozen=True, slots=True)
class Effort:
    """How sure a measurement is to be."""

    tries: int
    """For an edge."""
    agreeing: int
    """How many steps in a row must agree: the edge and those beyond it."""
    beyond: int
    """Tries for each of those beyond."""
    fill: bool
    """Whether all steps between the edges get as many tries."""


Attempt = Callable[[int, int, str], Sequence[Try]]
"""Limit in bytes, most tries, and `started`, `failed` or "": the outcome that ends it early -> the tries made."""


class SearchError(Exception):
    """The tries cannot be explained by the limit."""


def grid(smallest: int, largest: int) -> list[int]:
    """Limits of whole pages, eight to a doubling where pages allow it: never more than 1/8 apart."""
    limits = set()
    octave = smallest
    while octave <= largest:
        limits |= {octave + octave * eighth // 8 // PAGE * PAGE for eighth in range(8)}
        octave *= 2
    return sorted(limit for limit in limits if limit <= largest)


class Search:
    """One measurement in the making; `steps` maps limits in bytes to what happened so far."""

    def __init__(self, limits: Sequence[int], effort: Effort, attempt: Attempt) -> None:
        self.limits = limits
        self.effort = effort
        self.attempt = attempt
        self.steps: dict[int, Step] = {}

    def run(self) -> None:
        """Raises SearchError when the largest limit does not suffice, or the smallest one does."""
        self._demand(len(self.limits) - 1, starts=True)
        self._demand(0, starts=False)
        middle = self._middle()
        low = self._edge(middle - 1, -1, "started")
        high = self._edge(middle, 1, "failed")
        if self.effort.fill:
            for index in range(low, high + 1):
                self._try(index, "")

    def _demand(self, index: int, *, starts: bool) -> None:
        self._try(index, "", most=1)
        step = self.steps[self.limits[index]]
        if (step.started > 0) != starts:
            raise SearchError(f"with {self.limits[index]} bytes: {dict(step.errors) or 'it starts'}")

    def _middle(self) -> int:
        """An index near the edge, found with one try a step: it started, the one below did not."""
        low, high = 0, len(self.limits) - 1
        while high - low > 1:
            middle = (low + high) // 2
            self._try(middle, "", most=1)
            if self.steps[self.limits[middle]].started:
                high = middle
            else:
                low = middle
        return high

    def _edge(self, index: int, direction: int, contrary: str) -> int:
        """The first index of as many that agree as are wanted: all tries failed (down), or all started (up)."""
        agreeing = 0
        while agreeing < self.effort.agreeing:
            if not 0 <= index < len(self.limits):
                raise SearchError(f"no edge up to {self.limits[max(0, index - direction)]} bytes")
            self._try(index, contrary, most=self.effort.beyond if agreeing else None)
            step = self.steps[self.limits[index]]
            agrees = step.started == (0 if contrary == "started" else step.tries)
            agreeing = agreeing + 1 if agrees else 0
            index += direction
        return index - direction * agreeing

    def _try(self, index: int, until: str, most: int | None = None) -> None:
        """Up to `most` tries in all with this limit; none when what is known is contrary already."""
        step = self.steps.setdefault(self.limits[index], Step())
        contrary = {"started": step.started, "failed": step.tries - step.started}
        missing = (most or self.effort.tries) - step.tries
        if missing <= 0 or (until and contrary[until]):
            return
        for made in self.attempt(self.limits[index], missing, until):
            step.add(made)


def edges(steps: dict[int, Step]) -> tuple[int, int]:
    """The largest limit up to which none started, and the smallest one from which on all did."""
    first_start = min(limit for limit, step in steps.items() if step.started)
    last_failure = max(limit for limit, step in steps.items() if step.started < step.tries)
    return (
        max(limit for limit in steps if limit < first_start),
        min(limit for limit in steps if limit > last_failure),
    )
