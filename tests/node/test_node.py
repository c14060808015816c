"""The node itself: its versions, its pods, and the failures that it is there for."""

from __future__ import annotations

import http.client
import json
import re
import ssl

import pytest
from cluster.api import Api, Json, Refused
from cluster.memdoctor import Shell

from .cluster import NodeCluster
from .configuration import BIN
from .images import PAUSE
from .pods import is_running, pod, wait_for, wait_for_event

RUNTIMES = ("runc", "crun")
EVICTION_KIBIBYTES = 100 * 1024
KUBELET_PORT = 10250
RUNTIME_STATE = "/run/containerd/runc/k8s.io"


def test_it_is_ready_with_the_versions_of_its_generation(cluster: NodeCluster, api: Api, node: str) -> None:
    (found,) = api.items("v1", "Node")
    assert found["metadata"]["name"] == node
    info = found["status"]["nodeInfo"]
    assert info["kubeletVersion"] == f"v{cluster.generation.kubernetes_version}"
    assert info["containerRuntimeVersion"].startswith(f"containerd://{cluster.generation.containerd_version}")
    assert cluster.generation.runc_version in cluster.run(node, [f"{BIN}/runc", "--version"])
    assert f"crun version {cluster.generation.crun_version}" in cluster.run(node, [f"{BIN}/crun", "--version"])


def test_what_pods_may_have_of_its_memory_is_less_than_all(api: Api) -> None:
    (found,) = api.items("v1", "Node")
    capacity, allocatable = (
        int(found["status"][kind]["memory"].removesuffix("Ki")) for kind in ("capacity", "allocatable")
    )
    assert capacity - allocatable == EVICTION_KIBIBYTES


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_pod_runs(cluster: NodeCluster, api: Api, node: str, made: list[Json], runtime: str) -> None:
    made.append(api.create(pod(f"runs-{runtime}", node=node, runtime_class=runtime, token=True)))
    running = wait_for(api, made[0], is_running)
    assert re.fullmatch(r"10\.78\.0\.\d+", running["status"]["podIP"])
    identifier = running["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    state = cluster.run(node, [f"{BIN}/{runtime}", f"--root={RUNTIME_STATE}", "state", identifier])
    assert '"status": "running"' in state


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_limit_under_one_page_fails_at_the_sandbox(
    api: Api, node: str, shell: Shell, made: list[Json], runtime: str
) -> None:
    made.append(api.create(pod(f"tiny-{runtime}", node=node, memory="300m", runtime_class=runtime)))
    message = wait_for_event(api, made[0], "FailedCreatePodSandBox")
    assert "cgroup" in message
    (finding,) = shell.memdoctor("pod", f"tiny-{runtime}", "-o", "json").report()["findings"]
    assert (finding["rule"], finding["memory"]["limitBytes"]) == ("sandbox-memory-limit-too-small", 1)
    assert shell.memdoctor("ns", "-o", "json").findings()[f"default/tiny-{runtime}"]["rule"] == finding["rule"]


def test_with_a_token_it_fails_at_the_volume(api: Api, node: str, shell: Shell, made: list[Json]) -> None:
    made.append(api.create(pod("tiny-token", node=node, memory="300m", token=True)))
    assert "no space left on device" in wait_for_event(api, made[0], "FailedMount", "kube-api-access-")
    (finding,) = shell.memdoctor("pod", "tiny-token", "-o", "json").report()["findings"]
    assert finding["rule"] == "volume-memory-limit-too-small"


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        ("nosuch", 'no runtime for "nosuch" is configured'),
        ("broken-network", '"lo" already exists but is not a bridge'),
    ],
)
def test_what_is_not_memory_fails_with_its_own_words(
    api: Api, node: str, shell: Shell, made: list[Json], handler: str, words: str
) -> None:
    made.append(api.create(pod(handler, node=node, runtime_class=handler)))
    assert words in wait_for_event(api, made[0], "FailedCreatePodSandBox")
    (finding,) = shell.memdoctor("pod", handler, "-o", "json").report()["findings"]
    assert (finding["rule"], finding["severity"]) == ("sandbox-failure-not-memory", "info")


def test_a_sandbox_image_can_be_taken_away_and_brought_back(
    cluster: NodeCluster, api: Api, node: str, made: list[Json]
) -> None:
    with cluster.without_image(node, PAUSE):
        made.append(api.create(pod("no-image", node=node)))
        assert PAUSE in wait_for_event(api, made[0], "FailedCreatePodSandBox", "failed to pull image")
    wait_for(api, made[0], is_running)


def test_pods_live_on_when_the_kubelet_starts_anew(cluster: NodeCluster, api: Api, node: str, made: list[Json]) -> None:
    made.append(api.create(pod("lives-on", node=node)))
    before = wait_for(api, made[0], is_running)["status"]["containerStatuses"]
    cluster.restart_kubelet(node)
    made.append(api.create(pod("after", node=node)))
    wait_for(api, made[1], is_running)
    assert api.read(made[0])["status"]["containerStatuses"] == before


def test_logs_since_a_moment(cluster: NodeCluster, api: Api, node: str, made: list[Json]) -> None:
    before = cluster.moment(node)
    made.append(api.create(pod("eats", node=node, memory="32Mi", command=("sh", "-c", "eat 64; sleep 100000"))))
    wait_for(api, made[0], is_running)
    identifier = made[0]["metadata"]["uid"]
    cluster.run(node, ["sh", "-c", f"until dmesg | grep -q 'task_memcg=.*{identifier}'; do sleep 0.1; done"])
    kernel = cluster.log(node, "kernel", before)
    assert re.search(rf"oom-kill:constraint=CONSTRAINT_MEMCG.*pod{identifier}.*task=eat", kernel)
    assert "default/eats" in cluster.log(node, "kubelet", before)
    assert "RunPodSandbox" in cluster.log(node, "containerd", before)
    after = cluster.moment(node)
    assert identifier not in cluster.log(node, "kernel", after)
    assert "RunPodSandbox" not in cluster.log(node, "containerd", after)


def test_the_kubelet_answers_through_the_api_server(api: Api, node: str) -> None:
    proxy = f"/api/v1/nodes/{node}/proxy"
    assert b"containerd.log" in api.raw(f"{proxy}/logs/").data
    assert b"Started kubelet" in api.raw(f"{proxy}/logs/kubelet.log").data
    assert b"container_oom_events_total" in api.raw(f"{proxy}/metrics/cadvisor").data
    assert json.loads(api.raw(f"{proxy}/stats/summary").data)["node"]["nodeName"] == node


def test_the_kubelet_answers_nobody_else(cluster: NodeCluster, node: str) -> None:
    answer = cluster.plane.api("stranger").raw(f"/api/v1/nodes/{node}/proxy/logs/")
    assert answer.status == 403
    (address,) = {
        entry["address"]
        for entry in cluster.plane.api().items("v1", "Node")[0]["status"]["addresses"]
        if entry["type"] == "InternalIP"
    }
    # Its certificate is its own, as where kubeadm did not give it one.
    connection = http.client.HTTPSConnection(address, KUBELET_PORT, context=ssl._create_unverified_context())
    connection.request("GET", "/logs/")
    assert connection.getresponse().status == 401


def test_pods_are_held_to_what_a_cluster_admits(cluster: NodeCluster, api: Api, node: str) -> None:
    """PodSecurity, LimitRange, quota and priority, as in a cluster that kubeadm made."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "strict", "labels": labels}})
    refused = pod("refused", node=node)
    refused["metadata"]["namespace"] = "strict"
    with pytest.raises(Refused, match="violates PodSecurity"):
        api.create(refused)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_cluster_may_end_with_pods_in_it(api: Api, node: str, runtime: str) -> None:
    """That nothing stays of them, the cluster's fixture holds when it ends."""
    wait_for(api, api.create(pod(f"stays-{runtime}", node=node, runtime_class=runtime, token=True)), is_running)
