"""One real object of each kind, made through the API server, so that its copies hold what admission adds.

All are at one marked place. A copy has the same bytes with another place's marks, in its key as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cluster.api import Api, Json
from cluster.seeded import NETWORK, tiny_limit_events
from cluster.stand_ins import REVISION_ANNOTATION, StandIns, Told, ago, reference

from bench.fleet import (
    EVICTED,
    FRACTIONAL,
    HEALTHY,
    KILLED,
    NEW_HASH,
    NO_NETWORK,
    OLD_HASH,
    STARTING,
    STATES,
    STUCK,
    Place,
)
from bench.recording import pod

MARKED = Place(number=99_999_990, workload=99_999_998, namespace="team-999", node="worker-99997")
AMPLE = "512Mi"
LIMITS = {KILLED: "256Mi", STUCK: "300m", FRACTIONAL: "1181116006400m"}
"""State -> memory limit; all others have the ample one."""
EVICTION = (
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 98324Ki. Container app was using "
    "402160Ki, request is 128Mi, has larger consumption of memory. "
)
UNHEALTHY = Told(
    "Unhealthy",
    f'Readiness probe failed: Get "http://{MARKED.address}:8080/ready": context deadline exceeded (Client.Timeout '
    "exceeded while awaiting headers)",
    3,
)
FOLDERS = {
    "Deployment": "deployments",
    "Event": "events",
    "Namespace": "namespaces",
    "Node": "minions",
    "Pod": "pods",
    "ReplicaSet": "replicasets",
}
"""Kind -> where etcd has it below /registry/."""
OF_WORKLOADS = ("Deployment", "ReplicaSet")
SETTINGS = [
    {"name": f"SHOP_SETTING_{number}", "value": f"https://service-{number}.shop.svc:8443"} for number in range(8)
]
PROBE = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 10, "timeoutSeconds": 2}


@dataclass(frozen=True, slots=True)
class Stored:
    """One object as etcd holds it, at the marked place."""

    key: bytes
    value: bytes

    def at(self, place: Place) -> tuple[bytes, bytes]:
        """Key and value of a copy."""
        key, value = self.key, self.value
        for mark, text in zip(MARKED.marks(), place.marks(), strict=True):
            key, value = key.replace(mark, text), value.replace(mark, text)
        return key, value


@dataclass(frozen=True, slots=True)
class Workload:
    """What belongs to a workload whose first pod is in a certain state."""

    owners: tuple[Stored, ...]
    """Its Deployment and two ReplicaSets."""
    first_pod: Stored
    told: tuple[Stored, ...]
    """Events of the first pod."""


@dataclass(frozen=True, slots=True)
class Templates:
    namespace: Stored
    node: Stored
    workloads: dict[str, Workload]
    """By the state of the first pod."""
    other_pod: Stored
    """A pod of the revision before, which is well."""
    unhealthy: Stored
    """A Warning about such a pod."""


def templates(api: Api, stored: Callable[[str], bytes]) -> Templates:
    """`stored` gives what etcd holds under a key. What was made is deleted again, but for the marked namespace."""
    return _Maker(api, StandIns(api), stored).templates()


@dataclass(slots=True)
class _Maker:
    api: Api
    stand_ins: StandIns
    stored: Callable[[str], bytes]
    made: list[Json] = field(default_factory=list)
    uids: dict[str, str] = field(default_factory=dict)
    """The uid that the server gave -> the one that takes its place."""

    def templates(self) -> Templates:
        self.stand_ins.namespace(MARKED.namespace)
        (namespace,) = (item for item in self._items("Namespace") if item["metadata"]["name"] == MARKED.namespace)
        node = self._node()
        workloads = {state: self._workload(state) for state in (HEALTHY, *dict.fromkeys(STATES))}
        return Templates(self._kept(namespace), node, workloads, *self._other())

    def _node(self) -> Stored:
        kept = self._kept(self._noted(self.stand_ins.node(MARKED.node, "containerd://2.2.0")))
        self._delete()
        return kept

    def _workload(self, state: str) -> Workload:
        deployment, old, new = self._owners(LIMITS.get(state, AMPLE))
        owners = [self._kept(owner) for owner in (deployment, old, new)]
        first = self._put_into(state, self._pod(new, NEW_HASH))
        kept = self._kept(first)
        told = tuple(map(self._kept, self._events()))
        self._delete()
        return Workload(tuple(owners), kept, told)

    def _other(self) -> tuple[Stored, Stored]:
        _, old, _ = self._owners(AMPLE)
        pod = self._placed(self.stand_ins.running(self._pod(old, OLD_HASH)))
        self.stand_ins.tell(pod, UNHEALTHY)
        kept = self._kept(pod)
        (unhealthy,) = map(self._kept, self._events())
        self._delete()
        return kept, unhealthy

    def _owners(self, newest: str) -> tuple[Json, Json, Json]:
        """A Deployment, its former ReplicaSet and its newest, with the newest memory limit."""
        deployment = self._owner("Deployment", MARKED.app, 2, newest, {"app": MARKED.app})
        old, new = (
            self._owner(
                "ReplicaSet",
                f"{MARKED.app}-{template_hash}",
                revision,
                limit,
                {"app": MARKED.app, "pod-template-hash": template_hash},
                ownerReferences=[reference(deployment)],
            )
            for revision, template_hash, limit in ((1, OLD_HASH, AMPLE), (2, NEW_HASH, newest))
        )
        return deployment, old, new

    def _owner(self, kind: str, name: str, revision: int, limit: str, labels: Json, **metadata: Any) -> Json:
        pods = {"metadata": {"labels": labels}, "spec": _spec(limit)}
        spec = {"replicas": 5, "selector": {"matchLabels": labels}, "template": pods}
        annotations = {REVISION_ANNOTATION: str(revision)}
        metadata |= {"labels": labels, "annotations": annotations}
        return self._noted(self.stand_ins.workload("apps/v1", kind, MARKED.namespace, name, spec, **metadata))

    def _pod(self, owner: Json, template_hash: str) -> Json:
        return self._noted(self.stand_ins.pod_of(owner, MARKED.pod_name(template_hash), MARKED.node))

    def _put_into(self, state: str, pod: Json) -> Json:
        if state == KILLED:
            return self._placed(self.stand_ins.oom_loop(pod))
        if state == EVICTED:
            gone = {"phase": "Failed", "reason": "Evicted", "message": EVICTION, "startTime": ago(3600)}
            return self.api.write_status(pod, gone)
        if state == STUCK:
            return self.stand_ins.stuck(pod, *tiny_limit_events(pod))
        if state == NO_NETWORK:
            return self.stand_ins.stuck(pod, NETWORK)
        if state == STARTING:
            return self.stand_ins.stuck(pod, since=5)
        return self._placed(self.stand_ins.running(pod))

    def _placed(self, pod: Json) -> Json:
        """With what a kubelet adds once there is a sandbox."""
        (status,) = pod["status"]["containerStatuses"]
        status |= {"containerID": f"containerd://{MARKED.digest}", "imageID": f"{status['image']}@sha256:{'c' * 64}"}
        addresses = {"hostIP": "10.0.0.1", "podIP": MARKED.address, "podIPs": [{"ip": MARKED.address}]}
        return self.api.write_status(pod, {**addresses, "containerStatuses": [status]})

    def _events(self) -> list[Json]:
        return [self._noted(event) for event in self._items("Event", MARKED.namespace)]

    def _items(self, kind: str, namespace: str | None = None) -> list[Json]:
        return self.api.items("v1", kind, namespace)

    def _noted(self, created: Json) -> Json:
        self.made.append(created)
        return created

    def _kept(self, created: Json) -> Stored:
        metadata, kind = created["metadata"], created["kind"]
        number = MARKED.workload if kind in OF_WORKLOADS else MARKED.number
        # By the name, so that an object is the same one beside each of its workload's states.
        self.uids[metadata["uid"]] = f"{zlib.crc32(metadata['name'].encode()):08x}-0000-4000-8000-0000{number:08}"
        namespace = f"{metadata['namespace']}/" if "namespace" in metadata else ""
        key = f"/registry/{FOLDERS[kind]}/{namespace}{metadata['name']}"
        value = self.stored(key)
        for given, ours in self.uids.items():
            value = value.replace(given.encode(), ours.encode())
        return Stored(key.encode(), value)

    def _delete(self) -> None:
        for created in reversed(self.made):
            self.api.delete(created)
        self.made.clear()


def _spec(limit: str) -> Json:
    spec: Json = pod(limit)["spec"]
    del spec["nodeName"]
    (container,) = spec["containers"]
    container |= {"env": SETTINGS, "readinessProbe": PROBE, "livenessProbe": PROBE}
    # Admission fills in the limit: the mistyped one is less than any request.
    del container["resources"]["requests"]["memory"]
    return spec
