"""What kubelets answer through the API server, with both cgroup versions, and whose pod and container it is about."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping

import pytest
from cluster.api import Api, Json
from cluster.control_plane import token

from kubectl_memdoctor import node_reading
from kubectl_memdoctor.cluster.api import ApiServer
from kubectl_memdoctor.cluster.connection import Connection
from kubectl_memdoctor.evidence.node_evidence import ContainerCounters, NodeEvidence
from kubectl_memdoctor.node_reading import JOURNAL, LOG_QUERY, NODES_PROXY, QUERY_OFF, QUERY_PATTERN, read_nodes

from .cluster import NodeCluster, node_cluster, own_cgroup
from .configuration import BIN, KUBELET_CONFIG
from .pods import SECONDS, delete, is_running, pod, wait_for
from .programs import Generation

IN_ITS_CGROUP = "sleep 30; sh -c 'eat 64'; exec sleep 100000"
IN_INNER_CGROUP = """
IFS=: read -r _ _ path < /proc/self/cgroup
cd "/sys/fs/cgroup$path" && mkdir own inner || exit 8
echo 1 > own/cgroup.procs && echo +memory > cgroup.subtree_control || exit 9
sleep 30
echo 16777216 > inner/memory.max
sh -c 'echo 0 > inner/cgroup.procs; exec eat 64'
exec sleep 100000
"""
"""A container of cgroup v2 is killed as a whole; but not for the sake of a cgroup below its own."""
JOURNALCTL = """#!/bin/sh
[ "$1" = --field ] && { echo kubelet.service; echo containerd.service; exit; }
printf 'asked:'
printf ' %s' "$@"
echo
"""
"""Stands in for a journal: tells what the kubelet asks it."""


@pytest.fixture(scope="module")
def cluster(chosen: Generation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    """With a node of each cgroup version."""
    with node_cluster(chosen, tmp_path_factory.mktemp(f"proxy-{chosen.name}")) as started:
        yield started


@pytest.fixture(scope="module", params=["v1", "v2"])
def cgroup(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def node(cluster: NodeCluster, cgroup: str) -> str:
    return cluster.nodes[cgroup]


@pytest.fixture(scope="module")
def source(cluster: NodeCluster) -> ApiServer:
    return _source(cluster, "admin")


def _source(cluster: NodeCluster, user: str) -> ApiServer:
    authority = cluster.plane.authority_file.read_bytes()
    return ApiServer(
        Connection(
            server=cluster.plane.server, namespace="default", context="test", ca_data=authority, token=token(user)
        )
    )


def told(source: ApiServer, node: str) -> tuple[NodeEvidence, Mapping[str, str]]:
    return read_nodes(source, [node], deadline_seconds=SECONDS, thorough=True)


def told_until(source: ApiServer, node: str, met: Callable[[NodeEvidence], bool]) -> NodeEvidence:
    deadline = time.monotonic() + SECONDS
    while True:
        evidence, reasons = told(source, node)
        if met(evidence):
            return evidence
        assert time.monotonic() < deadline, (evidence.counters, evidence.usages, reasons)
        time.sleep(1)


@pytest.fixture(scope="module")
def pods(api: Api, node: str, cgroup: str) -> Iterator[dict[str, Json]]:
    """One that is well, one whose child is killed, one whose PID 1 is killed again and again."""
    eats = ("sh", "-c", IN_ITS_CGROUP)
    wanted = [
        pod(f"quiet-{cgroup}", node=node),
        pod(f"child-{cgroup}", node=node, memory="32Mi", command=eats),
        pod(f"main-{cgroup}", node=node, memory="24Mi", command=("eat", "64")),
    ]
    made = [api.create(each) for each in wanted]
    yield {entry["metadata"]["name"].partition("-")[0]: entry for entry in made}
    delete(api, *made)


def counters_of(evidence: NodeEvidence, made: Json, container: str) -> list[ContainerCounters]:
    name = made["metadata"]["name"]
    found = [entry for entry in evidence.counters if (entry.pod, entry.container) == (name, container)]
    assert {entry.cgroup.pod_uid for entry in found if entry.cgroup} <= {made["metadata"]["uid"]}
    assert {entry.namespace for entry in found} <= {"default"}
    return found


def _was_oom_killed(found: Json) -> bool:
    return "OOMKilled" in json.dumps(found["status"].get("containerStatuses", []))


def test_a_pod_that_is_well(api: Api, source: ApiServer, node: str, pods: dict[str, Json]) -> None:
    running = wait_for(api, pods["quiet"], is_running)
    identifier = running["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    name, uid = running["metadata"]["name"], running["metadata"]["uid"]

    def is_measured(evidence: NodeEvidence) -> bool:
        used = any((usage.pod, usage.container) == (name, "app") for usage in evidence.usages)
        return used and any(entry.working_set_bytes for entry in counters_of(evidence, running, "app"))

    evidence = told_until(source, node, is_measured)
    (app,) = counters_of(evidence, running, "app")
    assert app.cgroup is not None
    assert app.cgroup.container_id == identifier
    assert (app.oom_events, app.limit_bytes, app.node) == (0, 64 << 20, node)
    assert app.usage_bytes is not None
    assert 0 < app.usage_bytes <= 64 << 20
    assert [len(counters_of(evidence, running, container)) for container in ("POD", "")] == [1, 1]
    usage = next(usage for usage in evidence.usages if (usage.pod, usage.container) == (name, "app"))
    assert (usage.pod_uid, usage.namespace, usage.node, usage.source) == (uid, "default", node, "kubelet")
    assert 0 < usage.working_set_bytes <= 64 << 20
    assert [usage.node for usage in evidence.usages if not usage.pod] == [node]


def test_kills_are_found_at_no_other_pod(
    cluster: NodeCluster, api: Api, source: ApiServer, node: str, pods: dict[str, Json]
) -> None:
    wait_for(api, pods["main"], _was_oom_killed)
    _wait_for_kill(cluster, node, pods["child"])
    evidence = told_until(source, node, lambda evidence: bool(counters_of(evidence, pods["child"], "")))
    assert all(entry.oom_events == 0 for entry in counters_of(evidence, pods["quiet"], "app"))
    killed = {entry.pod for entry in evidence.counters if entry.oom_events}
    assert killed <= {pods[name]["metadata"]["name"] for name in ("child", "main")}


def test_a_limit_that_was_hit(source: ApiServer, node: str, cgroup: str, pods: dict[str, Json]) -> None:
    """cgroup v2 has no failcnt; its peak takes a kernel of 5.19 or newer."""

    def is_hit(evidence: NodeEvidence) -> bool:
        return any(entry.max_usage_bytes == 32 << 20 for entry in counters_of(evidence, pods["child"], ""))

    (of_pod,) = counters_of(told_until(source, node, is_hit), pods["child"], "")
    assert of_pod.limit_bytes == 32 << 20
    assert bool(of_pod.failcnt) is (cgroup == "v1")


def test_a_childs_kill_is_its_containers(
    cluster: NodeCluster, api: Api, source: ApiServer, node: str, cgroup: str, made: list[Json]
) -> None:
    """Where the kubelet runs in a container, as this machine's does, the kernel calls cgroups by other names than
    it does, and it counts nothing: so a count of nothing refutes no kill."""
    command, memory = (IN_ITS_CGROUP, "32Mi") if cgroup == "v1" else (IN_INNER_CGROUP, "96Mi")
    wanted = pod("alone", node=node, memory=memory, command=("sh", "-c", command))
    wanted["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    made.append(api.create(wanted))
    _wait_for_kill(cluster, node, made[0])
    counts = cgroup != own_cgroup()

    def is_counted(evidence: NodeEvidence) -> bool:
        return any(entry.oom_events or not counts for entry in counters_of(evidence, made[0], "app"))

    evidence = told_until(source, node, is_counted)
    (app,) = counters_of(evidence, made[0], "app")
    (status,) = wait_for(api, made[0], is_running)["status"]["containerStatuses"]
    assert app.cgroup is not None
    assert status["containerID"] == f"containerd://{app.cgroup.container_id}"
    assert (app.oom_events, status["restartCount"]) == (int(counts), 0)
    assert all(entry.oom_events == 0 for entry in counters_of(evidence, made[0], "POD"))


def _wait_for_kill(cluster: NodeCluster, node: str, made: Json) -> None:
    killed = f"oom-kill:.*{made['metadata']['uid']}.*task=eat,"
    cluster.run(node, ["sh", "-c", f"until dmesg | grep -q '{killed}'; do sleep 1; done"], SECONDS)


def test_the_node_itself(cluster: NodeCluster, source: ApiServer, node: str, cgroup: str) -> None:
    evidence, reasons = told(source, node)
    knows_version = int(cluster.generation.kubernetes_version.split(".")[1]) >= 31
    assert evidence.cgroup_versions == ({node: int(cgroup[1])} if knows_version else {})
    started = int(cluster.run(node, ["sh", "-c", "grep btime /proc/stat"]).split()[1])
    assert abs(evidence.boots[node].timestamp() - started) <= 1
    assert evidence.kubelet_starts[node] > evidence.boots[node]
    assert {span.file for span in evidence.spans} >= {"kubelet.log", "containerd.log"}
    assert {span.node for span in evidence.spans} == {node}
    assert reasons == {LOG_QUERY: QUERY_OFF}


def test_who_may_not(cluster: NodeCluster, node: str) -> None:
    evidence, reasons = told(_source(cluster, "stranger"), node)
    assert not evidence
    (reason,) = reasons.values()
    assert [*reasons] == [NODES_PROXY]
    assert reason.startswith(f'forbidden: nodes "{node}" is forbidden: User "stranger" cannot get resource')


def test_a_node_that_is_not_there(source: ApiServer, node: str) -> None:
    missing = f"not-{node}"
    assert told(source, missing)[1] == {NODES_PROXY: f'failed: nodes "{missing}" not found'}


@contextlib.contextmanager
def log_query(cluster: NodeCluster, source: ApiServer, node: str) -> Iterator[None]:
    """On, until the block is left."""
    place = cluster.node(node).place
    before = place.get(KUBELET_CONFIG)
    changed = json.loads(before) | {"enableSystemLogQuery": True}
    if int(cluster.generation.kubernetes_version.split(".")[1]) < 36:
        changed["featureGates"] = {"NodeLogQuery": True}
    place.put(KUBELET_CONFIG, json.dumps(changed).encode())
    cluster.restart_kubelet(node)
    # Its last word is believed for a while.
    told_until(source, node, lambda evidence: bool(evidence.kubelet_starts))
    try:
        yield
    finally:
        place.put(KUBELET_CONFIG, before)
        cluster.restart_kubelet(node)
        told_until(source, node, lambda evidence: bool(evidence.kubelet_starts))


def test_log_query(cluster: NodeCluster, source: ApiServer, node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = cluster.node(node).place
    with log_query(cluster, source, node):
        assert told(source, node)[1] == {
            LOG_QUERY: "not served: options present and query resolved to log files for"
            " [kubelet containerd crio docker]"
        }
        place.put(f"{BIN}/journalctl", JOURNALCTL.encode())
        place.run(["chmod", "755", f"{BIN}/journalctl"])
        try:
            asked, *_ = _journal(source, node, monkeypatch).splitlines()
        finally:
            place.run(["rm", f"{BIN}/journalctl"])
    assert re.fullmatch(
        r"asked: --utc --no-pager --output=short-precise --since=\d+-\d+-\d+ \d+:\d+:\d+"
        rf" --unit=kubelet --unit=containerd --grep={re.escape(QUERY_PATTERN)}",
        asked,
    )


def _journal(source: ApiServer, node: str, monkeypatch: pytest.MonkeyPatch) -> str:
    given: dict[str, bytes] = {}

    def read(chunks: Iterator[bytes], name: str, **more: object) -> NodeEvidence:
        given[name] = b"".join(chunks)
        return NodeEvidence()

    monkeypatch.setattr(node_reading, "read_stream", read)
    assert told(source, node)[1] == {}
    return given[JOURNAL].decode()
