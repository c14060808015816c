"""The ways in which a saved object is written, and what each of them becomes.

An object is known by its kind and API group, so that a resource of somebody else's that has the same kind (a Node of
longhorn.io, a Job of batch.volcano.sh) is not taken for Kubernetes' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from kubectl_memdoctor.objects import (
    EVENTS,
    NODES,
    PODS,
    RESOURCES,
    ApiObject,
    Condition,
    Event,
    EventSeries,
    EventSource,
    Node,
    NodeStatus,
    ObjectMeta,
    ObjectReference,
    Pod,
    PodSpec,
    PodStatus,
    Resource,
    Time,
    decode,
)


class _HeadSpec(ApiObject, frozen=True, gc=False):
    renew_time: Time | None = None


class Head(ApiObject, frozen=True, gc=False):
    """What every object says of itself, and when a Lease was renewed."""

    kind: str = ""
    api_version: str = ""
    metadata: ObjectMeta = ObjectMeta()
    spec: _HeadSpec = _HeadSpec()


class SavedNodeCondition(Condition, frozen=True, gc=False):
    last_heartbeat_time: Time | None = None


class SavedNodeStatus(NodeStatus, frozen=True, gc=False):
    conditions: tuple[SavedNodeCondition, ...] = ()


class SavedNode(Node, frozen=True, gc=False):
    """A Node with what tells when it was saved: the kubelet renews its conditions at least every five minutes."""

    status: SavedNodeStatus = SavedNodeStatus()


class SelectablePodSpec(PodSpec, frozen=True, gc=False):
    restart_policy: str = ""
    scheduler_name: str = ""
    service_account_name: str = ""
    host_network: bool = False


class PodIP(ApiObject, frozen=True, gc=False):
    ip: str = ""


class SelectablePodStatus(PodStatus, frozen=True, gc=False):
    pod_ip: str = msgspec.field(default="", name="podIP")
    pod_ips: tuple[PodIP, ...] = msgspec.field(default=(), name="podIPs")
    nominated_node_name: str = ""


class SelectablePod(Pod, frozen=True, gc=False):
    """A Pod with all that field selectors can ask for."""

    spec: SelectablePodSpec = SelectablePodSpec()
    status: SelectablePodStatus = SelectablePodStatus()


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
    deprecated_first_timestamp: Time | None = None
    deprecated_last_timestamp: Time | None = None
    deprecated_source: EventSource = EventSource()
    event_time: Time | None = None
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


class Form(Struct, frozen=True):
    """One way of writing a resource's objects: `written` is decoded, `become` makes the resource's own type of it."""

    resource: Resource[Any]
    written: type[ApiObject]
    become: Callable[[Any], ApiObject] | None = None

    def read(self, array: bytes | memoryview, type_: type[ApiObject] | None = None) -> list[Any]:
        """A JSON array of objects -> objects of the resource's type. `type_`: read more of them than usual.

        Raises msgspec.DecodeError.
        """
        return self.finished(_decoded(array, type_ or self.written))

    def finished(self, objects: list[Any]) -> list[Any]:
        return [self.become(entry) for entry in objects] if self.become else objects


_OLDER_GROUPS = {"apps": ("extensions",), "batch": ("extensions",)}
"""Deployments, ReplicaSets, DaemonSets and Jobs were in extensions/v1beta1 up to Kubernetes 1.15."""


def _known_forms() -> Iterator[tuple[str, str, Form]]:
    """Kind, API group and form; the usual group of a kind before its other ones."""
    for resource in RESOURCES:
        group = resource.api_version.rpartition("/")[0]
        written = SavedNode if resource is NODES else resource.type
        for name in (group, *_OLDER_GROUPS.get(group, ())):
            yield resource.kind, name, Form(resource, written)
    yield EVENTS.kind, "events.k8s.io", Form(EVENTS, EventsEvent, _core_event)


_FORMS = {(kind, group): form for kind, group, form in _known_forms()}
_USUAL_FORMS = {kind: form for kind, _, form in reversed([*_known_forms()])}


def form_of(kind: str, api_version: str) -> Form | None:
    """None for what no rule reads. Without an apiVersion the kind alone decides."""
    if not api_version:
        return _USUAL_FORMS.get(kind)
    return _FORMS.get((kind, api_version.rpartition("/")[0]))


def list_form(kind: str, api_version: str) -> Form | None:
    """That of the items of a PodList, an EventList ...; a plain List does not say."""
    return form_of(kind.removesuffix("List"), api_version) if kind.endswith("List") else None


class InnerList(ApiObject, frozen=True, gc=False):
    kind: str = ""
    api_version: str | None = None
    items: tuple[msgspec.Raw, ...] | None = None


def inner_lists(array: bytes) -> list[InnerList]:
    """A JSON array of Lists; what only has a kind that ends like one has no items."""
    return _decoded(array, InnerList)


class Run(Struct):
    """Objects of one form that stand one after the other: from byte `start` to `end` of what the brackets hold.

    `form` is None for objects that no rule reads (`objects` are then Heads). `kind` is empty where the objects do not
    say it, nor does the list so far.
    """

    form: Form | None
    kind: str
    start: int
    end: int = 0
    objects: list[Any] = field(default_factory=list)


class ItemReader:
    """JSON arrays of objects -> runs. What came last is expected next, which is the fast way."""

    def __init__(self) -> None:
        self._expected: tuple[Form, str] | None = None

    def read(self, array: bytes | memoryview, list_kind: str, list_api_version: str) -> list[Run]:
        """`list_kind` is that of the List around them, as far as it is known.

        Raises msgspec.DecodeError, RecursionError or UnicodeDecodeError when it is not that.
        """
        length = len(array) - 2
        form = list_form(list_kind, list_api_version)
        if form is not None:
            return [Run(form, form.resource.kind, 0, length, form.read(array))]
        if self._expected is not None:
            form, api_version = self._expected
            try:
                objects = _marked_decoder(form.written, form.resource.kind, api_version).decode(array)
                return [Run(form, form.resource.kind, 0, length, form.finished(objects))]
            except msgspec.ValidationError:
                pass
        return list(self._one_by_one(bytes(array), list_kind.removesuffix("List")))

    def _one_by_one(self, array: bytes, item_kind: str) -> Iterator[Run]:
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
            kind = head.kind or item_kind
            if run is None or (run.form, run.kind) != (form, kind):
                if run is not None:
                    yield run
                run = Run(form, kind, start - 1)
            run.end = where - 1
            run.objects += form.read(b"[%b]" % item) if form else [head]
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
    times = _TIMES.get(resource.group_resource, _made) if resource else _head_times
    known: Iterator[datetime] = filter(None, chain.from_iterable(map(times, objects)))
    return max(chain((newest,), known))


def _head_times(head: Head) -> tuple[datetime | None, ...]:
    return head.metadata.creation_timestamp, head.spec.renew_time if head.kind == "Lease" else None


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


def _node_times(node: SavedNode) -> list[datetime | None]:
    conditions = node.status.conditions
    times = [time for entry in conditions for time in (entry.last_heartbeat_time, entry.last_transition_time)]
    return [node.metadata.creation_timestamp, *times]


_TIMES: dict[str, Callable[[Any], Iterable[datetime | None]]] = {
    PODS.group_resource: _pod_times,
    EVENTS.group_resource: _event_times,
    NODES.group_resource: _node_times,
}
