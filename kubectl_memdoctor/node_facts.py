"""The page of a node: what it has, what its pods may use of it, what is in use, and what happened there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct, field

from kubectl_memdoctor import quantity
from kubectl_memdoctor.context import SANDBOX_REASONS, ClusterContext, PodContext
from kubectl_memdoctor.duration import human_duration
from kubectl_memdoctor.evidence.event_groups import EventGroup, group_events, newest_first
from kubectl_memdoctor.evidence.node_evidence import LISTS, ContainerUsage, NodeEvidence
from kubectl_memdoctor.evidence.pod_join import container_ids, pod_uids, same_host
from kubectl_memdoctor.evidence.runtime_errors import read_runtime_error
from kubectl_memdoctor.finding import NodeFacts, Note, PodNotes
from kubectl_memdoctor.limit_sentences import in_bytes
from kubectl_memdoctor.logged_pods import LoggedPod, evidence_of
from kubectl_memdoctor.node_room import at_least, at_most
from kubectl_memdoctor.objects import PODS, Condition, Event, Node, NodeSystemInfo, Pod
from kubectl_memdoctor.pod_facts import pod_status
from kubectl_memdoctor.pod_limit import pod_memory_limit, pod_memory_request
from kubectl_memdoctor.pod_notes import ids_in, notes_outside, pod_notes, status_notes
from kubectl_memdoctor.sandbox_minimum import sandbox_minimum
from kubectl_memdoctor.survey import FINISHED

CONDITIONS = ("Ready", "MemoryPressure")
DELETED = "pod deleted"
EVICTED = "Evicted"


class PodSums(Struct):
    """What the pods of a node that are not finished request and may use, in bytes; filled as they pass by."""

    pods: int = 0
    requests: int = 0
    limits: int = 0
    limited: int = 0
    """How many have a limit as a whole."""
    keys: set[str] = field(default_factory=set)
    """The uids and names of all its pods, finished ones as well."""
    container_ids: set[str] = field(default_factory=set)

    def add(self, pod: Pod) -> None:
        self.keys |= {*pod_uids(pod), f"{pod.metadata.namespace}/{pod.metadata.name}"}
        self.container_ids |= container_ids(pod).keys()
        if pod.status.phase in FINISHED:
            return
        self.pods += 1
        self.requests += pod_memory_request(pod)
        limit = pod_memory_limit(pod).limit_bytes
        if limit is not None:
            self.limits += limit
            self.limited += 1

    def holds(self, logged: LoggedPod) -> bool:
        return logged.key in self.keys


def part_of(evidence: NodeEvidence, node: str, *, alone: bool) -> NodeEvidence:
    """What was read of one node. `alone`: it is the only one that was asked for, so what names no host is its own."""

    def own(entries: Iterable[object]) -> tuple[object, ...]:
        return tuple(entry for entry in entries if _is_of(entry, node, alone))

    lists = {name: own(getattr(evidence, name)) for name in LISTS}
    versions = {name: version for name, version in evidence.cgroup_versions.items() if name == node}
    return NodeEvidence(**lists, cgroup_versions=versions)  # type: ignore[arg-type]


def _is_of(entry: object, node: str, alone: bool) -> bool:
    host: str = getattr(entry, "node", "")
    return same_host(node, host) if host else alone


class NodeView(Struct, frozen=True):
    """One node and all that was read about it."""

    name: str
    cluster: ClusterContext
    pods: tuple[PodContext, ...]
    """The remarkable ones on it."""
    sums: PodSums
    evidence: NodeEvidence
    """The node's own part."""
    unlisted: tuple[LoggedPod, ...]
    """Pods that its logs tell of and that are not among its pods."""

    @property
    def node(self) -> Node | None:
        """None where it could not be read."""
        return self.cluster.nodes.get(self.name)


def node_facts(view: NodeView) -> NodeFacts:
    return NodeFacts(
        name=view.name,
        conditions=_conditions(view),
        capacity=_capacity(view),
        requests=_requests(view),
        limits=_limits(view),
        use=_use(view),
        versions=_versions(view),
        minimum=_minimum(view),
        events=tuple(_events(view)),
        evictions=tuple(_evictions(view)),
        small_limits=tuple(_small_limits(view)),
        pods=tuple(_pods(view)),
    )


UNREAD = "not known: the node could not be read"


def _conditions(view: NodeView) -> str:
    if view.node is None:
        return UNREAD
    found = {entry.type: entry for entry in view.node.status.conditions}
    return "; ".join(_condition(found[name], view.cluster.now) for name in CONDITIONS if name in found) or "none is set"


def _condition(condition: Condition, now: datetime) -> str:
    since = condition.last_transition_time
    lasting = f" for {human_duration(now - since)}" if since else ""
    is_well = condition.status == ("True" if condition.type == "Ready" else "False")
    reason = f" ({condition.message or condition.reason})" if not is_well and condition.reason else ""
    return f"{condition.type} {condition.status}{lasting}{reason}"


def _capacity(view: NodeView) -> str:
    if view.node is None:
        return UNREAD
    capacity, allocatable = view.node.status.capacity.get("memory"), view.node.status.allocatable.get("memory")
    return f"{_size(capacity)}, of which pods may use {_size(allocatable)} (allocatable)"


def _size(text: str | None) -> str:
    count = _bytes(text)
    return "an unknown amount" if count is None else at_most(count)


def _bytes(text: str | None) -> int | None:
    try:
        return quantity.value(text) if text else None
    except quantity.QuantityError:
        return None


def _allocatable(view: NodeView) -> int | None:
    return _bytes(view.node.status.allocatable.get("memory")) if view.node else None


def _requests(view: NodeView) -> str:
    if PODS.name in view.cluster.unreadable:
        return "not known: pods could not be read"
    sums = view.sums
    return f"{_amount(sums.requests)}{_share(sums.requests, view)} by {_count(sums.pods, 'pod')}"


def _limits(view: NodeView) -> str:
    if PODS.name in view.cluster.unreadable:
        return "not known: pods could not be read"
    sums = view.sums
    rest = sums.pods - sums.limited
    without = f"; {_count(rest, 'pod')} {'has' if rest == 1 else 'have'} no limit as a whole" if rest else ""
    return f"{_amount(sums.limits)}{_share(sums.limits, view)} by {_count(sums.limited, 'pod')}{without}"


def _amount(count: int) -> str:
    text = at_least(count)
    return _count(count, "byte") if text.isdigit() else text


def _share(count: int, view: NodeView) -> str:
    """Of what pods may use together."""
    whole = _allocatable(view)
    return f" ({count * 100 // whole} %)" if whole else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _use(view: NodeView) -> str:
    usages = [entry for entry in view.evidence.usages if not entry.pod and not entry.container]
    if not usages:
        return "not known"
    newest = max(usages, key=_time)
    ago = f", {human_duration(view.cluster.now - newest.time)} ago" if newest.time else ""
    used = newest.working_set_bytes
    return f"{_amount(used)}{_share(used, view)} working set, by {_SAYS.get(newest.source, 'its kubelet')}{ago}"


_SAYS = {"metrics": "the metrics API"}


def _time(usage: ContainerUsage) -> float:
    return usage.time.timestamp() if usage.time else 0.0


def _versions(view: NodeView) -> str:
    info = view.node.status.node_info if view.node else NodeSystemInfo()
    version = view.evidence.cgroup_versions.get(view.name)
    known = (
        info.container_runtime_version.replace("://", " "),
        info.kubelet_version and f"kubelet {info.kubelet_version}",
        info.kernel_version and f"kernel {info.kernel_version}",
        info.architecture,
        f"cgroup v{version}" if version else "",
    )
    return ", ".join(filter(None, known)) or UNREAD


def _minimum(view: NodeView) -> str:
    cluster = view.cluster
    return sandbox_minimum(
        view.node,
        handler=None,
        failures=tuple(error.failure for pod in view.pods if not pod.handler for error in pod.sandbox_errors),
        bounds=None,
        measured=cluster.measured,
        override_bytes=cluster.minimum_bytes,
        cgroup_version=view.evidence.cgroup_versions.get(view.name),
    ).reason


PRESSURE = frozenset({"EvictionThresholdMet", "NodeHasInsufficientMemory", "NodeHasSufficientMemory", "SystemOOM"})
_OF_MEMORY = re.compile(r"\bmemory\b|\boom\b|\bkilled process\b", re.IGNORECASE)
_OOM_REASON = re.compile(r"OOM|OutOfMemory", re.IGNORECASE)
"""node-problem-detector's OOMKilling, and what vendors call it: PodOOMKilling, SystemOOM.
https://github.com/kubernetes/node-problem-detector/blob/v0.8.20/config/kernel-monitor.json"""


def _events(view: NodeView) -> Iterator[Note]:
    for group in group_events(view.cluster.node_events.get(view.name, ())):
        if _is_about_memory(group):
            yield _note(group, f"{group.reason}: {group.message}")


def _is_about_memory(group: EventGroup) -> bool:
    if _OOM_REASON.search(group.reason) or group.reason in PRESSURE - {"EvictionThresholdMet"}:
        return True
    return bool(_OF_MEMORY.search(group.message)) and (group.type == "Warning" or group.reason in PRESSURE)


def _failed(group: EventGroup) -> Note:
    """Of the error only its cause: what every layer puts around it says nothing of this pod."""
    return _note(group, f"{group.reason}: {read_runtime_error(group.message).innermost}")


def _note(group: EventGroup, text: str) -> Note:
    return Note("event", text, group.count, group.first, group.last)


def _evictions(view: NodeView) -> Iterator[Note]:
    """By the events that are left, else by the pods that are."""
    told: set[str] = set()
    for event in _events_here(view):
        name = f"{event.involved_object.namespace}/{event.involved_object.name}"
        if event.reason == EVICTED and "memory" in event.message:
            told.add(name)
            yield Note("event", f"{name}: {event.message}", event.times(), event.first_seen(), event.last_seen())
    for pod in view.pods:
        status = pod.pod.status
        if status.reason == EVICTED and "memory" in status.message and pod.name not in told:
            yield Note("status", f"{pod.name}: {status.message}", last=_evicted_at(pod))


def _evicted_at(pod: PodContext) -> datetime | None:
    condition = pod.pod.status.condition("DisruptionTarget")
    return condition.last_transition_time if condition else None


def _events_here(view: NodeView) -> list[Event]:
    """Of pods on the node, and of those that were on it when its kubelet wrote them; newest first."""
    found = [event for events in view.cluster.pod_events.values() for event in events if _is_here(view, event)]
    return sorted(found, key=newest_first, reverse=True)


def _is_here(view: NodeView, event: Event) -> bool:
    involved = event.involved_object
    own = (involved.uid or f"{involved.namespace}/{involved.name}") in view.sums.keys
    return own or event.source.host == view.name


def _small_limits(view: NodeView) -> Iterator[str]:
    for pod in view.pods:
        limit = pod.limit.limit_bytes
        if limit is None or pod.limit.quantity is None or pod.pod.status.phase in FINISHED:
            continue
        if limit < pod.minimum.high_bytes:
            how = "with less nothing is known to start" if limit < pod.minimum.low_bytes else "some start with less"
            needed = quantity.format_bytes(pod.minimum.high_bytes)
            written = f"{pod.limit.quantity} ({in_bytes(pod.limit.quantity)})"
            yield f"{pod.name}: {written}, under the {needed} that a sandbox may need; {how}"


def _pods(view: NodeView) -> Iterator[PodNotes]:
    found = [*_listed(view), *_gone(view), *_failed_and_gone(view)]
    yield from sorted(found, key=lambda entry: (-sum(note.count for note in entry.notes), entry.title))
    known = view.sums.container_ids | ids_in(view.evidence)
    yield from notes_outside(view.evidence, known)


def _listed(view: NodeView) -> Iterator[PodNotes]:
    for pod in view.pods:
        notes = (
            *status_notes(pod),
            *pod_notes(pod.node_evidence, container_ids(pod.pod)),
            *map(_failed, pod.events_of(*SANDBOX_REASONS)),
        )
        if notes:
            yield PodNotes(pod.name, pod_status(pod.pod), notes)


def _gone(view: NodeView) -> Iterator[PodNotes]:
    for logged in view.unlisted:
        notes = pod_notes(evidence_of(logged, view.cluster.node_evidence), {})
        if notes:
            yield PodNotes(logged.title, _gone_remark(view, logged), notes)


def _gone_remark(view: NodeView, logged: LoggedPod) -> str:
    deleted = "" if PODS.name in view.cluster.unreadable else DELETED
    return ", ".join(filter(None, (logged.called, deleted)))


def _failed_and_gone(view: NodeView) -> Iterator[PodNotes]:
    """Pods whose failing sandboxes only events still tell of."""
    gone: dict[str, list[Event]] = {}
    for event in _events_here(view):
        involved = event.involved_object
        if event.reason in SANDBOX_REASONS and involved.uid and involved.uid not in view.sums.keys:
            gone.setdefault(involved.uid, []).append(event)
    for uid, events in gone.items():
        if uid not in {logged.uid for logged in view.unlisted}:
            involved = events[0].involved_object
            notes = tuple(map(_failed, group_events(events)))
            logged = LoggedPod(involved.namespace, involved.name, uid)
            yield PodNotes(logged.title, _gone_remark(view, logged), notes)
