"""Is it memory that keeps a pod's sandbox from starting? What the limit and the runtime's words prove together.

The limit comes first: under one page nothing can start, whatever the runtime says of it; far above what any sandbox
needs, the same words have another cause. Only between do the words decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from kubectl_memdoctor import quantity
from kubectl_memdoctor.context import SETTLING, PodContext, SandboxError, Trait
from kubectl_memdoctor.evidence.runtime_errors import Proof, RuntimeFailure
from kubectl_memdoctor.finding import Confidence, Evidence, RuledOut
from kubectl_memdoctor.limit_sentences import PAGE_BYTES, deciding_fields, why_no_pod_limit

BEFORE_THE_POD_CGROUP = frozenset(
    {
        "network",
        "image",
        "storage",
        "runtime-handler",
        "name-reserved",
        "disk-full",
        "sandbox-store",
        "configuration",
        "runtime-unavailable",
    }
)
"""Causes that stop a sandbox before the runtime enters the pod's cgroup: the limit has no part in them yet."""

EVENTS_EXPIRE = timedelta(hours=1)
"""kube-apiserver's default --event-ttl."""

_STRENGTH = (Proof.MEMORY, Proof.NOT_MEMORY, Proof.POSSIBLE, Proof.UNKNOWN)


@dataclass(frozen=True, slots=True)
class SandboxVerdict:
    """`memory`: whether the limit is the cause. `error` is what decided, when there was any error to read."""

    memory: bool
    confidence: Confidence
    error: SandboxError | None
    because: str


def sandbox_verdict(pod: PodContext) -> SandboxVerdict | None:
    """None when the sandbox is not failing, or nothing can be said."""
    if Trait.STARTING not in pod.traits or pod.limit.not_checked_reason:
        return None
    errors = pod.sandbox_errors
    return _by_words(pod, _telling(errors)) if errors else _without_words(pod)


def _telling(errors: tuple[SandboxError, ...]) -> SandboxError:
    """The error that proves most. Retries alternate between wordings: one that names memory outweighs the opaque."""
    return min(errors, key=lambda error: _STRENGTH.index(error.failure.proof))


def _by_words(pod: PodContext, error: SandboxError) -> SandboxVerdict:
    limit, minimum, failure = pod.limit.limit_bytes, pod.minimum, error.failure
    if limit is None:
        return SandboxVerdict(False, _NOT_MEMORY[failure.proof], error, why_no_pod_limit(pod.limit))
    if _is_elsewhere(failure, limit):
        return SandboxVerdict(False, Confidence.CONFIRMED, error, failure.because)
    if limit < min(PAGE_BYTES, minimum.high_bytes):
        return SandboxVerdict(True, Confidence.CONFIRMED, error, "the limit is less than one page of memory")
    if limit < minimum.low_bytes:
        return SandboxVerdict(True, _BELOW[failure.proof], error, failure.because)
    if limit < minimum.high_bytes:
        return SandboxVerdict(True, _WITHIN[failure.proof], error, failure.because)
    if limit < minimum.ample_bytes and failure.proof is Proof.MEMORY:
        return SandboxVerdict(True, Confidence.LIKELY, error, failure.because)
    confidence = _NOT_MEMORY[failure.proof] if limit >= minimum.ample_bytes else Confidence.POSSIBLE
    return SandboxVerdict(False, confidence, error, _ample(pod, limit))


def _is_elsewhere(failure: RuntimeFailure, limit: int) -> bool:
    """Under a page no runtime gets far enough for a cause inside the pod's cgroup to be the true one."""
    if failure.proof is not Proof.NOT_MEMORY:
        return False
    return limit >= PAGE_BYTES or failure.cause in BEFORE_THE_POD_CGROUP


_BELOW = {
    Proof.MEMORY: Confidence.CONFIRMED,
    Proof.POSSIBLE: Confidence.LIKELY,
    Proof.UNKNOWN: Confidence.LIKELY,
}
_WITHIN = {
    Proof.MEMORY: Confidence.CONFIRMED,
    Proof.POSSIBLE: Confidence.POSSIBLE,
    Proof.UNKNOWN: Confidence.POSSIBLE,
}
_NOT_MEMORY = {
    Proof.MEMORY: Confidence.POSSIBLE,
    Proof.POSSIBLE: Confidence.LIKELY,
    Proof.UNKNOWN: Confidence.LIKELY,
    Proof.NOT_MEMORY: Confidence.CONFIRMED,
}


def _ample(pod: PodContext, limit: int) -> str:
    times = limit // pod.minimum.high_bytes
    needs = quantity.format_bytes(pod.minimum.high_bytes)
    much = f"{times} times the {needs}" if times > 1 else f"above the {needs}"
    return f"the pod's limit of {pod.limit.quantity} is {much} that a sandbox needs at most"


def _without_words(pod: PodContext) -> SandboxVerdict | None:
    """No failure event, or none left: the condition, the limit and the retries must do."""
    if pod.events_of("FailedMount", "FailedAttachVolume"):
        return None
    limit, minimum = pod.limit.limit_bytes, pod.minimum
    retried = sum(group.count for group in pod.events_of("SandboxChanged")) > 1
    if not retried and pod.waiting_since() < SETTLING:
        return None
    if limit is not None and limit < minimum.high_bytes:
        return SandboxVerdict(True, _by_limit_alone(pod, limit), None, "the limit is under what a sandbox needs")
    if not retried:
        return None
    because = why_no_pod_limit(pod.limit) if limit is None else _ample(pod, limit)
    confidence = Confidence.LIKELY if limit is None or limit >= minimum.ample_bytes else Confidence.POSSIBLE
    return SandboxVerdict(False, confidence, None, because)


def _by_limit_alone(pod: PodContext, limit: int) -> Confidence:
    if limit < PAGE_BYTES:
        return Confidence.CONFIRMED
    return Confidence.LIKELY if limit < pod.minimum.low_bytes else Confidence.POSSIBLE


def sandbox_evidence(pod: PodContext) -> Iterator[Evidence]:
    """What shows that the sandbox is not ready: limits, events, the condition, the minimum's own evidence."""
    for field, value in deciding_fields(pod.limit):
        yield pod.evidence(field, value)
    for error in pod.sandbox_errors:
        yield error.events.evidence()
    for group in pod.events_of("SandboxChanged"):
        yield group.evidence()
    condition = pod.sandbox_condition
    if condition is not None:
        field = f"status.conditions[{condition.type}]"
        yield pod.evidence(field, condition.status, condition.last_transition_time)
    for status in pod.statuses():
        if status.state.waiting is not None:
            yield pod.evidence(f"status.containerStatuses{{{status.name}}}.state.waiting", status.state.waiting.reason)
            break
    yield from pod.minimum.evidence


def other_causes(pod: PodContext) -> Iterator[RuledOut]:
    """What the same facts exclude, for a sandbox that fails on its memory limit."""
    if pod.pod.spec.node_name:
        yield RuledOut(cause="scheduling", because=f"the pod is on node {pod.pod.spec.node_name}")
    causes = {error.failure.cause for error in pod.sandbox_errors}
    if causes and "network" not in causes:
        yield RuledOut(cause="network", because="no error names the network or a CNI plugin")
    if causes and "image" not in causes:
        yield RuledOut(cause="image", because="the runtime got as far as starting the sandbox, so it has the image")
    pressure = next((c for c in pod.node.status.conditions if c.type == "MemoryPressure"), None) if pod.node else None
    if pressure is not None and pressure.status == "False":
        yield RuledOut(cause="node memory", because=f"node {pod.pod.spec.node_name} has MemoryPressure=False")
