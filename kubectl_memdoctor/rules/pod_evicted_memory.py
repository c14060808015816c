"""A pod was evicted because its node was short of memory.

## What it finds
A pod that the kubelet ended (reason Evicted) or refused since the node was low on memory, with what its containers
used, what they had requested and how little was left, as far as the kubelet says so. Evictions for disk, inodes or
process ids are not memory and are left alone.

## Why it matters
The kubelet evicts those first that use more than they requested. A pod that requests nothing, or far less than it uses,
goes again and again, whatever its limit is.

## When it is wrong
The kubelet's own words decide, so the cause is certain; whether this pod or another one filled the node, its figures
tell only for the moment of the eviction.

## How to mend it
Raise the container's memory request to what it uses, so that it is placed where there is room and evicted last. If it
stayed within its request, look for the pods on the node that did not.

## References
- Eviction: https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
- The message: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/eviction/helpers.go (evictionMessage)
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from msgspec import Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.context import PodContext, Trait
from kubectl_memdoctor.finding import Confidence, Evidence, Finding, Memory, MemoryChange, Remedy, Severity
from kubectl_memdoctor.limit_sentences import in_bytes
from kubectl_memdoctor.objects import EVENTS, NODES, PODS, Container
from kubectl_memdoctor.suggested_limit import MEBIBYTE

SCOPE = PodContext
TRAITS = Trait.FAILED
NEEDS = (PODS,)
USES = (EVENTS, NODES)
SUPERSEDES = ("container-killed-not-oom", "container-child-oom-killed", "node-oom-killed")

_AMOUNT = r"([0-9][0-9A-Za-z.]{0,40}?)(?=[.,;]?(?:\s|$))"
_RESOURCE = re.compile(r"\blow on resource:? \[?([\w./-]+)", re.IGNORECASE)
_PRESSURE = re.compile(r"\bcondition:? \[?[^\]]{0,400}\bMemoryPressure\b", re.IGNORECASE)
_THRESHOLD = re.compile(rf"\bthreshold quantity: {_AMOUNT}", re.IGNORECASE)
_AVAILABLE = re.compile(rf"\bavailable: {_AMOUNT}", re.IGNORECASE)
_USED = re.compile(
    rf"\bcontainer (\S{{1,253}}) was using {_AMOUNT}, (?:which exceeds its request of|request is) {_AMOUNT}",
    re.IGNORECASE,
)


class _Use(Struct, frozen=True):
    """What one container used and had requested, as the kubelet wrote it."""

    container: str
    used: str
    request: str

    @property
    def over(self) -> bool:
        return quantity.value(self.used) > quantity.value(self.request)


def find(pod: PodContext) -> Iterator[Finding]:
    message = _message(pod)
    if pod.pod.status.reason != "Evicted" or not _is_memory(message):
        return
    uses = tuple(_uses(message))
    refused = _PRESSURE.search(message) is not None
    yield Finding(
        rule="pod-evicted-memory",
        severity=Severity.WARNING,
        confidence=Confidence.CONFIRMED,
        involved_object=pod.involved(),
        message=f"was {'refused' if refused else 'evicted'}: {_node(pod)} was short of memory",
        details=tuple(_details(pod, message, uses, refused)),
        memory=_memory(pod, uses),
        evidence=tuple(_evidence(pod)),
        remedy=_remedy(pod, uses),
    )


def _message(pod: PodContext) -> str:
    if pod.pod.status.message:
        return pod.pod.status.message
    return next((group.message for group in pod.events_of("Evicted")), "")


def _is_memory(message: str) -> bool:
    resource = _RESOURCE.search(message)
    if resource is not None:
        return resource[1].rstrip(".").lower() in ("memory", "memorypressure")
    return _PRESSURE.search(message) is not None


def _uses(message: str) -> Iterator[_Use]:
    for name, used, request in _USED.findall(message):
        if _is_quantity(used) and _is_quantity(request):
            yield _Use(name, used, request)


def _is_quantity(text: str) -> bool:
    try:
        return quantity.value(text) >= 0
    except quantity.QuantityError:
        return False


def _node(pod: PodContext) -> str:
    name = pod.pod.spec.node_name
    return f"node {name}" if name else "its node"


def _details(pod: PodContext, message: str, uses: tuple[_Use, ...], refused: bool) -> Iterator[str]:
    if refused:
        yield "The kubelet takes no pods that request no memory while its node has the condition MemoryPressure."
    threshold, available = _THRESHOLD.search(message), _AVAILABLE.search(message)
    if threshold and available:
        yield f"The node had {available[1]} left; it evicts pods below {threshold[1]}."
    for use in uses:
        kept = "more than its" if use.over else "and kept to its"
        yield f"Container {use.container} used {use.used} ({in_bytes(use.used)}), {kept} request of {use.request}."
    if pod.limit.qos_class == "BestEffort" and not uses:
        yield "The pod requests no memory (QoS class BestEffort): such pods go first."


def _memory(pod: PodContext, uses: tuple[_Use, ...]) -> Memory | None:
    """The request that was exceeded by most; requests decide here, limits do not."""
    if not uses:
        return None
    most = max(uses, key=lambda use: quantity.value(use.used) - quantity.value(use.request))
    return Memory(limit_bytes=pod.limit.limit_bytes, request_bytes=quantity.value(most.request))


def _evidence(pod: PodContext) -> Iterator[Evidence]:
    status = pod.pod.status
    yield pod.evidence("status.reason", status.reason)
    if status.message:
        yield pod.evidence("status.message", status.message)
    for group in pod.events_of("Evicted"):
        yield group.evidence()
    condition = status.condition("DisruptionTarget")
    if condition is not None:
        yield pod.evidence("status.conditions[DisruptionTarget]", condition.reason, condition.last_transition_time)
    node = pod.node
    pressure = next((c for c in node.status.conditions if c.type == "MemoryPressure"), None) if node else None
    if node is not None and pressure is not None:
        yield Evidence(
            source="node",
            object=f"node/{node.metadata.name}",
            field="status.conditions[MemoryPressure]",
            value=pressure.status,
            time=pressure.last_transition_time,
        )


def _remedy(pod: PodContext, uses: tuple[_Use, ...]) -> Remedy:
    over = tuple(use for use in uses if use.over)
    changes = tuple(change for use in over if (change := _change(pod, use)) is not None)
    if changes:
        return Remedy(
            text="Request what it uses, so that it is placed where there is room and evicted last.", changes=changes
        )
    text = "Give the pods on the node memory requests that match what they use; the command shows what they ask for."
    name = pod.pod.spec.node_name
    return Remedy(text=text, command=f"kubectl describe node {shlex.quote(name)}" if name else None)


def _change(pod: PodContext, use: _Use) -> MemoryChange | None:
    container = _container(pod, use.container)
    if container is None:
        return None
    request = _covering(quantity.value(use.used))
    limit = container.resources.limits.get("memory")
    if limit is not None and _is_quantity(limit) and 0 < quantity.value(limit) < quantity.value(request):
        return MemoryChange(container=use.container, request=request, limit=request)
    return MemoryChange(container=use.container, request=request)


def _covering(used: int) -> str:
    """Bytes used -> a round request at most an eighth above: a larger one finds fewer nodes."""
    step = max(16 * MEBIBYTE, 1 << max(used.bit_length() - 4, 0))
    return quantity.format_bytes(-(-used // step) * step)


def _container(pod: PodContext, name: str) -> Container | None:
    spec = pod.pod.spec
    return next((entry for entry in (*spec.containers, *spec.init_containers) if entry.name == name), None)
