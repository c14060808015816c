"""A cluster in memory with a clock that is turned by hand: pods that start, fail, hang or vanish as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from kubectl_memdoctor.calibration.manifests import NO_SUCH_TAG, Run, new_run
from kubectl_memdoctor.calibration.nodes import Image, Runtime, Target
from kubectl_memdoctor.calibration.run import Calibration
from kubectl_memdoctor.cluster.source import NotFound, Page
from kubectl_memdoctor.measured_minimum import Pool
from kubectl_memdoctor.objects import EVENTS, PODS, ObjectMeta, Resource, decode
from kubectl_memdoctor.temporary.clock import Clock
from kubectl_memdoctor.temporary.places import Place

POOL = Pool(container_runtime_version="containerd://2.2.0", kernel_version="6.1.0", architecture="amd64", cpus=2)
Json = dict[str, Any]
Play = Callable[["PretendedPod"], None]
"""Called at every list, for each pod that is there."""
KILLED = "Failed to create pod sandbox: container init was OOM-killed (memory limit too low?)"


@dataclass(slots=True)
class PretendedPod:
    body: Json
    born: float
    age: float = 0.0
    going: bool = False

    @property
    def limit(self) -> int:
        text = self.body["spec"]["containers"][0]["resources"]["limits"]["memory"]
        return int(text[:-2]) << {"Ki": 10, "Mi": 20, "Gi": 30}[text[-2:]]

    @property
    def node(self) -> str:
        required = self.body["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        name: str = required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0]
        return name

    @property
    def is_sandbox_only(self) -> bool:
        return NO_SUCH_TAG in self.body["spec"]["containers"][0]["image"]

    def placed(self) -> None:
        self.body["spec"]["nodeName"] = self.node

    def ready(self) -> None:
        """Its sandbox alone, where its image does not exist."""
        self.placed()
        missing = {"waiting": {"reason": "ErrImageNeverPull", "message": "Container image is not present"}}
        if self.is_sandbox_only:
            self._write(missing)
        else:
            self._write({"running": {}}, "Ready")

    def fail(self, reason: str, message: str) -> None:
        """Its container, at its start."""
        self.placed()
        self._write({"terminated": {"reason": reason, "exitCode": 128, "message": message}})

    def _write(self, state: Json, *conditions: str) -> None:
        """In a sandbox that is up."""
        found = [{"type": name, "status": "True"} for name in ("PodReadyToStartContainers", *conditions)]
        status = {"name": "pause", "ready": "Ready" in conditions, "restartCount": 0, "state": state}
        self.body["status"] = {"conditions": found, "containerStatuses": [status]}


@dataclass(slots=True)
class PretendedCluster:
    """As the Source and the ApiWriter of a run; deleted pods stay for `lingers` seconds."""

    play: Play
    lingers: float = 1.0
    time: float = 0.0
    pods: dict[str, PretendedPod] = field(default_factory=dict)
    made: list[PretendedPod] = field(default_factory=list)
    most_at_once: int = 0
    events: list[Json] = field(default_factory=list)
    deleted: dict[str, float] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Names of what was deleted, of any kind."""

    def clock(self) -> Clock:
        return Clock(now=lambda: self.time, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.time += seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 24, 12, tzinfo=UTC)

    def create(self, resource: Resource[Any], manifest: Json) -> Any:
        body = msgspec.json.decode(msgspec.json.encode(manifest))
        body["metadata"]["uid"] = f"uid-of-{body['metadata']['name']}"
        if resource is PODS:
            pod = PretendedPod(body, self.time)
            self.pods[body["metadata"]["name"]] = pod
            self.made.append(pod)
            self.most_at_once = max(self.most_at_once, len(self.pods))
        return decode(msgspec.json.encode(body), resource.type)

    def get(self, resource: Resource[Any], namespace: str | None, name: str) -> Any:
        if name in self.gone:
            raise NotFound(f'Error from server (NotFound): {resource.name} "{name}" not found')
        return resource.type()

    def delete(self, resource: Resource[Any], namespace: str | None, name: str) -> None:
        self.gone.add(name)
        if name in self.pods:
            self.pods[name].going = True
            self.deleted.setdefault(name, self.time)

    def list(self, resource: Resource[Any], namespace: str | None = None, **selectors: str) -> Iterator[Page[Any]]:
        if resource is EVENTS:
            yield Page(tuple(decode(msgspec.json.encode(event), EVENTS.type) for event in self.events))
            return
        for name, pod in [*self.pods.items()]:
            if pod.going and self.time >= self.deleted[name] + self.lingers:
                del self.pods[name]
            elif not pod.going:
                pod.age = self.time - pod.born
                self.play(pod)
        yield Page(tuple(decode(msgspec.json.encode(pod.body), PODS.type) for pod in self.pods.values()))

    def warn(self, pod: PretendedPod, reason: str, message: str) -> None:
        about = {"kind": "Pod", "name": pod.body["metadata"]["name"], "uid": pod.body["metadata"]["uid"]}
        event = {"involvedObject": about, "type": "Warning", "reason": reason, "message": message}
        if all((event["involvedObject"], reason) != (told["involvedObject"], told["reason"]) for told in self.events):
            self.events.append({**event, "lastTimestamp": "2026-11-24T12:00:00Z"})


def target(name: str, runtime: Runtime | None = None) -> Target:
    place = Place(metadata=ObjectMeta(name=name))
    return Target(place, POOL, Image("registry.k8s.io/pause:3.10", is_there=True), runtime or Runtime(), (name,))


def measured(cluster: PretendedCluster, *targets: Target, run: Run | None = None) -> Calibration:
    """A run on these nodes, to its end."""
    source: Any = cluster
    calibration = Calibration(
        run or new_run(None, "x-1"), targets, source, source, clock=cluster.clock(), tell=lambda text: None
    )
    calibration.make_place()
    calibration.measure()
    return calibration
