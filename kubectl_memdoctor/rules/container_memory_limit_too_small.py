"""A container cannot be started because its memory limit is smaller than what starting it takes.

## What it finds
A container whose creation or start fails (StartError, RunContainerError, CreateContainerError, ContainerCannotRun) or
that is killed in the moment of its start, while its memory limit is under what the runtime needs to bring a container
up. The usual case is a unit typed wrong in a pod where another container has no limit: the pod's sandbox then starts,
and only this container fails.

The limit decides, the runtime's words support it. A limit under one page (4096 bytes) is confirmed by arithmetic, words
that only memory explains and a minimum that the runtime states itself (Docker, CRI-O) confirm it as well; opaque words
make it likely under every known minimum and possible where the runtimes differ.

## Why it matters
The errors speak of sockets, pipes and missing files; hardly one names memory. The pod goes on in CrashLoopBackOff.

## When it is wrong
The minimum differs by runtime, version and node, and the API names only the container engine. A start that fails under
an ample limit, or with words of another cause (a missing command, a mount), is not reported here.

## How to mend it
Raise the container's limit. If the unit was wrong, write the one that was meant; otherwise give at least the minimum
that is shown, and what the program itself needs on top.

## References
- CRI-O's minimum: https://github.com/cri-o/cri-o/blob/v1.31.0/internal/config/cgmgr/cgmgr_linux.go
- Docker's minimum: https://github.com/moby/moby/blob/v20.10.0/daemon/daemon_unix.go (linuxMinMemory)
- runc's words: https://github.com/opencontainers/runc/blob/v1.1.12/libcontainer/process_linux.go
- crun's words: https://github.com/containers/crun/blob/1.21/src/libcrun/container.c (cleanup_watch)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from msgspec import Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.container_kills import LimitInForce, limit_in_force
from kubectl_memdoctor.context import SIGKILL_EXIT, START_FAILED, PodContext, Trait
from kubectl_memdoctor.evidence.runtime_errors import Proof, RuntimeFailure, read_runtime_error
from kubectl_memdoctor.finding import (
    Confidence,
    Evidence,
    Finding,
    Memory,
    MemoryChange,
    Remedy,
    RuledOut,
    Severity,
)
from kubectl_memdoctor.limit_sentences import PAGE_BYTES, in_bytes
from kubectl_memdoctor.objects import CONFIG_MAPS, EVENTS, LIMIT_RANGES, NODES, PODS, RUNTIME_CLASSES, ContainerStatus
from kubectl_memdoctor.pod_limit import LimitSource
from kubectl_memdoctor.sandbox_failure import BEFORE_THE_POD_CGROUP
from kubectl_memdoctor.sandbox_minimum import SandboxMinimum, sandbox_minimum
from kubectl_memdoctor.suggested_limit import for_start

SCOPE = PodContext
TRAITS = Trait.START_FAILED | Trait.KILLED
NEEDS = (PODS,)
USES = (EVENTS, NODES, LIMIT_RANGES, RUNTIME_CLASSES, CONFIG_MAPS)
SUPERSEDES = (
    "container-oom-killed",
    "pod-oom-killed",
    "container-killed-not-oom",
    "memory-quantity-fractional",
    "pod-memory-limit-below-sandbox-minimum",
)

AT_ONCE = timedelta(seconds=2)
"""A run that was killed within so much of its start (in whole seconds) may not have got as far as the program."""

_ABOUT_IMAGE = re.compile(r"Failed to \w+ (?:default )?image|Error: (?:Err|Invalid)?Image")
"""The kubelet says Failed of images, too.
https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/images/image_manager.go"""

_STRENGTH = (Proof.MEMORY, Proof.NOT_MEMORY, Proof.POSSIBLE, Proof.UNKNOWN)


class _Failure(Struct, frozen=True):
    """One failed start: where it is written, and what its text proves. `failure` is None for a bare OOM kill."""

    evidence: Evidence
    failure: RuntimeFailure | None


class _Verdict(Struct, frozen=True):
    confidence: Confidence
    minimum_bytes: int
    reason: str
    because: str


def find(pod: PodContext) -> Iterator[Finding]:
    if pod.limit.not_checked_reason:
        return
    for status in pod.statuses():
        failures = tuple(_failures(pod, status))
        limit = limit_in_force(pod, status.name) if failures else None
        if limit is None:
            continue
        verdict = _verdict(pod, limit, failures)
        if verdict is not None and not (_started(status) and verdict.confidence is Confidence.POSSIBLE):
            yield _finding(pod, status, limit, failures, verdict)


def _failures(pod: PodContext, status: ContainerStatus) -> Iterator[_Failure]:
    """Newest first. Events are read only for a container whose state says that it could not start."""
    waiting = status.state.waiting
    path = _path(pod, status)
    where = f"status.{_STATUS_LIST[path.partition('{')[0]]}{{{status.name}}}"
    found = []
    if waiting is not None and waiting.reason in START_FAILED:
        evidence = pod.evidence(f"{where}.state.waiting", _text(waiting.reason, waiting.message))
        found.append(_Failure(evidence, read_runtime_error(waiting.message)))
    for end in pod.ends:
        terminated = end.terminated
        if end.container == status.name and terminated.reason in START_FAILED:
            evidence = pod.evidence(end.field, _text(terminated.reason, terminated.message), terminated.finished_at)
            found.append(_Failure(evidence, read_runtime_error(terminated.message)))
    if found:
        found += [
            _Failure(group.evidence(), read_runtime_error(group.message))
            for group in pod.events_of("Failed")
            if group.field_path == f"spec.{path}" and not _ABOUT_IMAGE.match(group.message)
        ]
    yield from found or _killed_at_once(pod, status)


def _killed_at_once(pod: PodContext, status: ContainerStatus) -> Iterator[_Failure]:
    for end in pod.ends:
        terminated, lasted = end.terminated, end.lasted()
        if end.container != status.name or lasted is None or lasted > AT_ONCE:
            continue
        if terminated.reason == "OOMKilled" and terminated.exit_code == SIGKILL_EXIT:
            value = f"OOMKilled, exit code 137, {int(lasted.total_seconds())} s after its start"
            yield _Failure(pod.evidence(end.field, value, terminated.finished_at), None)


_STATUS_LIST = {
    "containers": "containerStatuses",
    "initContainers": "initContainerStatuses",
    "ephemeralContainers": "ephemeralContainerStatuses",
}


def _path(pod: PodContext, status: ContainerStatus) -> str:
    """`containers{app}`: the container's list and name."""
    spec = pod.pod.spec
    if any(entry.name == status.name for entry in spec.init_containers):
        return f"initContainers{{{status.name}}}"
    if any(entry.name == status.name for entry in spec.ephemeral_containers):
        return f"ephemeralContainers{{{status.name}}}"
    return f"containers{{{status.name}}}"


def _text(reason: str, message: str) -> str:
    return f"{reason}: {message}" if message else reason


def _verdict(pod: PodContext, limit: LimitInForce, failures: tuple[_Failure, ...]) -> _Verdict | None:
    told = [entry.failure for entry in failures if entry.failure is not None]
    minimum = sandbox_minimum(
        pod.node,
        handler=pod.handler,
        failures=tuple(told),
        bounds=pod.bounds,
        measured=pod.cluster.measured,
        override_bytes=pod.cluster.minimum_bytes,
    )
    if not told:
        return _by_kill(limit.bytes, minimum)
    failure = min(told, key=lambda entry: _STRENGTH.index(entry.proof))
    if failure.stated_minimum_bytes is not None:
        stated = failure.stated_minimum_bytes
        if limit.bytes >= stated:
            return None
        scope = failure.stated_scope or "container"
        needs = f"The runtime takes no limit below {quantity.format_bytes(stated)} for a {scope}"
        return _Verdict(Confidence.CONFIRMED, stated, needs, _because(limit.bytes, failure))
    confidence = _confidence(limit.bytes, minimum, failure)
    if confidence is None:
        return None
    return _Verdict(confidence, minimum.high_bytes, minimum.reason, _because(limit.bytes, failure))


def _because(limit: int, failure: RuntimeFailure) -> str:
    """A sentence: what the runtime's words add to the limit."""
    if failure.proof is Proof.MEMORY:
        return f"The error tells: {failure.because.rstrip('.')}."
    if limit < PAGE_BYTES:
        return "With less than one page nothing starts, whatever the error says."
    if failure.proof is Proof.POSSIBLE:
        return f"The error fits: {failure.because.rstrip('.')}."
    return "The error's words are not known here: only the limit speaks."


def _by_kill(limit: int, minimum: SandboxMinimum) -> _Verdict | None:
    """Between the runtimes' minima a kill at the start is the program's as likely as the runtime's."""
    if limit >= minimum.low_bytes:
        return None
    confidence = Confidence.CONFIRMED if limit < PAGE_BYTES else Confidence.LIKELY
    return _Verdict(confidence, minimum.high_bytes, minimum.reason, "It was killed for memory as soon as it started.")


def _confidence(limit: int, minimum: SandboxMinimum, failure: RuntimeFailure) -> Confidence | None:
    if failure.proof is Proof.NOT_MEMORY and (limit >= PAGE_BYTES or failure.cause in BEFORE_THE_POD_CGROUP):
        return None
    if limit < min(PAGE_BYTES, minimum.high_bytes):
        return Confidence.CONFIRMED
    if failure.proof is Proof.MEMORY:
        if limit < minimum.high_bytes:
            return Confidence.CONFIRMED
        return Confidence.LIKELY if limit < minimum.ample_bytes else None
    if limit < minimum.low_bytes:
        return Confidence.LIKELY if failure.proof is Proof.POSSIBLE else Confidence.POSSIBLE
    return Confidence.POSSIBLE if failure.proof is Proof.POSSIBLE and limit < minimum.high_bytes else None


def _finding(
    pod: PodContext, status: ContainerStatus, limit: LimitInForce, failures: tuple[_Failure, ...], verdict: _Verdict
) -> Finding:
    started = _started(status)
    path = _path(pod, status)
    return Finding(
        rule="container-memory-limit-too-small",
        severity=Severity.WARNING if started or pod.pod.status.phase == "Failed" else Severity.CRITICAL,
        confidence=verdict.confidence,
        involved_object=pod.involved(f"spec.{path}"),
        message=(
            f"its {_kind(path)} {status.name} {'failed to start' if started else 'cannot start'}: "
            f"{'the pod' if limit.of_pod else 'it'} has a memory limit of only {limit.quantity}"
        ),
        details=tuple(_details(limit, verdict)),
        memory=Memory(
            limit_bytes=limit.bytes,
            limit_quantity=limit.quantity,
            limit_source=limit.source.value,
            minimum_bytes=verdict.minimum_bytes,
        ),
        evidence=tuple(_evidence(pod, limit, failures)),
        ruled_out=tuple(_ruled_out(pod)),
        remedy=_remedy(status.name, limit, verdict),
    )


def _started(status: ContainerStatus) -> bool:
    """It came up after all: what failed before may have been chance."""
    return status.state.running is not None


def _kind(path: str) -> str:
    kinds = {"containers": "container", "initContainers": "init container"}
    return kinds.get(path.partition("{")[0], "ephemeral container")


def _details(limit: LimitInForce, verdict: _Verdict) -> Iterator[str]:
    milli = ' ("m" is thousandths)' if limit.quantity.endswith("m") else ""
    pages = ", less than one page of memory" if limit.bytes < PAGE_BYTES else ""
    yield f"The limit {limit.quantity} is {in_bytes(limit.quantity)}{milli}{pages}."
    if limit.of_pod:
        yield "It is the limit of all containers of the pod together."
    elif limit.source is LimitSource.LIMIT_RANGE:
        yield "The manifest gives it no limit: a LimitRange of the namespace did."
    yield f"{verdict.reason.rstrip('.')}."
    yield verdict.because


def _evidence(pod: PodContext, limit: LimitInForce, failures: tuple[_Failure, ...]) -> Iterator[Evidence]:
    yield pod.evidence(limit.field, limit.quantity)
    yield from dict.fromkeys(entry.evidence for entry in failures)
    condition = pod.sandbox_condition
    if condition is not None:
        yield pod.evidence(f"status.conditions[{condition.type}]", condition.status, condition.last_transition_time)


def _ruled_out(pod: PodContext) -> Iterator[RuledOut]:
    condition = pod.sandbox_condition
    if condition is not None and condition.status == "True":
        yield RuledOut(cause="sandbox", because="the pod's sandbox is ready: only the container fails")
    yield RuledOut(cause="image", because="the runtime got as far as making the container, so it has the image")


def _remedy(name: str, limit: LimitInForce, verdict: _Verdict) -> Remedy:
    enough = for_start(limit.quantity, verdict.minimum_bytes).quantity
    if limit.of_pod and limit.source is not LimitSource.POD:
        return Remedy(text=f"Give the pod's containers more memory together: {enough} or more.")
    meant = enough == quantity.likely_intended(limit.quantity)
    text = f"{enough} lets the container start; what the program itself needs comes on top."
    change = MemoryChange(container=None if limit.of_pod else name, limit=enough)
    return Remedy(text=f"Did you mean {enough}?" if meant else text, changes=(change,))
