"""What memdoctor says of the pods, with each kind of evidence of the node and without any."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cluster.api import Json

from kubectl_memdoctor.evidence.node_evidence import NodeEvidence
from kubectl_memdoctor.node_logs.files import open_logs
from kubectl_memdoctor.node_logs.reading import read_node_logs
from node.matrix.doctor import run_in_process

from .run import NAMESPACE, Happened

Findings = dict[str, list[Json]]
"""By the scenario's name."""

WHOLE, POD, API, BOTH, RAW, COUNTERS = "whole", "pod", "api", "both", "raw", "counters"
"""WHOLE, POD: the files of a node that runs rsyslog; API: what the kubelet serves; BOTH: WHOLE and API; RAW: `dmesg`
alone; COUNTERS: cAdvisor's, in a file."""
NOTHING, POD_ALONE = "nothing", "pod-alone"
"""No evidence of the node."""
LOGS = ("kern.log", "kubelet.log", "containerd.log")
FILES = {
    WHOLE: LOGS,
    POD: LOGS,
    BOTH: LOGS,
    RAW: ("dmesg.txt",),
    COUNTERS: ("cadvisor.txt",),
}


def looks(seen: Happened) -> dict[str, Findings]:
    """By one of the ways above. Raises NoReport."""
    names = [seen.pod(scenario.name)["metadata"]["name"] for scenario in seen.scenarios]
    of_namespace, of_pods = ["ns", NAMESPACE], ["pod", *names, "-n", NAMESPACE, "--node-evidence=false"]
    arguments = {
        WHOLE: of_namespace,
        RAW: of_namespace,
        API: [*of_namespace, "--node-evidence"],
        BOTH: [*of_namespace, "--node-evidence"],
        COUNTERS: of_namespace,
        POD: of_pods,
        NOTHING: of_namespace,
        POD_ALONE: of_pods,
    }
    return {way: _findings(seen, [*given, *_files(seen, way)]) for way, given in arguments.items()}


def _files(seen: Happened, way: str) -> Sequence[str]:
    return [f"--node-log={seen.logs[name]}" for name in FILES.get(way, ())]


def _findings(seen: Happened, arguments: Sequence[str]) -> Findings:
    kubeconfig = seen.cluster.plane.kubeconfig("admin")
    said = run_in_process([*arguments, "-o", "json", "--kubeconfig", str(kubeconfig)])
    about: Findings = {seen.uid(scenario.name): [] for scenario in seen.scenarios}
    for finding in said:
        about.setdefault(finding["involvedObject"].get("uid", ""), []).append(finding)
    return {scenario.name: about[seen.uid(scenario.name)] for scenario in seen.scenarios}


def evidence(*files: Path) -> NodeEvidence:
    return read_node_logs(open_logs([str(file) for file in files], None), now=datetime.now(UTC)).evidence
