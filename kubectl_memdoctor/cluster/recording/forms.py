"""The ways in which a saved object is written, and what each of them becomes.

An object is known by its kind and API group, so that a resource of somebody else's that has the same kind (a Node of
longhorn.io, a Job of batch.volcano.sh) is not taken for Kubernetes' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal

import msgspec

from kubectl_memdoctor.objects import (
    EVENTS,
    NODES,
    PODS,
    RESOURCES,
    ApiObject,
    Event,
    EventSeries,
    EventSource,
    Node,
    ObjectMeta,
    ObjectReference,
    Pod,
    Resource,
    decode,
)


class Head(ApiObject, frozen=True, gc=False):
    """What every object says of itself."""

    kind: str = ""
    api_version: str = ""
    metadata: ObjectMeta = ObjectMeta()


class EventsEvent(ApiObject, frozen=True, gc=False):
    """An Event as events.k8s.io writes it: the same object under other names.

    https://github.com/kubernetes/api/blob/v0.37.0/events/v1/types.go
    """

    metadata: ObjectMeta = ObjectMeta()
    regarding: ObjectReference = ObjectReference()
    type: str = ""
    reason: str = ""
    note: str = ""
    deprecated_count: int = 0
    deprecated_first_timestamp: datetime | None = None
    deprecated_last_timestamp: datetime | None = None
    deprecated_source: EventSource = EventSource()
    event_time: datetime | None = None
    series: EventSeries | None = None
    reporting_controller: str = ""


def _core_event(event: EventsEvent) -> Event:
    return Event(
        metadata=event.metadata,
        involved_object=event.regarding,
        type=event.type,
        reason=event.reason,
        message=event.note,
        count=event.deprecated_count,
        first_timestamp=event.deprecated_first_timestamp,
        last_timestamp=event.deprecated_last_timestamp,
        event_time=event.event_time,
        series=event.series,
        source=event.deprecated_source,
        reporting_component=event.reporting_controller,
    )


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing a resource's objects: `type` is how it is decoded, `become` makes the resource's own type."""

    resource: Resource[Any]
    type: type[ApiObject]
    become: Callable[[Any], ApiObject] | None = None

    def read(self, array: bytes | memoryview) -> list[Any]:
        """A JSON array of objects -> objects of the resource's type. Raises msgspec.DecodeError."""
        return self.finished(_decoded(array, self.type))

    def finished(self, objects: list[Any]) -> list[Any]:
        return [self.become(entry) for entry in objects] if self.become else objects


_OLDER_GROUPS = {"apps": ("extensions",), "batch": ("extensions",)}
"""Deployments, ReplicaSets, DaemonSets and Jobs were in extensions/v1beta1 up to Kubernetes 1.15."""

_FORMS: dict[tuple[str, str], Form] = {}
for _resource in RESOURCES:
    _group = _resource.api_version.rpartition("/")[0]
    for _name in (_group, *_OLDER_GROUPS.get(_group, ())):
        _FORMS[_resource.kind, _name] = Form(_resource, _resource.type)
_FORMS[EVENTS.kind, "events.k8s.io"] = Form(EVENTS, EventsEvent, _core_event)
_BY_KIND = {form.resource.kind: form for form in reversed(_FORMS.values())}


def form_of(kind: str, api_version: str) -> Form | None:
    """None for what no rule reads. Without an apiVersion the kind alone decides."""
    if not api_version:
        return _BY_KIND.get(kind)
    return _FORMS.get((kind, api_version.rpartition("/")[0]))


@dataclass(frozen=True, slots=True)
class Run:
    """Objects of one form that stand one after the other: from byte `start` to `end` of what the brackets hold.

    `form` is None for objects that no rule reads (`objects` are then Heads), and for those that say no kind, where only
    the list's own kind can tell (`kind` is "").
    """

    form: Form | None
    kind: str
    start: int
    end: int
    objects: Sequence[Any]


class ItemReader:
    """JSON arrays of objects -> runs. What came last is expected next, which is the fast way."""

    def __init__(self) -> None:
        self._expected: tuple[Form, str] | None = None

    def read(self, array: bytes | memoryview, list_kind: str, list_api_version: str) -> list[Run]:
        """`list_kind` is that of the List around them, as far as it is known.

        Raises msgspec.DecodeError, RecursionError or UnicodeDecodeError when it is not that.
        """
        length = len(array) - 2
        form = form_of(list_kind.removesuffix("List"), list_api_version) if list_kind.endswith("List") else None
        if form is not None:
            return [Run(form, form.resource.kind, 0, length, form.read(array))]
        if self._expected is not None:
            form, api_version = self._expected
            try:
                objects = _marked_decoder(form.type, form.resource.kind, api_version).decode(array)
                return [Run(form, form.resource.kind, 0, length, form.finished(objects))]
            except msgspec.ValidationError:
                pass
        return list(self._one_by_one(bytes(array)))

    def _one_by_one(self, array: bytes) -> Iterator[Run]:
        where = 1
        run: Run | None = None
        for item in _items(array):
            start = array.index(item, where)
            where = start + len(item)
            if not item.startswith(b"{"):
                continue
            head = decode(item, Head)
            form = form_of(head.kind, head.api_version)
            self._expected = (form, head.api_version) if form and head.api_version else None
            entry = form.read(b"[%b]" % item)[0] if form else head
            if run is None or (run.form, run.kind) != (form, head.kind):
                if run is not None:
                    yield run
                run = Run(form, head.kind, start - 1, where - 1, [entry])
            else:
                run = Run(form, head.kind, run.start, where - 1, [*run.objects, entry])
        if run is not None:
            yield run


def _items(array: bytes) -> Iterator[bytes]:
    """The items of a JSON array, as they are written."""
    return map(bytes, msgspec.json.decode(array, type=tuple[msgspec.Raw, ...]))


@cache
def _array_decoder(type_: type[ApiObject]) -> msgspec.json.Decoder[list[Any]]:
    return msgspec.json.Decoder(list[type_])  # type: ignore[valid-type]


@cache
def _marked_decoder(type_: type[ApiObject], kind: str, api_version: str) -> msgspec.json.Decoder[list[Any]]:
    """A decoder that takes only objects that say this kind and apiVersion themselves."""
    marks = [("kind", Literal[kind]), ("api_version", Literal[api_version])]
    marked = msgspec.defstruct(
        type_.__name__, marks, bases=(type_,), frozen=True, gc=False, rename="camel", kw_only=True
    )
    return msgspec.json.Decoder(list[marked])  # type: ignore[valid-type]


def _decoded(array: bytes | memoryview, type_: type[ApiObject]) -> list[Any]:
    try:
        return _array_decoder(type_).decode(array)
    except msgspec.ValidationError:
        return [decode(item, type_) for item in _items(bytes(array)) if item.startswith(b"{")]


def newest_time(resource: Resource[Any] | None, objects: Iterable[Any], newest: datetime) -> datetime:
    """The newest time at which something had happened to one of these objects, `newest` if that is newer."""
    times = _TIMES.get(resource.name, _made) if resource else _made
    for entry in objects:
        for time in times(entry):
            if time is not None and time > newest:
                newest = time
    return newest


def _made(entry: Any) -> tuple[datetime | None, ...]:
    return (entry.metadata.creation_timestamp,)


def _pod_times(pod: Pod) -> list[datetime | None]:
    status = pod.status
    times = [condition.last_transition_time for condition in status.conditions]
    times.append(pod.metadata.creation_timestamp)
    for statuses in (status.container_statuses, status.init_container_statuses, status.ephemeral_container_statuses):
        for container in statuses:
            state, last = container.state, container.last_state
            if state.running is not None:
                times.append(state.running.started_at)
            elif state.terminated is not None:
                times.append(state.terminated.finished_at)
            if last.terminated is not None:
                times.append(last.terminated.finished_at)
    return times


def _event_times(event: Event) -> tuple[datetime | None, ...]:
    return (event.last_seen(),)


def _node_times(node: Node) -> list[datetime | None]:
    return [node.metadata.creation_timestamp, *(entry.last_transition_time for entry in node.status.conditions)]


_TIMES: dict[str, Callable[[Any], Iterable[datetime | None]]] = {
    PODS.name: _pod_times,
    EVENTS.name: _event_times,
    NODES.name: _node_times,
}
