"""Writes what controllers and kubelets would: owners' children, pod status, events."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .api import Api, Json

IMAGE = "busybox:1.36"
CONTAINER = "busybox"
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
FAR_FUTURE_SCHEDULE = "0 0 29 2 *"

_serial = itertools.count(1)


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def container(limit: str | None, name: str = CONTAINER) -> Json:
    resources = {"resources": {"limits": {"memory": limit}}} if limit else {}
    return {"name": name, "image": IMAGE, "command": ["sleep", "3600"], **resources}


def template(app: str, limit: str | None, **spec: Any) -> Json:
    """A pod template with one container; `spec` adds to the pod's spec."""
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container(limit)], **spec}}


def reference(owner: Json) -> Json:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it is told about an object: `seconds` ago for the last time, `since` for the first."""

    reason: str
    message: str
    count: int = 1
    seconds: float = 20
    since: float = 600
    type: str = "Warning"
    component: str = "kubelet"


SANDBOX_CHANGED = Told("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.", 12, type="Normal")


class StandIns:
    """One API server as its controllers and kubelets see it."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def namespace(self, name: str) -> None:
        """With the service account that the controller manager gives to each: admission wants it for every pod."""
        if name != "default":
            self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        self.api.create(account)

    def node(self, name: str, runtime: str, kernel: str = "6.1.0-28-amd64") -> Json:
        node = self.api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        info = {
            "containerRuntimeVersion": runtime,
            "kernelVersion": kernel,
            "osImage": "Debian GNU/Linux 12",
            "operatingSystem": "linux",
            "architecture": "amd64",
            "kubeletVersion": "v1.34.2",
            "kubeProxyVersion": "",
            "bootID": "1",
            "machineID": "1",
            "systemUUID": "1",
        }
        room = {"memory": "16Gi", "cpu": "8", "pods": "110"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": ago(86400)}
        pressure = {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory"}
        return self.api.write_status(
            node, {"nodeInfo": info, "capacity": room, "allocatable": room, "conditions": [ready, pressure]}
        )

    def workload(self, api_version: str, kind: str, namespace: str, name: str, spec: Json, **metadata: Any) -> Json:
        meta = {"name": name, "namespace": namespace, **metadata}
        return self.api.create({"apiVersion": api_version, "kind": kind, "metadata": meta, "spec": spec})

    def deployment(self, namespace: str, name: str, limits: Mapping[int, str | None], newest_hash: str) -> Json:
        """A Deployment and one ReplicaSet for each revision number; returns the newest ReplicaSet."""
        selector = {"matchLabels": {"app": name}}
        newest = max(limits)
        spec = {"replicas": 1, "selector": selector, "template": template(name, limits[newest])}
        owner = self.workload(
            "apps/v1", "Deployment", namespace, name, spec, annotations={REVISION_ANNOTATION: str(newest)}
        )
        replica_sets = {}
        for number, limit in limits.items():
            pod_hash = newest_hash if number == newest else f"old{number}"
            labels = {"app": name, "pod-template-hash": pod_hash}
            pods = template(name, limit)
            pods["metadata"]["labels"] = labels
            replica_sets[number] = self.workload(
                "apps/v1",
                "ReplicaSet",
                namespace,
                f"{name}-{pod_hash}",
                {"replicas": int(number == newest), "selector": {"matchLabels": labels}, "template": pods},
                annotations={REVISION_ANNOTATION: str(number)},
                labels=labels,
                ownerReferences=[reference(owner)],
            )
        return replica_sets[newest]

    def revisioned(self, kind: str, namespace: str, name: str, limits: Mapping[int, str | None]) -> Json:
        """A StatefulSet or DaemonSet and one ControllerRevision for each revision number."""
        pods = template(name, limits[max(limits)])
        spec: Json = {"selector": {"matchLabels": {"app": name}}, "template": pods}
        if kind == "StatefulSet":
            spec["serviceName"] = name
        owner = self.workload("apps/v1", kind, namespace, name, spec)
        for number, limit in limits.items():
            meta: Json = {"name": f"{name}-{number}", "namespace": namespace, "labels": {"app": name}}
            meta["ownerReferences"] = [reference(owner)]
            data = {"spec": {"template": {"$patch": "replace", **template(name, limit)}}}
            revision = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": meta}
            self.api.create({**revision, "revision": number, "data": data})
        return owner

    def job(self, namespace: str, name: str, limit: str, cron_job: Json | None = None) -> Json:
        spec = {"template": template(name, limit, restartPolicy="Never")}
        owners = [reference(cron_job)] if cron_job else []
        return self.workload("batch/v1", "Job", namespace, name, spec, ownerReferences=owners)

    def cron_job(self, namespace: str, name: str, limit: str) -> Json:
        spec = {
            "schedule": FAR_FUTURE_SCHEDULE,
            "jobTemplate": {"spec": {"template": template(name, limit, restartPolicy="Never")}},
        }
        return self.workload("batch/v1", "CronJob", namespace, name, spec)

    def pod_of(self, owner: Json, name: str, node: str) -> Json:
        """The pod that the owner's controller would make."""
        pods = owner["spec"]["template"]
        meta = {"labels": pods["metadata"]["labels"], "ownerReferences": [reference(owner)]}
        return self.pod(owner["metadata"]["namespace"], name, {**pods["spec"], "nodeName": node}, **meta)

    def pod(self, namespace: str, name: str, spec: Json, **metadata: Any) -> Json:
        meta = {"name": name, "namespace": namespace, **metadata}
        return self.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})

    def bare_pod(self, namespace: str, name: str, limit: str | None, node: str, **metadata: Any) -> Json:
        return self.pod(namespace, name, {"containers": [container(limit)], "nodeName": node}, **metadata)

    def stuck(self, pod: Json, *told: Told, since: float = 600) -> Json:
        """No sandbox yet: ContainerCreating, and what the kubelet says about it."""
        state = {"waiting": {"reason": "ContainerCreating"}}
        written = self._status(pod, "Pending", state, since, sandbox=False)
        for one in told:
            self.tell(pod, one)
        return written

    def running(self, pod: Json, since: float = 3600) -> Json:
        return self._status(pod, "Running", {"running": {"startedAt": ago(since)}}, since)

    def oom_loop(self, pod: Json, restarts: int = 5) -> Json:
        """OOM-killed three seconds after every start, and backing off."""
        killed = {"reason": "OOMKilled", "exitCode": 137, "startedAt": ago(95), "finishedAt": ago(92)}
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 2m40s restarting failed container"}}
        last = {"terminated": {**killed, "containerID": f"containerd://{'a' * 64}"}}
        written = self._status(pod, "Running", state, 900, last=last, restarts=restarts)
        self.tell(pod, Told("BackOff", f"Back-off restarting failed container {CONTAINER} in pod", 9))
        return written

    def init_container_fails(self, pod: Json, message: str) -> Json:
        """The sandbox stands, but the runtime cannot start the first init container."""
        init, first = pod["spec"]["initContainers"][0], pod["spec"]["containers"][0]
        ended = {"reason": "StartError", "exitCode": 128, "message": message, "finishedAt": ago(40)}
        ended |= {"startedAt": "1970-01-01T00:00:00Z", "containerID": f"containerd://{'b' * 64}"}
        back_off = {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}
        statuses = {
            "initContainerStatuses": _container_status(init, {"waiting": back_off}, {"terminated": ended}, restarts=3),
            "containerStatuses": _container_status(first, {"waiting": {"reason": "PodInitializing"}}),
        }
        conditions = _conditions(600, PodReadyToStartContainers=True, Initialized=False, PodScheduled=True)
        return self.api.write_status(
            pod,
            {"phase": "Pending", "conditions": conditions, "startTime": ago(600)}
            | {name: [status] for name, status in statuses.items()},
        )

    def _status(
        self,
        pod: Json,
        phase: str,
        state: Json,
        since: float,
        *,
        sandbox: bool = True,
        last: Json | None = None,
        restarts: int = 0,
    ) -> Json:
        ready = "running" in state
        conditions = _conditions(
            since,
            PodReadyToStartContainers=sandbox,
            Initialized=True,
            Ready=ready,
            ContainersReady=ready,
            PodScheduled=True,
        )
        status = _container_status(pod["spec"]["containers"][0], state, last, restarts)
        return self.api.write_status(
            pod, {"phase": phase, "conditions": conditions, "startTime": ago(since), "containerStatuses": [status]}
        )

    @contextlib.contextmanager
    def reaping(self, namespace: str) -> Iterator[None]:
        """Within the block, deleted pods of the namespace go away, as when their kubelets have ended them."""
        done = threading.Event()
        thread = threading.Thread(target=self._reap, args=(namespace, done))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _reap(self, namespace: str, done: threading.Event) -> None:
        while not done.wait(0.2):
            for pod in self.api.items("v1", "Pod", namespace):
                if "deletionTimestamp" in pod["metadata"]:
                    self.api.delete(pod)

    def tell(self, about: Json, told: Told) -> None:
        """One Event, as the kubelet's recorder writes it."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace", "default")
        involved = {"apiVersion": about["apiVersion"], "kind": about["kind"], "uid": metadata["uid"]}
        involved |= {"name": metadata["name"], "namespace": namespace}
        self.api.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"{metadata['name']}.{next(_serial):016x}", "namespace": namespace},
                "involvedObject": involved,
                "type": told.type,
                "reason": told.reason,
                "message": told.message,
                "count": told.count,
                "firstTimestamp": ago(told.since),
                "lastTimestamp": ago(told.seconds),
                "source": {"component": told.component, "host": about.get("spec", {}).get("nodeName", "")},
            }
        )


def _conditions(since: float, **turned: bool) -> list[Json]:
    at = ago(since)
    return [{"type": name, "status": str(is_true), "lastTransitionTime": at} for name, is_true in turned.items()]


def _container_status(container: Json, state: Json, last: Json | None = None, restarts: int = 0) -> Json:
    running = "running" in state
    status = {"name": container["name"], "image": container["image"], "imageID": "", "restartCount": restarts}
    return status | {"ready": running, "started": running, "state": state, "lastState": last or {}}
