"""A node is short of memory: its kubelet evicts pods and refuses new ones.

## What it finds
A node whose condition MemoryPressure is True, with the events that speak of it and how much of its memory the pods on
it request.

## Why it matters
While it lasts, the kubelet ends pods that use more than they requested, the node is tainted, and pods without a memory
request are not taken. If the kernel runs out before the kubelet has freed enough, it kills on its own.

## When it is wrong
The condition is the kubelet's own and stays for a while (`evictionPressureTransitionPeriod`, 5 minutes by default)
after the shortage has passed.

## How to mend it
Find the pods on the node that use far more than they request, and give them requests that match and limits. Little that
is requested on a node that is short means that pods without requests, or the system itself, use it up.

## References
- Node conditions: https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-conditions
- Where it is set: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/nodestatus/setters.go
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from kubectl_memdoctor import quantity
from kubectl_memdoctor.context import NodeContext
from kubectl_memdoctor.duration import human_duration
from kubectl_memdoctor.finding import Confidence, Evidence, Finding, InvolvedObject, Remedy, Severity
from kubectl_memdoctor.node_room import at_least
from kubectl_memdoctor.objects import EVENTS, NODES, Condition

SCOPE = NodeContext
NEEDS = (NODES,)
USES = (EVENTS,)
SUPERSEDES = ()

_EVENTS = ("EvictionThresholdMet", "NodeHasInsufficientMemory", "SystemOOM")


def find(node: NodeContext) -> Iterator[Finding]:
    pressure = next((entry for entry in node.node.status.conditions if entry.type == "MemoryPressure"), None)
    if pressure is None or pressure.status != "True":
        return
    metadata = node.node.metadata
    since = pressure.last_transition_time
    lasting = f" for {human_duration(node.cluster.now - since)}" if since else ""
    yield Finding(
        rule="node-memory-pressure",
        severity=Severity.WARNING,
        confidence=Confidence.CONFIRMED,
        involved_object=InvolvedObject(kind="Node", name=metadata.name, uid=metadata.uid or None),
        message=f"has been short of memory{lasting}: its kubelet evicts pods and refuses those that request none",
        details=tuple(_details(node, pressure)),
        evidence=tuple(_evidence(node, pressure)),
        remedy=Remedy(
            text="Find the pods there that use far more than they request; the command shows what they ask for.",
            command=f"kubectl describe node {shlex.quote(metadata.name)}",
        ),
    )


def _details(node: NodeContext, pressure: Condition) -> Iterator[str]:
    if pressure.message:
        yield f"The kubelet says: {pressure.message}"
    requested = (node.cluster.requested or {}).get(node.node.metadata.name)
    allocatable = node.node.status.allocatable.get("memory")
    share = _share(requested, allocatable)
    if requested is not None and share is not None:
        yield f"Its pods request {at_least(requested)} of {allocatable} ({share} %)."
        if share < 80:
            yield "That is not all of it: pods use more than they request, or the system itself needs more."


def _share(requested: int | None, allocatable: str | None) -> int | None:
    """Per cent."""
    try:
        whole = quantity.value(allocatable) if allocatable else 0
    except quantity.QuantityError:
        return None
    return requested * 100 // whole if requested is not None and whole > 0 else None


def _evidence(node: NodeContext, pressure: Condition) -> Iterator[Evidence]:
    name = f"node/{node.node.metadata.name}"
    value = f"True ({pressure.reason})" if pressure.reason else "True"
    yield Evidence(
        source="node",
        object=name,
        field="status.conditions[MemoryPressure]",
        value=value,
        time=pressure.last_transition_time,
    )
    for group in node.events:
        if group.reason in _EVENTS:
            yield group.evidence()
