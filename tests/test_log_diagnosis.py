"""Logs by themselves, and with a recording, to a report and to what stands beside it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from command_line.memory_source import MemorySource
from kernel_kills import NOW, OTHER_UID, RUN, UID, kill, sandbox_kill, unallocated

from kubectl_memdoctor.evidence.cgroup_path import CgroupPath, Level
from kubectl_memdoctor.evidence.log_line import Writer
from kubectl_memdoctor.evidence.node_evidence import (
    LogSpan,
    NodeEvidence,
    RuntimeOom,
    SandboxFailures,
    SandboxListing,
)
from kubectl_memdoctor.finding import Diagnosis, Note, Report
from kubectl_memdoctor.log_diagnosis import (
    NO_POD,
    NOTHING,
    UNDECIDED,
    Logs,
    diagnose_logs,
    diagnose_logs_with,
    newest_time,
)
from kubectl_memdoctor.pod_notes import NAMELESS

Json = dict[str, Any]
LATER = NOW + timedelta(days=1)
NAMED = SandboxFailures(Writer.KUBELET, "shop", "web-1", UID, 4, first=NOW, last=NOW, message="opaque", node="worker-1")
OUTSIDE = kill(Level.NODE, oom_cgroup=None, task_cgroup=CgroupPath("/system.slice/a.service", Level.OTHER))


def logs(*names: str, problems: tuple[str, ...] = (), **evidence: Any) -> Logs:
    names = names or ("dmesg.txt",)
    return Logs(NodeEvidence(**evidence), tuple(Note(name, "kernel log") for name in names), problems, names)


def alone(*names: str, **more: Any) -> Diagnosis:
    return diagnose_logs(logs(*names, **more), now=LATER)


def pod(uid: str = UID, name: str = "web-1", **metadata: Any) -> Json:
    status = {"name": "app", "containerID": f"containerd://{RUN}", "state": {"running": {}}}
    return {
        "kind": "Pod",
        "metadata": {"namespace": "shop", "name": name, "uid": uid, **metadata},
        "spec": {"nodeName": "worker-1", "containers": [{"name": "app", "resources": {"limits": {"memory": "256Mi"}}}]},
        "status": {"phase": "Running", "containerStatuses": [status]},
    }


NODE: Json = {
    "kind": "Node",
    "metadata": {"name": "worker-1"},
    "status": {"conditions": [{"type": "MemoryPressure", "status": "True"}]},
}


def recorded(items: list[Json], **evidence: Any) -> Diagnosis:
    return diagnose_logs_with(logs(**evidence), MemorySource(items))


def found(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    return [(entry.rule, entry.involved_object.name) for entry in diagnosis.report.findings]


def titles(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    assert diagnosis.logs is not None
    return [(entry.title, entry.remark) for entry in diagnosis.logs.pods]


def test_the_report_says_what_was_read_and_when_it_ends() -> None:
    report = alone("a.log", "b.log", kills=(kill(),), problems=("b.log: cannot be read",)).report
    assert isinstance(report, Report)
    assert report.cluster.recording == "a.log, b.log"
    assert report.taken_at == NOW - timedelta(minutes=10)
    assert (report.summary.pods, report.summary.nodes, report.summary.findings["warning"]) == (1, 1, 1)
    assert [(entry.resource, entry.reason) for entry in report.not_checked] == [("node log", "b.log: cannot be read")]


def test_logs_without_a_time_end_now() -> None:
    assert alone(kills=(kill(time=None),)).report.taken_at == LATER


def test_local_times_count_only_where_there_are_no_others() -> None:
    local = LogSpan(Writer.KERNEL, "dmesg.txt", first=NOW, last=LATER, zone_known=False)
    assert newest_time(NodeEvidence(spans=(local,))) == LATER
    assert newest_time(NodeEvidence(spans=(local,), sandbox_failures=(NAMED,))) == NOW


VERDICTS: list[tuple[dict[str, tuple[Any, ...]], str]] = [
    ({}, NOTHING),
    ({"listings": (SandboxListing("shop", "front-0", OTHER_UID, 1, {"Ready": 1}),)}, NOTHING),
    ({"sandbox_failures": (NAMED,)}, UNDECIDED),
    ({"kills": (kill(task_cgroup=None, oom_cgroup=None, level=Level.OTHER),)}, NO_POD),
    ({"runtime_ooms": (RuntimeOom(RUN, NOW, Writer.CONTAINERD),)}, NO_POD),
    ({"allocation_failures": (unallocated(f"pod{UID}"),)}, UNDECIDED),
    ({"allocation_failures": (unallocated(RUN),)}, NO_POD),
]


@pytest.mark.parametrize(("evidence", "verdict"), VERDICTS)
def test_the_headline_where_nothing_is_found(evidence: dict[str, tuple[Any, ...]], verdict: str) -> None:
    diagnosis = alone(**evidence)
    assert diagnosis.logs is not None
    assert diagnosis.logs.verdict == verdict
    assert diagnosis.report.findings == ()


def test_what_the_kernel_could_not_allocate_is_told_where_nothing_was_killed() -> None:
    refused = (unallocated(f"pod{UID}"), unallocated(f"pod{OTHER_UID}"), unallocated("77" * 32))
    diagnosis = alone(kills=(kill(uid=OTHER_UID),), allocation_failures=refused)
    assert diagnosis.logs is not None
    told = [(entry.title, note.text) for entry in diagnosis.logs.pods for note in entry.notes if note.count == 3]
    assert told == [
        (UID, "could not allocate memory for itself in the pod's cgroup"),
        (NAMELESS, "could not allocate memory for itself in container 777777777777"),
    ]


def test_a_pod_is_named_by_what_other_logs_call_it() -> None:
    diagnosis = alone(kills=(sandbox_kill(),), sandbox_failures=(NAMED,))
    assert found(diagnosis) == [("sandbox-memory-limit-too-small", "web-1")]
    assert titles(diagnosis) == [("shop/web-1", f"uid {UID}")]


def test_the_worst_pod_comes_first() -> None:
    diagnosis = alone(kills=(kill(uid=OTHER_UID), sandbox_kill(uid=UID)), sandbox_failures=(NAMED,))
    assert [title for title, _ in titles(diagnosis)] == ["shop/web-1", OTHER_UID]


COMMANDS: list[tuple[tuple[str, ...], dict[str, Any], str | None]] = [
    (("a b.txt",), {"sandbox_failures": (NAMED,)}, "kubectl memdoctor pod web-1 -n shop --node-log 'a b.txt'"),
    (("a", "b"), {}, "kubectl memdoctor ns --all --node-log a --node-log b"),
    (("-",), {}, None),
]


@pytest.mark.parametrize(("names", "more", "command"), COMMANDS)
def test_the_command_that_looks_at_the_pod(names: tuple[str, ...], more: dict[str, Any], command: str | None) -> None:
    (finding,) = alone(*names, kills=(sandbox_kill(),), **more).report.findings
    assert finding.remedy is not None
    assert finding.remedy.command == command


def test_a_node_that_ran_out_is_called_by_its_name_or_its_log() -> None:
    nameless = kill(Level.NODE, oom_cgroup=None, task_cgroup=None, node="", victims=())
    diagnosis = alone(kills=(OUTSIDE, nameless))
    assert found(diagnosis) == [("node-oom-killed", "kern.log"), ("node-oom-killed", "worker-1")]
    assert {entry.involved_object.kind for entry in diagnosis.report.findings} == {"Node"}
    assert titles(diagnosis) == [("outside of pods", "")]


def test_recorded_pods_that_the_logs_tell_of_go_through_the_rules() -> None:
    bystander = pod(OTHER_UID, "tiny")
    bystander["spec"]["containers"][0]["resources"]["limits"]["memory"] = "300m"
    diagnosis = recorded([NODE, pod(), bystander], kills=(kill(node="worker-1"),))
    assert found(diagnosis) == [("node-memory-pressure", "worker-1"), ("container-child-oom-killed", "web-1")]
    assert titles(diagnosis) == [("shop/web-1", f"uid {UID}, Running")]
    assert diagnosis.report.summary.pods == 1
    assert diagnosis.report.summary.findings == {"critical": 0, "warning": 2, "info": 0}


def test_the_nodes_of_other_logs_are_left_out() -> None:
    assert found(recorded([NODE], kills=(kill(node="worker-7"),))) == [("container-oom-killed", UID)]


def test_a_pod_that_is_not_recorded_is_said_not_to_be() -> None:
    diagnosis = recorded([pod(OTHER_UID)], kills=(kill(),))
    assert found(diagnosis) == [("container-oom-killed", UID)]
    assert titles(diagnosis) == [(UID, "only its uid is known, not in the recording")]


def test_a_static_pod_is_known_by_its_config_hash() -> None:
    hashed = "0123456789abcdef0123456789abcdef"
    static = pod(annotations={"kubernetes.io/config.hash": hashed})
    assert titles(recorded([static], kills=(kill(uid=hashed),))) == [("shop/web-1", f"uid {UID}, Running")]


def test_what_a_runtime_heard_is_joined_by_the_containers_id() -> None:
    heard = RuntimeOom(RUN, NOW, Writer.CONTAINERD)
    diagnosis = recorded([pod()], runtime_ooms=(heard,))
    assert diagnosis.logs is not None
    ((note,),) = [entry.notes for entry in diagnosis.logs.pods]
    assert (note.source, note.text) == ("containerd", "heard of an OOM kill in container app")


def test_kills_of_one_kind_are_one_note() -> None:
    facts = alone(kills=(*map(sandbox_kill, range(4)), kill(Level.POD))).logs
    assert facts is not None
    (pod_notes,) = facts.pods
    assert [(note.count, note.text.partition(" in ")[0]) for note in pod_notes.notes] == [
        (4, "killed runc:[2:INIT]"),
        (1, "killed java"),
    ]
