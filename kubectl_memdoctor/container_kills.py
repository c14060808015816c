"""Who killed a container: its own limit, the pod's, a full node, or somebody else. Each known end has one answer.

A status says less than it seems to. `OOMKilled` stays on a container once any process in it was killed, whatever ends
it later; exit code 137 is SIGKILL, whoever sent it. So the exit code, the limits in force and what happened at the same
time are read together.
https://github.com/containerd/containerd/blob/v2.1.0/internal/cri/server/events.go (TaskOOM)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from msgspec import Struct, structs

from kubectl_memdoctor import quantity
from kubectl_memdoctor.context import SIGKILL_EXIT, ContainerEnd, PodContext, is_killed
from kubectl_memdoctor.duration import human_duration
from kubectl_memdoctor.evidence.cgroup_path import Level
from kubectl_memdoctor.evidence.event_groups import group_events
from kubectl_memdoctor.evidence.node_evidence import KernelKill
from kubectl_memdoctor.finding import Confidence, Evidence, InvolvedObject, Memory
from kubectl_memdoctor.kernel_verdict import (
    deadly_kill,
    is_at_the_end,
    kernel_evidence,
    kernel_sentences,
    kills_of_run,
    was_not_the_kernel,
)
from kubectl_memdoctor.kill_reasons import KillReason, kill_reason
from kubectl_memdoctor.limit_sentences import in_bytes
from kubectl_memdoctor.objects import EVENTS, Container, ContainerStatus, Event, ResourceRequirements
from kubectl_memdoctor.oom_shape import OomShape
from kubectl_memdoctor.pod_limit import POD_LEVEL_FIELD, LimitSource, is_windows
from kubectl_memdoctor.usage import Usage

SAME_MOMENT = timedelta(seconds=15)
"""The kubelet and node-problem-detector write a kernel OOM down within seconds."""

STATUS_UNKNOWN = "ContainerStatusUnknown"
"""The kubelet writes exit code 137 itself for a container that it no longer found.
https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/kubelet_pods.go (convertToAPIContainerStatuses)"""

KEEPS_DYING = timedelta(hours=1)
"""A container that was restarted more than once and killed this recently keeps dying."""

SUM_OF_LIMITS = "spec.containers[*].resources.limits.memory"


class Killer(StrEnum):
    """Whose memory ran out; CHILD: the container's, but it cost another process; OTHER: it was not the OOM killer, as
    far as can be seen."""

    CONTAINER = "container"
    POD = "pod"
    NODE = "node"
    CHILD = "child"
    OTHER = "other"


class LimitInForce(Struct, frozen=True):
    """A memory limit that holds for a container. `of_pod`: it is that of all containers together."""

    quantity: str
    field: str
    source: LimitSource
    of_pod: bool

    @property
    def bytes(self) -> int:
        return quantity.value(self.quantity)

    @property
    def words(self) -> str:
        """`64Mi (67108864 bytes)`."""
        return f"{self.quantity} ({in_bytes(self.quantity)})"


class Kill(Struct, frozen=True):
    """One end of a container and who is behind it. `reason` is there when something else explains the end, `kernel`
    when the node's kernel log tells of it; `excluded` when that log is whole for the time and does not."""

    end: ContainerEnd
    killer: Killer
    confidence: Confidence
    reason: KillReason | None = None
    node_event: Evidence | None = None
    kernel: KernelKill | None = None
    excluded: bool = False


class KilledContainer(Struct, frozen=True):
    """A container with those of its known ends that have the same killer, newest first."""

    pod: PodContext
    status: ContainerStatus
    kills: tuple[Kill, ...]
    limit: LimitInForce | None

    @property
    def newest(self) -> Kill:
        return self.kills[0]

    @property
    def title(self) -> str:
        """`its container app`, `its init container setup`, `its sidecar mesh`, `its ephemeral container debug`."""
        return f"its {_kind_in_words(self.newest.end.kind, self.container)} {self.newest.end.container}"

    @property
    def container(self) -> Container | None:
        spec = self.pod.pod.spec
        everyone = (*spec.containers, *spec.init_containers, *spec.ephemeral_containers)
        return next((entry for entry in everyone if entry.name == self.newest.end.container), None)

    @property
    def usage(self) -> Usage | None:
        return self.pod.usage(self.newest.end.container)

    @property
    def can_be_changed(self) -> bool:
        """Ephemeral containers have no resources, and nobody starts them again."""
        return self.newest.end.kind != "ephemeralContainers"

    def keeps_dying(self) -> bool:
        """It is down because of this now, or was brought up again more than once and fell lately."""
        pod, end = self.pod, self.newest.end
        if pod.pod.status.phase in ("Succeeded", "Failed") or pod.pod.metadata.deletion_timestamp is not None:
            return False
        if not self.can_be_changed:
            return False
        if end.current:
            return True
        waiting = self.status.state.waiting
        if waiting is not None and waiting.reason == "CrashLoopBackOff":
            return True
        finished = end.terminated.finished_at
        return self.status.restart_count >= 2 and finished is not None and pod.now - finished <= KEEPS_DYING

    def involved(self) -> InvolvedObject:
        end = self.newest.end
        return self.pod.involved(f"spec.{end.kind}{{{end.container}}}")

    def shape(self) -> OomShape:
        made = self.pod.pod.metadata.creation_timestamp
        return OomShape(
            lasted=tuple(lasted for kill in self.kills if (lasted := kill.end.lasted()) is not None),
            restarts=self.status.restart_count,
            pods=self.pod.siblings.total,
            killed_pods=self.pod.siblings.oom_killed,
            pod_age=self.pod.now - made if made else None,
            initialises=self.title.startswith("its init container "),
            of_job=any(owner.kind == "Job" for owner in self.pod.pod.metadata.owner_references),
        )

    def memory(self) -> Memory:
        limit = self.limit
        request = self.container.resources.requests.get("memory") if self.container else None
        return Memory(
            limit_bytes=limit.bytes if limit else None,
            limit_quantity=limit.quantity if limit else None,
            limit_source=limit.source.value if limit else None,
            request_bytes=_bytes(request),
        )

    def evidence(self) -> Iterator[Evidence]:
        """The limit, every known end, how often it was restarted, the events that speak of these ends, and its use."""
        if self.limit is not None:
            yield self.pod.evidence(self.limit.field, self.limit.quantity)
        for kill in self.kills:
            terminated = kill.end.terminated
            value = f"{terminated.reason or 'no reason'}, exit code {terminated.exit_code}"
            yield self.pod.evidence(kill.end.field, value, terminated.finished_at)
        where = f"status.{_LISTS[self.newest.end.kind]}{{{self.status.name}}}"
        if self.status.restart_count:
            yield self.pod.evidence(f"{where}.restartCount", str(self.status.restart_count))
        if self.status.state.waiting is not None:
            yield self.pod.evidence(f"{where}.state.waiting", self.status.state.waiting.reason)
        events = [kill.reason.evidence for kill in self.kills if kill.reason]
        events += [kill.node_event for kill in self.kills if kill.node_event]
        yield from dict.fromkeys(events)
        if self.newest.kernel is not None:
            yield from kernel_evidence(self.pod, self.newest.kernel)
        if self.usage is not None:
            yield from self.usage.evidence

    def kernel_sentences(self) -> Iterator[str]:
        """What the kernel log adds, if it was read and tells of the newest kill."""
        if self.newest.kernel is not None:
            yield from kernel_sentences(self.newest.kernel)

    def usage_sentences(self) -> Iterator[str]:
        """What it and its replicas use and used, as far as anybody was asked."""
        if self.usage is not None:
            yield from self.usage.sentences()

    def when(self) -> str:
        """` 5m ago`, ` just now`, or nothing when the time is not known."""
        finished = self.newest.end.terminated.finished_at
        if finished is None:
            return ""
        age = self.pod.now - finished
        return f" {human_duration(age)} ago" if age >= timedelta(seconds=1) else " just now"


_LISTS = {
    "containers": "containerStatuses",
    "initContainers": "initContainerStatuses",
    "ephemeralContainers": "ephemeralContainerStatuses",
}
"""The list in the spec -> the list in the status."""


def _statuses(pod: PodContext, kind: str) -> tuple[ContainerStatus, ...]:
    status = pod.pod.status
    if kind == "initContainers":
        return status.init_container_statuses
    return status.ephemeral_container_statuses if kind == "ephemeralContainers" else status.container_statuses


def _kind_in_words(kind: str, container: Container | None) -> str:
    if kind == "ephemeralContainers":
        return "ephemeral container"
    if kind == "containers":
        return "container"
    return "sidecar" if container is not None and container.restart_policy == "Always" else "init container"


def _bytes(text: str | None) -> int | None:
    try:
        return quantity.value(text) if text else None
    except quantity.QuantityError:
        return None


def killed_containers(pod: PodContext, killer: Killer) -> Iterator[KilledContainer]:
    """The containers that `killer` killed, in the order of the status."""
    if is_windows(pod.pod):
        return
    by_container: dict[tuple[str, str], list[Kill]] = {}
    for end in pod.ends:
        if is_killed(end.terminated) and not _never_ran(pod, end):
            kill = _kill(pod, end)
            if kill.killer is killer:
                by_container.setdefault((end.kind, end.container), []).append(kill)
    for (kind, name), kills in by_container.items():
        status = next(entry for entry in _statuses(pod, kind) if entry.name == name)
        yield KilledContainer(pod, status, tuple(kills), _limit_reached(pod, name, kills[0]))


def _never_ran(pod: PodContext, end: ContainerEnd) -> bool:
    """Whether the kubelet filled in an end for a container that had none: of a pod that is deleted before it starts.

    For one that had run it counts a restart as well.
    https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/status/status_manager.go (TerminatePod)
    """
    restarts = next(entry.restart_count for entry in _statuses(pod, end.kind) if entry.name == end.container)
    return end.current and end.terminated.reason == STATUS_UNKNOWN and restarts == 0


def limit_in_force(pod: PodContext, name: str) -> LimitInForce | None:
    """The container's own limit, else the pod's, as the node has it: a resize in place may be pending. None when
    neither is there.

    An ephemeral container has no limit, but runs in the pod's cgroup, which has the sum of the others'.
    """
    limit = pod.container_limit(name)
    if limit is None or not limit.quantity or (_bytes(limit.quantity) or 0) <= 0:
        return _limit_of_pod(pod)
    if limit.field == POD_LEVEL_FIELD:
        in_force = LimitInForce(limit.quantity, limit.field, LimitSource.POD, of_pod=True)
        return _as_reported(in_force, pod.pod.status.resources, "status.resources")
    source = LimitSource.LIMIT_RANGE if limit.from_limit_range else LimitSource.CONTAINERS
    kind = limit.field_path.removeprefix("spec.").partition("{")[0]
    status = next((entry for entry in _statuses(pod, kind) if entry.name == name), None)
    in_force = LimitInForce(limit.quantity, limit.field, source, of_pod=False)
    return _as_reported(in_force, status.resources if status else None, f"status.{_LISTS[kind]}{{{name}}}.resources")


def _limit_reached(pod: PodContext, name: str, kill: Kill) -> LimitInForce | None:
    """The limit in force, or the pod's, where the kernel says that it was this one that was reached."""
    if kill.killer is Killer.POD and kill.kernel is not None:
        return _limit_of_pod(pod) or limit_in_force(pod, name)
    return limit_in_force(pod, name)


def _limit_of_pod(pod: PodContext) -> LimitInForce | None:
    total = pod.limit
    if total.limit_bytes is None or total.quantity is None or total.source is None:
        return None
    field = POD_LEVEL_FIELD if total.source is LimitSource.POD else SUM_OF_LIMITS
    return LimitInForce(total.quantity, field, total.source, of_pod=True)


def _as_reported(limit: LimitInForce, reported: ResourceRequirements | None, field: str) -> LimitInForce:
    text = reported.limits.get("memory") if reported else None
    in_force = _bytes(text)
    if text is None or in_force is None or in_force <= 0 or in_force == limit.bytes:
        return limit
    return structs.replace(limit, quantity=text, field=f"{field}.limits.memory")


def _kill(pod: PodContext, end: ContainerEnd) -> Kill:
    reason = kill_reason(pod, end)
    kernel = deadly_kill(pod, end)
    if kernel is not None and (reason is None or is_at_the_end(kernel, end)):
        return _by_kernel(pod, end, kernel)
    earlier = kills_of_run(pod, end) if kernel is None else ()
    if earlier and (reason is not None or was_not_the_kernel(pod, end)):
        return Kill(end, Killer.CHILD, Confidence.CONFIRMED, reason, kernel=earlier[-1])
    if earlier:
        # The times of a log can be off by minutes (dmesg -T): one kill and one end by SIGKILL are most likely the same.
        return structs.replace(_by_kernel(pod, end, earlier[-1]), confidence=Confidence.LIKELY)
    if reason is None and was_not_the_kernel(pod, end):
        return _excluded(pod, end)
    return _by_status(pod, end, reason)


_KILLERS = {Level.CONTAINER: Killer.CONTAINER, Level.POD: Killer.POD}
"""Every other level is above the pod: the node, or the part of it that pods may use."""


def _by_kernel(pod: PodContext, end: ContainerEnd, kernel: KernelKill) -> Kill:
    """The kernel names the run's cgroup and the limit that was reached."""
    if end.terminated.exit_code != SIGKILL_EXIT:
        return Kill(end, Killer.CHILD, Confidence.CONFIRMED, kernel=kernel)
    if kernel.level is Level.OTHER and kernel.oom_cgroup is None:
        # A rate-limited report: whom it killed, and no more.
        return structs.replace(_marked(pod, end), kernel=kernel)
    killer = _KILLERS.get(kernel.level, Killer.NODE)
    if killer is Killer.POD and _is_alone(pod, end.container):
        killer = Killer.CONTAINER
    return Kill(end, killer, Confidence.CONFIRMED, kernel=kernel)


def _is_alone(pod: PodContext, name: str) -> bool:
    """Whether the pod's limit is this container's own: then it is reached first, as the sandbox uses some of it."""
    limit = limit_in_force(pod, name)
    return limit is not None and not limit.of_pod and limit.bytes == pod.limit.limit_bytes


def _excluded(pod: PodContext, end: ContainerEnd) -> Kill:
    """The kernel did not kill it. The mark can come from a kill that cost another container, or an earlier child."""
    if end.terminated.exit_code != SIGKILL_EXIT:
        return Kill(end, Killer.CHILD, Confidence.POSSIBLE, excluded=True)
    marked = end.terminated.reason == "OOMKilled"
    return Kill(end, Killer.OTHER, Confidence.LIKELY if marked else Confidence.CONFIRMED, excluded=True)


def _by_status(pod: PodContext, end: ContainerEnd, reason: KillReason | None) -> Kill:
    if end.terminated.reason != "OOMKilled":
        return _unmarked(pod, end, reason)
    if end.terminated.exit_code != SIGKILL_EXIT:
        return Kill(end, Killer.CHILD, _child_confidence(pod, end), reason)
    if reason is not None:
        return Kill(end, Killer.CHILD, Confidence.LIKELY, reason)
    return _marked(pod, end)


def _unmarked(pod: PodContext, end: ContainerEnd, reason: KillReason | None) -> Kill:
    """Exit code 137 without the mark. A kill by the node's own OOM killer often leaves none."""
    if reason is not None:
        return Kill(end, Killer.OTHER, reason.confidence, reason)
    node_event = _node_oom(pod, end)
    if node_event is not None:
        return Kill(end, Killer.NODE, Confidence.LIKELY, node_event=node_event)
    return Kill(end, Killer.OTHER, Confidence.POSSIBLE)


def _marked(pod: PodContext, end: ContainerEnd) -> Kill:
    """On cgroup v2 the mark is also set when the node as a whole ran out: memory.events counts every kind of OOM kill.
    https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.events, oom_kill)"""
    node_event = _node_oom(pod, end)
    limit = limit_in_force(pod, end.container)
    if limit is None:
        confidence = Confidence.CONFIRMED if node_event else Confidence.LIKELY
        return Kill(end, Killer.NODE, confidence, node_event=node_event)
    if node_event is not None or exceeds_node(pod, limit):
        return Kill(end, Killer.NODE, Confidence.LIKELY, node_event=node_event)
    if limit.of_pod:
        return Kill(end, Killer.POD, Confidence.LIKELY)
    unsure = pod.limit.source is LimitSource.POD or EVENTS.name in pod.cluster.unreadable
    return Kill(end, Killer.CONTAINER, Confidence.LIKELY if unsure else Confidence.CONFIRMED)


def _child_confidence(pod: PodContext, end: ContainerEnd) -> Confidence:
    """cgroup v1 tells every container below of an OOM kill at the limit of the pod, or of all pods together: seen, with
    a container that had lost no process. With another one of the pod killed at the same moment, the mark may be that
    one's. https://github.com/torvalds/linux/blob/v6.1/mm/memcontrol.c (mem_cgroup_oom_notify)
    """
    others = (
        other.terminated.finished_at
        for other in pod.ends
        if other.container != end.container and other.terminated.reason == "OOMKilled"
    )
    lifetime = (end.terminated.started_at, end.terminated.finished_at)
    shared = any(_during(time, lifetime) for time in others)
    return Confidence.POSSIBLE if shared else Confidence.LIKELY


def _during(time: datetime | None, lifetime: tuple[datetime | None, datetime | None]) -> bool:
    start, finish = lifetime
    if time is None or start is None or finish is None:
        return True
    return start <= time and time - finish <= SAME_MOMENT


def exceeds_node(pod: PodContext, limit: LimitInForce) -> bool:
    """Whether the limit is more than all pods of the node may use together: that runs out first, and the kernel then
    marks the container just the same. https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/
    """
    allocatable = _bytes(pod.node.status.allocatable.get("memory")) if pod.node else None
    return allocatable is not None and limit.bytes > allocatable


def _node_oom(pod: PodContext, end: ContainerEnd) -> Evidence | None:
    """An event that says that the node, not a cgroup, ran out of memory at the same moment."""
    finished = end.terminated.finished_at
    name = pod.pod.spec.node_name
    if finished is None or not name:
        return None
    for event in pod.cluster.node_events.get(name, ()):
        if is_node_oom(event) and any(abs(time - finished) <= SAME_MOMENT for time in _times(event)):
            return msgspec.structs.replace(group_events([event])[0].evidence(), object=f"node/{name}")
    return None


def _times(event: Event) -> Iterator[datetime]:
    for time in (event.last_seen(), event.first_seen()):
        if time is not None:
            yield time


def is_node_oom(event: Event) -> bool:
    """The kubelet's SystemOOM is written for the root cgroup only; node-problem-detector repeats the kernel's line,
    which begins "Memory cgroup out of memory" for a limit and "Out of memory" for the node.
    https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/oom/oom_watcher_linux.go
    """
    if event.reason == "SystemOOM":
        return True
    if not re.search(r"OOM", event.reason):
        return False
    return bool(re.search(r"(?<!cgroup )\bout of memory: kill", event.message, re.IGNORECASE))
