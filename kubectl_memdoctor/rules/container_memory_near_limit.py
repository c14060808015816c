"""A container uses nearly all of its memory limit; only looked for with --near-limit.

## What it finds
A container (regular or sidecar) that runs and whose working set is at least the share of its own memory limit that
--near-limit says, by the metrics API, or by the kubelets where --node-evidence asks them. It says how much the other
pods of the workload use, and with --prometheus how much was used in the last 7 days.

## Why it matters
The next larger piece of work may reach the limit, and then the kernel kills without warning.

## When it is wrong
The working set holds file pages that were used lately. The kernel takes them back before it kills, so a program that
reads large files may stand near its limit for ever. The figure is of one moment: a container that peaks at other times
is not found, and one that was found may have been at its peak. Containers without a limit of their own are left out,
also where the pod as a whole has one.

## How to mend it
Raise the limit above what is used at the peak, or let the program use less.

## References
- What a working set is: https://kubernetes.io/docs/tasks/debug/debug-cluster/resource-metrics-pipeline/#memory
- Who measures it: https://github.com/kubernetes-sigs/metrics-server
"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_memdoctor import quantity
from kubectl_memdoctor.container_kills import LimitInForce, limit_in_force
from kubectl_memdoctor.context import PodContext, Trait
from kubectl_memdoctor.finding import Confidence, Finding, Memory, MemoryChange, Remedy, Severity
from kubectl_memdoctor.objects import PODS, Container
from kubectl_memdoctor.pod_limit import LimitSource, is_windows
from kubectl_memdoctor.suggested_limit import above_peak
from kubectl_memdoctor.usage import Usage, bar, percent

SCOPE = PodContext
TRAITS = Trait.NEAR_LIMIT
NEEDS = (PODS,)
USES = ()
SUPERSEDES = ()


def find(pod: PodContext) -> Iterator[Finding]:
    share = pod.cluster.near_limit
    if share is None or is_windows(pod.pod):
        return
    for kind, container in _containers(pod):
        usage, limit = pod.usage(container.name), limit_in_force(pod, container.name)
        if usage is None or usage.now_bytes is None or limit is None or limit.of_pod:
            continue
        if usage.now_bytes >= share * limit.bytes:
            yield _finding(pod, kind, container, usage, usage.now_bytes, limit)


def _containers(pod: PodContext) -> Iterator[tuple[str, Container]]:
    yield from (("containers", entry) for entry in pod.pod.spec.containers)
    yield from (("initContainers", entry) for entry in pod.pod.spec.init_containers)


def _finding(pod: PodContext, kind: str, container: Container, usage: Usage, used: int, limit: LimitInForce) -> Finding:
    title = "container" if kind == "containers" else "init container"
    if kind == "initContainers" and container.restart_policy == "Always":
        title = "sidecar"
    return Finding(
        rule="container-memory-near-limit",
        severity=Severity.INFO,
        confidence=Confidence.CONFIRMED,
        involved_object=pod.involved(f"spec.{kind}{{{container.name}}}"),
        message=f"its {title} {container.name} uses {percent(used, limit.bytes)}% of its memory limit of"
        f" {limit.quantity}",
        details=(f"{bar(used, limit.bytes)} of {limit.words}.", *_details(usage, limit)),
        memory=Memory(
            limit_bytes=limit.bytes,
            limit_quantity=limit.quantity,
            limit_source=limit.source.value,
            request_bytes=_bytes(container.resources.requests.get("memory")),
        ),
        evidence=(pod.evidence(limit.field, limit.quantity), *usage.evidence),
        remedy=_remedy(container.name, usage, limit),
    )


def _details(usage: Usage, limit: LimitInForce) -> Iterator[str]:
    yield from usage.sentences()
    if limit.source is LimitSource.LIMIT_RANGE:
        yield "The manifest gives it no limit: a LimitRange of the namespace did."


def _remedy(name: str, usage: Usage, limit: LimitInForce) -> Remedy:
    enough = above_peak(limit.bytes, usage)
    if enough is None:
        return Remedy(text="Its limit is a quarter above the most that was seen: leave it while that holds.")
    return Remedy(
        text=f"Raise its limit before it is reached. {enough.why}",
        changes=(MemoryChange(container=name, limit=enough.quantity),),
    )


def _bytes(text: str | None) -> int | None:
    try:
        return quantity.value(text) if text else None
    except quantity.QuantityError:
        return None
