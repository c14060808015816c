"""The short page of a pod: its state as kubectl words it, its memory limit and its source, how it ended before."""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_memdoctor.context import PodContext
from kubectl_memdoctor.evidence.event_groups import EventGroup
from kubectl_memdoctor.finding import Evidence, Finding, PodFacts, Termination
from kubectl_memdoctor.limit_sentences import limit_line
from kubectl_memdoctor.objects import ContainerStatus, Pod

MEMORY_WARNINGS = frozenset({"Unhealthy", "BackOff"})
"""Warnings that say that something failed, not why: the newest other one tells more."""


def pod_facts(context: PodContext, findings: Iterable[Finding]) -> PodFacts:
    pod = context.pod
    own = [
        finding
        for finding in findings
        if finding.involved_object == context.involved(finding.involved_object.field_path)
    ]
    statuses = pod.status.container_statuses
    return PodFacts(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        status=pod_status(pod),
        ready=f"{sum(status.ready for status in statuses)}/{len(pod.spec.containers)}",
        node=pod.spec.node_name,
        qos_class=pod.status.qos_class or context.limit.qos_class,
        limit=limit_line(context.limit),
        minimum=context.minimum.reason,
        terminations=tuple(_terminations(context)),
        warning=None if own else _newest_warning(context),
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
    telling = [group for group in warnings if group.reason not in MEMORY_WARNINGS]
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
    if pod.metadata.deletion_timestamp is not None:
        return "Terminating"
    init = _init_status(pod)
    if init is not None:
        return init
    words = [word for status in pod.status.container_statuses if (word := _state_word(status))]
    reason = pod.status.reason or pod.status.phase or "Unknown"
    if not words:
        return reason
    if words[-1] == "Completed" and any(status.ready for status in pod.status.container_statuses):
        return "Running"
    return words[0]


def _state_word(status: ContainerStatus) -> str:
    waiting, terminated = status.state.waiting, status.state.terminated
    if waiting is not None:
        return waiting.reason
    if terminated is None:
        return ""
    if terminated.reason:
        return terminated.reason
    return f"Signal:{terminated.signal}" if terminated.signal else f"ExitCode:{terminated.exit_code}"


def _init_status(pod: Pod) -> str | None:
    sidecars = {container.name for container in pod.spec.init_containers if container.restart_policy == "Always"}
    statuses = pod.status.init_container_statuses
    for index, status in enumerate(statuses):
        terminated = status.state.terminated
        if terminated is not None and terminated.exit_code == 0:
            continue
        if status.name in sidecars and (status.ready or status.state.running is not None):
            continue
        word = _state_word(status)
        if word and word != "PodInitializing":
            return f"Init:{word}"
        return f"Init:{index}/{len(statuses)}"
    return None
