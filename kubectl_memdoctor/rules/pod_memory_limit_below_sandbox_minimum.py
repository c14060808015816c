"""A pod that is not failing now has a memory limit with which its sandbox would not start.

## What it finds
A pod-level memory limit under what the node's runtime needs to start a sandbox, on a pod whose sandbox is not failing
at the moment: it waits for a node or for something else, its limit was lowered in place after the start, or its sandbox
came up only after the runtime had named memory for the tries before.

## Why it matters
Nothing shows until the pod is started again: after a node failure, an eviction, a roll-out. Then it stays in
ContainerCreating, and the change that did it may lie weeks back.

## When it is wrong
A pod that already started with its limit proves that its node's runtime can: such a pod is reported only when the limit
is under everything that is known to work, and then as *possible*.

## How to mend it
Raise the limit where the pod's template is, before the next start.

## References
- The kubelet's pod limit: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/cm/helpers_linux.go
- Resizing in place: https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_memdoctor.context import PodContext, Trait, has_begun, may_be_resized
from kubectl_memdoctor.evidence.event_groups import EventGroup
from kubectl_memdoctor.evidence.runtime_errors import Proof
from kubectl_memdoctor.finding import Confidence, Evidence, Finding, Severity
from kubectl_memdoctor.limit_sentences import PAGE_BYTES, deciding_fields, small_limit_sentences
from kubectl_memdoctor.objects import CONFIG_MAPS, EVENTS, LIMIT_RANGES, NODES, PODS, RUNTIME_CLASSES
from kubectl_memdoctor.sandbox_failure import sandbox_verdict
from kubectl_memdoctor.small_limit import raise_limit

SCOPE = PodContext
TRAITS = Trait.SMALL_LIMIT
NEEDS = (PODS,)
USES = (EVENTS, NODES, LIMIT_RANGES, RUNTIME_CLASSES, CONFIG_MAPS)
SUPERSEDES = ("memory-quantity-fractional",)


def find(pod: PodContext) -> Iterator[Finding]:
    limit = pod.limit.limit_bytes
    if limit is None or pod.limit.not_checked_reason:
        return
    verdict = sandbox_verdict(pod)
    if verdict is not None and verdict.memory:
        return
    begun = has_begun(pod.pod)
    confidence = _confidence_once_begun(pod, limit) if begun else _confidence(pod, limit)
    if confidence is None:
        return
    yield Finding(
        rule="pod-memory-limit-below-sandbox-minimum",
        severity=Severity.WARNING,
        confidence=confidence,
        involved_object=pod.involved(),
        message=(
            "may not start again: its memory limit is too small for a pod's sandbox"
            if begun
            else "will not start: its memory limit is too small for a pod's sandbox"
        ),
        details=(*small_limit_sentences(pod.limit), f"{pod.minimum.reason}."),
        memory=pod.pod_memory(),
        evidence=tuple(_evidence(pod)),
        remedy=raise_limit(pod.limit, pod.minimum.high_bytes),
    )


def _confidence(pod: PodContext, limit: int) -> Confidence | None:
    if limit >= pod.minimum.high_bytes:
        return None
    if limit < PAGE_BYTES:
        return Confidence.CONFIRMED
    return Confidence.LIKELY if limit < pod.minimum.low_bytes else Confidence.POSSIBLE


def _confidence_once_begun(pod: PodContext, limit: int) -> Confidence | None:
    """A sandbox that started is a measurement too, unless the limit was changed afterwards or it took several tries."""
    if limit < PAGE_BYTES:
        return Confidence.LIKELY
    if limit < pod.minimum.high_bytes and any(_memory_errors(pod)):
        return Confidence.LIKELY
    resized = pod.limit.resized or may_be_resized(pod.pod)
    bar = pod.minimum.high_bytes if resized else pod.minimum.low_bytes
    return Confidence.POSSIBLE if limit < bar else None


def _memory_errors(pod: PodContext) -> Iterator[EventGroup]:
    """Tries to start the sandbox that memory ended, before one got through."""
    return (error.events for error in pod.sandbox_errors if error.failure.proof is Proof.MEMORY)


def _evidence(pod: PodContext) -> Iterator[Evidence]:
    for field, value in deciding_fields(pod.limit):
        yield pod.evidence(field, value)
    yield pod.evidence("status.phase", pod.pod.status.phase or "unknown")
    if may_be_resized(pod.pod):
        yield pod.evidence("metadata.generation", f"{pod.pod.metadata.generation}: its spec was changed in place")
    for group in _memory_errors(pod):
        yield group.evidence()
    yield from pod.minimum.evidence
