"""The short page of a pod: its state as kubectl words it, its memory limit and its source, how it ended before."""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_memdoctor.context import PodContext
from kubectl_memdoctor.evidence.event_groups import EventGroup
from kubectl_memdoctor.finding import Evidence, PodFacts, Termination
from kubectl_memdoctor.limit_sentences import limit_line
from kubectl_memdoctor.objects import ContainerStatus, Pod
from kubectl_memdoctor.time_line import time_line

SYMPTOMS = frozenset({"Unhealthy", "BackOff"})
"""Warnings that say that something failed, not why: the newest other one tells more."""


def pod_facts(context: PodContext) -> PodFacts:
    pod = context.pod
    return PodFacts(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        status=pod_status(pod),
        ready=_ready(pod),
        node=pod.spec.node_name,
        qos_class=pod.status.qos_class or context.limit.qos_class,
        limit=limit_line(context.limit),
        minimum=context.minimum.reason,
        terminations=tuple(_terminations(context)),
        warning=_newest_warning(context),
        time_line=time_line(context),
    )


def _terminations(context: PodContext) -> Iterable[Termination]:
    for end in context.ends:
        lasted = end.lasted()
        yield Termination(
            container=end.container,
            reason=end.terminated.reason or "Unknown",
            exit_code=end.terminated.exit_code,
            finished_at=end.terminated.finished_at,
            lasted_seconds=int(lasted.total_seconds()) if lasted is not None else None,
        )


def _newest_warning(context: PodContext) -> Evidence | None:
    """The newest Warning event of a pod that is not well."""
    if _is_well(context.pod):
        return None
    warnings = [group for group in context.events if group.type == "Warning"]
    telling = [group for group in warnings if group.reason not in SYMPTOMS]
    newest: EventGroup | None = next(iter(telling or warnings), None)
    return newest.evidence() if newest else None


def _is_well(pod: Pod) -> bool:
    if pod.status.phase == "Succeeded":
        return True
    return pod.status.phase == "Running" and all(status.ready for status in pod.status.container_statuses)


def pod_status(pod: Pod) -> str:
    """kubectl's STATUS column.

    https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/printers/internalversion/printers.go (printPod)
    """
    status = pod.status
    if pod.metadata.deletion_timestamp is not None:
        if status.reason == "NodeLost":
            return "Unknown"
        if status.phase not in ("Succeeded", "Failed"):
            return "Terminating"
    init = _init_status(pod)
    initialized = any(entry.type == "Initialized" and entry.status == "True" for entry in status.conditions)
    if init is not None and not initialized:
        return init
    words = [word for entry in status.container_statuses if (word := _state_word(entry))]
    if not words:
        return init or _reason(pod)
    if words[0] == "Completed" and any(entry.ready and entry.state.running for entry in status.container_statuses):
        ready = any(entry.type == "Ready" and entry.status == "True" for entry in status.conditions)
        return "Running" if ready else "NotReady"
    return words[0]


def _reason(pod: Pod) -> str:
    if any(entry.type == "PodScheduled" and entry.reason == "SchedulingGated" for entry in pod.status.conditions):
        return "SchedulingGated"
    return pod.status.reason or pod.status.phase or "Unknown"


def _state_word(status: ContainerStatus) -> str:
    waiting, terminated = status.state.waiting, status.state.terminated
    if waiting is not None and waiting.reason:
        return waiting.reason
    if terminated is None:
        return ""
    if terminated.reason:
        return terminated.reason
    return f"Signal:{terminated.signal}" if terminated.signal else f"ExitCode:{terminated.exit_code}"


def _init_status(pod: Pod) -> str | None:
    """`Init:` and what the first init container does that is not done; a sidecar is done when it has started."""
    sidecars = _sidecars(pod)
    for index, status in enumerate(pod.status.init_container_statuses):
        terminated = status.state.terminated
        if terminated is not None and terminated.exit_code == 0:
            continue
        if status.name in sidecars and status.started:
            continue
        word = _state_word(status)
        if word and word != "PodInitializing":
            return f"Init:{word}"
        return f"Init:{index}/{len(pod.spec.init_containers)}"
    return None


def _sidecars(pod: Pod) -> set[str]:
    return {container.name for container in pod.spec.init_containers if container.restart_policy == "Always"}


def _ready(pod: Pod) -> str:
    """kubectl's READY column: sidecars count as containers."""
    sidecars = _sidecars(pod)
    beside = (entry for entry in pod.status.init_container_statuses if entry.name in sidecars)
    ready = sum(entry.ready for entry in (*pod.status.container_statuses, *beside))
    return f"{ready}/{len(pod.spec.containers) + len(sidecars)}"
