"""Which part of a node's evidence is about which pod: by uid and container id, never by a name alone where both are
known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec import structs

from kubectl_memdoctor.evidence.cgroup_path import CgroupPath, Level
from kubectl_memdoctor.evidence.failure_tally import sandbox_ids
from kubectl_memdoctor.evidence.log_line import Writer
from kubectl_memdoctor.evidence.node_evidence import (
    AllocationFailures,
    KernelKill,
    LogSpan,
    NodeEvidence,
    PodEvidence,
)
from kubectl_memdoctor.objects import Pod

Entry = TypeVar("Entry")

CONFIG_HASH = "kubernetes.io/config.hash"
"""A static pod's uid in cgroup paths and events; the mirror pod that the API shows has another one.
https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/config/common.go"""

ABOVE_THE_POD = frozenset({Level.QOS, Level.ALLOCATABLE, Level.NODE})

ID_LETTERS = 12
"""So many of a container's id docker and crictl print; conmon logs 20. They tell the containers of a node apart."""

REPORT_DELAY = timedelta(seconds=15)
"""How far the kernel's time of a kill and the runtime's of the container's end may lie apart."""


def pod_uids(pod: Pod) -> frozenset[str]:
    """The uids under which a node knows the pod."""
    metadata = pod.metadata
    return frozenset({metadata.uid, metadata.annotations.get(CONFIG_HASH, "")} - {""})


def container_ids(pod: Pod) -> dict[str, str]:
    """Container id (without `containerd://`) -> container name, of all runs that the status still knows."""
    status = pod.status
    found: dict[str, str] = {}
    for statuses in (status.container_statuses, status.init_container_statuses, status.ephemeral_container_statuses):
        for entry in statuses:
            ended = (state.terminated for state in (entry.state, entry.last_state) if state.terminated)
            ids = (entry.container_id, *(terminated.container_id for terminated in ended))
            found |= {bare_id(text): entry.name for text in ids if text}
    return found


def bare_id(container_id: str) -> str:
    """`containerd://0123...` -> `0123...`."""
    return container_id.rpartition("/")[2]


def same_host(node_name: str, host: str) -> bool:
    """Whether a log's host name can be this node's: either may have its domain left out."""
    if not node_name or not host:
        return False
    if node_name == host:
        return True
    one, other = node_name.partition("."), host.partition(".")
    return one[0] == other[0] and not (one[2] and other[2])


def owned_failures(evidence: NodeEvidence) -> Iterator[AllocationFailures]:
    """Failed allocations of each cgroup once, of several logs that tell of it from the one that saw most of them, and
    with the pod of a container that any other line ties to one pod only."""
    owners: dict[str, set[str]] = {}
    for container_id, uid in _tied(evidence):
        owners.setdefault(container_id, set()).add(uid)
    most: dict[str, AllocationFailures] = {}
    for entry in evidence.allocation_failures:
        known = most.setdefault(entry.cgroup.path, entry)
        most[entry.cgroup.path] = max(known, entry, key=lambda one: (one.count, one.owner_uid))
    for entry in most.values():
        tied = owners.get(entry.cgroup.container_id, set())
        is_certain = not entry.pod_uid and len(tied) == 1
        yield structs.replace(entry, owner_uid=next(iter(tied))) if is_certain else entry


def _tied(evidence: NodeEvidence) -> Iterator[tuple[str, str]]:
    """Container ids, each with the uid of a pod that it belongs to."""
    cgroups = [cgroup for kill in evidence.kills for cgroup in (kill.task_cgroup, kill.oom_cgroup)]
    cgroups += [oom.cgroup for oom in evidence.kubelet_ooms]
    cgroups += [entry.cgroup for entry in evidence.counters]
    for cgroup in cgroups:
        if cgroup is not None and cgroup.container_id and cgroup.pod_uid:
            yield cgroup.container_id, cgroup.pod_uid
    for failures in evidence.sandbox_failures:
        if failures.pod_uid:
            for text in (failures.message, *(line.text for line in failures.lines)):
                yield from ((container_id, failures.pod_uid) for container_id in sandbox_ids(text))


class EvidenceIndex:
    """A NodeEvidence that can be asked for one pod after the other."""

    def __init__(self, evidence: NodeEvidence | None = None) -> None:
        self.whole = evidence or NodeEvidence()
        kills = tuple(self._timed(kill) for kill in self.whole.kills)
        self._above = tuple(kill for kill in kills if kill.level in ABOVE_THE_POD)
        self._kills = _by(lambda kill: kill.pod_uid, kills)
        self._allocation_failures = _by(
            lambda entry: entry.pod_uid or entry.cgroup.container_id, self.whole.allocation_failures
        )
        self._kubelet_ooms = _by(lambda oom: _uid(oom.cgroup), self.whole.kubelet_ooms)
        self._failures = _by(
            lambda entry: entry.pod_uid or _name(entry.namespace, entry.name), self.whole.sandbox_failures
        )
        self._listings = _by(lambda entry: entry.pod_uid or _name(entry.namespace, entry.name), self.whole.listings)
        self._counters = _by(lambda entry: _uid(entry.cgroup) or _name(entry.namespace, entry.pod), self.whole.counters)
        self._usages = _by(lambda entry: entry.pod_uid or _name(entry.namespace, entry.pod), self.whole.usages)
        self._runtime_ooms = _by(lambda oom: oom.container_id[:ID_LETTERS], self.whole.runtime_ooms)

    def __bool__(self) -> bool:
        return bool(self.whole)

    def mentioned(self) -> set[str]:
        """The uids (or `namespace/name`) of pods in which something was killed, or whose sandbox failed."""
        counted = {key for key, entries in self._counters.items() if any(entry.oom_events for entry in entries)}
        return {*self._kills, *self._kubelet_ooms, *self._failures, *counted} - {""}

    def of(self, pod: Pod) -> PodEvidence:
        """What is about this pod, and about its node where that is known."""
        if not self.whole:
            return PodEvidence()
        name = _name(pod.metadata.namespace, pod.metadata.name)
        own_ids = container_ids(pod)
        uids = sorted(pod_uids(pod))
        kills = _each(self._kills, uids)
        return PodEvidence(
            kills=kills,
            node_kills=tuple(kill for kill in self._above if same_host(pod.spec.node_name, kill.node)),
            allocation_failures=_each(self._allocation_failures, (*uids, *own_ids)),
            kubelet_ooms=_each(self._kubelet_ooms, uids),
            sandbox_failures=_each(self._failures, (*uids, name)),
            runtime_ooms=_each(self._runtime_ooms, (text[:ID_LETTERS] for text in own_ids)),
            listings=_each(self._listings, (*uids, name)),
            counters=_each(self._counters, (*uids, name)),
            usages=_each(self._usages, (*uids, name)),
            kernel_spans=tuple(self._kernel_spans(pod.spec.node_name, kills)),
        )

    def _timed(self, kill: KernelKill) -> KernelKill:
        """A raw dmesg's uptime as a time of day, where something says when the node started."""
        boot = self.whole.boots.get(kill.node)
        if kill.time is not None or kill.uptime_seconds is None or boot is None:
            return kill
        return structs.replace(kill, time=boot + timedelta(seconds=kill.uptime_seconds))

    def _timed_span(self, span: LogSpan) -> LogSpan:
        boot = self.whole.boots.get(span.node)
        if span.first is not None or boot is None or span.first_uptime_seconds is None:
            return span
        last = span.first_uptime_seconds if span.last_uptime_seconds is None else span.last_uptime_seconds
        first, end = (boot + timedelta(seconds=uptime) for uptime in (span.first_uptime_seconds, last))
        return structs.replace(span, first=first, last=end)

    def _kernel_spans(self, node: str, kills: Iterable[KernelKill]) -> Iterator[LogSpan]:
        """Of the pod's node: by its name, or since a kill in this very pod stands in the same log."""
        own_files = {line.file for kill in kills for line in kill.lines}
        for span in map(self._timed_span, self.whole.spans):
            is_own = span.file in own_files if not span.node else same_host(node, span.node)
            if span.writer is Writer.KERNEL and is_own:
                yield span


def _by(key: Callable[[Entry], str], entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return groups


def _each(groups: Mapping[str, list[Entry]], keys: Iterable[str]) -> tuple[Entry, ...]:
    return tuple(entry for key in keys for entry in groups.get(key, ()))


def _uid(cgroup: CgroupPath | None) -> str:
    return cgroup.pod_uid if cgroup else ""


def _name(namespace: str, name: str) -> str:
    return f"{namespace}/{name}"


def is_watched(spans: Iterable[LogSpan], time: datetime) -> bool:
    """Whether a kernel log is there that would show a kill at this time: it reaches from before to after it, its times
    can be compared, and nothing is known to be missing."""
    return any(
        span.zone_known
        and not span.gaps
        and span.first is not None
        and span.last is not None
        and span.first <= time - REPORT_DELAY
        and time + REPORT_DELAY <= max(span.last, span.read_until or span.last)
        for span in spans
    )
