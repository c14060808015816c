"""Takes away what was made: this run's own at its end, and what earlier runs left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from kubectl_memdoctor.calibration.manifests import LIFE_SECONDS, OWN_PREFIX, RUN_LABEL, Run
from kubectl_memdoctor.cluster.source import NotFound, Source, Unreadable
from kubectl_memdoctor.cluster.writing import ApiWriter
from kubectl_memdoctor.objects import CONFIG_MAPS, NAMESPACES, PODS, ObjectMeta, Resource
from kubectl_memdoctor.temporary.clock import Clock
from kubectl_memdoctor.temporary.manifests import selector
from kubectl_memdoctor.temporary.removal import Leftover, Remains, listed, remove

EVERY_RUN = selector(RUN_LABEL)


def left_namespaces(source: Source) -> list[Leftover]:
    """Runs in namespaces of their own. Raises AccessError."""
    found: dict[str, Leftover] = {}
    for namespace in listed(source, NAMESPACES, None, EVERY_RUN):
        _note(found, NAMESPACES, namespace.metadata)
        for pod in listed(source, PODS, namespace.metadata.name, EVERY_RUN):
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
    for namespace in listed(source, NAMESPACES, None, EVERY_RUN):
        _note(found, NAMESPACES, namespace.metadata)
    try:
        _note_content(source, None, found)
    except Unreadable as error:
        say(f"not looked for what runs with -n left: {error.reason}")
    return _sorted(found)


def _note_content(source: Source, namespace: str | None, found: dict[str, Leftover]) -> None:
    for owner in listed(source, CONFIG_MAPS, namespace, EVERY_RUN):
        _note(found, CONFIG_MAPS, owner.metadata)
    for pod in listed(source, PODS, namespace, EVERY_RUN):
        _note(found, PODS, pod.metadata)


def _sorted(found: dict[str, Leftover]) -> list[Leftover]:
    return [found[serial] for serial in sorted(found)]


def _note(found: dict[str, Leftover], resource: Resource[Any], metadata: ObjectMeta) -> None:
    serial = metadata.labels.get(RUN_LABEL, "")
    expected = f"memdoctor-{serial}-" if resource is PODS else f"{OWN_PREFIX}{serial}"
    # Somebody may have copied the labels.
    if not serial or not metadata.name.startswith(expected) or metadata.deletion_timestamp is not None:
        return
    leftover = found.setdefault(serial, Leftover(serial, timedelta(seconds=LIFE_SECONDS)))
    leftover.note(resource, metadata)


def remove_run(run: Run, source: Source, writer: ApiWriter, clock: Clock) -> Remains | None:
    """All that the run made, and waits until it is gone. None when it is."""
    return remove(all_of(run), lambda: _delete(run, source, writer), lambda: _is_there(run, source), clock)


def all_of(run: Run) -> str:
    """The names of all that the run made."""
    return run.place if run.makes_namespace else f"{run.place} and the pods memdoctor-{run.serial}-* there"


def _delete(run: Run, source: Source, writer: ApiWriter) -> None:
    if run.makes_namespace:
        writer.delete(NAMESPACES, None, run.name)
        return
    # The pods by name as well: a garbage collector takes its time.
    writer.delete(CONFIG_MAPS, run.namespace, run.name)
    for pod in listed(source, PODS, run.namespace, run.selector):
        writer.delete(PODS, run.namespace, pod.metadata.name)


def _is_there(run: Run, source: Source) -> bool:
    if not run.makes_namespace:
        return any(True for _ in listed(source, PODS, run.namespace, run.selector))
    try:
        source.get(NAMESPACES, None, run.name)
    except NotFound:
        return False
    return True
