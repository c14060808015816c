"""What logs prove by themselves, of pods that nothing else is known of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from kernel_kills import INIT, JAVA, MEBIBYTE, NOW, OTHER_UID, PAUSE, RUN, UID, cgroup, kill, sandbox_kill, unallocated

from kubectl_memdoctor.context import ClusterContext
from kubectl_memdoctor.evidence.cgroup_path import CgroupPath, Level
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import (
    ContainerCounters,
    KernelKill,
    KubeletOom,
    NodeEvidence,
    SandboxFailures,
    SandboxListing,
    Task,
    VictimKind,
)
from kubectl_memdoctor.evidence.pod_join import EvidenceIndex
from kubectl_memdoctor.finding import Finding
from kubectl_memdoctor.log_findings import log_findings
from kubectl_memdoctor.logged_pods import LoggedPod, is_flood, joined, logged_pods

OPAQUE = 'OCI runtime create failed: container_linux.go:344: starting container process caused "read init-p: EOF"'
MEMORY = "runc create failed: container init was OOM-killed (memory limit too low?)"
NETWORK = 'failed to setup network for sandbox "abc": plugin type="calico" failed (add): no IP addresses available'
UNDER, OVER = 0, 8 * MEBIBYTE


def failures(message: str = OPAQUE, uid: str = UID, name: str = "web-1", count: int = 12) -> SandboxFailures:
    return SandboxFailures(Writer.KUBELET, "shop" if name else "", name, uid, count, message=message, node="worker-1")


def listing(count: int = 90, state: str = "Created", uid: str = UID) -> SandboxListing:
    return SandboxListing("shop", "web-1", uid, count, {state: count})


def heard(uid: str = UID, container_id: str = RUN) -> KubeletOom:
    return KubeletOom(
        cgroup(Level.CONTAINER, uid, container_id), NOW, line=LogLine("Created an OOM event", file="k.log")
    )


def found(**evidence: Any) -> list[Finding]:
    said = joined(NodeEvidence(**evidence))
    cluster = ClusterContext(NOW, node_evidence=EvidenceIndex(said))
    return [finding for pod in logged_pods(said) for finding in log_findings(pod, cluster)]


SANDBOX, CONTAINER, CHILD = "sandbox-memory-limit-too-small", "container-oom-killed", "container-child-oom-killed"
VERDICTS: dict[str, tuple[dict[str, tuple[Any, ...]], list[tuple[str, str]]]] = {
    "a limit under a page": ({"kills": (sandbox_kill(),)}, [(SANDBOX, "confirmed")]),
    "sandboxes killed, and seen to fail": (
        {"kills": (sandbox_kill(limit_bytes=OVER),), "sandbox_failures": (failures(),)},
        [(SANDBOX, "confirmed")],
    ),
    "sandboxes killed, and listed in heaps": (
        {"kills": (sandbox_kill(limit_bytes=OVER),), "listings": (listing(),)},
        [(SANDBOX, "confirmed")],
    ),
    "nothing but sandboxes in the cgroup": (
        {"kills": (sandbox_kill(limit_bytes=OVER, tasks=(PAUSE, INIT)),)},
        [(SANDBOX, "likely")],
    ),
    "a runtime's process killed beside a program that fills the pod": (
        {"kills": (sandbox_kill(limit_bytes=OVER, tasks=(JAVA, INIT)),)},
        [("pod-oom-killed", "confirmed")],
    ),
    "a runtime's process killed, and one sandbox that is up": (
        {"kills": (sandbox_kill(limit_bytes=OVER, tasks=(JAVA, INIT)),), "listings": (listing(1, "Ready"),)},
        [("pod-oom-killed", "confirmed")],
    ),
    "a sandbox's kill in a pod that lost other processes as well": (
        {"kills": (sandbox_kill(limit_bytes=OVER, tasks=(INIT,)), kill(Level.POD, victims=(Task(1, "sh"),)))},
        [("pod-oom-killed", "confirmed")],
    ),
    "the runtime says that memory was it": ({"sandbox_failures": (failures(MEMORY),)}, [(SANDBOX, "likely")]),
    "opaque words and the kubelet's note of a kill": (
        {"sandbox_failures": (failures(),), "kubelet_ooms": (heard(),)},
        [(SANDBOX, "likely")],
    ),
    "opaque words, and what the kernel could not allocate": (
        {"sandbox_failures": (failures(),), "allocation_failures": (unallocated(f"pod{UID}"),)},
        [(SANDBOX, "possible")],
    ),
    "what the kernel could not allocate alone decides nothing": (
        {"allocation_failures": (unallocated(f"pod{UID}"),)},
        [],
    ),
    "another cause, and what the kernel could not allocate": (
        {"sandbox_failures": (failures(NETWORK),), "allocation_failures": (unallocated(f"pod{UID}"),)},
        [("sandbox-failure-not-memory", "confirmed")],
    ),
    "opaque words alone decide nothing": ({"sandbox_failures": (failures(),)}, []),
    "a heap of sandboxes alone decides nothing": ({"listings": (listing(),)}, []),
    "another cause": ({"sandbox_failures": (failures(NETWORK),)}, [("sandbox-failure-not-memory", "confirmed")]),
    "a container's limit": ({"kills": (kill(),)}, [(CONTAINER, "likely")]),
    "a container killed as a whole": ({"kills": (kill(group=True),)}, [(CONTAINER, "confirmed")]),
    "a container's only process": ({"kills": (kill(tasks=(JAVA,)),)}, [(CONTAINER, "confirmed")]),
    "a container's first process": ({"kills": (kill(tasks=(JAVA, Task(9000, "sh"))),)}, [(CONTAINER, "likely")]),
    "a later process": ({"kills": (kill(tasks=(Task(12, "init"), JAVA)),)}, [(CHILD, "likely")]),
    "the pod's limit": ({"kills": (kill(Level.POD),)}, [("pod-oom-killed", "confirmed")]),
    "a QoS class's limit": ({"kills": (kill(Level.QOS),)}, [("node-oom-killed", "confirmed")]),
    "what all pods may use": ({"kills": (kill(Level.ALLOCATABLE),)}, [("node-oom-killed", "confirmed")]),
    "the node's memory": ({"kills": (kill(Level.NODE, oom_cgroup=None),)}, [("node-oom-killed", "confirmed")]),
    "the kubelet's word alone": ({"kubelet_ooms": (heard(),)}, [(CONTAINER, "possible")]),
    "two causes in one pod": (
        {"kills": (kill(), kill(Level.POD, victims=(Task(1, "sh"),)))},
        [(CONTAINER, "likely"), ("pod-oom-killed", "confirmed")],
    ),
    "outside of pods": ({"kills": (kill(task_cgroup=None, oom_cgroup=CgroupPath("/a", Level.OTHER)),)}, []),
}


@pytest.mark.parametrize(("evidence", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_verdict(evidence: dict[str, tuple[Any, ...]], verdict: list[tuple[str, str]]) -> None:
    assert [(finding.rule, finding.confidence.value) for finding in found(**evidence)] == verdict


def test_the_sandbox_that_is_killed_again_and_again() -> None:
    kills = tuple(map(sandbox_kill, range(31)))
    (finding,) = found(kills=kills, sandbox_failures=(failures(),), listings=(listing(96),))
    assert (finding.involved_object.namespace, finding.involved_object.name) == ("shop", "web-1")
    assert finding.involved_object.uid == UID
    assert finding.memory is not None
    assert finding.memory.limit_bytes == UNDER
    said = " ".join(finding.details)
    assert "killed runc:[2:INIT] at the limit of the pod as a whole (limit 0 kB, 0 kB in use" in said
    assert "made 96 sandboxes" in said
    assert "The kernel log shows 31 such kills, from 2026-11-23 09:50:00Z to 2026-11-23 09:50:30Z." in said
    assert {entry.source for entry in finding.evidence} >= {"kernel", "kubelet", "runtime"}


def test_a_pod_that_no_log_names_is_called_by_its_uid() -> None:
    (finding,) = found(kills=(kill(),))
    assert finding.involved_object.name == finding.involved_object.uid == UID
    assert finding.involved_object.namespace is None


def test_a_time_without_a_zone_is_not_taken_for_a_moment() -> None:
    (finding,) = found(kills=(kill(zone_known=False), kill(zone_known=False, victims=(Task(1, "java"),))))
    assert {entry.time for entry in finding.evidence} == {None}
    assert "from 2026-11-23 09:50:00 to 2026-11-23 09:50:00." in " ".join(finding.details)


@pytest.mark.parametrize(
    ("kills", "message"),
    [
        ((kill(),), "its container abababababab was killed: it used more memory than the container's 256Mi limit"),
        (
            (kill(), kill(container_id="cd" * 32)),
            "its containers were killed 2 times: they used more memory than the container's 256Mi limit",
        ),
        (
            (kill(Level.POD, limit_bytes=2048),),
            "its container abababababab was killed: the pod used more memory than the pod's 2 kB limit",
        ),
        ((kill(Level.NODE),), "its container abababababab was killed: node worker-1 ran out of memory"),
        (
            (kill(tasks=(Task(1, "init"), JAVA)),),
            "its container abababababab lost processes: they used more memory than the container's 256Mi limit",
        ),
    ],
)
def test_message(kills: tuple[KernelKill, ...], message: str) -> None:
    (finding,) = found(kills=kills)
    assert finding.message == message


def test_one_report_in_two_logs_is_one_kill() -> None:
    raw = kill(time=None, uptime_seconds=4000.5)
    local = kill(zone_known=False)
    said = joined(NodeEvidence(kills=(raw, local, kill(), local, raw)))
    assert said.kills == (kill(),)


def test_kills_of_different_processes_stay_apart_oldest_first() -> None:
    later = kill(victims=(Task(5, "java"),), time=NOW)
    assert joined(NodeEvidence(kills=(later, kill()))).kills == (kill(), later)


def test_reports_without_a_victim_are_told_apart_by_their_figures() -> None:
    nothing = kill(victims=(), no_killable=True)
    assert len(joined(NodeEvidence(kills=(nothing, nothing, msgspec.structs.replace(nothing, failcnt=32)))).kills) == 2


NAMED = f'failed to start sandbox container task "{RUN}": context canceled'
TIED: dict[str, tuple[dict[str, Any], str]] = {
    "by a kill": ({"kills": (kill(),)}, UID),
    "by the kubelet's note of one": ({"kubelet_ooms": (heard(),)}, UID),
    "by a counter": ({"counters": (ContainerCounters("", "", "", cgroup(Level.CONTAINER, UID, RUN)),)}, UID),
    "by its sandbox's error": ({"sandbox_failures": (failures(NAMED),)}, UID),
    "by an error of no known pod": ({"sandbox_failures": (failures(NAMED, uid="", name=""),)}, ""),
    "by nothing": ({"sandbox_failures": (failures(),)}, ""),
    "by the beginning of its id": ({"kills": (kill(container_id=RUN[:12]),)}, ""),
    "to two pods": ({"kills": (kill(), kill(uid=OTHER_UID))}, ""),
}


@pytest.mark.parametrize(("evidence", "uid"), TIED.values(), ids=TIED)
def test_whose_the_cgroup_is_in_which_the_kernel_could_not_allocate(evidence: dict[str, Any], uid: str) -> None:
    read = NodeEvidence(**evidence, allocation_failures=(unallocated(f"docker-{RUN}.scope"),))
    (found,) = joined(read).allocation_failures
    assert found.pod_uid == uid


def test_failed_allocations_in_two_logs_are_counted_once() -> None:
    seen = (unallocated(RUN, count=5), unallocated(RUN, count=7), unallocated(f"pod{UID}"))
    assert joined(NodeEvidence(allocation_failures=seen)).allocation_failures == seen[1:]


def test_a_name_goes_with_its_only_uid() -> None:
    said = joined(NodeEvidence(sandbox_failures=(failures(), failures(uid=""))))
    assert [entry.pod_uid for entry in said.sandbox_failures] == [UID, UID]
    assert logged_pods(said) == (LoggedPod("shop", "web-1", UID),)


def test_a_name_that_two_pods_had_is_no_proof_against_either() -> None:
    said = joined(
        NodeEvidence(sandbox_failures=(failures(), failures(uid=OTHER_UID), failures(MEMORY, uid=""))),
    )
    pods = logged_pods(said)
    assert {(pod.title, pod.uid) for pod in pods} == {("shop/web-1", uid) for uid in ("", UID, OTHER_UID)}
    cluster = ClusterContext(NOW, node_evidence=EvidenceIndex(said))
    assert [pod.uid for pod in pods for _ in log_findings(pod, cluster)] == [""]


def test_pods_that_are_well_are_not_told_of() -> None:
    assert logged_pods(NodeEvidence(listings=(listing(1, "Ready"), listing(2, "NotReady")))) == ()


@pytest.mark.parametrize(
    ("count", "states", "flood"),
    [
        (2, {"Created": 2}, False),
        (3, {"Created": 3}, True),
        (4, {"NotReady": 3, "Ready": 1}, False),
        (4, {"Exited": 3, "Up": 1}, False),
    ],
)
def test_flood(count: int, states: dict[str, int], flood: bool) -> None:
    assert is_flood(SandboxListing("shop", "web-1", UID, count, states)) is flood


def test_a_sandbox_without_any_process_left_to_kill() -> None:
    nothing = sandbox_kill(victims=(), victim_kind=VictimKind.PROCESS, no_killable=True)
    (finding,) = found(kills=(nothing,))
    assert finding.rule == SANDBOX
    assert "found nothing left to kill" in " ".join(finding.details)


def test_times_are_those_of_the_kernel() -> None:
    (finding,) = found(kills=(kill(time=NOW - timedelta(hours=3)),))
    assert [entry.time for entry in finding.evidence] == [NOW - timedelta(hours=3)]


@pytest.mark.parametrize(
    ("kills", "cut"),
    [
        (tuple(map(sandbox_kill, range(31))), False),
        (tuple(map(sandbox_kill, range(32))), True),
        (tuple(kill(victims=(Task(pid, "java"),)) for pid in range(7)), False),
        (tuple(kill(victims=(Task(pid, "java"),)) for pid in range(8)), True),
    ],
)
def test_where_not_all_kills_are_kept_there_may_be_more(kills: tuple[KernelKill, ...], cut: bool) -> None:
    said = [" ".join(finding.details) for finding in found(kills=kills)]
    assert [f"shows {'at least ' if cut else ''}{len(kills)} such kills" in text for text in said] == [True]
