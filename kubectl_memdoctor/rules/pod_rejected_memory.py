"""A node refused a pod because it had not enough memory left for the pod's request.

## What it finds
A pod in phase Failed with the reason OutOfmemory: the scheduler (or a fixed `nodeName`) had chosen the node, and the
kubelet found that the pod's memory request no longer fits there. How much was requested, used and there is taken from
the kubelet's message, and what was missing follows.

## Why it matters
Such a pod is over for good. A controller makes another one, which may meet the same end; a bare pod does not come back.

## When it is wrong
The kubelet's own words decide, so the cause is certain. Right after a node's restart it can pass by itself: all pods
are admitted anew at once, and those that come last find the node full.

## How to mend it
Delete the pod, and lower its memory request or make room on the node. A pod with a fixed `nodeName` skips the
scheduler: let the scheduler choose.

## References
- Admission by the kubelet: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/lifecycle/predicate.go
- Pods rejected after a restart: https://github.com/kubernetes/kubernetes/issues/105523
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from kubectl_memdoctor.context import PodContext, Trait
from kubectl_memdoctor.evidence.event_groups import EventGroup
from kubectl_memdoctor.finding import Confidence, Evidence, Finding, Memory, Remedy, Severity
from kubectl_memdoctor.node_room import at_least, at_most
from kubectl_memdoctor.objects import EVENTS, PODS
from kubectl_memdoctor.pod_limit import pod_memory_request

SCOPE = PodContext
TRAITS = Trait.FAILED
NEEDS = (PODS,)
USES = (EVENTS,)
SUPERSEDES = ("container-killed-not-oom", "pod-memory-limit-below-sandbox-minimum")

_FIGURES = re.compile(r"\brequested: (\d{1,19}), used: (\d{1,19}), capacity: (\d{1,19})", re.IGNORECASE)
"""Bytes. https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/lifecycle/predicate.go (Error)"""


def find(pod: PodContext) -> Iterator[Finding]:
    status = pod.pod.status
    if status.phase != "Failed" or status.reason.lower() != "outofmemory":
        return
    node = pod.pod.spec.node_name
    yield Finding(
        rule="pod-rejected-memory",
        severity=Severity.WARNING if pod.pod.metadata.controller() else Severity.CRITICAL,
        confidence=Confidence.CONFIRMED,
        involved_object=pod.involved(),
        message=f"was rejected: {f'node {node}' if node else 'its node'} has not enough memory left for its request",
        details=tuple(_details(pod)),
        memory=Memory(limit_bytes=pod.limit.limit_bytes, request_bytes=pod_memory_request(pod.pod)),
        evidence=tuple(_evidence(pod)),
        remedy=_remedy(pod),
    )


def _details(pod: PodContext) -> Iterator[str]:
    figures = _FIGURES.search(_message(pod))
    if figures:
        requested, used, capacity = (int(figure) for figure in figures.groups())
        yield (
            f"It requests {at_least(requested)}; pods on the node request {at_least(used)} already, "
            f"and there are {at_most(capacity)} for all of them."
        )
        missing = requested + used - capacity
        if requested > capacity:
            yield "It requests more than the node has altogether: it can never run there."
        elif missing > 0:
            yield f"{at_least(missing)} are missing."
    controller = pod.pod.metadata.controller()
    if controller is not None:
        yield f"{controller.kind} {controller.name} makes another pod for it; this one is over."
    else:
        yield "Nothing makes another pod for it."


def _message(pod: PodContext) -> str:
    return pod.pod.status.message or next((group.message for group in _events(pod)), "")


def _events(pod: PodContext) -> Iterator[EventGroup]:
    return (group for group in pod.events if group.reason.lower() == "outofmemory")


def _evidence(pod: PodContext) -> Iterator[Evidence]:
    status = pod.pod.status
    yield pod.evidence("status.reason", status.reason)
    if status.message:
        yield pod.evidence("status.message", status.message)
    for group in _events(pod):
        yield group.evidence()


def _remedy(pod: PodContext) -> Remedy:
    node = pod.pod.spec.node_name
    text = "Lower its memory request, or make room on the node"
    if not node:
        return Remedy(text=f"{text}.")
    return Remedy(
        text=f"{text}: the command shows what the pods there ask for.",
        command=f"kubectl describe node {shlex.quote(node)}",
    )
