"""--debug-pod on the command line, and what a diagnosis makes of what such pods tell."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.cluster.recording import open_recording
from kubectl_memdoctor.diagnosis import NodeLook, diagnose_pods
from kubectl_memdoctor.evidence.cgroup_path import Level, read_cgroup_path
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import KernelKill, NodeEvidence, Task, VictimKind
from kubectl_memdoctor.finding import Confidence, Finding, NotChecked
from kubectl_memdoctor.objects import PODS
from kubectl_memdoctor.selection import Selection

CASES = Path(__file__).parents[1] / "cases"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["pod", "web", "--yes"], "error: --yes goes with --debug-pod"),
        (["node", "worker-1", "--image=busybox"], "error: --image goes with --debug-pod"),
        (
            ["pod", "web", "--debug-pod", "-f", "dump.json"],
            "error: a recording has no node to make a pod on: give -f or --debug-pod, not both",
        ),
        (
            ["node", "worker-1", "--debug-pod"],
            "error: --debug-pod writes to the cluster, and there is no terminal to ask on: pass --yes",
        ),
        (["ns", "--debug-pod"], "error: unknown flag: --debug-pod (for kubectl memdoctor ns)"),
    ],
)
def test_what_does_not_go_together(
    arguments: list[str], error: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is asked of a cluster."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(arguments) == 2
    assert capsys.readouterr().err.splitlines()[0] == error


CASE = CASES / "sandbox-memory-limit-too-small" / "fires-3mi-runc.yaml"
"""No more than possible by its limit and its events: only the kernel's log can say more."""


def test_the_nodes_in_question_are_read_and_what_they_tell_counts() -> None:
    source = open_recording([str(CASE)], None)
    (pod,) = [pod for page in source.list(PODS) for pod in page.items]
    asked: list[Sequence[str]] = []

    def by_pods(nodes: Sequence[str]) -> tuple[NodeEvidence, tuple[str, ...]]:
        asked.append(nodes)
        cgroup = read_cgroup_path(f"/kubepods/pod{pod.metadata.uid}")
        kill = KernelKill(
            Level.POD,
            cgroup,
            read_cgroup_path(f"{cgroup.path}/{'ab' * 32}"),
            victims=(Task(4711, "runc:[2:INIT]"),),
            victim_kind=VictimKind.RUNTIME_INIT,
            limit_bytes=4 << 20,
            time=source.now() - timedelta(seconds=5),
            node=pod.spec.node_name,
            lines=(LogLine("Memory cgroup out of memory: Killed process 4711 (runc:[2:INIT])", Writer.KERNEL),),
        )
        return NodeEvidence(kills=(kill,)), ("node worker-1: a reason", "not removed: pod/x")

    def findings(look: NodeLook) -> tuple[Finding, ...]:
        selection = Selection(names=(pod.metadata.name,))
        report = diagnose_pods(source, selection, nodes_look=look).report
        told = NotChecked(resource="debug pod", reason="node worker-1: a reason; not removed: pod/x")
        assert (told in report.not_checked) == (look.by_pods is not None)
        return report.findings

    (before,) = findings(NodeLook())
    (after,) = findings(NodeLook(by_pods=by_pods))
    assert asked == [[pod.spec.node_name]]
    assert (before.confidence, after.confidence) == (Confidence.POSSIBLE, Confidence.CONFIRMED)
    assert "kernel" in {entry.source for entry in after.evidence}
