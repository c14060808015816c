"""Several clusters at once, none of which waits for another one.

Each cluster is looked at in a thread of its own; what there is to tell comes to the caller's thread, which alone
prints. Clusters are reached many at a time, since one that does not answer costs nothing but time, and looked at few at
a time, since each of those holds pages of pods.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from kubectl_memdoctor.cluster.source import NotFound
from kubectl_memdoctor.clusters_report import Look, in_context, of_context
from kubectl_memdoctor.early_findings import Tell
from kubectl_memdoctor.exit_code import CouldNotLook
from kubectl_memdoctor.finding import Diagnosis, Finding
from kubectl_memdoctor.pod_pass import GoOn, Progress

Reached = TypeVar("Reached")

LOOKED_AT_AT_ONCE = 4
"""Bounds memory: each holds a few pages of pods. One Python decodes no more than one page at a time anyway."""
REACHED_AT_ONCE = 16
"""Waiting for an answer, or for a credential plugin."""
TICK_SECONDS = 0.2
INTERRUPTED = "interrupted before it was looked at"


class State(Struct, frozen=True):
    """How far it is. `under_way` are the contexts that were begun with and are not done."""

    done: int
    contexts: int
    under_way: tuple[str, ...]
    pods: int


class Watcher(Protocol):
    """Called in the caller's thread only."""

    def found(self, findings: Sequence[Finding], now: datetime) -> None:
        """Findings that have become certain in one cluster, worst first."""

    def ended(self, look: Look) -> None:
        """All that was found in one cluster, also what `found` was given; or why it could not be looked at."""

    def waits(self, state: State) -> None:
        """Nothing has happened for a moment."""


class Hooks(Struct, frozen=True):
    """What is to be called while one cluster is looked at, in the thread that does so."""

    progress: Progress
    tell: Tell
    go_on: GoOn


class _Found(Struct, frozen=True):
    findings: tuple[Finding, ...]
    now: datetime


class Looks(Struct, frozen=True):
    """In the order of the contexts."""

    looks: tuple[Look, ...]
    is_interrupted: bool


class SideBySide(Generic[Reached]):
    """One look at the clusters of some contexts."""

    def __init__(
        self,
        contexts: Sequence[str],
        reach: Callable[[str], Reached],
        diagnose: Callable[[Reached, Hooks], Diagnosis],
    ) -> None:
        """`reach` finds out whether the cluster of a context answers. Both are called in other threads; what they raise
        of CouldNotLook and OSError is the reason why that cluster is not checked, anything else ends the whole."""
        self._contexts = tuple(contexts)
        self._reach = reach
        self._diagnose = diagnose
        self._said: SimpleQueue[_Found | Look | BaseException] = SimpleQueue()
        self._turns = threading.Semaphore(LOOKED_AT_AT_ONCE)
        self._lock = threading.Lock()
        self._waiting = deque(contexts)
        self._begun: list[str] = []
        self._looked_at: set[str] = set()
        self._pods = dict.fromkeys(contexts, 0)
        self._told: dict[str, tuple[Finding, ...]] = {}
        self._stops = False

    def run(self, watcher: Watcher) -> Looks:
        """At the first interrupt no cluster is begun with any more, and those that are being looked at say what they
        have seen; at the second none is waited for. Raises KeyboardInterrupt where nothing was looked at by then."""
        for _ in range(min(REACHED_AT_ONCE, len(self._contexts))):
            threading.Thread(target=self._work, daemon=True).start()
        looks: dict[str, Look] = {}
        while not self._is_heard(looks, watcher):
            pass
        left = (self._failed(context, INTERRUPTED) for context in self._contexts if context not in looks)
        looks |= {look.context: look for look in left}
        if self._stops and not any(look.diagnosis for look in looks.values()):
            raise KeyboardInterrupt
        return Looks(tuple(looks[context] for context in self._contexts), self._stops)

    def _is_heard(self, looks: dict[str, Look], watcher: Watcher) -> bool:
        """Whether there is nothing left to wait for; False where an interrupt has changed what that is."""
        try:
            while self._has_to_come(looks):
                self._hear(looks, watcher)
        except KeyboardInterrupt:
            return not self._stop()
        return True

    def _has_to_come(self, looks: dict[str, Look]) -> bool:
        with self._lock:
            awaited = tuple(self._looked_at) if self._stops else self._contexts
        return any(context not in looks for context in awaited)

    def _hear(self, looks: dict[str, Look], watcher: Watcher) -> None:
        try:
            said = self._said.get(timeout=TICK_SECONDS)
        except Empty:
            watcher.waits(self._state(looks))
            return
        if isinstance(said, BaseException):
            raise said
        if isinstance(said, Look):
            looks[said.context] = said
            watcher.ended(said)
            return
        watcher.found(said.findings, said.now)

    def _state(self, looks: dict[str, Look]) -> State:
        with self._lock:
            under_way = tuple(context for context in self._begun if context not in looks)
            return State(len(looks), len(self._contexts), under_way, sum(self._pods.values()))

    def _stop(self) -> bool:
        """Whether that was still to do."""
        with self._lock:
            before, self._stops = self._stops, True
        return not before

    def _work(self) -> None:
        while (context := self._next()) is not None:
            try:
                self._said.put(self._look(context))
            except BaseException as error:
                self._said.put(error)
                return

    def _next(self) -> str | None:
        with self._lock:
            if self._stops or not self._waiting:
                return None
            self._begun.append(self._waiting[0])
            return self._waiting.popleft()

    def _look(self, context: str) -> Look:
        try:
            reached = self._reach(context)
            with self._turns:
                self._begin(context)
                return self._diagnosed(context, reached)
        except KeyboardInterrupt:
            return self._failed(context, INTERRUPTED)
        except NotFound as error:
            lines = tuple(str(error).splitlines())
            return self._failed(context, _reason(lines), missing=lines)
        except CouldNotLook as error:
            return self._failed(context, _reason(str(error).splitlines()))
        except OSError as error:
            return self._failed(context, str(error.strerror or error))

    def _failed(self, context: str, reason: str, missing: tuple[str, ...] = ()) -> Look:
        return Look(context, reason=reason, missing=missing, told=self._told.get(context, ()))

    def _begin(self, context: str) -> None:
        with self._lock:
            self._go_on()
            self._looked_at.add(context)

    def _go_on(self) -> None:
        if self._stops:
            raise KeyboardInterrupt

    def _diagnosed(self, context: str, reached: Reached) -> Look:
        told: dict[int, tuple[Finding, Finding]] = {}

        def placed(finding: Finding) -> Finding:
            """The same one each time: who was told of it knows it again."""
            return told.setdefault(id(finding), (finding, in_context(finding, context)))[1]

        def tell(findings: Sequence[Finding], now: datetime) -> None:
            found = tuple(map(placed, findings))
            self._told[context] = (*self._told.get(context, ()), *found)
            self._said.put(_Found(found, now))

        def progress(pods: int, remaining: int | None) -> None:
            self._pods[context] = pods

        diagnosis = self._diagnose(reached, Hooks(progress, tell, self._go_on))
        return of_context(context, diagnosis, map(placed, diagnosis.report.findings))


def _reason(lines: Sequence[str]) -> str:
    return "; ".join(line.removeprefix("error: ") for line in lines)
