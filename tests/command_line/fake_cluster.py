"""A small cluster behind a loopback API server: a pod that cannot start, a healthy one, and any answer made to fail."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from access.faulty_server import Asked, Reply, Script, faulty_server, json_reply, status

READ_BESIDE_PODS = ("events", "nodes", "limitranges", "runtimeclasses", "replicasets")
PATH = re.compile(
    r"/apis?(?:/[\w.]+)?/v1(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<resource>\w+)(?:/(?P<name>[^/]+))?"
)
UID = "5d9c7b9b-0000-4000-8000-000000000001"
STUCK, HEALTHY = "web-5d9c7b9b8-x7k2p", "api-1"
FOUND = "sandbox-memory-limit-too-small"


def pod(name: str, uid: str, limit: str, **status_fields: Any) -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c7b9b8", "controller": True}
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid,
            "labels": {"app": "web", "pod-template-hash": "5d9c7b9b8"},
            "creationTimestamp": "2026-11-23T09:00:00Z",
            "ownerReferences": [owner] if name == STUCK else [],
        },
        "spec": {
            "nodeName": "worker-1",
            "containers": [{"name": "app", "image": "shop/web:1", "resources": {"limits": {"memory": limit}}}],
        },
        "status": {"qosClass": "Burstable", "startTime": "2026-11-23T09:00:00Z", **status_fields},
    }


STUCK_POD = pod(
    STUCK,
    UID,
    "300m",
    phase="Pending",
    containerStatuses=[{"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}}],
)
HEALTHY_POD = pod(
    HEALTHY,
    "5d9c7b9b-0000-4000-8000-000000000002",
    "256Mi",
    phase="Running",
    containerStatuses=[{"name": "app", "ready": True, "state": {"running": {"startedAt": "2026-11-23T09:00:01Z"}}}],
)
EVENT = {
    "metadata": {"name": f"{STUCK}.1", "namespace": "shop", "uid": "event-1"},
    "involvedObject": {"kind": "Pod", "namespace": "shop", "name": STUCK, "uid": UID},
    "type": "Warning",
    "reason": "FailedCreatePodSandBox",
    "message": "Failed to create pod sandbox: rpc error: code = Unknown desc = container init was OOM-killed",
    "count": 4,
    "lastTimestamp": "2026-11-23T09:59:00Z",
}
NODE = {
    "metadata": {"name": "worker-1"},
    "status": {"nodeInfo": {"containerRuntimeVersion": "containerd://1.7.24", "kernelVersion": "6.1.0"}},
}
OBJECTS: dict[str, list[dict[str, Any]]] = {
    "pods": [STUCK_POD, HEALTHY_POD],
    "events": [EVENT],
    "nodes": [NODE],
    "namespaces": [{"metadata": {"name": "shop"}}, {"metadata": {"name": "empty"}}],
}


@dataclass
class FakeCluster:
    """`faults`: resource name -> what is answered in turn, the last one again and again; None is the true answer."""

    faults: dict[str, Sequence[Reply | None]] = field(default_factory=dict)
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str) -> Reply:
        where = PATH.fullmatch(path)
        if where is None:
            return self._fault("version") or json_reply({"gitVersion": "v1.34.2"})
        namespace, resource, name = where["namespace"], where["resource"], where["name"]
        fault = self._fault(resource)
        if fault is not None:
            return fault
        objects = [
            entry for entry in OBJECTS.get(resource, ()) if namespace in (None, entry["metadata"].get("namespace"))
        ]
        if name is None:
            return listed(resource, objects)
        named = next((entry for entry in objects if entry["metadata"]["name"] == name), None)
        return json_reply({**named, "kind": KINDS[resource]}) if named else not_found(resource, name)

    def _fault(self, resource: str) -> Reply | None:
        faults = self.faults.get(resource)
        if not faults:
            return None
        with self._lock:
            number = self._counts[resource] = self._counts.get(resource, 0) + 1
        return faults[min(number, len(faults)) - 1]


KINDS = {"pods": "Pod", "events": "Event", "nodes": "Node", "namespaces": "Namespace"}


def listed(resource: str, objects: Sequence[dict[str, Any]], token: str = "") -> Reply:
    kind = f"{KINDS.get(resource, resource)}List"
    return json_reply({"kind": kind, "apiVersion": "v1", "metadata": {"continue": token}, "items": [*objects]})


def not_found(resource: str, name: str) -> Reply:
    details = {"name": name, "kind": resource}
    return status(404, "NotFound", f'{resource} "{name}" not found', details=details)


def forbidden(resource: str) -> Reply:
    message = f'{resource} is forbidden: User "jane" cannot list resource "{resource}" in API group ""'
    return status(403, "Forbidden", message)


@contextlib.contextmanager
def fake_cluster(**faults: Reply | Sequence[Reply | None]) -> Iterator[FakeCluster]:
    cluster = FakeCluster({name: [fault] if isinstance(fault, Reply) else fault for name, fault in faults.items()})
    script = Script(cluster.answer, asked=cluster.asked)
    with faulty_server(script) as connection:
        cluster.url = connection.server
        yield cluster
