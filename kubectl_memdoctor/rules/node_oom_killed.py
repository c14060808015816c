"""A container was killed because its node ran out of memory, not because of a limit.

## What it finds
A container that ended with the reason OOMKilled and exit code 137 while neither it nor its pod has a memory limit, or
while that limit is more than all pods of the node may use together; and any container that was killed (exit code 137)
in the moment in which its node reported that it ran out of memory itself (SystemOOM, or the kernel's "Out of memory"
line that node-problem-detector repeats), or of which the node's kernel log says so: a kill at the limit of all pods
together, of a QoS class, or of the node.

## Why it matters
Raising a limit does not help, there is none to raise. The kernel picks its victim by size and QoS class: the container
that was killed may have used little more than its share while another one filled the node.

## When it is wrong
Without an event of the node it is *likely*, not certain: what is left, when no limit applies, is the node's memory or
the part of it that pods may use together (allocatable); the kernel log tells which. With an event, the moment is what
links the two.

## How to mend it
Give the pods of the node memory requests that match what they use, so that the scheduler does not put too many there,
and limits to those that grow. More room for the system (kubelet's systemReserved, evictionHard) keeps the kernel out.

## References
- Node out of memory: https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-out-of-memory-behavior
- SystemOOM: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/oom/oom_watcher_linux.go
- Allocatable: https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from kubectl_memdoctor.container_kills import KilledContainer, Killer, killed_containers
from kubectl_memdoctor.context import PodContext, Trait
from kubectl_memdoctor.finding import Finding, Remedy, RuledOut, Severity
from kubectl_memdoctor.objects import EVENTS, NODE_PROXY, NODES, PODS

SCOPE = PodContext
TRAITS = Trait.KILLED
NEEDS = (PODS,)
USES = (EVENTS, NODES, NODE_PROXY)
SUPERSEDES = ("container-memory-near-limit",)


def find(pod: PodContext) -> Iterator[Finding]:
    for killed in killed_containers(pod, Killer.NODE):
        yield Finding(
            rule="node-oom-killed",
            severity=Severity.CRITICAL if killed.keeps_dying() else Severity.WARNING,
            confidence=killed.newest.confidence,
            involved_object=killed.involved(),
            message=f"{killed.title} was killed{killed.when()}: {_node(pod)} ran out of memory",
            details=tuple(_details(killed)),
            memory=killed.memory(),
            evidence=tuple(killed.evidence()),
            ruled_out=tuple(_ruled_out(killed)),
            remedy=_remedy(pod),
        )


def _node(pod: PodContext) -> str:
    name = pod.pod.spec.node_name
    return f"node {name}" if name else "its node"


def _details(killed: KilledContainer) -> Iterator[str]:
    pod = killed.pod
    if killed.limit is None:
        yield "Neither the container nor its pod has a memory limit: only the node's memory could run out."
    elif killed.newest.kernel is not None:
        yield f"Its limit of {killed.limit.words} was not what ran out."
    elif killed.newest.node_event is None:
        yield f"Its limit of {killed.limit.words} is more than all pods of the node may use together."
    else:
        yield f"The node reported it in the same moment: the limit of {killed.limit.words} need not have been reached."
    yield from killed.kernel_sentences()
    if killed.newest.node_event is None and killed.newest.kernel is None:
        yield "No event of the node confirms it; the kernel log of the node does, if it was the reason."
    if pod.limit.qos_class == "BestEffort":
        yield "The pod requests no memory (QoS class BestEffort), so the kernel picks it before others."
    yield from _room(pod)
    if killed.status.restart_count > 1:
        yield f"The container was restarted {killed.status.restart_count} times."
    yield from killed.usage_sentences()


def _room(pod: PodContext) -> Iterator[str]:
    allocatable = pod.node.status.allocatable.get("memory") if pod.node else None
    if allocatable:
        yield f"Pods on {_node(pod)} may use {allocatable} together."


def _ruled_out(killed: KilledContainer) -> Iterator[RuledOut]:
    if killed.limit is None:
        yield RuledOut(cause="memory limit", because="neither the container nor the pod has one")
    elif killed.newest.kernel is not None:
        yield RuledOut(cause="memory limit", because="the kernel names another limit as the one that was reached")
    elif killed.newest.node_event is None:
        yield RuledOut(cause="memory limit", because="the node's memory is smaller")


def _remedy(pod: PodContext) -> Remedy:
    text = "Give it a memory request that matches what it uses, and limits to its neighbours that grow."
    if not pod.pod.spec.node_name:
        return Remedy(text=text)
    return Remedy(
        text=f"{text} The command shows what the pods on the node ask for.",
        command=f"kubectl describe node {shlex.quote(pod.pod.spec.node_name)}",
    )
