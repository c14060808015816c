"""The ways in which a saved object is written, and what each of them becomes.

An object is known by its kind and API group, so that a resource of somebody else's that has the same kind (a Node of
longhorn.io, a Job of batch.volcano.sh) is not taken for Kubernetes' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, cast

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

    def read(self, text: bytes) -> list[Any]:
        """Comma-separated JSON objects -> objects of the resource's type. Raises msgspec.DecodeError."""
        return self.finished(_decoded(text, self.type))

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
    """Objects of one form that stand one after the other: `start` and `end` are bytes from the text's beginning.

    `form` is None for objects that no rule reads (`objects` are then Heads), and for those that say no kind, where only
    the list's own kind can tell (`kind` is "").
    """

    form: Form | None
    kind: str
    start: int
    end: int
    objects: Sequence[Any]


class ItemReader:
    """Comma-separated JSON objects -> runs. What came last is expected next, which is the fast way."""

    def __init__(self) -> None:
        self._expected: tuple[Form, str] | None = None

    def read(self, text: bytes, list_kind: str, list_api_version: str) -> list[Run]:
        """`list_kind` is that of the List around them, as far as it is known.

        Raises msgspec.DecodeError, RecursionError or UnicodeDecodeError when the text is not that.
        """
        form = form_of(list_kind.removesuffix("List"), list_api_version) if list_kind.endswith("List") else None
        if form is not None:
            return [Run(form, form.resource.kind, 0, len(text), form.read(text))]
        if self._expected is not None:
            form, api_version = self._expected
            try:
                objects = _marked_decoder(form.type, form.resource.kind, api_version).decode(_bracketed(text))
                return [Run(form, form.resource.kind, 0, len(text), form.finished(objects))]
            except msgspec.ValidationError:
                pass
        return list(self._one_by_one(text))

    def _one_by_one(self, text: bytes) -> Iterator[Run]:
        where = 0
        run: Run | None = None
        for raw in msgspec.json.decode(_bracketed(text), type=tuple[msgspec.Raw, ...]):
            item = bytes(raw)
            start = text.index(item, where)
            where = start + len(item)
            if not item.startswith(b"{"):
                continue
            head = decode(item, Head)
            form = form_of(head.kind, head.api_version)
            self._expected = (form, head.api_version) if form and head.api_version else None
            entry = form.read(item)[0] if form else head
            if run is None or (run.form, run.kind) != (form, head.kind):
                if run is not None:
                    yield run
                run = Run(form, head.kind, start, where, [entry])
            else:
                run = Run(form, head.kind, run.start, where, [*run.objects, entry])
        if run is not None:
            yield run


def _bracketed(text: bytes) -> bytes:
    return b"[%b]" % text


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


def _decoded(text: bytes, type_: type[ApiObject]) -> list[Any]:
    body = _bracketed(text)
    try:
        return _array_decoder(type_).decode(body)
    except msgspec.ValidationError:
        raws = (bytes(raw) for raw in msgspec.json.decode(body, type=tuple[msgspec.Raw, ...]))
        return [decode(raw, type_) for raw in raws if raw.startswith(b"{")]


def newest_time(resource: Resource[Any] | None, objects: Iterable[Any]) -> datetime | None:
    """The newest time at which something had happened to one of these objects."""
    times = _TIMES.get(resource.name, _made) if resource else _made
    return max((time for entry in objects for time in times(entry) if time is not None), default=None)


def _made(entry: Any) -> Iterator[datetime | None]:
    yield entry.metadata.creation_timestamp


def _pod_times(pod: Pod) -> Iterator[datetime | None]:
    yield pod.metadata.creation_timestamp
    status = pod.status
    yield from (condition.last_transition_time for condition in status.conditions)
    for statuses in (status.container_statuses, status.init_container_statuses, status.ephemeral_container_statuses):
        for container in statuses:
            if container.state.running is not None:
                yield container.state.running.started_at
            for state in (container.state, container.last_state):
                if state.terminated is not None:
                    yield state.terminated.finished_at


def _event_times(event: Event) -> Iterator[datetime | None]:
    yield event.last_seen()


def _node_times(node: Node) -> Iterator[datetime | None]:
    yield node.metadata.creation_timestamp
    yield from (condition.last_transition_time for condition in node.status.conditions)


_TIMES = cast(
    dict[str, Callable[[Any], Iterator[datetime | None]]],
    {PODS.name: _pod_times, EVENTS.name: _event_times, NODES.name: _node_times},
)
