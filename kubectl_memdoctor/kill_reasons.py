"""Who else than the kernel's OOM killer ended a container: a probe, a deletion, a preemption, a shutdown.

The kubelet kills with SIGTERM and, once the grace period is over, with SIGKILL: exit code 137 as for an OOM kill. What
it did it says in an event, in the pod's status or in the condition DisruptionTarget, and only there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from kubectl_memdoctor.context import ContainerEnd, PodContext
from kubectl_memdoctor.evidence.event_groups import EventGroup
from kubectl_memdoctor.finding import Confidence, Evidence

DEFAULT_GRACE = timedelta(seconds=30)
CLOCK_SLACK = timedelta(seconds=2)
"""Events and container states are written in whole seconds."""
LATE = timedelta(seconds=10)
"""How long after the grace period a SIGKILL may still be under way."""
PROBING = timedelta(minutes=2)
"""A failed probe that led to a kill is not older than a few probe periods."""


STOPPED = "stopped by the kubelet"
"""What the kubelet says of any pod that it ends: who wanted that stands elsewhere."""


class KillReason(Struct, frozen=True):
    """`words` complete "container app was killed: "; `short` names it in a few words."""

    short: str
    words: str
    confidence: Confidence
    evidence: Evidence


def kill_reason(pod: PodContext, end: ContainerEnd) -> KillReason | None:
    """The reason nearest to the container's end; None when nothing that was read gives one."""
    reasons = tuple(_reasons(pod, end))
    telling = (reason for reason in reasons if reason.confidence is Confidence.CONFIRMED and reason.short != STOPPED)
    first = reasons[0] if reasons else None
    return next(telling, first) if first is not None and first.short == STOPPED else first


def _reasons(pod: PodContext, end: ContainerEnd) -> Iterator[KillReason]:
    yield from _by_kubelet(pod, end)
    yield from _by_pod_status(pod, end)
    yield from _by_condition(pod, end)
    yield from _by_deletion(pod, end)
    yield from _by_failing_probe(pod, end)


# https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/kuberuntime/kuberuntime_manager.go
# (computePodActions, computeInitContainerActions) and kuberuntime_container.go (killContainer)
_KUBELET_WORDS = (
    (r"liveness", "failed liveness probe", "the kubelet killed it after its liveness probe had failed"),
    (r"startup probe", "failed startup probe", "the kubelet killed it after its startup probe had failed"),
    (r"poststart", "failed postStart hook", "the kubelet killed it after its postStart hook had failed"),
    (r"definition changed|hash changed", "changed definition", "the kubelet restarts it since its definition changed"),
    (r"resize", "in-place resize", "the kubelet restarts it to resize it"),
    (r"preempt", "preemption", "the kubelet made room for a critical pod"),
    (r"", STOPPED, "the kubelet stopped it, and it outlived its grace period"),
)


def _by_kubelet(pod: PodContext, end: ContainerEnd) -> Iterator[KillReason]:
    for group in pod.events_of("Killing", "Preempting"):
        if not _names(group, end) or not _led_to(pod, group, end):
            continue
        text = f"{group.reason} {group.message}"
        _, short, words = next(row for row in _KUBELET_WORDS if re.search(row[0], text, re.IGNORECASE))
        yield KillReason(short, words, Confidence.CONFIRMED, group.evidence())


def _names(group: EventGroup, end: ContainerEnd) -> bool:
    """Whether the event is about this container, or about the pod as a whole."""
    if group.field_path:
        return group.field_path == f"spec.{end.kind}{{{end.container}}}"
    if group.reason == "Preempting":
        return True
    return re.search(rf"(?<![\w.-]){re.escape(end.container)}(?![\w-])", group.message) is not None


def _led_to(pod: PodContext, group: EventGroup, end: ContainerEnd) -> bool:
    """The kubelet writes it before it stops the container, by the clock that its end is written by, too.

    A repeated event keeps its first and last time only: a kill between them was most likely one of the rest. That
    is not enough against a status that says OOMKilled.
    """
    finished = end.terminated.finished_at
    if finished is None:
        return False
    times = (time for time in (group.last, group.first) if time is not None and time <= finished)
    if any(_in_run(end, time) and _within_grace(pod, time, finished) for time in times):
        return True
    if group.count < 3 or group.first is None or group.last is None or end.terminated.reason == "OOMKilled":
        return False
    return group.first <= finished <= group.last


def _in_run(end: ContainerEnd, time: datetime) -> bool:
    """What happened before a run began ended the one before it."""
    started = end.terminated.started_at
    return started is None or time - started >= -CLOCK_SLACK


def _within_grace(pod: PodContext, killing: datetime, finished: datetime) -> bool:
    seconds = pod.pod.spec.termination_grace_period_seconds
    grace = timedelta(seconds=min(seconds, 86400)) if seconds is not None and seconds >= 0 else DEFAULT_GRACE
    return -CLOCK_SLACK <= finished - killing <= grace + LATE


# https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/preemption/preemption.go,
# eviction/eviction_manager.go, nodeshutdown/nodeshutdown_manager.go, active_deadline.go
_POD_REASONS = {
    "Evicted": ("eviction", "the kubelet evicted the pod"),
    "Preempting": ("preemption", "the kubelet made room for a critical pod"),
    "Terminated": ("node shutdown", "the node was shut down"),
    "NodeShutdown": ("node shutdown", "the node was shut down"),
    "Shutdown": ("node shutdown", "the node was shut down"),
    "DeadlineExceeded": ("deadline", "the pod was active for longer than its activeDeadlineSeconds"),
}


def _by_pod_status(pod: PodContext, end: ContainerEnd) -> Iterator[KillReason]:
    status = pod.pod.status
    known = _POD_REASONS.get(status.reason)
    if known is None or status.phase != "Failed" or not end.current:
        return
    value = f"{status.reason}: {status.message}" if status.message else status.reason
    yield KillReason(*known, Confidence.CONFIRMED, pod.evidence("status.reason", value))


# https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
_DISRUPTIONS = {
    "PreemptionByScheduler": ("preemption", "the scheduler made room for a pod of higher priority"),
    "DeletionByTaintManager": ("taint", "the pod was deleted since it does not tolerate a taint of its node"),
    "EvictionByEvictionAPI": ("eviction", "the pod was evicted through the API, as a node drain does"),
    "DeletionByPodGC": ("deletion", "the pod was deleted with its node"),
    "TerminationByKubelet": (STOPPED, "the kubelet ended the pod"),
}


def _by_condition(pod: PodContext, end: ContainerEnd) -> Iterator[KillReason]:
    condition = pod.pod.status.condition("DisruptionTarget")
    finished = end.terminated.finished_at
    if condition is None or condition.status != "True" or condition.last_transition_time is None or finished is None:
        return
    known = _DISRUPTIONS.get(condition.reason)
    if known is None or not _within_grace(pod, condition.last_transition_time, finished):
        return
    value = f"{condition.reason}: {condition.message}" if condition.message else condition.reason
    evidence = pod.evidence("status.conditions[DisruptionTarget]", value, condition.last_transition_time)
    yield KillReason(*known, Confidence.CONFIRMED, evidence)


def _by_deletion(pod: PodContext, end: ContainerEnd) -> Iterator[KillReason]:
    """deletionTimestamp lies at the end of the grace period, not at its beginning."""
    deadline, finished = pod.pod.metadata.deletion_timestamp, end.terminated.finished_at
    if deadline is None or finished is None or not -CLOCK_SLACK <= finished - deadline <= LATE:
        return
    evidence = pod.evidence("metadata.deletionTimestamp", deadline.isoformat().replace("+00:00", "Z"), deadline)
    words = "the pod was deleted, and it was still running when its grace period ended"
    yield KillReason("deletion", words, Confidence.CONFIRMED, evidence)


def _by_failing_probe(pod: PodContext, end: ContainerEnd) -> Iterator[KillReason]:
    """The kill's own event may be gone or hidden: then the failing probe before it makes it likely. It proves nothing
    against a status that says OOMKilled: a container short of memory fails its probes, too."""
    finished = end.terminated.finished_at
    if finished is None or end.terminated.reason == "OOMKilled":
        return
    for group in pod.events_of("Unhealthy"):
        probe = re.match(r"(liveness|startup) probe", group.message, re.IGNORECASE)
        if probe is None or group.last is None or not _in_run(end, group.last) or not _names(group, end):
            continue
        if -CLOCK_SLACK <= finished - group.last <= PROBING:
            kind = probe[1].lower()
            words = f"its {kind} probe was failing, after which the kubelet kills"
            yield KillReason(f"failed {kind} probe", words, Confidence.LIKELY, group.evidence())
