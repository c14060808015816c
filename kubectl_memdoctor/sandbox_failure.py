"""Is it memory that keeps a pod's sandbox from starting? What the limit and the runtime's words prove together.

The limit comes first: under one page nothing can start, whatever the runtime says of it; far above what any sandbox
needs, the same words have another cause. Only between do the words decide.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, structs

from kubectl_memdoctor import quantity
from kubectl_memdoctor.context import SANDBOX_REASONS, SETTLING, PodContext, SandboxError, Trait, has_begun
from kubectl_memdoctor.evidence.node_evidence import AllocationFailures, KubeletOom
from kubectl_memdoctor.evidence.pod_join import container_ids
from kubectl_memdoctor.evidence.runtime_errors import Proof, RuntimeFailure
from kubectl_memdoctor.finding import Confidence, Evidence, RuledOut
from kubectl_memdoctor.kernel_verdict import (
    UNALLOCATED,
    allocation_evidence,
    failure_evidence,
    kernel_evidence,
    kernel_sentences,
    line_evidence,
    no_kill_while_failing,
    sandbox_allocation_failures,
    sandbox_kills,
)
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

BEFORE_THE_SANDBOX = frozenset({"FailedMount", "FailedAttachVolume", "NetworkNotReady", "FailedCreatePodContainer"})
"""Events of what the kubelet waits for before it makes a sandbox."""

AFTER_THE_SANDBOX = frozenset({"Pulling", "Pulled", "Created", "Started", "Failed", "BackOff"})
"""Events of containers: none comes without a sandbox that is up.
https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/kuberuntime/kuberuntime_manager.go (SyncPod)"""

_STRENGTH = (Proof.MEMORY, Proof.NOT_MEMORY, Proof.POSSIBLE, Proof.UNKNOWN)
_STRENGTH_BELOW = (Proof.MEMORY, Proof.POSSIBLE, Proof.NOT_MEMORY, Proof.UNKNOWN)
"""Under every known minimum an opaque error is memory's own: another cause beside it comes on top."""


class SandboxVerdict(Struct, frozen=True):
    """`memory`: whether the limit is the cause. `error` is what decided, when there was any error to read."""

    memory: bool
    confidence: Confidence
    error: SandboxError | None
    because: str


def sandbox_verdict(pod: PodContext) -> SandboxVerdict | None:
    """None when the sandbox is not failing, or nothing can be said."""
    if Trait.STARTING not in pod.traits or pod.limit.not_checked_reason or _is_on_windows(pod) or _came_up(pod):
        return None
    verdict = _by_words(pod, _telling(pod)) if pod.sandbox_errors else _without_words(pod)
    return _by_node(pod, verdict)


def _by_node(pod: PodContext, verdict: SandboxVerdict | None) -> SandboxVerdict | None:
    """What the node's own logs add: a kill of the sandbox leaves no doubt, and no kill in a whole log leaves little."""
    error = verdict.error if verdict else None
    if kills_sandbox(pod):
        because = "the node's kernel killed the sandbox's process at the pod's limit"
        return SandboxVerdict(True, Confidence.CONFIRMED, error, because)
    if sandbox_allocation_failures(pod):
        return _by_allocations(pod, verdict)
    if verdict is None or verdict.memory or not no_kill_while_failing(pod):
        return verdict
    if error is not None and error.failure.proof is Proof.MEMORY:
        # The runtime counted a kill that the log does not show: one of them is not whole after all.
        return verdict
    return structs.replace(verdict, confidence=_SURER[verdict.confidence])


def _by_allocations(pod: PodContext, verdict: SandboxVerdict | None) -> SandboxVerdict | None:
    """The kernel could not allocate for itself in the pod's cgroup. Unlike a kill this does not name the limit that was
    in the way: it is the pod's if that is tight, and else may be one above it. So it weighs as much as words of a
    runtime that mean only memory, and nothing under an ample limit: there Linux 3.10 is known to fail with memory to
    spare.
    https://github.com/kubernetes/kubernetes/issues/83044
    """
    limit, minimum = pod.limit.limit_bytes, pod.minimum
    if limit is None or limit >= minimum.ample_bytes:
        return verdict
    confidence = Confidence.CONFIRMED if limit < minimum.high_bytes else Confidence.LIKELY
    if verdict is not None and verdict.confidence is Confidence.CONFIRMED and confidence is Confidence.LIKELY:
        return verdict
    because = "the node's kernel got no memory for itself in the pod's cgroup"
    return SandboxVerdict(True, confidence, verdict.error if verdict else None, because)


_SURER = {
    Confidence.POSSIBLE: Confidence.LIKELY,
    Confidence.LIKELY: Confidence.CONFIRMED,
    Confidence.CONFIRMED: Confidence.CONFIRMED,
}


def kills_sandbox(pod: PodContext) -> bool:
    """Whether the kernel log, or the kubelet's, tells of a kill in the pod's cgroup outside of its containers."""
    return bool(sandbox_kills(pod) or _sandbox_ooms(pod))


def _sandbox_ooms(pod: PodContext) -> tuple[KubeletOom, ...]:
    """The kubelet names the cgroup of the victim: of the pod, or of one that is no container of it."""
    if has_begun(pod.pod):
        return ()
    own = container_ids(pod.pod)
    return tuple(oom for oom in pod.node_evidence.kubelet_ooms if oom.cgroup and oom.cgroup.container_id not in own)


def _is_on_windows(pod: PodContext) -> bool:
    return pod.node is not None and pod.node.status.node_info.operating_system == "windows"


def _came_up(pod: PodContext) -> bool:
    """Whether the newest event of the start is a container's. Kubernetes before 1.29 has no condition that says so."""
    return _newest_of_start(pod) in AFTER_THE_SANDBOX


_START_EVENTS = SANDBOX_REASONS | BEFORE_THE_SANDBOX | AFTER_THE_SANDBOX | {"SandboxChanged"}


def _newest_of_start(pod: PodContext) -> str | None:
    """The reason of the newest event that tells how far the kubelet has got."""
    return next((group.reason for group in pod.events if group.reason in _START_EVENTS), None)


def _telling(pod: PodContext) -> SandboxError:
    """The error that proves most. Retries alternate between wordings: one that names memory outweighs the opaque."""
    limit = pod.limit.limit_bytes
    strength = _STRENGTH_BELOW if limit is not None and limit < pod.minimum.low_bytes else _STRENGTH
    return min(pod.sandbox_errors, key=lambda error: strength.index(error.failure.proof))


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
    much = f"{times} times the {needs}" if times > 1 else f"not below the {needs}"
    return f"the pod's limit of {pod.limit.quantity} is {much} that a sandbox may need"


def _without_words(pod: PodContext) -> SandboxVerdict | None:
    """No failure event, or none left: the condition, the limit and the retries must do."""
    if _newest_of_start(pod) in BEFORE_THE_SANDBOX:
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
    yield from node_words(pod)
    yield from pod.minimum.evidence


def node_words(pod: PodContext) -> Iterator[Evidence]:
    """What kernel, kubelet and runtime of the node say of the sandbox."""
    for kill in sandbox_kills(pod)[-1:]:
        yield from kernel_evidence(pod, kill)
    for entry in _alone(pod)[-1:]:
        yield from allocation_evidence(pod, entry)
    for oom in _sandbox_ooms(pod)[-1:]:
        if oom.line is not None:
            yield line_evidence("kubelet", pod, oom.line, oom.time)
    for failures in pod.node_evidence.sandbox_failures:
        yield failure_evidence(pod, failures)
    for listing in pod.node_evidence.listings:
        node = pod.pod.spec.node_name or listing.node
        states = ", ".join(f"{count} {state}" for state, count in sorted(listing.states.items()))
        yield Evidence(
            source="runtime",
            object=f"node/{node}" if node else None,
            field=listing.file or None,
            value=f"{listing.count} sandboxes of this pod: {states}",
            count=listing.count,
        )


def _alone(pod: PodContext) -> tuple[AllocationFailures, ...]:
    """Failed allocations where nothing was killed: else the kill's report says the same, and more."""
    return () if sandbox_kills(pod) else sandbox_allocation_failures(pod)


def node_sentences(pod: PodContext) -> Iterator[str]:
    """Who was killed, and how many sandboxes were made in vain."""
    for kill in sandbox_kills(pod)[-1:]:
        yield from kernel_sentences(kill)
    if _alone(pod):
        yield (
            f"The node's kernel {UNALLOCATED} the pod's cgroup, to which old kernels charge it. That fails without a"
            " kill."
        )
    made = [listing.count for listing in pod.node_evidence.listings]
    failed = [failures.count for failures in pod.node_evidence.sandbox_failures]
    if made or failed:
        count = max([*made, *failed])
        yield (
            f"The node made {count} sandboxes of this pod, none of which lived." if count > 1 else "The node made one."
        )


def other_causes(pod: PodContext) -> Iterator[RuledOut]:
    """What the same facts exclude, for a sandbox that fails on its memory limit."""
    if pod.pod.spec.node_name:
        yield RuledOut(cause="scheduling", because=f"the pod is on node {pod.pod.spec.node_name}")
    causes = {error.failure.cause for error in pod.sandbox_errors}
    if causes and "network" not in causes:
        yield RuledOut(cause="network", because="no error names the network or a CNI plugin")
    if any(error.failure.proof in (Proof.MEMORY, Proof.POSSIBLE) for error in pod.sandbox_errors):
        yield RuledOut(cause="image", because="the runtime got as far as starting the sandbox, so it has the image")
    pressure = next((c for c in pod.node.status.conditions if c.type == "MemoryPressure"), None) if pod.node else None
    if pressure is not None and pressure.status == "False":
        yield RuledOut(cause="node memory", because=f"node {pod.pod.spec.node_name} has MemoryPressure=False")
