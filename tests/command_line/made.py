"""Findings and diagnoses made by hand, for what is printed of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from kubectl_memdoctor.finding import (
    Cluster,
    Confidence,
    Diagnosis,
    Evidence,
    Finding,
    InvolvedObject,
    Memory,
    NotChecked,
    Owner,
    PodFacts,
    Remedy,
    Report,
    RuledOut,
    Severity,
    Summary,
)

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
COMMAND = "kubectl -n shop set resources deployment/web -c app --limits=memory=300Mi --requests=memory=300Mi"
EVENT = Evidence(
    source="event",
    field="FailedCreatePodSandBox",
    value="Failed to create pod sandbox: rpc error: code = Unknown desc = OCI runtime create failed: container init was"
    " OOM-killed (memory limit too low?)",
    count=13,
    first_time=NOW - timedelta(minutes=14),
    time=NOW - timedelta(seconds=5),
)


def finding(pod: str = "web-1", **changes: Any) -> Finding:
    """A pod of deployment/web in namespace shop that cannot start; `changes` are fields of Finding."""
    fields: dict[str, Any] = {
        "rule": "sandbox-memory-limit-too-small",
        "severity": Severity.CRITICAL,
        "confidence": Confidence.CONFIRMED,
        "involved_object": InvolvedObject(kind="Pod", namespace="shop", name=pod, uid=f"uid-{pod}"),
        "owner": Owner(kind="Deployment", namespace="shop", name="web"),
        "node": "worker-1",
        "message": "cannot start: its memory limit is too small for the pod's sandbox",
        "details": ('The limit 300m is 0.3 byte ("m" is thousandths); the kubelet rounds it up to 1 byte.',),
        "memory": Memory(limit_bytes=1, limit_quantity="300m", limit_source="containers", minimum_bytes=14 << 20),
        "evidence": (
            Evidence(source="pod", field="spec.containers[0].resources.limits.memory", value="300m"),
            EVENT,
        ),
        "ruled_out": (RuledOut(cause="network", because="no error names the network or a CNI plugin"),),
        "remedy": Remedy(text="Did you mean 300Mi?", command=COMMAND),
    }
    return Finding(**fields | changes)


def of_node(name: str) -> Finding:
    return Finding(
        rule="node-memory-pressure",
        severity=Severity.WARNING,
        confidence=Confidence.CONFIRMED,
        involved_object=InvolvedObject(kind="Node", name=name),
        message="is short of memory",
    )


def diagnosis(
    *findings: Finding,
    pods: Iterable[PodFacts] = (),
    not_checked: Iterable[NotChecked] = (),
    errors: tuple[str, ...] = (),
) -> Diagnosis:
    counts = {str(severity): sum(entry.severity is severity for entry in findings) for severity in Severity}
    report = Report(
        cluster=Cluster(recording="made.json"),
        taken_at=NOW,
        summary=Summary(pods=max(len(findings), 1), nodes=1, findings=counts),
        findings=findings,
        not_checked=tuple(not_checked),
    )
    return Diagnosis(report, tuple(pods), errors)


def facts(name: str = "api-1", **changes: Any) -> PodFacts:
    """A healthy pod in namespace shop; `changes` are fields of PodFacts."""
    fields: dict[str, Any] = {
        "namespace": "shop",
        "name": name,
        "status": "Running",
        "ready": "1/1",
        "node": "worker-1",
        "qos_class": "Burstable",
        "limit": "256Mi (268435456 bytes), from spec.containers[0].resources.limits.memory",
        "minimum": "containerd 1.7.24 on node worker-1 needs between 64Ki (crun) and 14Mi (runc) to start a sandbox",
        "terminations": (),
        "warning": None,
    }
    return PodFacts(**fields | changes)
