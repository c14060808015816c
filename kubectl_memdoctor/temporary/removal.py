"""Takes away what was made: a run's own at its end, and what earlier runs left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar

from msgspec import Struct, field

from kubectl_memdoctor.cluster.source import AccessError, Source
from kubectl_memdoctor.cluster.writing import ApiWriter
from kubectl_memdoctor.objects import PODS, Object, ObjectMeta, Resource
from kubectl_memdoctor.temporary.clock import Clock
from kubectl_memdoctor.temporary.manifests import LIFE_LABEL, PROCESS_ANNOTATION
from kubectl_memdoctor.temporary.process import has_ended

Value = TypeVar("Value")

PATIENCE_SECONDS = 30.0
"""For a server that does not answer: a control plane that is being restarted is back by then."""
GONE_SECONDS = 120.0
"""Until what was deleted must be gone: nodes end the pods first, and a slow one takes a minute."""
POLL_SECONDS = 1.0
INTERRUPTED = "interrupted"
"""The reason where a signal ended the removal as well."""


class Made(Struct, frozen=True):
    """One object that a run made."""

    resource: Resource[Any]
    namespace: str
    """Empty for a namespace itself."""
    name: str

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.resource.kind.lower()}/{self.name}{where}"


class Leftover(Struct):
    """What there is of one run. `newest` is when the last of it was made, None when the server does not say."""

    serial: str
    life: timedelta
    """Of a run whose labels do not say it."""
    made: list[Made] = field(default_factory=list)
    newest: datetime | None = None
    process: str = ""

    def is_abandoned(self, now: datetime) -> bool:
        """Whether its run is certainly over: the process has ended, or makes nothing any more."""
        return has_ended(self.process) or (self.newest is not None and now > self.newest + self.life)

    def names(self) -> str:
        """What holds all the rest, or else the pods."""
        holders = [entry for entry in self.made if entry.resource is not PODS]
        return ", ".join(map(str, holders or self.made))

    def note(self, resource: Resource[Any], metadata: ObjectMeta) -> None:
        """One more of its objects."""
        self.made.append(Made(resource, metadata.namespace, metadata.name))
        self.process = metadata.annotations.get(PROCESS_ANNOTATION, self.process)
        seconds = metadata.labels.get(LIFE_LABEL, "")
        if seconds.isdecimal() and len(seconds) < 9:
            self.life = timedelta(seconds=int(seconds))
        times = [time for time in (self.newest, metadata.creation_timestamp) if time is not None]
        self.newest = max(times, default=None)


class Remains(Struct, frozen=True):
    """What could not be removed: `names` of it, and `reason`, the error's own line; `is_going`: it is deleted, but has
    not gone yet."""

    names: str
    reason: str
    is_going: bool = False


def remove_leftover(leftover: Leftover, writer: ApiWriter) -> None:
    """What holds the rest comes first. Does not wait until it is gone. Raises AccessError."""
    for entry in leftover.made:
        writer.delete(entry.resource, entry.namespace or None, entry.name)


def remove(names: str, delete: Callable[[], None], is_there: Callable[[], bool], clock: Clock) -> Remains | None:
    """Calls `delete`, then waits until nothing `is_there`; both may raise AccessError. None when it is gone."""
    try:
        _patiently(delete, clock)
    except AccessError as error:
        return Remains(names, str(error))
    give_up = clock.now() + GONE_SECONDS
    try:
        while _patiently(is_there, clock):
            if clock.now() >= give_up:
                return Remains(names, f"still there after {GONE_SECONDS:g}s", is_going=True)
            clock.sleep(POLL_SECONDS)
    except AccessError as error:
        return Remains(names, str(error), is_going=True)
    return None


def _patiently(work: Callable[[], Value], clock: Clock) -> Value:
    """While the server does not answer it is tried again. Raises AccessError when it never did."""
    give_up = clock.now() + PATIENCE_SECONDS
    while True:
        try:
            return work()
        except AccessError:
            if clock.now() >= give_up:
                raise
        clock.sleep(2 * POLL_SECONDS)


def listed(source: Source, resource: Resource[Object], namespace: str | None, selector: str) -> Iterator[Object]:
    for page in source.list(resource, namespace, label_selector=selector):
        yield from page.items
