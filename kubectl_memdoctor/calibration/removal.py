"""Takes away what a run made: this run's own at its end, and what earlier runs left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from kubectl_memdoctor.calibration.clock import Clock
from kubectl_memdoctor.calibration.manifests import (
    LIFE_LABEL,
    LIFE_SECONDS,
    MANAGED_BY,
    OWN_PREFIX,
    PROCESS_ANNOTATION,
    RUN_LABEL,
    Run,
)
from kubectl_memdoctor.calibration.process import has_ended
from kubectl_memdoctor.cluster.source import AccessError, NotFound, Source, Unreadable
from kubectl_memdoctor.cluster.writing import ApiWriter
from kubectl_memdoctor.objects import CONFIG_MAPS, NAMESPACES, PODS, Object, ObjectMeta, Resource

PATIENCE_SECONDS = 30.0
"""For a server that does not answer: a control plane that is being restarted is back by then."""
GONE_SECONDS = 120.0
"""Until what was deleted must be gone: nodes end the pods first, and a slow one takes a minute."""
POLL_SECONDS = 1.0
EVERY_RUN = ",".join([*(f"{key}={value}" for key, value in MANAGED_BY.items()), RUN_LABEL])


@dataclass(frozen=True, slots=True)
class Made:
    """One object that a run made."""

    resource: Resource[Any]
    namespace: str
    """Empty for a namespace itself."""
    name: str

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.resource.kind.lower()}/{self.name}{where}"


@dataclass(slots=True)
class Leftover:
    """What there is of one run. `newest` is when the last of it was made, None when the server does not say."""

    serial: str
    made: list[Made] = field(default_factory=list)
    newest: datetime | None = None
    life: timedelta = timedelta(seconds=LIFE_SECONDS)
    process: str = ""

    def is_abandoned(self, now: datetime) -> bool:
        """Whether its run is certainly over: the process has ended, or makes no pods any more."""
        return has_ended(self.process) or (self.newest is not None and now > self.newest + self.life)

    def names(self) -> str:
        """What holds all the rest, or else the pods."""
        holders = [entry for entry in self.made if entry.resource is not PODS]
        return ", ".join(map(str, holders or self.made))


@dataclass(slots=True)
class Remains:
    """What could not be removed: `names` of it, and `reason`, the error's own line; `is_going`: it is deleted, but has
    not gone yet."""

    names: str
    reason: str
    is_going: bool = False


def left_namespaces(source: Source) -> list[Leftover]:
    """Runs in namespaces of their own. Raises AccessError."""
    found: dict[str, Leftover] = {}
    for namespace in _listed(source, NAMESPACES, None, EVERY_RUN):
        _note(found, NAMESPACES, namespace.metadata)
        for pod in _listed(source, PODS, namespace.metadata.name, EVERY_RUN):
            _note(found, PODS, pod.metadata)
    return _sorted(found)


def left_in(source: Source, namespace: str) -> list[Leftover]:
    """Runs in a namespace that was given to them. Raises AccessError."""
    found: dict[str, Leftover] = {}
    _note_content(source, namespace, found)
    return _sorted(found)


def left_anywhere(source: Source, say: Callable[[str], None]) -> list[Leftover]:
    """Raises AccessError. Owners in namespaces that were given may be hidden from who looks: then that is said."""
    found: dict[str, Leftover] = {}
    for namespace in _listed(source, NAMESPACES, None, EVERY_RUN):
        _note(found, NAMESPACES, namespace.metadata)
    try:
        _note_content(source, None, found)
    except Unreadable as error:
        say(f"not looked for what runs with -n left: {error.reason}")
    return _sorted(found)


def _note_content(source: Source, namespace: str | None, found: dict[str, Leftover]) -> None:
    for owner in _listed(source, CONFIG_MAPS, namespace, EVERY_RUN):
        _note(found, CONFIG_MAPS, owner.metadata)
    for pod in _listed(source, PODS, namespace, EVERY_RUN):
        _note(found, PODS, pod.metadata)


def _sorted(found: dict[str, Leftover]) -> list[Leftover]:
    return [found[serial] for serial in sorted(found)]


def _note(found: dict[str, Leftover], resource: Resource[Any], metadata: ObjectMeta) -> None:
    serial = metadata.labels.get(RUN_LABEL, "")
    expected = f"memdoctor-{serial}-" if resource is PODS else f"{OWN_PREFIX}{serial}"
    # Somebody may have copied the labels.
    if not serial or not metadata.name.startswith(expected) or metadata.deletion_timestamp is not None:
        return
    leftover = found.setdefault(serial, Leftover(serial))
    leftover.made.append(Made(resource, metadata.namespace, metadata.name))
    leftover.process = metadata.annotations.get(PROCESS_ANNOTATION, leftover.process)
    seconds = metadata.labels.get(LIFE_LABEL, "")
    if seconds.isdecimal() and len(seconds) < 9:
        leftover.life = timedelta(seconds=int(seconds))
    times = [time for time in (leftover.newest, metadata.creation_timestamp) if time is not None]
    leftover.newest = max(times, default=None)


def remove_leftover(leftover: Leftover, writer: ApiWriter) -> None:
    """What holds the rest comes first. Does not wait until it is gone. Raises AccessError."""
    for entry in leftover.made:
        writer.delete(entry.resource, entry.namespace or None, entry.name)


def remove_run(run: Run, source: Source, writer: ApiWriter, clock: Clock) -> Remains | None:
    """All that the run made, and waits until it is gone. None when it is."""
    removal = _Removal(run, source, writer, clock)
    reason = removal.patiently(removal.delete)
    if reason:
        return unremoved(run, reason)
    reason = removal.patiently(removal.wait_until_gone)
    return replace(unremoved(run, reason), is_going=True) if reason else None


def unremoved(run: Run, reason: str) -> Remains:
    if run.makes_namespace:
        return Remains(run.place, reason)
    return Remains(f"{run.place} and the pods memdoctor-{run.serial}-* there", reason)


@dataclass(slots=True)
class _Removal:
    run: Run
    source: Source
    writer: ApiWriter
    clock: Clock

    def patiently(self, work: Callable[[], str]) -> str:
        """What `work` returns; while the server does not answer it is tried again. The error's line if it never did."""
        give_up = self.clock.now() + PATIENCE_SECONDS
        while True:
            try:
                return work()
            except AccessError as error:
                if self.clock.now() >= give_up:
                    return str(error)
            self.clock.sleep(2 * POLL_SECONDS)

    def delete(self) -> str:
        run = self.run
        if run.makes_namespace:
            self.writer.delete(NAMESPACES, None, run.name)
            return ""
        # The pods by name as well: a garbage collector takes its time.
        self.writer.delete(CONFIG_MAPS, run.namespace, run.name)
        for pod in _listed(self.source, PODS, run.namespace, run.selector):
            self.writer.delete(PODS, run.namespace, pod.metadata.name)
        return ""

    def wait_until_gone(self) -> str:
        give_up = self.clock.now() + GONE_SECONDS
        while self._is_there():
            if self.clock.now() >= give_up:
                return f"still there after {GONE_SECONDS:g}s"
            self.clock.sleep(POLL_SECONDS)
        return ""

    def _is_there(self) -> bool:
        if self.run.makes_namespace:
            try:
                self.source.get(NAMESPACES, None, self.run.name)
            except NotFound:
                return False
            return True
        return any(True for _ in _listed(self.source, PODS, self.run.namespace, self.run.selector))


def _listed(source: Source, resource: Resource[Object], namespace: str | None, selector: str) -> Iterator[Object]:
    for page in source.list(resource, namespace, label_selector=selector):
        yield from page.items
