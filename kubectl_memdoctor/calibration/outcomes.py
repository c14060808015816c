"""How a try ends: the pod, or its sandbox alone, is ready, it fails, or something that is not memory is in the way.

Pure: from one pod and the events about it. Pods differ only in their limit, so once one has run, what keeps another
from starting is the limit, unless its error names something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.calibration.manifests import CONTAINER
from kubectl_memdoctor.evidence.runtime_errors import Proof, RuntimeFailure, normalise, read_runtime_error
from kubectl_memdoctor.objects import ContainerStatus, Event, Pod, StateTerminated
from kubectl_memdoctor.pod_limit import pod_memory_limit
from kubectl_memdoctor.temporary.container_states import (
    CONFIG_REASON,
    ENDED_AT_START,
    IMAGE_REASONS,
    START_REASONS,
    said,
    short,
)

SANDBOX_READY = ("PodReadyToStartContainers", "PodHasNetwork")
"""The second is its name before Kubernetes 1.28."""
KILLED = 137
NODE_CAUSES = frozenset({"network", "image", "storage", "disk-full", "runtime-unavailable"})
"""Of a sandbox that fails: what may come over a node at any time, and strikes before the pod's memory limit does."""
SANDBOX_GONE = "sandbox-gone"
"""A cause of evidence.runtime_causes."""
SANDBOX_CHANGED = "SandboxChanged"
"""The kubelet's event about a sandbox that is no longer as it was made."""
PULLING = "Pulling"
CONTAINER_STARTED = "Started"
SANDBOX_ERROR = "FailedCreatePodSandBox"
CONTAINER_ERROR = "Failed"
"""The reason of the kubelet's event about a container that it could not create or start."""
WAITING_EVENTS = (
    "FailedScheduling",
    "NetworkNotReady",
    "FailedMount",
    "FailedAttachVolume",
    "FailedCreatePodContainer",
)
"""What the kubelet or the scheduler waits for: it may pass, so it counts only when the pod's time is up."""


class Ready(Struct, frozen=True):
    """For now: that it stays so, its next sights show."""


class Failed(Struct, frozen=True):
    """`stage` is empty where the API does not tell: a sandbox that its container misses has died by itself, or of the
    container's start in the same cgroup."""

    stage: Literal["", "sandbox", "container"]
    words: str


class Obstacle(Struct, frozen=True):
    """Not memory: nothing can be measured until it is out of the way. `words` is one line."""

    words: str


Outcome = Ready | Failed | Obstacle


def outcome(pod: Pod, events: Sequence[Event], *, one_has_run: bool) -> Outcome | None:
    """None while it is not decided. `one_has_run`: a pod with a larger limit became ready on the same node."""
    failed = _by_events(events, one_has_run) or _of_pod(pod)
    if failed is not None:
        return failed
    status = next(iter(pod.status.container_statuses), None)
    if status is not None:
        ended = status.state.terminated or status.last_state.terminated
        return _of_end(ended, one_has_run) if ended else _of_container(pod, status, one_has_run)
    return None


def sandbox_outcome(pod: Pod, events: Sequence[Event]) -> Outcome | None:
    """The same for a pod whose container is not to start, on a node where others ran: Ready is its sandbox."""
    failed = _of_sandbox_events(events, one_has_run=True) or _of_pod(pod)
    if failed is not None:
        return failed
    changed = next((event for event in events if event.reason == SANDBOX_CHANGED), None)
    if changed is not None:
        return Failed("sandbox", short(changed.message))
    status = next(iter(pod.status.container_statuses), None)
    waiting = status.state.waiting if status else None
    if status is not None and (waiting is None or waiting.reason in (*START_REASONS, CONFIG_REASON)):
        return Obstacle("admission gave its container an image that the node has, so its sandbox was not alone")
    return Ready() if _sandbox_is_up(pod, events, waiting.reason if waiting else "") else None


def _sandbox_is_up(pod: Pod, events: Iterable[Event], reason: str) -> bool:
    """As the kubelet says, which before Kubernetes 1.29 is to be seen only by its having looked for the image."""
    condition = pod.status.condition(*SANDBOX_READY)
    if condition is not None:
        return condition.status == "True"
    return reason in IMAGE_REASONS or any(event.reason == PULLING for event in events)


def _by_events(events: Sequence[Event], one_has_run: bool) -> Failed | Obstacle | None:
    """What came first decides: what a container's start leaves in the pod's cgroup is in the way of what follows."""
    sandbox = [event for event in events if event.reason == SANDBOX_ERROR]
    first = _earliest(event for event in events if event.reason in (CONTAINER_STARTED, CONTAINER_ERROR))
    if first is None or (sandbox and not _is_not_after(first, _earliest(sandbox))):
        return _of_sandbox_events(events, one_has_run)
    if first.reason == CONTAINER_ERROR:
        return _of_start(first.message, one_has_run)
    trouble = [event for event in events if event.reason == CONTAINER_ERROR] or sandbox
    return _of_start(trouble[0].message, one_has_run) if trouble else None


def timed_out(pod: Pod, events: Sequence[Event], *, one_has_run: bool, seconds: float) -> Failed | Obstacle:
    """What it is when the time is up without any sign of how it ends."""
    latest = _newest(event for event in events if event.reason in WAITING_EVENTS)
    if not pod.spec.node_name:
        return Obstacle(_told(latest) if latest else f"no scheduler has placed it within {seconds:g}s")
    if latest is not None:
        return Obstacle(_told(latest))
    condition = pod.status.condition(*SANDBOX_READY)
    words = f"not ready after {seconds:g}s, and no event says why"
    if not one_has_run:
        return Obstacle(words)
    if condition is None:
        return Failed("", words)
    return Failed("container" if condition.status == "True" else "sandbox", words)


def changed(pod: Pod, limit_bytes: int) -> str:
    """What admission, or whoever came later, made of a pod that was to have `limit_bytes`; empty when it is so."""
    names = [container.name for container in (*pod.spec.init_containers, *pod.spec.containers)]
    if names != [CONTAINER]:
        return f"added the container {', '.join(name for name in names if name != CONTAINER)}"
    limit = pod_memory_limit(pod)
    if limit.limit_bytes == limit_bytes:
        return ""
    return f"changed the pod's memory limit from {quantity.format_bytes(limit_bytes)} to {limit.quantity or 'none'}"


def _of_pod(pod: Pod) -> Obstacle | None:
    if pod.status.phase == "Failed" and pod.status.reason:
        return Obstacle(f"the node ended it: {pod.status.reason}: {pod.status.message}".rstrip(": "))
    return None


def _of_sandbox_events(events: Iterable[Event], one_has_run: bool) -> Failed | Obstacle | None:
    """Retries alternate between wordings: one that names memory outweighs one that does not."""
    failures = [read_runtime_error(event.message) for event in events if event.reason == SANDBOX_ERROR]
    if not failures:
        return None
    told = min(failures, key=lambda failure: _ORDER.index(failure.proof))
    elsewhere = told.proof is Proof.NOT_MEMORY and (not one_has_run or told.cause in NODE_CAUSES)
    return _elsewhere(told) if elsewhere else Failed("sandbox", _innermost(told))


_ORDER = (Proof.MEMORY, Proof.POSSIBLE, Proof.NOT_MEMORY, Proof.UNKNOWN)


def _of_container(pod: Pod, status: ContainerStatus, one_has_run: bool) -> Outcome | None:
    waiting = status.state.waiting
    if waiting is not None and waiting.reason in START_REASONS:
        return _of_start(waiting.message or waiting.reason, one_has_run)
    if waiting is not None and waiting.reason in (*IMAGE_REASONS, CONFIG_REASON):
        return Obstacle(said(waiting.reason, waiting.message))
    condition = pod.status.condition("Ready")
    is_ready = condition is not None and condition.status == "True" and status.ready and not status.restart_count
    return Ready() if is_ready else None


def _of_end(ended: StateTerminated, one_has_run: bool) -> Failed | Obstacle | None:
    if ended.reason in ENDED_AT_START:
        return _of_start(ended.message or ended.reason, one_has_run)
    if ended.reason == "OOMKilled" or ended.exit_code == KILLED or one_has_run:
        return Failed("container", f"{ended.reason or 'ended'}, exit code {ended.exit_code}")
    return Obstacle(
        f"the image's own program ended with exit code {ended.exit_code}, and one that stays is needed: a pause image"
    )


def _of_start(message: str, one_has_run: bool) -> Failed | Obstacle:
    told = read_runtime_error(message)
    if told.proof is Proof.NOT_MEMORY and not one_has_run:
        return _elsewhere(told)
    return Failed("" if told.cause == SANDBOX_GONE else "container", _innermost(told))


def _elsewhere(told: RuntimeFailure) -> Obstacle:
    return Obstacle(f"its pod fails, and not on memory ({told.cause}): {_innermost(told)}")


def _earliest(events: Iterable[Event]) -> Event | None:
    timed = [(made, number, event) for number, event in enumerate(events) if (made := event.first_seen())]
    return min(timed, default=(None, 0, None))[2]


def _is_not_after(container: Event, sandbox: Event | None) -> bool:
    """In the same second it was the container: a sandbox that fails is tried again after many."""
    made, other = container.first_seen(), sandbox.first_seen() if sandbox else None
    return made is not None and other is not None and made <= other


def _newest(events: Iterable[Event]) -> Event | None:
    timed = [(seen, number, event) for number, event in enumerate(events) if (seen := event.last_seen())]
    return max(timed, default=(None, 0, None))[2]


def _told(event: Event) -> str:
    return said(event.reason, event.message)


def _innermost(failure: RuntimeFailure) -> str:
    """Without ids, which nobody can look up any more once the pod is removed."""
    return short(normalise(failure.innermost or failure.text))


def events_of(events: Iterable[Event], pod: Pod) -> Iterator[Event]:
    return (event for event in events if event.involved_object.uid == pod.metadata.uid)
