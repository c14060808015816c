"""`node` through the whole program: what it takes, what it asks, what stands on its page, its exit codes."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from docs.reports import INCIDENT
from msgspec.structs import replace

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.commands import node
from kubectl_memdoctor.diagnosis import NodeLook
from kubectl_memdoctor.finding import Diagnosis, NodeFacts, NotChecked, Note, PodNotes
from kubectl_memdoctor.flags import parse
from kubectl_memdoctor.printers import Layout, printer

from .fake_cluster import fake_cluster, forbidden
from .made import NOW, diagnosis, finding, of_node
from .memory_source import MemorySource

INCIDENT_NODE = "worker-1"


def run(capsys: pytest.CaptureFixture[str], *arguments: str, recording: Path = INCIDENT) -> tuple[int, str, str]:
    code = main(["node", *arguments, "-f", str(recording)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_the_page_says_the_worst_first_and_the_fix_last(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, INCIDENT_NODE)
    lines = out.splitlines()
    assert code == 1
    assert lines[0].startswith("critical: node/worker-1: shop/web-")
    assert lines[0].endswith("(confirmed, sandbox-memory-limit-too-small)")
    assert lines[-2:] == [
        "  FIX  Did you mean 300Mi?",
        "    kubectl -n shop set resources deployment/web -c app --limits=memory=300Mi",
    ]
    assert err.splitlines() == ["1 finding (1 critical) in 1 pod on 1 node.", "For proof and fix: -o page"]


def test_what_could_not_be_looked_at_stands_on_the_page_only(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = run(capsys, INCIDENT_NODE)
    assert "  NOT CHECKED\n    limitranges: not in the recording" in out
    assert "nodes/proxy" not in out
    assert "not checked" not in err


@pytest.mark.parametrize("name", ["worker-1", "node/worker-1", "nodes/worker-1", "no/worker-1", "Node/worker-1"])
def test_names_as_kubectl_takes_them(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, name, name)[1].count("node/worker-1:") == 1


def test_every_form_of_output(capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(run(capsys, INCIDENT_NODE, "-o", "json")[1])
    assert [entry["rule"] for entry in report["findings"]] == ["sandbox-memory-limit-too-small"]
    assert report["summary"]["nodes"] == 1
    assert run(capsys, INCIDENT_NODE, "-o", "name")[1].startswith("pod/web-")
    assert run(capsys, INCIDENT_NODE, "-o", "table")[1].startswith("NAMESPACE  WORKLOAD")
    assert "FIX" in run(capsys, INCIDENT_NODE, "-o", "wide")[1]
    assert run(capsys, INCIDENT_NODE, "-o", "yaml")[1].startswith("apiVersion: memdoctor.dev/v1")
    page = run(capsys, INCIDENT_NODE, "-o", "page")[1]
    assert page.startswith("critical: node/worker-1: shop/web-")
    assert "\n\ncritical: shop/web-" in page
    assert "  EVIDENCE\n" in page


WRONG = {
    ("node",): "you must name a node, or give -l",
    ("node", "a", "-l", "b=c"): "name cannot be provided when a selector is specified",
    ("node", "pod/web-1"): '"pod/web-1" is no node',
    ("node", "node/"): '"node/" is no node',
    ("node", "a", "--field-selector", "x=y"): "unknown flag: --field-selector (for kubectl memdoctor node)",
}


@pytest.mark.parametrize(("arguments", "complaint"), WRONG.items(), ids=" ".join)
def test_wrong_usage(arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_a_node_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "worker-9")
    assert (code, out) == (2, "")
    assert err == 'Error from server (NotFound): nodes "worker-9" not found\n'


def test_a_node_that_does_not_exist_beside_one_that_does(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "worker-9", INCIDENT_NODE)
    assert code == 2
    assert out.startswith("critical: node/worker-1")
    assert err == 'Error from server (NotFound): nodes "worker-9" not found\n'


def test_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    with fake_cluster() as cluster:
        code = main(["node", "worker-1", "-s", cluster.url, "--node-evidence=false", "-o", "json"])
    report = json.loads(capsys.readouterr().out)
    assert code == 1
    assert [entry["involvedObject"]["name"] for entry in report["findings"]] == ["web-5d9c7b9b8-x7k2p"]
    assert not [asked for asked in cluster.asked if "/proxy/" in asked.path]


def test_a_cluster_where_pods_are_forbidden(capsys: pytest.CaptureFixture[str]) -> None:
    with fake_cluster(pods=forbidden("pods")) as cluster:
        main(["node", "worker-1", "-s", cluster.url, "--node-evidence=false"])
    out = capsys.readouterr().out
    assert "  requests    not known: pods could not be read\n" in out
    assert "    pods: forbidden: " in out


class Live(MemorySource):
    kubelets: Any = object()


LOOKS = [
    # what is given, is it a cluster -> deadline, thorough
    ([], True, (node.FEW_SECONDS, True)),
    ([], False, (None, False)),
    (["--node-evidence=false"], True, (None, False)),
    (["--node-evidence"], True, (40.0, True)),
]


@pytest.mark.parametrize(("given", "live", "deadline"), LOOKS)
def test_how_the_node_is_asked(given: list[str], live: bool, deadline: tuple[float | None, bool]) -> None:
    look = NodeLook(deadline_seconds=deadline[0] if given else 1.0, thorough=deadline[1] and bool(given))
    source = Live([]) if live else MemorySource([])
    found = node._few_seconds(look, parse(["node", "a", *given]), source)
    assert (found.deadline_seconds, found.thorough) == deadline


FACTS = NodeFacts(
    name="worker-1",
    conditions="Ready True for 7d; MemoryPressure False for 5m",
    capacity="8Gi, of which pods may use 7Gi (allocatable)",
    requests="256Mi (3 %) by 2 pods",
    limits="256Mi (3 %) by 1 pod; 1 pod has no limit as a whole",
    use="5Gi (71 %) working set, by its kubelet, 12s ago",
    versions="containerd 2.1.0, kubelet v1.34.0, kernel 6.1.0, amd64, cgroup v2",
    minimum="containerd 2.1.0 on node worker-1 needs between 88Ki (crun) and 24Mi (runc) to start a sandbox",
    events=(Note("event", "SystemOOM: System OOM encountered", 2, NOW - timedelta(hours=1), NOW),),
    evictions=(Note("event", "shop/old: The node was low on resource: memory.", last=NOW - timedelta(minutes=3)),),
    small_limits=("shop/tiny: 300m (0.3 byte), under the 24Mi that a sandbox may need",),
    pods=(
        PodNotes(
            "shop/web-1",
            "CrashLoopBackOff",
            (
                Note("kernel", "killed java in app", 12, NOW - timedelta(hours=2), NOW - timedelta(minutes=3)),
                Note("kernel", "killed sh", last=NOW, zone_known=False),
            ),
        ),
    ),
)


HEADLINE = (
    "critical: node/worker-1: shop/web-1 cannot start: its memory limit is too small for the pod's sandbox"
    " (confirmed, sandbox-memory-limit-too-small)"
)


def page(what: Diagnosis, **layout: Any) -> list[str]:
    return [*printer("node")(what, Layout(**layout))]


def of_facts(*findings: Any, facts: NodeFacts = FACTS, not_checked: tuple[NotChecked, ...] = ()) -> Diagnosis:
    return replace(diagnosis(*findings, not_checked=not_checked), nodes=(facts,))


def test_all_that_a_page_says() -> None:
    missing = NotChecked(resource="nodes/proxy", reason="forbidden: no")
    assert page(of_facts(finding(), of_node("worker-1"), not_checked=(missing,))) == [
        HEADLINE,
        "  and 1 more: 1 warning",
        "  conditions  Ready True for 7d; MemoryPressure False for 5m",
        "  memory      8Gi, of which pods may use 7Gi (allocatable)",
        "  requests    256Mi (3 %) by 2 pods",
        "  limits      256Mi (3 %) by 1 pod; 1 pod has no limit as a whole",
        "  in use      5Gi (71 %) working set, by its kubelet, 12s ago",
        "  runs        containerd 2.1.0, kubelet v1.34.0, kernel 6.1.0, amd64, cgroup v2",
        "  sandbox     containerd 2.1.0 on node worker-1 needs between 88Ki (crun) and 24Mi (runc) to start a sandbox",
        "  EVENTS OF THE NODE",
        "    SystemOOM: System OOM encountered x2, just now (first 60m ago)",
        "  EVICTED FOR MEMORY",
        "    shop/old: The node was low on resource: memory., 3m ago",
        "  KILLS AND FAILED SANDBOXES",
        "    shop/web-1 (CrashLoopBackOff)",
        "      kernel     killed java in app x12, 3m ago (first 120m ago)",
        "      kernel     killed sh, 2026-11-23 10:00:00 local time",
        "  LIMITS UNDER THE SANDBOX'S MINIMUM",
        "    shop/tiny: 300m (0.3 byte), under the 24Mi that a sandbox may need",
        "  NOT CHECKED",
        "    nodes/proxy: forbidden: no",
        "  FINDINGS",
        *(f"    {line}" for line in printer("table")(diagnosis(finding(), of_node("worker-1")), Layout())),
        "  FIX  Did you mean 300Mi?",
        "    kubectl -n shop set resources deployment/web -c app --limits=memory=300Mi --requests=memory=300Mi",
    ]  # fmt: skip


def test_a_finding_of_the_node_itself_names_it_once() -> None:
    assert page(of_facts(of_node("worker-1")))[0] == (
        "warning: node/worker-1 is short of memory (confirmed, node-memory-pressure)"
    )


def test_a_node_where_nothing_is_the_matter() -> None:
    lines = page(of_facts(finding(node="worker-2")))
    assert lines[0] == "node/worker-1: nothing about memory found"
    assert "  FINDINGS" not in lines


def test_no_line_is_wider_than_the_terminal_but_the_command() -> None:
    lines = page(of_facts(finding(), finding("web-" + "x" * 50)), width=80)
    assert [line for line in lines if len(line) > 80 and not line.startswith("    kubectl")] == []


def test_nodes_are_parted_by_an_empty_line() -> None:
    missing = NotChecked(resource="nodes/proxy", reason="forbidden: no")
    two = replace(of_facts(not_checked=(missing,)), nodes=(FACTS, replace(FACTS, name="worker-2")))
    lines = page(two)
    assert lines.count("") == 1
    assert lines[lines.index("") + 1] == "node/worker-2: nothing about memory found"
    assert lines.count("  NOT CHECKED") == 1


def test_what_a_terminal_obeys_is_shown_as_its_code() -> None:
    hostile = "\x1b[2J\u202eevil"
    facts = replace(FACTS, versions=hostile, pods=(PodNotes(hostile, hostile, (Note(hostile, hostile),)),))
    assert "\x1b" not in "".join(page(of_facts(facts=facts)))


def test_a_page_stays_readable() -> None:
    notes = tuple(Note("kernel", f"killed process {number}") for number in range(30))
    many = tuple(PodNotes(f"shop/web-{number}", "", notes) for number in range(50))
    lines = page(of_facts(facts=replace(FACTS, pods=many)))
    assert "      and 20 more" in lines
    assert "    and 30 more pods" in lines
