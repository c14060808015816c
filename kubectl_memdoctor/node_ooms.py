"""Nodes whose own memory ran out: kills that no pod's finding tells of, by the kernel log and by events of the node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from kubectl_memdoctor.container_kills import is_node_oom
from kubectl_memdoctor.context import ClusterContext, PodContext
from kubectl_memdoctor.duration import human_duration
from kubectl_memdoctor.evidence.event_groups import group_events
from kubectl_memdoctor.evidence.node_evidence import KernelKill, NodeEvidence
from kubectl_memdoctor.evidence.pod_join import ABOVE_THE_POD
from kubectl_memdoctor.finding import Confidence, Evidence, Finding, InvolvedObject, Remedy, Severity
from kubectl_memdoctor.kernel_verdict import kernel_evidence, kernel_sentences
from kubectl_memdoctor.log_findings import kill_span
from kubectl_memdoctor.objects import Pod, PodSpec

RULE = "node-oom-killed"
REMEDY = Remedy(
    text="Give its pods memory requests that match what they use, and limits to those that grow; more room for the"
    " system (kubelet's systemReserved, evictionHard) keeps the kernel out."
)


def kills_of_no_pod(evidence: NodeEvidence) -> list[KernelKill]:
    """Kills for want of the node's memory, or of what all its pods may use, that cost what is in no pod, or in one that
    the kernel does not name: before 5.0 it does not when the node itself is out of memory."""
    return [kill for kill in evidence.kills if kill.level in ABOVE_THE_POD and not kill.pod_uid]


def by_kernel(name: str, kills: Sequence[KernelKill], cluster: ClusterContext) -> Finding:
    """For one node; `kills` as `kills_of_no_pod` has them, at least one."""
    newest = kills[-1]
    on_node = PodContext(Pod(spec=PodSpec(node_name=newest.node)), cluster)
    victims = ", ".join(dict.fromkeys(victim.name for victim in newest.victims))
    return Finding(
        rule=RULE,
        severity=Severity.WARNING,
        confidence=Confidence.CONFIRMED,
        involved_object=InvolvedObject(kind="Node", name=name),
        message=f"ran out of memory: its kernel killed {victims or 'nothing, since nothing could be killed'}",
        details=(*kernel_sentences(newest), *kill_span(kills)),
        evidence=tuple(kernel_evidence(on_node, newest)),
        remedy=REMEDY,
    )


def by_events(name: str, cluster: ClusterContext) -> Iterator[Finding]:
    """The kubelet's SystemOOM, or what node-problem-detector repeats of the kernel's words."""
    groups = group_events(event for event in cluster.node_events.get(name, ()) if is_node_oom(event))
    if not groups:
        return
    last = groups[0].last
    when = f" {human_duration(cluster.now - last)} ago" if last else ""
    yield Finding(
        rule=RULE,
        severity=Severity.WARNING,
        confidence=Confidence.CONFIRMED,
        involved_object=InvolvedObject(kind="Node", name=name),
        message=f"ran out of memory{when}, and its kernel killed a process",
        evidence=tuple(_on_node(group.evidence(), name) for group in groups),
        remedy=REMEDY,
    )


def _on_node(evidence: Evidence, name: str) -> Evidence:
    return msgspec.structs.replace(evidence, object=f"node/{name}")
