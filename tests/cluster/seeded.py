"""What most tests look at: the incident, its twin with an ample limit, and what else goes wrong with pods."""

from __future__ import annotations

from dataclasses import dataclass

from .api import Json
from .stand_ins import SANDBOX_CHANGED, StandIns, Told, template

INCIDENT = "busybox-deploy-b9b6d4ff9-vwfnq"
TINY = "300m"
DOCKER_NODE, CONTAINERD_NODE = "worker-0", "worker-1"
OWNED = "owned"
"""The namespace with one stuck pod for each kind of owner."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """Pods by what they are there for: `namespace/name` of each."""

    incident: Json
    ample_twin: Json
    oom_loop: Json
    no_network: Json
    healthy: tuple[Json, ...]
    owned: dict[str, Json]


def seed(cluster: StandIns) -> Seeded:
    cluster.node(DOCKER_NODE, "docker://18.9.3", kernel="3.10.0-957.el7.x86_64")
    cluster.node(CONTAINERD_NODE, "containerd://1.7.24")
    for namespace in ("default", "ample", "shop", OWNED):
        cluster.namespace(namespace)
    cache = cluster.deployment("shop", "cache", {1: "64Mi"}, "6c5b8f7d4c")
    web = cluster.deployment("shop", "web", {3: "128Mi"}, "5d9c7b6f88")
    no_network = cluster.bare_pod("shop", "lonely", "128Mi", CONTAINERD_NODE)
    return Seeded(
        incident=incident(cluster, "default", {6: "64Mi", 7: TINY}),
        ample_twin=incident(cluster, "ample", {6: "64Mi", 7: "512Mi"}),
        oom_loop=cluster.oom_loop(cluster.pod_of(cache, "cache-6c5b8f7d4c-x2x7k", CONTAINERD_NODE)),
        no_network=cluster.stuck(no_network, NETWORK),
        healthy=tuple(
            cluster.running(cluster.pod_of(web, f"web-5d9c7b6f88-{ending}", CONTAINERD_NODE))
            for ending in ("a", "b", "c")
        ),
        owned=owned_pods(cluster, OWNED),
    )


def incident(cluster: StandIns, namespace: str, limits: dict[int, str | None]) -> Json:
    """The pod that could not start, with the words that docker 18 on CentOS 7 had for it."""
    newest = cluster.deployment(namespace, "busybox-deploy", limits, "b9b6d4ff9")
    pod = cluster.pod_of(newest, INCIDENT, DOCKER_NODE)
    return cluster.stuck(
        pod,
        _docker(4, "process_linux.go:297: getting the final child's pid from pipe caused", "connection reset by peer"),
        _docker(9, "process_linux.go:293: copying bootstrap data to pipe caused", "broken pipe", verb="write"),
        SANDBOX_CHANGED,
    )


def _docker(count: int, where: str, error: str, verb: str = "read") -> Told:
    return Told(
        "FailedCreatePodSandBox",
        "Failed create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox container for pod "
        f'"{INCIDENT}": Error response from daemon: OCI runtime create failed: container_linux.go:344: starting '
        f'container process caused "{where} \\"{verb} init-p: {error}\\"": unknown',
        count,
    )


def tiny_limit_events(pod: Json) -> tuple[Told, ...]:
    """The words of containerd and runc when the pod's cgroup has room for no page at all."""
    uid, container_id = pod["metadata"]["uid"], "4f" * 32
    message = (
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: failed to "
        "create shim task: OCI runtime create failed: runc create failed: unable to start container process: unable "
        f"to apply cgroup configuration: mkdir /sys/fs/cgroup/kubepods/pod{uid}/{container_id}: cannot allocate "
        "memory: unknown"
    )
    return (Told("FailedCreatePodSandBox", message), SANDBOX_CHANGED)


NETWORK = Told(
    "FailedCreatePodSandBox",
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "
    f'"{"7c" * 32}": plugin type="calico" failed (add): error getting ClusterInformation: connection is unauthorized: '
    "Unauthorized",
    8,
)


def owned_pods(cluster: StandIns, namespace: str) -> dict[str, Json]:
    """One stuck pod for each kind of owner: the kind -> the pod."""
    two = {1: "64Mi", 2: TINY}
    owners = {
        "Deployment": cluster.deployment(namespace, "deployed", two, "7f8d9c5b6d"),
        "ReplicaSet": cluster.workload("apps/v1", "ReplicaSet", namespace, "replicated", _replicated("replicated")),
        "ReplicationController": cluster.workload(
            "v1", "ReplicationController", namespace, "controlled", {**_replicated("controlled"), "selector": None}
        ),
        "StatefulSet": cluster.revisioned("StatefulSet", namespace, "stateful", two),
        "DaemonSet": cluster.revisioned("DaemonSet", namespace, "daemon", two),
        "Job": cluster.job(namespace, "once", TINY),
        "CronJob": cluster.job(namespace, "nightly-29000000", TINY, cluster.cron_job(namespace, "nightly", TINY)),
    }
    pods = {kind: cluster.pod_of(owner, f"{kind.lower()}-pod", CONTAINERD_NODE) for kind, owner in owners.items()}
    pods["Pod"] = cluster.bare_pod(namespace, "bare", TINY, CONTAINERD_NODE)
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "canary", "controller": True}
    pods["Rollout"] = cluster.bare_pod(
        namespace, "canary-1", TINY, CONTAINERD_NODE, ownerReferences=[{**rollout, "uid": "5f1c0c4e-canary"}]
    )
    return {kind: cluster.stuck(pod, *tiny_limit_events(pod)) for kind, pod in pods.items()}


def _replicated(app: str) -> Json:
    return {"replicas": 1, "selector": {"matchLabels": {"app": app}}, "template": template(app, TINY)}
