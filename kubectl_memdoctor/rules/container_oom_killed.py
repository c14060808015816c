"""A container was killed because it used more memory than its own limit.

## What it finds
A container of any sort (regular, init, sidecar) that has a memory limit of its own and ended with the reason OOMKilled
and exit code 137, now or the last time. Every known end is shown with how long the run had lasted, together with how
often the container was restarted and whether the other replicas fare alike: a container that dies seconds after every
start needs more to start, one that dies after hours grows, one of many replicas had something special to do.

## Why it matters
The kernel kills without warning: what the container was doing is lost, and the kubelet starts it again with growing
pauses (CrashLoopBackOff).

## When it is wrong
The mark OOMKilled stays on a container once any of its processes was killed. When the kubelet killed it later (a failed
probe, a deletion) and the event of that has expired, the two cannot be told apart. In a pod with a limit of its own
(`spec.resources`) that limit may have been reached first: the finding is then *likely*. Where the node's kernel log can
be read, it names the limit that was reached and the process that was killed, and decides both. A limit that was changed
in place after the kill is shown as it is now.

## How to mend it
Raise the container's limit, or let the program use less: a managed heap (JVM, Node.js, Go) should be told to stay well
under the limit.

## References
- Limits and the OOM killer: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
- Why the mark stays: https://github.com/kubernetes/kubernetes/issues/104454
- All processes of a container at once: https://github.com/kubernetes/kubernetes/pull/117793
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

SCOPE = PodContext
TRAITS = Trait.KILLED
NEEDS = (PODS,)
USES = (EVENTS, NODE_PROXY)
SUPERSEDES = ("pod-memory-limit-below-sandbox-minimum", "container-child-oom-killed", "container-memory-near-limit")


def find(pod: PodContext) -> Iterator[Finding]:
    for killed in killed_containers(pod, Killer.CONTAINER):
        if killed.limit is not None:
            yield _finding(killed, killed.limit)


def _finding(killed: KilledContainer, limit: LimitInForce) -> Finding:
    enough = after_oom(limit.bytes, killed.usage.observed() if killed.usage else None)
    return Finding(
        rule="container-oom-killed",
        severity=Severity.CRITICAL if killed.keeps_dying() else Severity.WARNING,
        confidence=killed.newest.confidence,
        involved_object=killed.involved(),
        message=f"{killed.title} was killed{killed.when()}: it used more memory than its limit of {limit.quantity}",
        details=tuple(_details(killed, limit)),
        memory=killed.memory(),
        evidence=tuple(killed.evidence()),
        remedy=Remedy(
            text=f"{raising_advice(killed.shape(), enough.quantity)} {enough.why}".rstrip(),
            changes=(MemoryChange(container=killed.newest.end.container, limit=enough.quantity),),
        ),
    )


def _details(killed: KilledContainer, limit: LimitInForce) -> Iterator[str]:
    yield f"Its limit is {limit.words}."
    yield from killed.kernel_sentences()
    yield from shape_sentences(killed.shape())
    yield from killed.usage_sentences()
    if limit.source is LimitSource.LIMIT_RANGE:
        yield "The manifest gives it no limit: a LimitRange of the namespace did."
    volumes = killed.pod.pod.spec.volumes
    for name in (volume.name for volume in volumes if volume.empty_dir and volume.empty_dir.medium == "Memory"):
        yield f"What it writes to the memory-backed volume {name} counts as well, and stays there over a restart."
