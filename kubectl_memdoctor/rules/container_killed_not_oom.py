"""A container was killed with exit code 137, and nothing says that memory was the reason.

## What it finds
A container that ended with exit code 137 (SIGKILL) without the mark OOMKilled, or without a kill in the kernel log: a
failed liveness or startup probe, a grace period that ran out after a deletion or eviction, preemption, a node's
shutdown. Where an event or the pod's status says so, that is the reason; where nothing does, the finding is *possible*
and says so.

## Why it matters
137 is widely taken for "out of memory". Raising the limit of a container that a probe kills changes nothing.

## When it is wrong
A kill by the node's own OOM killer, by a user-space OOM daemon, or one whose mark the runtime lost in a race looks just
like this. Where no other reason is on record, the node's kernel log decides: where it is whole for the time and shows
no kill, the finding is *confirmed*, or *likely* where the status says OOMKilled all the same.

## How to mend it
Follow the reason that is shown: the probe's time-outs, the grace period, the pod's priority.

## References
- How a pod is stopped: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
- Probes: https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
- A lost mark: https://github.com/kubernetes/kubernetes/issues/53669
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from kubectl_memdoctor.container_kills import STATUS_UNKNOWN, KilledContainer, Killer, killed_containers
from kubectl_memdoctor.context import PodContext, Trait
from kubectl_memdoctor.finding import Confidence, Finding, Remedy, RuledOut, Severity
from kubectl_memdoctor.kill_reasons import STOPPED
from kubectl_memdoctor.objects import EVENTS, NODE_PROXY, NODES, PODS

SCOPE = PodContext
TRAITS = Trait.KILLED
NEEDS = (PODS,)
USES = (EVENTS, NODES, NODE_PROXY)
SUPERSEDES = ()

EVENTS_ARE_KEPT = timedelta(hours=1)
"""kube-apiserver's default --event-ttl."""


def find(pod: PodContext) -> Iterator[Finding]:
    for killed in killed_containers(pod, Killer.OTHER):
        yield Finding(
            rule="container-killed-not-oom",
            severity=Severity.INFO,
            confidence=killed.newest.confidence,
            involved_object=killed.involved(),
            message=_message(killed),
            details=tuple(_details(killed)),
            memory=killed.memory(),
            evidence=tuple(killed.evidence()),
            ruled_out=tuple(_ruled_out(killed)),
            remedy=_remedy(killed),
        )


def _message(killed: KilledContainer) -> str:
    kill = killed.newest
    if kill.reason is not None:
        return f"{killed.title} was killed{killed.when()}, but not for memory: {kill.reason.words}"
    if kill.end.terminated.reason == STATUS_UNKNOWN:
        return f"{killed.title} was lost: the kubelet did not see how it ended"
    return f"{killed.title} was killed{killed.when()} (exit code 137), and nothing says that memory was the reason"


def _details(killed: KilledContainer) -> Iterator[str]:
    kill = killed.newest
    if kill.reason is not None:
        if kill.confidence is Confidence.CONFIRMED:
            yield "Exit code 137 is SIGKILL, which the kubelet also sends; a kill for memory would say OOMKilled."
        return
    if kill.end.terminated.reason == STATUS_UNKNOWN:
        yield "The exit code 137 is the kubelet's own filling: the container was gone when it looked."
    else:
        says = "the status does not say OOMKilled"
        if kill.end.terminated.reason == "OOMKilled":
            says = "the mark OOMKilled also comes from kills in another container of the pod"
        yield f"Exit code 137 is SIGKILL, whoever sent it; {says}."
        finished = kill.end.terminated.finished_at
        kept = finished is not None and killed.pod.now - finished < EVENTS_ARE_KEPT
        expired = "" if kept else ": events are kept for an hour unless set otherwise"
        yield f"No event names another reason{expired}."
    if kill.excluded:
        yield "The node's kernel log covers that moment without a gap and tells of no kill for memory in this pod."
        return
    node = killed.pod.pod.spec.node_name
    where = f"the kernel log of node {node}" if node else "the kernel log of its node"
    yield f"A kill for memory whose mark was lost cannot be excluded from here: {where} decides."


def _ruled_out(killed: KilledContainer) -> Iterator[RuledOut]:
    kill = killed.newest
    if kill.excluded:
        yield RuledOut(cause="memory limit", because="the node's kernel log shows no kill at that time")
    elif kill.confidence is Confidence.CONFIRMED and kill.reason is not None:
        yield RuledOut(cause="memory limit", because=f"{kill.reason.words}, and the status does not say OOMKilled")


_STOPS_LATE = "If it needs longer to stop, raise terminationGracePeriodSeconds, or make it react to SIGTERM."
_ADVICE = {
    "failed liveness probe": "Give the liveness probe more time (timeoutSeconds, failureThreshold), or find out why "
    "the program stops answering.",
    "failed startup probe": "Give the startup probe more tries (failureThreshold), or make the program start faster.",
    "deletion": _STOPS_LATE,
    "eviction": _STOPS_LATE,
    STOPPED: _STOPS_LATE,
    "deadline": "Raise activeDeadlineSeconds if the work takes longer.",
    "preemption": "Give the pod a higher priority class if it must not make room for others.",
}


def _remedy(killed: KilledContainer) -> Remedy | None:
    reason = killed.newest.reason
    advice = _ADVICE.get(reason.short) if reason else None
    return Remedy(text=advice) if advice else None
