"""A pod is not scheduled because no node has enough memory left for its request.

## What it finds
A pod that the scheduler reports as unschedulable with "Insufficient memory" for some or all nodes, with how much is
missing on the node that has most room. What counts is requests, not use: a node may be nearly idle and still be full.

## Why it matters
The pod waits until other pods go or a node comes. A request larger than every node waits for ever.

## When it is wrong
Where the scheduler names other reasons for other nodes (taints, affinity, cpu), memory is one reason of several, and
the finding is *likely*: more memory alone may not help. Which nodes the pod may use at all is not worked out here. When
only some pods could be read, what is free on a node is not known, and only the size of the nodes is compared.

## How to mend it
Lower the pod's memory request to what it needs, free memory that others reserve without need, or add a node.

## References
- Requests and scheduling: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#how-pods-with-resource-requests-are-scheduled
- The scheduler's words: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/scheduler/framework/plugins/noderesources/fit.go
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from kubectl_memdoctor.context import ClusterContext, PodContext, Trait
from kubectl_memdoctor.finding import Confidence, Evidence, Finding, Memory, Remedy, Severity
from kubectl_memdoctor.node_room import NodeRoom, at_least, at_most, node_rooms
from kubectl_memdoctor.objects import EVENTS, NODES, PODS
from kubectl_memdoctor.pod_limit import pod_memory_request

SCOPE = PodContext
TRAITS = Trait.UNSCHEDULED
NEEDS = (PODS,)
USES = (EVENTS, NODES)
SUPERSEDES = ()

_SHORT = re.compile(r"(?:(\d{1,6}) )?\bInsufficient memory\b(?!\.?[\w/-])(?: \((\d{1,6})\))?", re.IGNORECASE)
"""Kubernetes 1.7 and older wrote "Insufficient memory (3)"."""
_NODES = re.compile(r"\b\d{1,6}/(\d{1,6}) nodes are available", re.IGNORECASE)


class _Shortage(Struct, frozen=True):
    """On how many of how many nodes memory is short, as far as the scheduler says."""

    message: str
    short: int | None
    nodes: int | None

    @property
    def everywhere(self) -> bool:
        return self.short is not None and self.short == self.nodes


def find(pod: PodContext) -> Iterator[Finding]:
    shortage = _shortage(pod)
    if shortage is None:
        return
    request = pod_memory_request(pod.pod)
    yield Finding(
        rule="pod-unschedulable-memory",
        severity=Severity.CRITICAL,
        confidence=Confidence.CONFIRMED if shortage.everywhere else Confidence.LIKELY,
        involved_object=pod.involved(),
        message=_headline(shortage, request),
        details=tuple(_details(pod.cluster, shortage, request)),
        memory=Memory(limit_bytes=pod.limit.limit_bytes, request_bytes=request),
        evidence=tuple(_evidence(pod)),
        remedy=_remedy(pod.cluster, request),
    )


def _shortage(pod: PodContext) -> _Shortage | None:
    """By the scheduler's newest word, without what it says about preemption."""
    condition = pod.pod.status.condition("PodScheduled")
    if condition is None or condition.status != "False":
        return None
    message = condition.message or next((group.message for group in pod.events_of("FailedScheduling")), "")
    found = _SHORT.search(message.partition("preemption:")[0])
    if found is None:
        return None
    count, nodes = found[1] or found[2], _NODES.search(message)
    return _Shortage(message, int(count) if count else None, int(nodes[1]) if nodes else None)


def _headline(shortage: _Shortage, request: int) -> str:
    asks = f"the {at_least(request)} that it requests" if request else "it"
    if shortage.everywhere and shortage.nodes == 1:
        return f"cannot be scheduled: the only node has not enough memory left for {asks}"
    if shortage.everywhere:
        return f"cannot be scheduled: none of the {shortage.nodes} nodes has enough memory left for {asks}"
    if shortage.short is not None and shortage.nodes is not None:
        return f"cannot be scheduled: {shortage.short} of {shortage.nodes} nodes have not enough memory left for {asks}"
    return f"cannot be scheduled: nodes have not enough memory left for {asks}"


def _details(cluster: ClusterContext, shortage: _Shortage, request: int) -> Iterator[str]:
    rooms = node_rooms(cluster)
    if rooms:
        yield from _room_sentences(rooms, request)
    if not shortage.everywhere:
        yield f"Memory is not the only reason; the scheduler says: {shortage.message}"


def _room_sentences(rooms: tuple[NodeRoom, ...], request: int) -> Iterator[str]:
    largest = max(rooms, key=lambda room: room.allocatable)
    if request > largest.allocatable:
        yield (
            f"No node is large enough: the largest, {largest.name}, has {at_most(largest.allocatable)} for pods, "
            f"{at_least(request - largest.allocatable)} less than it requests."
        )
        return
    if largest.free is None:
        yield (
            f"The largest node, {largest.name}, has {at_most(largest.allocatable)} for all its pods; how much of that "
            "is left is not known here, since not all pods were looked at."
        )
        return
    enough = [room for room in rooms if room.free is not None and room.free >= request]
    if enough:
        yield (
            f"Node {enough[0].name} has {at_most(enough[0].free or 0)} left, which would be enough: "
            "the pod may not use it for another reason, or room came free just now."
        )
    short = [(room, room.free) for room in rooms if room.free is not None and room.free < request]
    if short:
        room, free = short[0]
        where = "Of the others, most is left on" if enough else "Most is left on"
        yield (
            f"{where} node {room.name}: {at_most(free)} of {at_most(room.allocatable)} are not requested yet, "
            f"so {at_least(request - free)} are missing there."
        )


def _evidence(pod: PodContext) -> Iterator[Evidence]:
    for kind, containers in (("containers", pod.pod.spec.containers), ("initContainers", pod.pod.spec.init_containers)):
        for index, container in enumerate(containers):
            text = container.resources.requests.get("memory")
            if text is not None:
                yield pod.evidence(f"spec.{kind}[{index}].resources.requests.memory", text)
    whole = pod.pod.spec.resources.requests.get("memory")
    if whole is not None:
        yield pod.evidence("spec.resources.requests.memory", whole)
    condition = pod.pod.status.condition("PodScheduled")
    if condition is not None:
        value = f"{condition.reason}: {condition.message}" if condition.message else condition.reason
        yield pod.evidence("status.conditions[PodScheduled]", value, condition.last_transition_time)
    for group in pod.events_of("FailedScheduling"):
        yield group.evidence()
    for room in node_rooms(pod.cluster)[:3]:
        left = "" if room.free is None else f", {at_most(room.free)} of it not requested"
        yield Evidence(
            source="node",
            object=f"node/{room.name}",
            field="status.allocatable.memory",
            value=f"{at_most(room.allocatable)}{left}",
        )


def _remedy(cluster: ClusterContext, request: int) -> Remedy:
    rooms = node_rooms(cluster)
    if rooms and request > max(room.allocatable for room in rooms):
        return Remedy(text="Lower its memory request below the size of a node, or add a larger node.")
    return Remedy(
        text="Lower its memory request to what it needs, free memory that others request without need, or add a node. "
        "The command shows what the pods on each node ask for.",
        command="kubectl describe nodes",
    )
