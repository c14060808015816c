"""A pod's sandbox cannot start because the pod's memory limit is smaller than what the sandbox needs.

## What it finds
A pod that stays in ContainerCreating or PodInitializing since its sandbox, the pause container that holds the pod's
namespaces, is killed or refused again and again, while the limit of the pod's cgroup is under what the node's runtime
needs to start one. The usual case is a unit typed wrong: `memory: 300m` is 0.3 byte, `300Mi` was meant.

The limit decides, the runtime's words support it. A limit under one page (4096 bytes) is confirmed by arithmetic.
Above that, words that only a memory kill produces confirm it; opaque words (`read init-p: connection reset by peer`)
make it likely when the limit is under every known minimum and possible when the runtimes differ.
A pod whose events have expired is found by its condition PodReadyToStartContainers and its limit.

## Why it matters
Nothing that Kubernetes prints for such a pod names memory. It never starts by itself, and it is retried for ever.

## When it is wrong
The minimum differs by runtime, version, cgroup version and number of CPUs, and the API names only the container engine.
Where the limit lies between the runtimes' minima, the finding is *possible*. A node whose kernel needs far more than
those measured is not known here: `kubectl memdoctor calibrate` measures yours. The node's kernel log shows the kill
itself and makes it *confirmed*, whatever the limit. Kernels before 5.9 may kill nothing and only log that they could
not allocate for themselves (`SLUB: Unable to allocate memory`): in the pod's cgroup that confirms a limit within the
runtimes' minima, makes one somewhat above them *likely*, and says nothing under an ample one.

## How to mend it
Raise the limit where the pod's template is. If the unit was wrong, write the one that was meant; otherwise
give at least the minimum that is shown, and what the program itself needs on top.

## References
- The kubelet's pod limit: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/cm/helpers_linux.go
- Units: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#meaning-of-memory
- runc's words for it: https://github.com/opencontainers/runc/blob/v1.1.12/libcontainer/process_linux.go
"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_memdoctor.context import PodContext, Trait
from kubectl_memdoctor.finding import Finding, Severity
from kubectl_memdoctor.limit_sentences import small_limit_sentences
from kubectl_memdoctor.objects import CONFIG_MAPS, EVENTS, LIMIT_RANGES, NODE_PROXY, NODES, PODS, RUNTIME_CLASSES
from kubectl_memdoctor.sandbox_failure import node_sentences, other_causes, sandbox_evidence, sandbox_verdict
from kubectl_memdoctor.small_limit import raise_limit

SCOPE = PodContext
TRAITS = Trait.STARTING
NEEDS = (PODS,)
USES = (EVENTS, NODES, LIMIT_RANGES, RUNTIME_CLASSES, CONFIG_MAPS, NODE_PROXY)
SUPERSEDES = (
    "pod-memory-limit-below-sandbox-minimum",
    "memory-quantity-fractional",
    "container-memory-limit-too-small",
    "container-oom-killed",
    "pod-oom-killed",
    "container-killed-not-oom",
)


def find(pod: PodContext) -> Iterator[Finding]:
    verdict = sandbox_verdict(pod)
    if verdict is None or not verdict.memory:
        return
    yield Finding(
        rule="sandbox-memory-limit-too-small",
        severity=Severity.CRITICAL,
        confidence=verdict.confidence,
        involved_object=pod.involved(),
        message="cannot start: its memory limit is too small for the pod's sandbox",
        details=(*small_limit_sentences(pod.limit), *node_sentences(pod), f"{pod.minimum.reason}."),
        memory=pod.pod_memory(),
        evidence=tuple(sandbox_evidence(pod)),
        ruled_out=tuple(other_causes(pod)),
        remedy=raise_limit(pod.limit, pod.minimum.high_bytes),
    )
