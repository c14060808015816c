"""Nodes from objects and evidence to facts and findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from command_line.memory_source import MemorySource
from kernel_kills import NOW, OTHER_UID, RUN, UID, kill, sandbox_kill

from kubectl_memdoctor.cluster.source import AccessError, KubeletAnswer, NotFound, Unreadable
from kubectl_memdoctor.diagnosis import NodeLook
from kubectl_memdoctor.evidence.cgroup_path import Level
from kubectl_memdoctor.evidence.log_line import Writer
from kubectl_memdoctor.evidence.node_evidence import (
    ContainerCounters,
    ContainerUsage,
    LogSpan,
    NodeEvidence,
    RuntimeOom,
    SandboxFailures,
)
from kubectl_memdoctor.finding import Diagnosis, NodeFacts, PodNotes
from kubectl_memdoctor.node_diagnosis import diagnose_nodes

Json = dict[str, Any]
AMOUNTS = "(limit 256Mi, 256Mi in use, 31 charges refused)"


def text(seconds_ago: float) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).isoformat().replace("+00:00", "Z")


def node(name: str = "worker-1", *, pressure: str = "False", **labels: str) -> Json:
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {
            "capacity": {"memory": "8Gi"},
            "allocatable": {"memory": "7Gi"},
            "conditions": [
                {"type": "MemoryPressure", "status": pressure, "reason": "R", "lastTransitionTime": text(300)},
                {"type": "Ready", "status": "True", "lastTransitionTime": text(7 * 86400)},
            ],
            "nodeInfo": {
                "containerRuntimeVersion": "containerd://2.1.0",
                "kernelVersion": "6.1.0",
                "kubeletVersion": "v1.34.0",
                "architecture": "amd64",
            },
        },
    }


def pod(
    name: str = "web-1", *, uid: str = UID, limit: str | None = "256Mi", on: str = "worker-1", **status: Any
) -> Json:
    resources = {"limits": {"memory": limit}, "requests": {"memory": limit}} if limit else {}
    container = {"name": "app", "containerID": f"containerd://{RUN}", "state": {"running": {"startedAt": text(9000)}}}
    return {
        "kind": "Pod",
        "metadata": {"namespace": "shop", "name": name, "uid": uid, "creationTimestamp": text(9000)},
        "spec": {"nodeName": on, "containers": [{"name": "app", "resources": resources}]},
        "status": {"phase": "Running", "containerStatuses": [container], **status},
    }


def event(reason: str, message: str, *, kind: str = "Node", name: str = "worker-1", **fields: Any) -> Json:
    namespace = "default" if kind == "Node" else "shop"
    return {
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": f"{reason}.{len(message)}", "uid": f"{reason}-{message}"},
        "involvedObject": {"kind": kind, "namespace": namespace, "name": name},
        "reason": reason,
        "message": message,
        "type": "Warning",
        "count": 1,
        "lastTimestamp": text(600),
        **fields,
    }


def looked(items: Sequence[Json], *names: str, forbidden: Sequence[str] = (), **evidence: Any) -> Diagnosis:
    source = MemorySource(items, forbidden)
    return diagnose_nodes(source, names or ("worker-1",), nodes_look=NodeLook(NodeEvidence(**evidence)))


def facts(items: Sequence[Json], **evidence: Any) -> NodeFacts:
    (only,) = looked(items, **evidence).nodes
    return only


def notes(of: NodeFacts) -> dict[str, list[str]]:
    return {entry.title: [f"{note.source}: {note.text}" for note in entry.notes] for entry in of.pods}


def remarks(pods: Sequence[PodNotes]) -> list[tuple[str, str]]:
    return [(entry.title, entry.remark) for entry in pods]


def rules_of(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    return [(entry.rule, entry.involved_object.name) for entry in diagnosis.report.findings]


def test_what_a_node_has_and_what_its_pods_may_use() -> None:
    finished = pod("job-1", uid="3", phase="Succeeded")
    elsewhere = pod("other", uid="4", on="worker-2")
    found = facts([node(), node("worker-2"), pod(), pod("web-2", uid="2", limit=None), finished, elsewhere])
    assert found.conditions == "Ready True for 7d; MemoryPressure False for 5m"
    assert found.capacity == "8Gi, of which pods may use 7Gi (allocatable)"
    assert found.requests == "256Mi (3 %) by 2 pods"
    assert found.limits == "256Mi (3 %) by 1 pod; 1 pod has no limit as a whole"
    assert found.versions == "containerd 2.1.0, kubelet v1.34.0, kernel 6.1.0, amd64"
    assert "containerd 2.1.0 on node worker-1 needs" in found.minimum
    assert (found.events, found.evictions, found.small_limits, found.pods) == ((), (), (), ())


def test_what_the_kubelet_says_of_itself() -> None:
    used = ContainerUsage("", "", "", 5 << 30, "kubelet", time=NOW - timedelta(seconds=12), node="worker-1")
    of_pod = ContainerUsage("shop", "web-1", "", 1 << 30, "kubelet", node="worker-1")
    found = facts([node()], usages=(of_pod, used), cgroup_versions={"worker-1": 2})
    assert found.use == "5Gi (71 %) working set, by its kubelet, 12s ago"
    assert found.versions.endswith(", cgroup v2")


def test_a_condition_that_is_not_as_it_should_be_says_why() -> None:
    assert facts([node(pressure="True")]).conditions.endswith("MemoryPressure True for 5m (R)")


EVENTS = [
    (event("SystemOOM", "System OOM encountered, victim process: java, pid: 7"), True),
    (event("OOMKilling", "Memory cgroup out of memory: Killed process 7 (java) total-vm:1kB, anon-rss:1kB"), True),
    (event("PodOOMKilling", "Killed process 7 (java)"), True),
    (event("KernelNotice", "Out of memory: Killed process 7 (java)"), True),
    (event("EvictionThresholdMet", "Attempting to reclaim memory"), True),
    (event("EvictionThresholdMet", "Attempting to reclaim ephemeral-storage"), False),
    (event("NodeHasInsufficientMemory", "Node worker-1 status is now: X", type="Normal"), True),
    (event("NodeHasNoDiskPressure", "Node worker-1 status is now: X", type="Normal"), False),
    (event("RegisteredNode", "Node worker-1 in a room full of memory", type="Normal"), False),
]


@pytest.mark.parametrize(("entry", "shown"), EVENTS, ids=[entry["message"][:40] for entry, _ in EVENTS])
def test_events_about_memory_are_shown(entry: Json, shown: bool) -> None:
    assert bool(facts([node(), entry]).events) is shown


def test_a_node_that_ran_out_by_its_events_is_a_finding() -> None:
    found = looked([node(), event("SystemOOM", "System OOM encountered, victim process: java, pid: 7")])
    (finding,) = found.report.findings
    assert (finding.rule, finding.involved_object.kind, finding.severity) == ("node-oom-killed", "Node", "warning")
    assert finding.message == "ran out of memory 10m ago, and its kernel killed a process"


def test_a_cgroup_that_ran_out_is_no_finding_of_the_node() -> None:
    told = event("OOMKilling", "Memory cgroup out of memory: Killed process 7 (java) total-vm:1kB")
    assert rules_of(looked([node(), told])) == []


def test_evictions_of_pods_there_and_of_pods_that_are_gone() -> None:
    gone = event(
        "Evicted", "The node was low on resource: memory. ", kind="Pod", name="old", source={"host": "worker-1"}
    )
    other = event("Evicted", "The node was low on resource: memory.", kind="Pod", name="x", source={"host": "worker-2"})
    disk = event("Evicted", "The node was low on resource: disk.", kind="Pod", name="d", source={"host": "worker-1"})
    evicted = pod("now", phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    found = facts([node(), gone, other, disk, evicted])
    assert [note.text.partition(":")[0] for note in found.evictions] == ["shop/old", "shop/now"]


def test_kills_by_pod_from_all_sources() -> None:
    killed = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": text(600), "containerID": f"containerd://{RUN}"}
    status = {"name": "app", "containerID": "containerd://new", "lastState": {"terminated": killed}}
    counted = ContainerCounters("shop", "web-1", "app", None, oom_events=3, node="worker-1")
    found = facts(
        [node(), pod(containerStatuses=[status])],
        kills=(kill(), kill(victims=kill().victims, time=NOW, failcnt=32)),
        counters=(counted,),
        runtime_ooms=(RuntimeOom(RUN, NOW, Writer.CONTAINERD, "worker-1"),),
    )
    assert notes(found) == {
        "shop/web-1": [
            "status: app: OOMKilled, exit code 137",
            f"kernel: killed java in container app at the container's own limit {AMOUNTS}",
            "containerd: heard of an OOM kill in container app",
            "cadvisor: counted OOM kills in container app 3 times since the kubelet started",
        ]
    }


def test_a_pod_that_is_deleted_is_told_of_by_its_uid() -> None:
    kills = tuple(map(sandbox_kill, range(3)))
    found = looked([node(), pod(uid=OTHER_UID)], kills=kills)
    assert remarks(found.nodes[0].pods) == [(UID, "only its uid is known, pod deleted")]
    (note,) = found.nodes[0].pods[0].notes
    assert (note.count, note.first, note.last) == (3, kills[0].time, kills[2].time)
    assert "in sandbox 000000000000 and 2 more at the limit of the pod as a whole" in note.text
    assert rules_of(found) == [("sandbox-memory-limit-too-small", UID)]
    assert found.report.findings[0].node == "worker-1"


def test_a_log_that_names_no_host_is_of_the_only_node() -> None:
    found = looked([node()], kills=(kill(node=""),))
    assert [entry.node for entry in found.report.findings] == ["worker-1"]
    span = LogSpan(Writer.KERNEL, "dmesg.txt")
    two = looked([node(), node("worker-2")], "worker-1", "worker-2", kills=(kill(node=""),), spans=(span,))
    assert two.report.findings == ()
    assert [entry.reason.partition(":")[0] for entry in two.report.not_checked] == ["dmesg.txt"]


def test_a_pod_that_is_deleted_and_that_a_log_names() -> None:
    failed = SandboxFailures(Writer.KUBELET, "shop", "old", UID, 4, message="opaque", node="worker-1")
    found = facts([node()], sandbox_failures=(failed,))
    assert remarks(found.pods) == [("shop/old", f"uid {UID}, pod deleted")]


def test_where_pods_cannot_be_read_none_is_said_to_be_deleted() -> None:
    found = looked([node()], forbidden=["pods"], kills=(kill(),))
    assert remarks(found.nodes[0].pods) == [(UID, "only its uid is known")]
    assert found.nodes[0].requests == "not known: pods could not be read"
    assert {entry.resource for entry in found.report.not_checked} == {"pods"}


def test_failing_sandboxes_of_deleted_pods_by_their_events() -> None:
    failed = event("FailedCreatePodSandBox", "no", kind="Pod", name="old", source={"host": "worker-1"})
    failed["involvedObject"]["uid"] = OTHER_UID
    found = facts([node(), pod(), failed])
    assert notes(found) == {"shop/old": ["event: FailedCreatePodSandBox: no"]}
    assert remarks(found.pods) == [("shop/old", f"uid {OTHER_UID}, pod deleted")]


def test_kills_outside_of_pods() -> None:
    outside = kill(Level.NODE, oom_cgroup=None, task_cgroup=None)
    found = looked([node()], kills=(outside,))
    assert notes(found.nodes[0]) == {"outside of pods": ["kernel: killed java at the end of the node's memory"]}
    assert rules_of(found) == [("node-oom-killed", "worker-1")]


def test_small_limits_are_listed() -> None:
    found = facts([node(), pod(limit="300m")])
    (line,) = found.small_limits
    assert line.startswith("shop/web-1: 300m (0.3 byte), under the ")


def test_names_that_do_not_exist() -> None:
    found = looked([node()], "worker-1", "worker-9")
    assert found.errors == ('Error from server (NotFound): nodes "worker-9" not found',)
    assert [entry.name for entry in found.nodes] == ["worker-1"]
    with pytest.raises(NotFound, match='nodes "worker-9" not found'):
        looked([node()], "worker-9")


def test_nodes_by_label() -> None:
    source = MemorySource([node("a", pool="x"), node("b", pool="y"), node("c", pool="x")])
    found = diagnose_nodes(source, (), label_selector="pool=x")
    assert [entry.name for entry in found.nodes] == ["a", "c"]
    with pytest.raises(AccessError, match="no node has the labels"):
        diagnose_nodes(source, (), label_selector="pool=z")


def test_pods_are_looked_at_where_the_node_cannot_be_read() -> None:
    found = looked([node(), pod(limit="300m")], forbidden=["nodes"])
    assert found.nodes[0].conditions.startswith("not known")
    assert rules_of(found) == [("pod-memory-limit-below-sandbox-minimum", "web-1")]
    with pytest.raises(Unreadable):
        looked([node()], forbidden=["nodes", "pods"])


def test_each_node_has_its_own() -> None:
    here, there = kill(node="worker-1"), kill(uid=OTHER_UID, node="worker-2.example")
    pods = [pod(), pod("web-2", uid=OTHER_UID, on="worker-2")]
    found = looked([node(), node("worker-2"), *pods], "worker-1", "worker-2", kills=(here, there))
    assert [remarks(entry.pods) for entry in found.nodes] == [
        [("shop/web-1", "Running")],
        [("shop/web-2", "Running")],
    ]


def test_a_log_of_another_node_is_said_to_be_one() -> None:
    span = LogSpan(Writer.KERNEL, "dmesg.txt", "worker-7")
    found = looked([node()], kills=(kill(node="worker-7"),), spans=(span,))
    assert [entry.reason for entry in found.report.not_checked] == [
        "dmesg.txt: it is the log of worker-7, not of worker-1"
    ]
    assert found.nodes[0].pods == ()
    assert found.report.findings == ()


def test_what_is_asked_is_about_the_node() -> None:
    source = MemorySource([node(), pod(limit="300m")])
    diagnose_nodes(source, ("worker-1",))
    assert ("get", "nodes", "", "worker-1") in source.asked
    assert [entry for entry in source.asked if entry[:2] == ("list", "pods")] == [
        ("list", "pods", "", "", "spec.nodeName=worker-1")
    ]
    assert ("list", "nodes") not in {entry[:2] for entry in source.asked}


def test_usage_far_above_is_a_share_all_the_same() -> None:
    used = ContainerUsage("", "", "", 70 << 30, "metrics", node="worker-1")
    assert facts([node()], usages=(used,)).use == "70Gi (1000 %) working set, by the metrics API"


SUMMARY = (
    b'{"node": {"nodeName": "worker-1", "memory": {"time": "2026-11-23T09:59:48Z", "workingSetBytes": 5368709120}}}'
)
COUNTED = (
    f'container_oom_events_total{{container="app",id="/kubepods/pod{UID}/{RUN}",namespace="shop",pod="web-1"}} 2\n'
).encode()


class Kubelet:
    """Answers two questions, and may not be asked others."""

    @contextmanager
    def ask(self, node: str, path: str, query: object = None, **limits: object) -> Iterator[KubeletAnswer]:
        answers = {"stats/summary": SUMMARY, "metrics/cadvisor": COUNTED}
        if path not in answers:
            raise Unreadable("no", resource="nodes/proxy", reason="forbidden: no")
        yield KubeletAnswer(iter([answers[path]]))


class Live(MemorySource):
    kubelets: Any = Kubelet()


def test_what_a_kubelet_answers_stands_on_the_page() -> None:
    look = NodeLook(deadline_seconds=5.0, thorough=True)
    found = diagnose_nodes(Live([node(), pod()]), ("worker-1",), nodes_look=look)
    assert found.nodes[0].use == "5Gi (71 %) working set, by its kubelet, 12s ago"
    assert notes(found.nodes[0]) == {
        "shop/web-1": ["cadvisor: counted OOM kills in container app 2 times since the kubelet started"]
    }
    assert rules_of(found) == [("container-child-oom-killed", "web-1")]
    assert "forbidden: no" in {entry.reason for entry in found.report.not_checked}
