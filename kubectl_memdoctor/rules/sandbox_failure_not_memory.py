"""A pod's sandbox fails to start, and its memory limit is not the reason.

## What it finds
A pod that stays in ContainerCreating or PodInitializing since its sandbox fails, where the limit rules memory out: the
pod as a whole has no memory limit, or one far above what any sandbox needs, or the runtime names another cause
(network, image, runtime handler, a missing kernel feature) that the limit has no part in.

The cause is named where the error names one. An error text that nobody knows is called unknown, not memory.

## Why it matters
The words of a sandbox that memory kills (`connection reset by peer`, `broken pipe`, `EOF`) also come from others.
Knowing that the limit is fine saves raising it in vain.

## When it is wrong
A pod can use up an ample limit before its sandbox starts: a memory-backed volume that fills it, or kernel memory that
old kernels (3.10) charge to the pod. Where the runtime itself speaks of an OOM kill under an ample limit, this finding
is only *possible*, and the kernel log of the node decides: with a kill in it the limit is the cause after all; where it
is whole and shows none, memory is ruled out.

## How to mend it
Follow the error that is shown: it comes from the node's runtime or network plugin.

## References
- What the kubelet does with a failing sandbox: https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/
- An OOM-killed sandbox under a sane limit: https://github.com/flannel-io/flannel/issues/963
"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_memdoctor.context import PodContext, Trait
from kubectl_memdoctor.evidence.runtime_errors import Proof
from kubectl_memdoctor.finding import Finding, RuledOut, Severity
from kubectl_memdoctor.kernel_verdict import no_kill_while_failing
from kubectl_memdoctor.objects import CONFIG_MAPS, EVENTS, NODE_PROXY, NODES, PODS, RUNTIME_CLASSES
from kubectl_memdoctor.sandbox_failure import SandboxVerdict, sandbox_evidence, sandbox_verdict

SCOPE = PodContext
TRAITS = Trait.STARTING
NEEDS = (PODS, EVENTS)
USES = (NODES, RUNTIME_CLASSES, CONFIG_MAPS, NODE_PROXY)
SUPERSEDES = ()


def find(pod: PodContext) -> Iterator[Finding]:
    verdict = sandbox_verdict(pod)
    if verdict is None or verdict.memory:
        return
    yield Finding(
        rule="sandbox-failure-not-memory",
        severity=Severity.INFO,
        confidence=verdict.confidence,
        involved_object=pod.involved(),
        message=f"cannot start: its sandbox fails, but not because of its memory limit{_cause(verdict)}",
        details=tuple(_details(pod, verdict)),
        memory=pod.pod_memory(),
        evidence=tuple(sandbox_evidence(pod)),
        ruled_out=(RuledOut(cause="memory limit", because=verdict.because),),
    )


def _cause(verdict: SandboxVerdict) -> str:
    if verdict.error is None or verdict.error.failure.proof is not Proof.NOT_MEMORY:
        return ""
    return f" ({verdict.error.failure.cause.replace('-', ' ')})"


def _details(pod: PodContext, verdict: SandboxVerdict) -> Iterator[str]:
    because = verdict.because
    if no_kill_while_failing(pod):
        yield "The node's kernel log covers these failures without a gap and shows no kill for memory in the pod."
    yield f"{because[0].upper()}{because[1:].rstrip('.')}."
    if verdict.error is None:
        yield "No error of it is left to read: events are kept for an hour unless the API server is told otherwise."
        return
    failure = verdict.error.failure
    if failure.proof is Proof.NOT_MEMORY:
        yield f"The runtime says: {failure.innermost}"
    elif failure.proof is Proof.MEMORY:
        yield "Yet the runtime speaks of memory: the node's kernel log tells what else used it up."
    else:
        node = pod.pod.spec.node_name
        yield f"The runtime's words ({failure.innermost}) fit many causes; its log on node {node} tells more."
