"""Whatever was read on a node, it is told without a fault, and each pod's by its own uid only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_kills import NOW, OTHER_UID, UID
from msgspec.structs import replace

from kubectl_memdoctor.evidence.cgroup_path import CgroupPath, Level
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import (
    AllocationFailures,
    KernelKill,
    KubeletOom,
    NodeEvidence,
    RuntimeOom,
    SandboxFailures,
    SandboxListing,
    Task,
    VictimKind,
)
from kubectl_memdoctor.finding import Note
from kubectl_memdoctor.log_diagnosis import Logs, diagnose_logs
from kubectl_memdoctor.printers import Layout, printer

UIDS = st.sampled_from(["", UID, OTHER_UID])
IDS = st.sampled_from(["", "ab" * 32, "cd" * 32, "short"])
TEXTS = st.text(max_size=12)
TIMES = st.none() | st.integers(-86400, 86400).map(lambda seconds: NOW + timedelta(seconds=seconds))
AMOUNTS = st.none() | st.integers(0, 1 << 62)
CGROUPS = st.none() | st.builds(CgroupPath, TEXTS, st.sampled_from(Level), UIDS, IDS)
TASKS = st.lists(st.builds(Task, st.integers(0, 99), TEXTS, AMOUNTS, AMOUNTS), max_size=3).map(tuple)
LINES = st.builds(LogLine, TEXTS, st.sampled_from(Writer), TEXTS, st.integers(0, 9), TIMES, st.booleans())
NODES = st.sampled_from(["", "worker-1", "worker-2.example"])
KILLS = st.builds(
    KernelKill,
    st.sampled_from(Level),
    CGROUPS,
    CGROUPS,
    victims=TASKS,
    victim_kind=st.sampled_from(VictimKind),
    usage_bytes=AMOUNTS,
    limit_bytes=AMOUNTS,
    failcnt=AMOUNTS,
    tasks=TASKS,
    group=st.booleans(),
    no_killable=st.booleans(),
    time=TIMES,
    zone_known=st.booleans(),
    node=NODES,
    lines=st.lists(LINES, max_size=2).map(tuple),
)
NAMES = st.sampled_from([("", ""), ("shop", "web-1"), ("shop", "web-2")])
FAILURES = st.builds(
    lambda name, failures: replace(failures, namespace=name[0], name=name[1]),
    NAMES,
    st.builds(
        SandboxFailures,
        st.just(Writer.KUBELET),
        pod_uid=UIDS,
        count=st.integers(1, 9),
        first=TIMES,
        last=TIMES,
        message=TEXTS,
        node=NODES,
    ),
)
LISTINGS = st.builds(
    lambda name, uid, count, state: SandboxListing(name[0], name[1], uid, count, {state: count}),
    NAMES,
    UIDS,
    st.integers(1, 9),
    st.sampled_from(["Created", "Ready", "\x1b[2J"]),
)


def several(entries: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(entries, max_size=4).map(tuple)


UNALLOCATED = st.builds(
    AllocationFailures,
    CGROUPS.filter(bool),
    st.integers(1, 9),
    TIMES,
    TIMES,
    st.booleans(),
    NODES,
    st.lists(LINES, max_size=2).map(tuple),
    UIDS,
    st.booleans(),
)
EVIDENCE = st.builds(
    NodeEvidence,
    allocation_failures=several(UNALLOCATED),
    kills=several(KILLS),
    kubelet_ooms=several(st.builds(KubeletOom, CGROUPS, TIMES, line=st.none() | LINES)),
    sandbox_failures=several(FAILURES),
    runtime_ooms=several(st.builds(RuntimeOom, IDS, TIMES, st.sampled_from(Writer), line=st.none() | LINES)),
    listings=several(LISTINGS),
)


@settings(deadline=None, max_examples=60)
@given(EVIDENCE)
def test_anything_that_was_read_is_told(evidence: NodeEvidence) -> None:
    logs = Logs(evidence, (Note("dmesg.txt", "kernel log"),), (), ("dmesg.txt",))
    diagnosis = diagnose_logs(logs, now=datetime(2026, 11, 28, tzinfo=UTC))
    pages = {output: "\n".join(printer(output)(diagnosis, Layout(width=80))) for output in ("page", "json", "table")}
    assert "\x1b" not in "".join(pages.values())
    killed = {kill.pod_uid for kill in evidence.kills}
    for finding in diagnosis.report.findings:
        if finding.rule.endswith("-oom-killed") and any(entry.source == "kernel" for entry in finding.evidence):
            assert (finding.involved_object.uid or "") in killed
