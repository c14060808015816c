"""A process inside a container was killed for memory, though the container itself ended in another way.

## What it finds
A container whose status says OOMKilled but whose own process was not the one that was killed: its exit code is not 137
(it left with 0, 1, 143 ...), or the kubelet killed it for another reason that an event tells. And a container whose
node counted a kill in it, or shows one in its kernel log, while it runs on: nothing in the status tells of that.

## Why it matters
The container runtime keeps the mark as soon as the kernel kills any process of the container. A worker that dies like
this may take its work along while the program goes on as if nothing had happened: even a pod that ended as Succeeded
may not have done all it should.

## When it is wrong
On cgroup v1 a kill at the pod's limit, or at that of all pods of the node together (allocatable), marks every container
below it, also those that lost no process: the finding is never more than *likely*, and *possible* where another
container of the pod was killed at the same time. The node's kernel log names the container, and makes it *confirmed*.
A kill while the container still runs leaves nothing in the status and is found only where the node's counters or its
kernel log can be read; the counters begin anew with the kubelet.

## How to mend it
Raise the container's limit, or run fewer processes side by side in it. With cgroup v2 the kubelet has the kernel kill
all processes of a container together, unless `singleProcessOOMKill` is set.

## References
- Why OOMKilled comes with exit code 0: https://github.com/kubernetes/kubernetes/issues/104454
- Where the mark is set: https://github.com/containerd/containerd/blob/v2.1.0/internal/cri/server/events.go
- singleProcessOOMKill: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_memdoctor.child_kills import ChildKills, child_kills
from kubectl_memdoctor.container_kills import KilledContainer, Killer, LimitInForce, killed_containers
from kubectl_memdoctor.context import SIGKILL_EXIT, PodContext, Trait
from kubectl_memdoctor.finding import Confidence, Finding, Memory, MemoryChange, Remedy, Severity
from kubectl_memdoctor.kernel_verdict import kernel_sentences
from kubectl_memdoctor.objects import EVENTS, NODE_PROXY, PODS
from kubectl_memdoctor.pod_limit import LimitSource
from kubectl_memdoctor.suggested_limit import after_oom
from kubectl_memdoctor.usage import Usage

SCOPE = PodContext
TRAITS = Trait.KILLED | Trait.SEEN_KILLED
NEEDS = (PODS,)
USES = (EVENTS, NODE_PROXY)
SUPERSEDES = ("container-memory-near-limit",)


def find(pod: PodContext) -> Iterator[Finding]:
    ended = {
        killed.newest.end.container for killed in killed_containers(pod, Killer.CHILD) if killed.newest.end.current
    }
    yield from (_unmarked(kills) for kills in child_kills(pod) if kills.status.name not in ended)
    yield from _marked(pod)


def _unmarked(kills: ChildKills) -> Finding:
    """The status shows nothing of it."""
    limit, usage = kills.limit, kills.pod.usage(kills.status.name)
    return Finding(
        rule="container-child-oom-killed",
        severity=Severity.WARNING,
        confidence=Confidence.CONFIRMED,
        involved_object=kills.involved(),
        message=f"its container {kills.status.name} had {_processes(kills.count)} killed for memory{_unseen(kills)}",
        details=(*_unmarked_details(kills), *(usage.sentences() if usage else ())),
        memory=Memory(limit_bytes=limit.bytes, limit_quantity=limit.quantity, limit_source=limit.source.value)
        if limit
        else None,
        evidence=(*kills.evidence(), *(usage.evidence if usage else ())),
        remedy=_raise_limit(kills.status.name, limit, usage),
    )


def _processes(count: int) -> str:
    return "a process" if count == 1 else f"{count} processes"


def _unseen(kills: ChildKills) -> str:
    return ", and runs on as if nothing had happened" if kills.is_running else ", and did not end by that"


def _unmarked_details(kills: ChildKills) -> Iterator[str]:
    yield "Nothing in the pod's status tells of it: only the node's own counters and logs do."
    if kills.kernel:
        yield from kernel_sentences(kills.kernel[-1])
    if kills.limit is None:
        yield "Neither the container nor its pod has a memory limit: the node ran out."
    else:
        whose = "The pod's" if kills.limit.of_pod else "Its"
        yield f"{whose} limit is {kills.limit.words}."


def _marked(pod: PodContext) -> Iterator[Finding]:
    for killed in killed_containers(pod, Killer.CHILD):
        yield Finding(
            rule="container-child-oom-killed",
            severity=Severity.WARNING,
            confidence=killed.newest.confidence,
            involved_object=killed.involved(),
            message=f"{killed.title} had a process killed for memory{_while(killed)}",
            details=tuple(_details(killed)),
            memory=killed.memory(),
            evidence=tuple(killed.evidence()),
            remedy=_remedy(killed),
        )


def _while(killed: KilledContainer) -> str:
    kill = killed.newest
    if kill.end.terminated.exit_code == SIGKILL_EXIT and kill.reason is None:
        return ", some time before it was killed itself"
    if kill.reason is not None:
        return f", and ended for another reason ({kill.reason.short})"
    return f", and went on until it ended with exit code {kill.end.terminated.exit_code}"


def _details(killed: KilledContainer) -> Iterator[str]:
    kill = killed.newest
    yield "The runtime marks a container OOMKilled as soon as any process in it is killed, and the mark stays."
    if kill.kernel is None:
        yield "On cgroup v1 a kill at the limit of the pod, or of all pods of the node, leaves this mark as well."
    if kill.excluded:
        yield "The node's kernel log covers its end without a gap and shows no kill in the pod at that time."
    yield from killed.kernel_sentences()
    if kill.reason is not None:
        yield f"What ended the container itself: {kill.reason.words}."
    elif kill.end.terminated.exit_code == 0 and killed.title.startswith("its init container "):
        yield "It left with exit code 0, but since Kubernetes 1.23 an init container with this mark counts as failed."
    elif kill.end.terminated.exit_code == SIGKILL_EXIT:
        yield "What killed the container itself (exit code 137) the kernel log does not show."
    elif kill.end.terminated.exit_code == 0:
        yield "It left with exit code 0, so it counts as a success: what the killed process had to do may be missing."
    else:
        yield "A process that the kernel had killed would have ended with exit code 137."
    if killed.limit is None:
        yield "Neither the container nor its pod has a memory limit: the node ran out."
    else:
        whose = "The pod's" if killed.limit.of_pod else "Its"
        yield f"{whose} limit is {killed.limit.words}."
    yield from killed.usage_sentences()


def _remedy(killed: KilledContainer) -> Remedy:
    return _raise_limit(killed.newest.end.container, killed.limit, killed.usage)


def _raise_limit(name: str, limit: LimitInForce | None, usage: Usage | None) -> Remedy:
    if limit is None or (limit.of_pod and limit.source is not LimitSource.POD):
        return Remedy(text="Look at how many processes it runs side by side, and at what each of them needs.")
    enough = after_oom(limit.bytes, usage.observed() if usage and not limit.of_pod else None)
    container = None if limit.of_pod else name
    advice = f"Raise the limit to {enough.quantity}, or let the container run fewer processes side by side."
    return Remedy(
        text=f"{advice} {enough.why}".rstrip(),
        changes=(MemoryChange(container=container, limit=enough.quantity),),
    )
