"""What a node's kernel log, kubelet and counters change in the rules: they confirm, they refute, and they stay silent
where the log is not whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from kernel_kills import unallocated
from typed import convert

from kubectl_memdoctor import objects
from kubectl_memdoctor.context import ClusterContext, PodContext, Trait
from kubectl_memdoctor.evidence.cgroup_path import CgroupPath, Level
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import (
    AllocationFailures,
    ContainerCounters,
    KernelKill,
    KubeletOom,
    LogSpan,
    NodeEvidence,
    RuntimeOom,
    SandboxFailures,
    SandboxListing,
    Task,
    VictimKind,
)
from kubectl_memdoctor.evidence.pod_join import EvidenceIndex, same_host
from kubectl_memdoctor.finding import Finding
from kubectl_memdoctor.rules import rules
from kubectl_memdoctor.time_line import time_line

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
UID = "0f5d7a3e-9b1c-4c86-8d52-3f6f0e6b7a10"
OTHER_UID = "9c1b5f0e-7a3d-4b86-8d52-3f6f0e6b7a11"
RUN = "ab" * 32
EARLIER_RUN = "cd" * 32
SANDBOX = "ef" * 32
END = NOW - timedelta(minutes=10)


def text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def pod_of(
    *,
    limits: tuple[str | None, ...] = ("256Mi",),
    ended: dict[str, Any] | None = None,
    state: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A pod of containers app, app1 ...; app ended as `ended` says, and is in `state` now (by default it runs)."""
    names = ["app", *(f"app{number}" for number in range(1, len(limits)))]
    containers = [
        {"name": name, "resources": {"limits": {"memory": limit}} if limit else {}}
        for name, limit in zip(names, limits, strict=True)
    ]
    status = {
        "name": "app",
        "restartCount": 1 if ended else 0,
        "containerID": f"containerd://{RUN}",
        "state": state or {"running": {"startedAt": text(END + timedelta(seconds=5))}},
        "lastState": {"terminated": ended} if ended else {},
    }
    return {
        "metadata": {
            "namespace": "shop",
            "name": "web",
            "uid": UID,
            "creationTimestamp": text(NOW - timedelta(hours=2)),
        },
        "spec": {"nodeName": "worker-1", "containers": containers},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "PodReadyToStartContainers", "status": "True"}],
            "containerStatuses": [status],
        },
    }


def end_of(reason: str = "OOMKilled", exit_code: int = 137, container_id: str = EARLIER_RUN) -> dict[str, Any]:
    return {
        "reason": reason,
        "exitCode": exit_code,
        "startedAt": text(END - timedelta(minutes=30)),
        "finishedAt": text(END),
        "containerID": f"containerd://{container_id}",
    }


def cgroup(level: Level, uid: str = UID, container_id: str = "") -> CgroupPath:
    return CgroupPath(f"/kubepods/pod{uid}/{container_id}", level, pod_uid=uid, container_id=container_id)


def kill(
    level: Level = Level.CONTAINER,
    *,
    uid: str = UID,
    container_id: str = EARLIER_RUN,
    time: datetime | None = END,
    **changes: Any,
) -> KernelKill:
    line = LogLine("Memory cgroup out of memory: Killed process 4711 (java)", Writer.KERNEL, "kern.log", 12, time)
    whole = KernelKill(
        level=level,
        oom_cgroup=cgroup(level, uid, container_id) if level in (Level.CONTAINER, Level.POD) else None,
        task_cgroup=cgroup(Level.CONTAINER, uid, container_id),
        victims=(Task(4711, "java", rss_bytes=200 * 2**20),),
        usage_bytes=256 * 2**20,
        limit_bytes=256 * 2**20,
        failcnt=31,
        time=time,
        node="worker-1",
        lines=(line,),
    )
    return msgspec.structs.replace(whole, **changes)


WHOLE_LOG = LogSpan(Writer.KERNEL, "kern.log", "worker-1", NOW - timedelta(days=1), NOW)


def context(pod: dict[str, Any], evidence: NodeEvidence, events: list[dict[str, Any]] | None = None) -> PodContext:
    of_pod = [convert(event, objects.Event) for event in events or ()]
    node = {
        "metadata": {"name": "worker-1"},
        "status": {
            "allocatable": {"memory": "8Gi"},
            "nodeInfo": {"containerRuntimeVersion": "containerd://2.1.0", "kubeletVersion": "v1.34.0"},
        },
    }
    cluster = ClusterContext(
        NOW,
        nodes={"worker-1": convert(node, objects.Node)},
        pod_events={UID: of_pod} if of_pod else {},
        node_evidence=EvidenceIndex(evidence),
    )
    return PodContext(convert(pod, objects.Pod), cluster)


def findings(pod: PodContext) -> list[Finding]:
    concerned = [rule for rule in rules() if rule.scope == "Pod" and rule.traits & pod.traits]
    return [finding for rule in concerned for finding in rule.find(pod)]


def said(pod: PodContext) -> list[tuple[str, str]]:
    return [(finding.rule, finding.confidence.value) for finding in findings(pod)]


KILLS = [
    # what the status says, the pod's limits, what the node says -> rule, confidence
    ("own limit", end_of(), ("256Mi",), [kill()], ("container-oom-killed", "confirmed")),
    ("alone in its pod", end_of(), ("256Mi",), [kill(Level.POD)], ("container-oom-killed", "confirmed")),
    ("the pod's limit", end_of(), ("256Mi", "64Mi"), [kill(Level.POD)], ("pod-oom-killed", "confirmed")),
    ("all pods together", end_of(), ("256Mi",), [kill(Level.ALLOCATABLE)], ("node-oom-killed", "confirmed")),
    ("a QoS class", end_of(), ("256Mi",), [kill(Level.QOS)], ("node-oom-killed", "confirmed")),
    ("the node", end_of(), ("256Mi",), [kill(Level.NODE)], ("node-oom-killed", "confirmed")),
    (
        "around the node",
        end_of(),
        ("256Mi",),
        [kill(Level.OTHER, oom_cgroup=CgroupPath("/docker/kind", Level.OTHER))],
        ("node-oom-killed", "confirmed"),
    ),
    (
        "no level",
        end_of("Error"),
        ("256Mi",),
        [kill(Level.OTHER, oom_cgroup=None)],
        ("container-oom-killed", "confirmed"),
    ),
    (
        "no level, no limit",
        end_of("Error"),
        (None,),
        [kill(Level.OTHER, oom_cgroup=None)],
        ("node-oom-killed", "likely"),
    ),
    ("a lost mark", end_of("Error"), ("256Mi",), [kill()], ("container-oom-killed", "confirmed")),
    ("a child", end_of(exit_code=1), ("256Mi",), [kill()], ("container-child-oom-killed", "confirmed")),
    ("no limit", end_of("Error"), (None,), [kill(Level.NODE)], ("node-oom-killed", "confirmed")),
    ("times unknown", end_of(), ("256Mi",), [kill(time=None)], ("container-oom-killed", "confirmed")),
    # Nothing but what the status tells:
    ("another run", end_of(), ("256Mi",), [kill(container_id=RUN)], ("container-oom-killed", "confirmed")),
    ("another pod", end_of("Error"), ("256Mi",), [kill(uid=OTHER_UID)], ("container-killed-not-oom", "possible")),
    ("nothing read", end_of("Error"), ("256Mi",), [], ("container-killed-not-oom", "possible")),
]


@pytest.mark.parametrize(
    ("ended", "limits", "kills", "expected"), [row[1:] for row in KILLS], ids=[r[0] for r in KILLS]
)
def test_the_kernel_names_the_limit_that_killed(
    ended: dict[str, Any], limits: tuple[str | None, ...], kills: list[KernelKill], expected: tuple[str, str]
) -> None:
    pod = context(pod_of(limits=limits, ended=ended), NodeEvidence(kills=tuple(kills)))
    assert expected in said(pod)


def test_a_confirmed_kill_shows_the_kernels_line() -> None:
    (found,) = findings(context(pod_of(ended=end_of("Error")), NodeEvidence(kills=(kill(),))))
    (line,) = [entry for entry in found.evidence if entry.source == "kernel"]
    assert (line.object, line.field) == ("node/worker-1", "kern.log:12")
    assert "(limit 256Mi, 256Mi in use, 31 charges refused)" in " ".join(found.details)


GAPS = [
    ("whole", WHOLE_LOG, True),
    ("read on the node since", msgspec.structs.replace(WHOLE_LOG, last=END - timedelta(hours=2), read_until=NOW), True),
    (
        "read on the node too early",
        msgspec.structs.replace(WHOLE_LOG, last=END - timedelta(hours=2), read_until=END),
        False,
    ),
    ("of another node", msgspec.structs.replace(WHOLE_LOG, node="worker-2"), False),
    ("of no known node", msgspec.structs.replace(WHOLE_LOG, node=""), False),
    ("of the kubelet", msgspec.structs.replace(WHOLE_LOG, writer=Writer.KUBELET), False),
    ("began later", msgspec.structs.replace(WHOLE_LOG, first=END), False),
    ("ended before", msgspec.structs.replace(WHOLE_LOG, last=END), False),
    ("without times", msgspec.structs.replace(WHOLE_LOG, first=None, last=None), False),
    ("in an unknown time zone", msgspec.structs.replace(WHOLE_LOG, zone_known=False), False),
    ("with gaps", msgspec.structs.replace(WHOLE_LOG, gaps=("12 callbacks suppressed",)), False),
]


@pytest.mark.parametrize(("span", "is_whole"), [row[1:] for row in GAPS], ids=[row[0] for row in GAPS])
def test_a_missing_kill_refutes_only_where_the_log_is_whole(span: LogSpan, is_whole: bool) -> None:
    pod = context(pod_of(ended=end_of("Error")), NodeEvidence(spans=(span,)))
    assert said(pod) == [("container-killed-not-oom", "confirmed" if is_whole else "possible")]


@pytest.mark.parametrize(("span", "is_whole"), [row[1:] for row in GAPS], ids=[row[0] for row in GAPS])
def test_a_mark_without_a_kill_is_doubted_only_where_the_log_is_whole(span: LogSpan, is_whole: bool) -> None:
    pod = context(pod_of(ended=end_of()), NodeEvidence(spans=(span,)))
    expected = ("container-killed-not-oom", "likely") if is_whole else ("container-oom-killed", "confirmed")
    assert said(pod) == [expected]


def test_a_mark_from_an_earlier_child_is_told_from_the_end() -> None:
    early = kill(time=END - timedelta(minutes=20))
    pod = context(pod_of(ended=end_of()), NodeEvidence(kills=(early,), spans=(WHOLE_LOG,)))
    assert said(pod) == [("container-child-oom-killed", "confirmed")]


def test_without_a_whole_log_one_kill_and_one_end_are_likely_the_same() -> None:
    early = kill(time=END - timedelta(minutes=3))
    assert said(context(pod_of(ended=end_of("Error")), NodeEvidence(kills=(early,)))) == [
        ("container-oom-killed", "likely")
    ]


def counters(count: int, container_id: str = RUN) -> ContainerCounters:
    return ContainerCounters("shop", "web", "app", cgroup(Level.CONTAINER, UID, container_id), oom_events=count)


LIVING = [
    ("kernel", NodeEvidence(kills=(kill(container_id=RUN),)), "a process"),
    ("counter", NodeEvidence(counters=(counters(3),)), "3 processes"),
    ("both", NodeEvidence(kills=(kill(container_id=RUN),), counters=(counters(2),)), "2 processes"),
]


@pytest.mark.parametrize(("evidence", "how_many"), [row[1:] for row in LIVING], ids=[row[0] for row in LIVING])
def test_a_child_that_dies_in_a_running_container_is_found(evidence: NodeEvidence, how_many: str) -> None:
    pod = context(pod_of(), evidence)
    assert Trait.SEEN_KILLED in pod.traits
    (found,) = findings(pod)
    assert (found.rule, found.severity, found.confidence) == ("container-child-oom-killed", "warning", "confirmed")
    assert (
        found.message == f"its container app had {how_many} killed for memory, and runs on as if nothing had happened"
    )
    assert found.involved_object.field_path == "spec.containers{app}"


SILENT = [
    ("no kill", NodeEvidence(counters=(counters(0),))),
    ("an earlier run's counter", NodeEvidence(counters=(counters(3, EARLIER_RUN),))),
    ("another pod's kill", NodeEvidence(kills=(kill(uid=OTHER_UID, container_id=SANDBOX),))),
]


@pytest.mark.parametrize("evidence", [row[1] for row in SILENT], ids=[row[0] for row in SILENT])
def test_nothing_is_found_where_nothing_died_in_this_run(evidence: NodeEvidence) -> None:
    assert findings(context(pod_of(), evidence)) == []


def stuck(limit: str) -> dict[str, Any]:
    pod = pod_of(limits=(limit,), state={"waiting": {"reason": "ContainerCreating"}})
    pod["status"]["phase"] = "Pending"
    pod["status"]["conditions"] = [
        {
            "type": "PodReadyToStartContainers",
            "status": "False",
            "lastTransitionTime": text(NOW - timedelta(minutes=30)),
        }
    ]
    pod["status"]["containerStatuses"][0]["containerID"] = ""
    return pod


def failure(message: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "web.1", "namespace": "shop", "uid": "e1"},
        "involvedObject": {"kind": "Pod", "name": "web", "namespace": "shop", "uid": UID},
        "type": "Warning",
        "reason": "FailedCreatePodSandBox",
        "message": f"Failed to create pod sandbox: rpc error: code = Unknown desc = {message}",
        "count": 9,
        "firstTimestamp": text(END - timedelta(minutes=5)),
        "lastTimestamp": text(END),
    }


OPAQUE = "failed to start sandbox container task: read init-p: connection reset by peer"
SANDBOX_KILL = kill(
    Level.POD,
    container_id=SANDBOX,
    victim_kind=VictimKind.RUNTIME_INIT,
    victims=(Task(121918, "exe"),),
    limit_bytes=0,
    usage_bytes=0,
)
SANDBOXES = [
    # limit, what the node says -> rule, confidence
    ("in the span, with a kill", "8Mi", NodeEvidence(kills=(SANDBOX_KILL,)), ("too-small", "confirmed")),
    ("ample, with a kill", "2Gi", NodeEvidence(kills=(SANDBOX_KILL,)), ("too-small", "confirmed")),
    ("in the span", "8Mi", NodeEvidence(), ("too-small", "possible")),
    ("in the span, no kill", "8Mi", NodeEvidence(spans=(WHOLE_LOG,)), ("too-small", "possible")),
    ("under a page, no kill", "300m", NodeEvidence(spans=(WHOLE_LOG,)), ("too-small", "confirmed")),
    ("ample", "2Gi", NodeEvidence(), ("not-memory", "likely")),
    ("ample, no kill", "2Gi", NodeEvidence(spans=(WHOLE_LOG,)), ("not-memory", "confirmed")),
    (
        "ample, a gap",
        "2Gi",
        NodeEvidence(spans=(msgspec.structs.replace(WHOLE_LOG, gaps=("12 callbacks suppressed",)),)),
        ("not-memory", "likely"),
    ),
    (
        "ample, a process of the container",
        "2Gi",
        NodeEvidence(kills=(kill(Level.POD, container_id=SANDBOX),)),
        ("not-memory", "likely"),
    ),
    (
        "the kubelet saw it",
        "8Mi",
        NodeEvidence(kubelet_ooms=(KubeletOom(cgroup(Level.CONTAINER, UID, SANDBOX), END, node="worker-1"),)),
        ("too-small", "confirmed"),
    ),
]
OWN_SLICE = f"kubepods-burstable-pod{UID.replace('-', '_')}.slice"
UNALLOCATED = [
    # limit, cgroups in which the kernel could not allocate -> rule, confidence
    ("the pod's", "8Mi", [unallocated(f"pod{UID}")], ("too-small", "confirmed")),
    ("the pod's slice", "8Mi", [unallocated(OWN_SLICE)], ("too-small", "confirmed")),
    ("a sandbox's", "8Mi", [unallocated(SANDBOX, owner_uid=UID)], ("too-small", "confirmed")),
    ("above the span", "48Mi", [unallocated(f"pod{UID}")], ("too-small", "likely")),
    # Nothing but what the words tell:
    ("above the span, without", "48Mi", [], ("not-memory", "possible")),
    ("ample", "2Gi", [unallocated(f"pod{UID}")], ("not-memory", "likely")),
    ("another pod's", "8Mi", [unallocated(f"pod{OTHER_UID}")], ("too-small", "possible")),
    ("of a sandbox that nothing ties to it", "8Mi", [unallocated(SANDBOX)], ("too-small", "possible")),
    ("another pod's sandbox", "8Mi", [unallocated(SANDBOX, owner_uid=OTHER_UID)], ("too-small", "possible")),
    ("an abbreviated id", "8Mi", [unallocated(SANDBOX[:12])], ("too-small", "possible")),
]


@pytest.mark.parametrize(
    ("limit", "failures", "expected"), [row[1:] for row in UNALLOCATED], ids=[row[0] for row in UNALLOCATED]
)
def test_what_the_kernel_could_not_allocate_for_a_failing_sandbox(
    limit: str, failures: list[AllocationFailures], expected: tuple[str, str]
) -> None:
    pod = context(stuck(limit), NodeEvidence(allocation_failures=tuple(failures)), [failure(OPAQUE)])
    assert (RULE_OF[expected[0]], expected[1]) in said(pod)


def test_without_a_limit_of_the_pod_another_cgroups_was_in_the_way() -> None:
    unlimited = stuck("8Mi")
    unlimited["spec"]["containers"][0]["resources"] = {}
    evidence = NodeEvidence(allocation_failures=(unallocated(f"pod{UID}"),))
    assert said(context(unlimited, evidence, [failure(OPAQUE)])) == [("sandbox-failure-not-memory", "likely")]


def test_a_cause_that_the_runtime_names_outweighs_it_above_the_span() -> None:
    evidence = NodeEvidence(allocation_failures=(unallocated(f"pod{UID}"),))
    network = 'failed to setup network for sandbox "abc": plugin type="calico" failed (add): no IP addresses available'
    assert said(context(stuck("48Mi"), evidence, [failure(network)])) == [("sandbox-failure-not-memory", "confirmed")]


def test_a_container_that_the_kernel_could_not_serve_is_no_sandbox() -> None:
    in_container = NodeEvidence(allocation_failures=(unallocated(RUN),))
    pod = context(pod_of(), in_container)
    assert [entry.cgroup.container_id for entry in pod.node_evidence.allocation_failures] == [RUN]
    assert said(pod) == []
    begun = stuck("8Mi")
    begun["status"]["containerStatuses"][0] |= {"containerID": f"containerd://{RUN}", "lastState": {}}
    assert ("sandbox-memory-limit-too-small", "possible") in said(context(begun, in_container, [failure(OPAQUE)]))


def test_a_whole_log_with_failed_allocations_refutes_nothing() -> None:
    evidence = NodeEvidence(allocation_failures=(unallocated(f"pod{UID}"),), spans=(WHOLE_LOG,))
    assert said(context(stuck("2Gi"), evidence, [failure(OPAQUE)])) == [("sandbox-failure-not-memory", "likely")]


def test_failed_allocations_are_shown_where_no_kill_says_more() -> None:
    failures = (unallocated(f"pod{UID}"),)
    shown = {}
    for kills in ((), (SANDBOX_KILL,)):
        evidence = NodeEvidence(kills=kills, allocation_failures=failures)
        (found,) = findings(context(stuck("8Mi"), evidence, [failure(OPAQUE)]))
        lines = [entry.value for entry in found.evidence if entry.source == "kernel"]
        shown[bool(kills)] = (lines, "could not allocate memory for itself in the pod's cgroup" in found.details[1])
    assert shown[False] == ([line.text for line in failures[0].lines], True)
    assert shown[True] == ([line.text for line in SANDBOX_KILL.lines], False)


RULE_OF = {"too-small": "sandbox-memory-limit-too-small", "not-memory": "sandbox-failure-not-memory"}


@pytest.mark.parametrize(
    ("limit", "evidence", "expected"), [row[1:] for row in SANDBOXES], ids=[row[0] for row in SANDBOXES]
)
def test_what_the_node_says_of_a_failing_sandbox(limit: str, evidence: NodeEvidence, expected: tuple[str, str]) -> None:
    pod = context(stuck(limit), evidence, [failure(OPAQUE)])
    assert (RULE_OF[expected[0]], expected[1]) in said(pod)


def test_a_confirmed_sandbox_names_limit_victim_and_sandboxes() -> None:
    line = LogLine("RunPodSandbox from runtime service failed", Writer.KUBELET, "kubelet.log", 7, END)
    evidence = NodeEvidence(
        kills=(SANDBOX_KILL,),
        sandbox_failures=(SandboxFailures(Writer.KUBELET, pod_uid=UID, count=12, message="EOF", lines=(line,)),),
        listings=(SandboxListing("shop", "web", UID, 31, {"Created": 31}, file="docker-ps.txt"),),
    )
    pod = context(stuck("300m"), evidence, [failure(OPAQUE)])
    (found,) = [finding for finding in findings(pod) if finding.rule == "sandbox-memory-limit-too-small"]
    details = " ".join(found.details)
    assert "killed exe at the limit of the pod as a whole (limit 0 kB, 0 kB in use, 31 charges refused)" in details
    assert "The node made 31 sandboxes of this pod" in details
    assert [entry.source for entry in found.evidence if entry.object == "node/worker-1"][:3] == [
        "kernel",
        "kubelet",
        "runtime",
    ]


HOSTS = [
    ("worker-1", "worker-1", True),
    ("worker-1.example.org", "worker-1", True),
    ("worker-1", "worker-1.example.org", True),
    ("worker-1.example.org", "worker-1.example.com", False),
    ("worker-1", "worker-10", False),
    ("worker-1", "", False),
    ("", "worker-1", False),
]


@pytest.mark.parametrize(("node", "host", "same"), HOSTS)
def test_a_log_belongs_to_the_node_of_its_host_name(node: str, host: str, same: bool) -> None:
    assert same_host(node, host) is same


def test_a_static_pods_kills_are_found_by_its_config_hash() -> None:
    config_hash = "0123456789abcdef0123456789abcdef"
    pod = pod_of(ended=end_of("Error"))
    pod["metadata"]["annotations"] = {"kubernetes.io/config.hash": config_hash}
    assert said(context(pod, NodeEvidence(kills=(kill(uid=config_hash),)))) == [("container-oom-killed", "confirmed")]


def test_a_raw_dmesg_is_put_in_time_by_the_nodes_start() -> None:
    started = NOW - timedelta(hours=5)
    raw = kill(time=None, uptime_seconds=(END - started).total_seconds())
    index = EvidenceIndex(NodeEvidence(kills=(raw,), boots={"worker-1": started}))
    (found,) = index.of(convert(pod_of(), objects.Pod)).kills
    assert found.time == END


def test_a_raw_dmesg_is_whole_by_the_nodes_start() -> None:
    started = NOW - timedelta(hours=5)
    raw = msgspec.structs.replace(
        WHOLE_LOG, first=None, last=None, first_uptime_seconds=0.0, last_uptime_seconds=5 * 3600.0
    )
    pod = pod_of(ended=end_of("Error"))
    evidence = NodeEvidence(spans=(raw,))
    assert said(context(pod, evidence)) == [("container-killed-not-oom", "possible")]
    timed = msgspec.structs.replace(evidence, boots={"worker-1": started})
    assert said(context(pod, timed)) == [("container-killed-not-oom", "confirmed")]


def test_the_time_line_joins_the_sources_by_the_nodes_clock() -> None:
    stored = failure(OPAQUE) | {"count": 1, "lastTimestamp": text(END - timedelta(minutes=5))}
    stored["source"] = {"component": "kubelet"}
    stored["metadata"]["creationTimestamp"] = text(END - timedelta(minutes=5, seconds=37))
    found = time_line(context(pod_of(ended=end_of()), NodeEvidence(kills=(kill(),)), [stored]))
    assert found is not None
    assert [entry.source for entry in found.entries] == ["status", "event", "kernel", "status", "status"]
    assert found.skew_seconds == 37


def test_local_times_of_a_log_are_put_right_by_the_end_that_they_explain() -> None:
    local = kill(time=END + timedelta(hours=8, seconds=1), zone_known=False)
    found = time_line(context(pod_of(ended=end_of()), NodeEvidence(kills=(local,))))
    assert found is not None
    assert [entry.time for entry in found.entries if entry.source == "kernel"] == [END + timedelta(seconds=1)]


def test_the_time_line_tells_once_what_the_kernel_could_not_allocate() -> None:
    failures = (
        unallocated(f"pod{UID}"),
        unallocated(SANDBOX, owner_uid=UID),
        unallocated(f"pod{UID}", zone_known=False),
    )
    found = time_line(context(stuck("8Mi"), NodeEvidence(allocation_failures=failures)))
    assert found is not None
    assert [(entry.source, entry.count, entry.time) for entry in found.entries] == [("kernel", 6, END)]


def test_there_is_no_time_line_without_the_node() -> None:
    assert time_line(context(pod_of(ended=end_of()), NodeEvidence(spans=(WHOLE_LOG,)))) is None


@pytest.mark.parametrize(("letters", "joined"), [(64, True), (20, True), (12, True), (8, False)])
def test_a_runtime_may_log_the_beginning_of_an_id(letters: int, joined: bool) -> None:
    index = EvidenceIndex(NodeEvidence(runtime_ooms=(RuntimeOom(RUN[:letters], END, Writer.CRIO),)))
    assert bool(index.of(convert(pod_of(), objects.Pod)).runtime_ooms) is joined
