"""A change of a running pod's memory is not put into effect: its resize in place is deferred, infeasible or failed.

## What it finds
A pod whose memory requests or limits were changed while it runs, where the kubelet says that it cannot do so: Deferred
(no room on the node now), Infeasible (never on this node) or Error (the runtime refused, as it does for a limit below
what is used). Resizes that concern cpu only are left alone.

## Why it matters
The spec shows the new figures, but the old ones are in force: the container is still killed at the old limit.

## When it is wrong
A deferred resize goes through by itself as soon as other pods leave room. Where the kubelet's message does not name
memory, the finding rests on the figures in spec and status alone and is *likely*.

## How to mend it
Ask for less, make room on the node, or take the change back (the command does); a pod that is made anew may land on
another node.

## References
- Resize: https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/#pod-resize-status
- The design: https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/1287-in-place-update-pod-resources
- The kubelet's words: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/allocation/allocation_manager.go
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.context import PodContext, Trait
from kubectl_memdoctor.duration import human_duration
from kubectl_memdoctor.finding import Confidence, Evidence, Finding, Remedy, Severity
from kubectl_memdoctor.node_room import at_least, at_most
from kubectl_memdoctor.objects import EVENTS, NODES, PODS, ContainerStatus

SCOPE = PodContext
TRAITS = Trait.RESIZING
NEEDS = (PODS,)
USES = (EVENTS, NODES)
SUPERSEDES = ()

_HEADLINES = {
    "Deferred": "waits for its memory resize: the node has no room for it now",
    "Infeasible": "does not get its memory resize: it cannot be done on this node",
    "Error": "does not get its memory resize: the node failed to do it",
}
_MEMORY = re.compile(r"\bmemory\b(?! manager)", re.IGNORECASE)
_CPU = re.compile(r"\bcpu\b(?! manager)", re.IGNORECASE)
_FIGURES = re.compile(
    r"\bmemory, requested: (?P<requested>\d{1,19})(?:, used: (?P<used>\d{1,19}))?, capacity: (?P<capacity>\d{1,19})",
    re.IGNORECASE,
)
_BELOW_USAGE = re.compile(r"\bbelow current usage \((\d{1,19})\)", re.IGNORECASE)


class _Stuck(Struct, frozen=True):
    """`field` is where the kubelet says it."""

    reason: str
    message: str
    field: str
    since: datetime | None


class _Difference(Struct, frozen=True):
    """One quantity that is wanted and not in force. `kind` is limits or requests; `container` and `list_name` are empty
    where it is the pod's own."""

    container: str
    list_name: str
    field: str
    kind: str
    wanted: str
    in_force: str
    field_in_force: str


def find(pod: PodContext) -> Iterator[Finding]:
    stuck = _stuck(pod)
    if stuck is None:
        return
    differences = tuple(_differences(pod))
    named = _MEMORY.search(stuck.message) is not None
    if not named and (not differences or _CPU.search(stuck.message)):
        return
    yield Finding(
        rule="pod-memory-resize-stuck",
        severity=Severity.WARNING,
        confidence=Confidence.CONFIRMED if named else Confidence.LIKELY,
        involved_object=pod.involved(),
        message=_HEADLINES[stuck.reason],
        details=tuple(_details(pod, stuck, differences)),
        memory=msgspec.structs.replace(pod.pod_memory(), minimum_bytes=None),
        evidence=tuple(_evidence(pod, stuck, differences)),
        remedy=_remedy(pod, stuck, differences),
    )


def _stuck(pod: PodContext) -> _Stuck | None:
    """Conditions since Kubernetes 1.33, status.resize before."""
    for condition in pod.pod.status.conditions:
        pending = condition.type == "PodResizePending" and condition.reason in ("Deferred", "Infeasible")
        failed = condition.type == "PodResizeInProgress" and condition.reason == "Error"
        if condition.status == "True" and (pending or failed):
            field = f"status.conditions[{condition.type}]"
            return _Stuck(condition.reason, condition.message, field, condition.last_transition_time)
    resize = pod.pod.status.resize
    return _Stuck(resize, "", "status.resize", None) if resize in ("Deferred", "Infeasible") else None


def _differences(pod: PodContext) -> Iterator[_Difference]:
    spec, status = pod.pod.spec, pod.pod.status
    if status.resources is not None:
        for kind, wanted, amounts in (
            ("limits", spec.resources.limits, status.resources.limits),
            ("requests", spec.resources.requests, status.resources.requests),
        ):
            if "memory" in wanted and "memory" in amounts and _differ(wanted["memory"], amounts["memory"]):
                field = f"resources.{kind}.memory"
                yield _Difference("", "", f"spec.{field}", kind, wanted["memory"], amounts["memory"], f"status.{field}")
    for list_name, containers, status_list, statuses in (
        ("containers", spec.containers, "containerStatuses", status.container_statuses),
        ("initContainers", spec.init_containers, "initContainerStatuses", status.init_container_statuses),
    ):
        by_name = {entry.name: entry for entry in statuses}
        for index, container in enumerate(containers):
            reported = by_name.get(container.name)
            if reported is None:
                continue
            for kind, wanted in (("limits", container.resources.limits), ("requests", container.resources.requests)):
                found = _in_force(reported, kind)
                if found is not None and "memory" in wanted and _differ(wanted["memory"], found[0]):
                    where = f"status.{status_list}{{{container.name}}}.{found[1]}"
                    field = f"spec.{list_name}[{index}].resources.{kind}.memory"
                    yield _Difference(container.name, list_name, field, kind, wanted["memory"], found[0], where)


def _in_force(status: ContainerStatus, kind: str) -> tuple[str, str] | None:
    """The quantity and the field that says it."""
    amounts = getattr(status.resources, kind, {}) if status.resources is not None else {}
    if "memory" in amounts:
        return amounts["memory"], f"resources.{kind}.memory"
    if kind == "requests" and "memory" in status.allocated_resources:
        return status.allocated_resources["memory"], "allocatedResources.memory"
    return None


def _differ(wanted: str, in_force: str) -> bool:
    try:
        return quantity.value(wanted) != quantity.value(in_force)
    except quantity.QuantityError:
        return False


def _details(pod: PodContext, stuck: _Stuck, differences: tuple[_Difference, ...]) -> Iterator[str]:
    if stuck.since is not None:
        yield f"It has been so for {human_duration(pod.now - stuck.since)}."
    for entry in differences:
        kind = entry.kind.removesuffix("s")
        whose = f"Container {entry.container}" if entry.container else "The pod as a whole"
        yield f"{whose}: memory {kind} {entry.wanted} is wanted, {entry.in_force} is in force."
    yield from _figures(stuck.message)


def _figures(message: str) -> Iterator[str]:
    usage = _BELOW_USAGE.search(message)
    if usage is not None:
        yield f"It uses {at_least(int(usage[1]))} now, more than the new limit allows."
        return
    found = _FIGURES.search(message)
    if found is None:
        if message:
            yield f"The kubelet says: {message}"
        return
    requested, capacity = int(found["requested"]), int(found["capacity"])
    if found["used"] is None:
        yield f"The pod would request {at_least(requested)}; the node has {at_most(capacity)} altogether."
        return
    missing = requested + int(found["used"]) - capacity
    yield (
        f"The pod would request {at_least(requested)}; the others on the node request {at_least(int(found['used']))} "
        f"of {at_most(capacity)}, so {at_least(max(missing, 0))} are missing."
    )


def _evidence(pod: PodContext, stuck: _Stuck, differences: tuple[_Difference, ...]) -> Iterator[Evidence]:
    value = f"{stuck.reason}: {stuck.message}" if stuck.message else stuck.reason
    yield pod.evidence(stuck.field, value, stuck.since)
    for entry in differences:
        yield pod.evidence(entry.field, entry.wanted)
        yield pod.evidence(entry.field_in_force, entry.in_force)
    for group in pod.events_of("ResizeDeferred", "ResizeInfeasible", "ResizeError"):
        yield group.evidence()


def _remedy(pod: PodContext, stuck: _Stuck, differences: tuple[_Difference, ...]) -> Remedy:
    text = {
        "Deferred": "It goes through once other pods leave room",
        "Infeasible": "Ask for less, or make the pod anew with its new size so that another node can take it",
        "Error": "Ask for a limit above what is used now",
    }[stuck.reason]
    if not differences:
        return Remedy(text=f"{text}.")
    patch = json.dumps(_undo(differences), separators=(",", ":"))
    subresource = "" if _before_subresource(pod) else "--subresource=resize "
    return Remedy(
        text=f"{text}; the command takes the change back.",
        command=f"kubectl -n {shlex.quote(pod.pod.metadata.namespace)} patch pod {shlex.quote(pod.pod.metadata.name)} "
        f"{subresource}--type=strategic -p {shlex.quote(patch)}",
    )


def _before_subresource(pod: PodContext) -> bool:
    """Until Kubernetes 1.31 a pod's resources were changed without the subresource.
    https://github.com/kubernetes/kubernetes/pull/128266
    """
    found = re.match(r"v1\.(\d{1,3})", pod.node.status.node_info.kubelet_version) if pod.node else None
    return found is not None and int(found[1]) < 32


def _undo(differences: tuple[_Difference, ...]) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    for entry in differences:
        holder = _container_patch(spec, entry) if entry.container else spec
        holder.setdefault("resources", {})[entry.kind] = {"memory": entry.in_force}
    return {"spec": spec}


def _container_patch(spec: dict[str, Any], entry: _Difference) -> dict[str, Any]:
    containers: list[dict[str, Any]] = spec.setdefault(entry.list_name, [])
    found = next((patch for patch in containers if patch["name"] == entry.container), None)
    if found is None:
        found = {"name": entry.container}
        containers.append(found)
    return found
