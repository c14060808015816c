"""Records what `kubectl memdoctor demo` shows: `PYTHONPATH=tests python -m node.enclosure python -m node.demo`.

A shop runs on a real node; then somebody changes a limit and types 300m for 300Mi, a container grows beyond its limit,
a job loses a child, and a node lacks the network plugin that some pods need. Writes kubectl_memdoctor/data/demo.json.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster.api import Api, Json, path, path_of

from .cluster import NodeCluster, node_cluster, own_cgroup
from .configuration import BROKEN_NETWORK
from .images import app_layer, archive
from .matrix.manifests import SLEEPING, runtime_class
from .matrix.save import cleaned
from .programs import generation
from .running_node import RunningNode

RECORDING = Path(__file__).parents[2] / "kubectl_memdoctor/data/demo.json"
SECONDS = 600.0
"""For all of it to come about, on a busy machine too."""
NAMESPACES = ("default", "shop", "infra")
KINDS = (
    ("v1", "LimitRange"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ControllerRevision"),
    ("batch/v1", "Job"),
    ("v1", "Pod"),
    ("v1", "Event"),
)
MESH = "mesh"
BROKEN_HANDLER = "broken-network"
TRIES = 3
"""Failed sandboxes of one pod, so that its event has a count."""


@dataclass(frozen=True, slots=True)
class Image:
    reference: str
    script: str = SLEEPING


WEB = Image("registry.example/shop/web:3.2.0")
ORDERS = Image("registry.example/shop/orders:2.4.1", "sleep 6; exec eat 256 90")
REPORT = Image("registry.example/shop/report:1.9", "eat 256 20; sleep 9")
INGRESS = Image("registry.example/infra/ingress:1.14.0")
REDIS = Image("docker.io/library/redis:8.2")
EXPORTER = Image("quay.io/prometheus/node-exporter:v1.9.1")
BUSYBOX = Image("docker.io/library/busybox:1.37")
IMAGES = (WEB, ORDERS, REPORT, INGRESS, REDIS, EXPORTER, BUSYBOX)


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as folder,
        node_cluster(generation("current"), Path(folder), (own_cgroup(),)) as cluster,
    ):
        node = cluster.node(cluster.nodes[own_cgroup()])
        _bring_images(node)
        _forget_a_network_plugin(node)
        api = cluster.plane.api()
        api.create(runtime_class(MESH, BROKEN_HANDLER))
        _open_the_shop(api)
        _wait_for(api, _all_run)
        _make_mistakes(api)
        _wait_for(api, _all_came_about)
        RECORDING.write_text(_text(_recorded(cluster)))
    print(f"wrote {RECORDING.name}", file=sys.stderr)
    return 0


def _bring_images(node: RunningNode) -> None:
    layer = app_layer()
    for number, image in enumerate(IMAGES):
        file = f"/tmp/image-{number}.tar"
        node.place.put(file, archive(image.reference, layer, ["/bin/sh", "-c", image.script]))
        node.import_image(file, image.reference)


def _forget_a_network_plugin(node: RunningNode) -> None:
    """For the pods of one runtime handler, so that all others run."""
    file = f"{BROKEN_NETWORK}/10-pods.conflist"
    content = json.loads(node.place.get(file))
    content["plugins"] = [{"type": "istio-cni"}]
    node.place.put(file, json.dumps(content).encode())


def _open_the_shop(api: Api) -> None:
    for namespace in NAMESPACES[1:]:
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    default = {"type": "Container", "default": {"memory": "256Mi"}, "defaultRequest": {"memory": "128Mi"}}
    meta = {"name": "defaults", "namespace": "shop"}
    api.create({"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": {"limits": [default]}})
    api.create(_deployment("default/busybox-deploy", 2, _spec(_container("busybox", BUSYBOX, "64Mi"), token=False)))
    api.create(_deployment("shop/web", 3, _spec(_container("web", WEB, "128Mi", "96Mi"))))
    redis = _workload("StatefulSet", "shop/redis", _spec(_container("redis", REDIS, "64Mi")))
    redis["spec"] |= {"replicas": 2, "serviceName": "redis"}
    api.create(redis)
    exporter = _spec(_container("node-exporter", EXPORTER, "64Mi", "32Mi"))
    api.create(_workload("DaemonSet", "infra/node-exporter", exporter))


def _make_mistakes(api: Api) -> None:
    template = {"spec": {"containers": [_container("busybox", BUSYBOX, "300m")]}}
    target = path("apps/v1", "Deployment", "default", "busybox-deploy")
    api.call("PATCH", target, {"spec": {"template": template}}, "application/strategic-merge-patch+json")
    ingress = _spec(_container("ingress", INGRESS, "256Mi", "128Mi")) | {"runtimeClassName": MESH}
    api.create(_workload("DaemonSet", "infra/ingress", ingress))
    api.create(_deployment("shop/orders", 2, _spec(_container("orders", ORDERS, "96Mi", "64Mi"))))
    report = _spec(_container("report", REPORT, "48Mi")) | {"restartPolicy": "Never"}
    meta = {"name": "report", "namespace": "shop"}
    api.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": {"spec": report}}})


def _container(name: str, image: Image, limit: str, request: str = "") -> Json:
    resources = {"limits": {"memory": limit}, "requests": {"cpu": "10m", "memory": request or limit}}
    return {"name": name, "image": image.reference, "resources": resources}


def _spec(container: Json, *, token: bool = True) -> Json:
    mounting = {} if token else {"automountServiceAccountToken": False}
    return {"containers": [container], "terminationGracePeriodSeconds": 5, **mounting}


def _deployment(name: str, replicas: int, spec: Json) -> Json:
    made = _workload("Deployment", name, spec)
    made["spec"]["replicas"] = replicas
    return made


def _workload(kind: str, full_name: str, spec: Json) -> Json:
    namespace, name = full_name.split("/")
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def _wait_for(api: Api, met: Callable[[Api], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not met(api):
        if time.monotonic() > deadline:
            raise RuntimeError(f"after {SECONDS:.0f} s it has not come about: {met.__name__}")
        time.sleep(1)


def _all_run(api: Api) -> bool:
    pods = api.items("v1", "Pod")
    return len(pods) == 8 and all(pod["status"]["phase"] == "Running" for pod in pods)


def _all_came_about(api: Api) -> bool:
    statuses = [
        status for pod in api.items("v1", "Pod", "shop") for status in pod["status"].get("containerStatuses", [])
    ]
    orders = [status for status in statuses if status["name"] == "orders"]
    killed = [status for status in orders if status["restartCount"] >= 2 and "terminated" in status["lastState"]]
    jobs = api.items("batch/v1", "Job", "shop")
    return (
        len(killed) == len(orders) == 2
        and all(job["status"].get("succeeded") for job in jobs)
        and _failed_sandboxes(api, "default") >= TRIES
        and _failed_sandboxes(api, "infra") >= TRIES
    )


def _failed_sandboxes(api: Api, namespace: str) -> int:
    """A pod's failures are one event with a count, or several events."""
    events = api.items("v1", "Event", namespace)
    return sum(event.get("count") or 1 for event in events if event["reason"] == "FailedCreatePodSandBox")


def _recorded(cluster: NodeCluster) -> list[Json]:
    api = cluster.plane.api()
    nodes = api.items("v1", "Node")
    for node in nodes:
        node["status"].pop("images")
    classes = [entry for entry in api.items("node.k8s.io/v1", "RuntimeClass") if entry["metadata"]["name"] == MESH]
    found = [entry for kind in KINDS for namespace in NAMESPACES for entry in api.items(*kind, namespace)]
    there = {path_of(entry) for entry in found}
    kept = [entry for entry in found if entry["kind"] != "Event" or _is_about(entry["involvedObject"], there)]
    return [cleaned(entry) for entry in (*nodes, *classes, *kept)]


def _is_about(involved: Json, there: set[str]) -> bool:
    """Events of what is gone would only make the recording longer."""
    return involved["kind"] != "Node" and path_of({**involved, "metadata": involved}) in there


def _text(items: list[Json]) -> str:
    """One object a line, so that a change of it can be read."""
    lines = ",\n".join(json.dumps(item, separators=(",", ":"), ensure_ascii=False) for item in items)
    head = '{"apiVersion":"v1","kind":"List","metadata":{"resourceVersion":""},"items":[\n'
    return f"{head}{lines}\n]}}\n"


if __name__ == "__main__":
    sys.exit(main())
