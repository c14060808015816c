"""A process inside a container was killed for memory, though the container itself ended in another way.

## What it finds
A container whose status says OOMKilled but whose own process was not the one that was killed: its exit code is not 137
(it left with 0, 1, 143 ...), or the kubelet killed it for another reason that an event tells.

## Why it matters
The container runtime keeps the mark as soon as the kernel kills any process of the container. A worker that dies like
this may take its work along while the program goes on as if nothing had happened: even a pod that ended as Succeeded
may not have done all it should.

## When it is wrong
On cgroup v1 a kill at the pod's limit, or at that of all pods of the node together (allocatable), marks every container
below it, also those that lost no process: the finding is never more than *likely*, and *possible* where another
container of the pod was killed at the same time. A kill while the container still runs leaves nothing in the status and
is not found.

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

from kubectl_memdoctor.container_kills import KilledContainer, Killer, killed_containers
from kubectl_memdoctor.context import PodContext, Trait
from kubectl_memdoctor.finding import Finding, MemoryChange, Remedy, Severity
from kubectl_memdoctor.objects import EVENTS, PODS
from kubectl_memdoctor.pod_limit import LimitSource
from kubectl_memdoctor.suggested_limit import after_oom

SCOPE = PodContext
TRAITS = Trait.KILLED
NEEDS = (PODS,)
USES = (EVENTS,)
SUPERSEDES = ()


def find(pod: PodContext) -> Iterator[Finding]:
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
    if kill.reason is not None:
        return f", and ended for another reason ({kill.reason.short})"
    return f", and went on until it ended with exit code {kill.end.terminated.exit_code}"


def _details(killed: KilledContainer) -> Iterator[str]:
    kill = killed.newest
    yield "The runtime marks a container OOMKilled as soon as any process in it is killed, and the mark stays."
    yield "On cgroup v1 a kill at the limit of the pod, or of all pods of the node, leaves this mark as well."
    if kill.reason is not None:
        yield f"What ended the container itself: {kill.reason.words}."
    elif kill.end.terminated.exit_code == 0 and killed.title.startswith("its init container "):
        yield "It left with exit code 0, but since Kubernetes 1.23 an init container with this mark counts as failed."
    elif kill.end.terminated.exit_code == 0:
        yield "It left with exit code 0, so it counts as a success: what the killed process had to do may be missing."
    else:
        yield "A process that the kernel had killed would have ended with exit code 137."
    if killed.limit is None:
        yield "Neither the container nor its pod has a memory limit: the node ran out."
    else:
        whose = "The pod's" if killed.limit.of_pod else "Its"
        yield f"{whose} limit is {killed.limit.words}."


def _remedy(killed: KilledContainer) -> Remedy:
    limit = killed.limit
    if limit is None or (limit.of_pod and limit.source is not LimitSource.POD):
        return Remedy(text="Look at how many processes it runs side by side, and at what each of them needs.")
    enough = after_oom(limit.bytes)
    container = None if limit.of_pod else killed.newest.end.container
    return Remedy(
        text=f"Raise the limit to {enough}, or let the container run fewer processes side by side.",
        changes=(MemoryChange(container=container, limit=enough),),
    )
