"""A container was killed because the pod as a whole used more memory than the pod-level limit.

## What it finds
A container that ended with the reason OOMKilled and exit code 137 and has no memory limit of its own, in a pod whose
containers have one together: `spec.resources.limits.memory`, or, for an ephemeral container, the sum of the others'.
And any container of which the node's kernel log says that it was killed at the pod's limit rather than at its own.

## Why it matters
The container that is killed need not be the one that uses too much: the kernel takes the largest process of the pod,
and its neighbours' memory and the pod's memory-backed volumes count as well.

## When it is wrong
Kubelets before 1.34 give such a container no limit of its own, newer ones give it the pod's. In both cases the pod's
limit is what ran out; which process used it up, only the kernel log of the node tells.

## How to mend it
Raise `spec.resources.limits.memory`, or give the containers limits of their own, so that the one that grows is the one
that is killed.

## References
- Pod-level resources: https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/
- The design: https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/2837-pod-level-resource-spec
"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_memdoctor.container_kills import KilledContainer, Killer, LimitInForce, killed_containers
from kubectl_memdoctor.context import PodContext, Trait
from kubectl_memdoctor.finding import Finding, MemoryChange, Remedy, Severity
from kubectl_memdoctor.objects import EVENTS, NODE_PROXY, PODS
from kubectl_memdoctor.oom_shape import raising_advice, shape_sentences
from kubectl_memdoctor.pod_limit import LimitSource
from kubectl_memdoctor.suggested_limit import after_oom
from kubectl_memdoctor.usage import Observed, together

SCOPE = PodContext
TRAITS = Trait.KILLED
NEEDS = (PODS,)
USES = (EVENTS, NODE_PROXY)
SUPERSEDES = ("pod-memory-limit-below-sandbox-minimum", "container-child-oom-killed", "container-memory-near-limit")


def find(pod: PodContext) -> Iterator[Finding]:
    for killed in killed_containers(pod, Killer.POD):
        if killed.limit is not None:
            yield _finding(killed, killed.limit)


def _finding(killed: KilledContainer, limit: LimitInForce) -> Finding:
    return Finding(
        rule="pod-oom-killed",
        severity=Severity.CRITICAL if killed.keeps_dying() else Severity.WARNING,
        confidence=killed.newest.confidence,
        involved_object=killed.involved(),
        message=f"{killed.title} was killed{killed.when()}: the pod used more memory than its {limit.quantity} limit",
        details=tuple(_details(killed, limit)),
        memory=killed.memory(),
        evidence=tuple(killed.evidence()),
        remedy=_remedy(killed, limit),
    )


def _details(killed: KilledContainer, limit: LimitInForce) -> Iterator[str]:
    name = killed.newest.end.container
    whose = "has no limit of its own" if killed.newest.kernel is None else "did not reach a limit of its own"
    yield f"Container {name} {whose}; the pod's, {limit.words}, holds for all containers together."
    yield from killed.kernel_sentences()
    neighbours = [entry.name for entry in killed.pod.pod.spec.containers if entry.name != name]
    if neighbours:
        yield f"What {', '.join(neighbours)} uses counts as well, and so do memory-backed volumes."
    yield from shape_sentences(killed.shape())
    yield from killed.usage_sentences()


def _remedy(killed: KilledContainer, limit: LimitInForce) -> Remedy:
    if limit.source is not LimitSource.POD:
        return Remedy(text="It shares the pod's memory: use a smaller tool, or debug a copy of the pod.")
    enough = after_oom(limit.bytes, _seen_together(killed.pod))
    advice = raising_advice(killed.shape(), enough.quantity).replace("its limit", "the pod's limit", 1)
    return Remedy(text=f"{advice} {enough.why}".rstrip(), changes=(MemoryChange(limit=enough.quantity),))


def _seen_together(pod: PodContext) -> Observed | None:
    found = ((entry.name, pod.usage(entry.name)) for entry in pod.pod.spec.containers)
    return together({name: seen for name, usage in found if usage and (seen := usage.observed())})
