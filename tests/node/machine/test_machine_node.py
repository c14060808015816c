"""The node in the machine: it has the cgroup version that this machine has not, and fails as such a node does."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from cluster.api import Api, Json
from cluster.memdoctor import Shell, new_shell

from node.cluster import NodeCluster, node_cluster, own_cgroup
from node.machine.node import PODS, TAP
from node.pods import SECONDS, is_running, pod, wait_for, wait_for_event
from node.programs import Generation

OTHER = {"v1": "v2", "v2": "v1"}
NO_CGROUP = {
    ("v1", "runc"): r"mkdir /sys/fs/cgroup/memory/kubepods/pod\S+: cannot allocate memory",
    ("v1", "crun"): r"creating cgroup directory `\S+/kubepods/pod\S+`: No such file or directory",
    ("v2", "runc"): r"mkdir /sys/fs/cgroup/kubepods/pod\S+: cannot allocate memory",
    ("v2", "crun"): r"Cannot allocate memory",
}
"""Cgroup version and runtime -> what is said of a limit under one page."""


@pytest.fixture(scope="module")
def cluster(chosen: Generation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    """With the machine as its only node."""
    with node_cluster(chosen, tmp_path_factory.mktemp("machine"), cgroups=(OTHER[own_cgroup()],)) as started:
        yield started


@pytest.fixture(scope="module")
def node(cluster: NodeCluster) -> str:
    return cluster.nodes[OTHER[own_cgroup()]]


@pytest.fixture(scope="module")
def shell(cluster: NodeCluster, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return new_shell(cluster.plane, tmp_path_factory.mktemp("bin"))


def test_its_kernel_and_its_cgroup_version_are_its_own(cluster: NodeCluster, api: Api, node: str) -> None:
    (found,) = api.items("v1", "Node")
    info = found["status"]["nodeInfo"]
    assert re.fullmatch(r"6\.1\.\d+-\d+-cloud-amd64", info["kernelVersion"])
    assert info["kubeletVersion"] == f"v{cluster.generation.kubernetes_version}"
    assert {"type": "InternalIP", "address": TAP.machine} in found["status"]["addresses"]
    unified = cluster.run(node, ["sh", "-c", "ls -d /sys/fs/cgroup/kubepods/memory.max || true"])
    assert bool(unified) == (own_cgroup() == "v1")


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_a_pod_runs_and_the_api_server_gets_at_it(api: Api, node: str, made: list[Json], runtime: str) -> None:
    command = ("sh", "-c", "echo in the machine; exec sleep 100000")
    made.append(api.create(pod(f"runs-{runtime}", node=node, runtime_class=runtime, token=True, command=command)))
    running = wait_for(api, made[0], is_running)
    assert running["status"]["podIP"].startswith(PODS.rpartition(".")[0])
    deadline = time.monotonic() + SECONDS
    while not (said := api.raw(f"/api/v1/namespaces/default/pods/runs-{runtime}/log").data):
        assert time.monotonic() < deadline, "nothing in its log"
        time.sleep(0.2)
    assert said == b"in the machine\n"


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_a_limit_under_one_page_fails_as_it_does_and_memdoctor_says_why(
    cluster: NodeCluster, api: Api, node: str, shell: Shell, made: list[Json], runtime: str
) -> None:
    made.append(api.create(pod(f"tiny-{runtime}", node=node, runtime_class=runtime, memory="300m")))
    message = wait_for_event(api, made[0], "FailedCreatePodSandBox")
    assert re.search(NO_CGROUP[OTHER[own_cgroup()], runtime], message), message
    assert f"/kubepods/pod{made[0]['metadata']['uid']}" in cluster.run(node, ["dmesg"])
    ran = shell.memdoctor("pod", f"tiny-{runtime}", "-o", "json")
    assert [finding["rule"] for finding in ran.report()["findings"]] == ["sandbox-memory-limit-too-small"], ran.out


def test_an_oom_kill_is_in_its_kernel_log(cluster: NodeCluster, api: Api, node: str, made: list[Json]) -> None:
    made.append(api.create(pod("eats", node=node, memory="24Mi", command=("eat", "64"))))
    wait_for(api, made[0], _was_oom_killed)
    pods = f"/kubepods/pod{made[0]['metadata']['uid']}"
    kills = re.findall(r"oom-kill:constraint=CONSTRAINT_MEMCG,.*", cluster.run(node, ["dmesg"]))
    assert any(f"oom_memcg={pods}" in kill and "task=eat," in kill for kill in kills), kills


def _was_oom_killed(found: Json) -> bool:
    return "OOMKilled" in json.dumps(found["status"].get("containerStatuses", []))
