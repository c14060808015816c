"""What a scheduler, a kubelet and the controller manager do with the pods of `calibrate`, told in their words.

The events and states are those that real nodes show: see tests/cases/sandbox-memory-limit-too-small.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kubectl_memdoctor.calibration.manifests import NO_SUCH_TAG

from .api import Json, Refused, path_of
from .stand_ins import StandIns, Told, ago

RUN_LABEL = "memdoctor.dev/calibrate"
EVERY_SECONDS = 0.05
MIB = 1 << 20
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}

OOM_KILLED = (
    'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox "3f1c": failed to create'
    " containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start"
    " container process: container init was OOM-killed (memory limit too low?)"
)
STOPPED = (
    'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox "77ab": failed to start'
    ' sandbox container task "77ab": cannot start a stopped process'
)
NO_NETWORK = (
    'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "9d0e": plugin'
    ' type="bridge" failed (add): failed to find plugin "bridge" in path [/opt/cni/bin]'
)
NOT_PRESENT = 'Container image "{image}" is not present with pull policy of Never'
START_ERROR = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed:"
    " unable to start container process: error during container init: read init-p: connection reset by peer"
)

SANDBOX_GONE = (
    "failed to create containerd task: failed to start shim: can't find shim for sandbox"
    " 0af78d7ea5e2791cae90f38dbf0886128360a8545908acb00d0303f2e619828b: not found"
)

Play = Callable[["PretendedNode", Json, int], None]
"""What happens to a pod with that memory limit, once, after it is placed."""


def ready(node: PretendedNode, pod: Json, limit: int) -> None:
    if is_sandbox_only(pod):
        image_missing(node, pod, limit)
    else:
        node.stand_ins.running(pod, since=1)


def sandbox_fails(node: PretendedNode, pod: Json, limit: int) -> None:
    node.stand_ins.stuck(pod, Told("FailedCreatePodSandBox", OOM_KILLED, seconds=0, since=1), since=1)


def sandbox_stops(node: PretendedNode, pod: Json, limit: int) -> None:
    node.stand_ins.stuck(pod, Told("FailedCreatePodSandBox", STOPPED, seconds=0, since=1), since=1)


def network_fails(node: PretendedNode, pod: Json, limit: int) -> None:
    node.stand_ins.stuck(pod, Told("FailedCreatePodSandBox", NO_NETWORK, seconds=0, since=1), since=1)


def nothing_happens(node: PretendedNode, pod: Json, limit: int) -> None:
    node.stand_ins.stuck(pod, since=1)


def container_fails(node: PretendedNode, pod: Json, limit: int) -> None:
    _fail_at_start(node, pod, limit, START_ERROR)


def container_kills_sandbox(node: PretendedNode, pod: Json, limit: int) -> None:
    _fail_at_start(node, pod, limit, SANDBOX_GONE)


def _fail_at_start(node: PretendedNode, pod: Json, limit: int, message: str) -> None:
    if is_sandbox_only(pod):
        image_missing(node, pod, limit)
        return
    ended = {"reason": "StartError", "exitCode": 128, "message": message, "finishedAt": ago(0)}
    ended |= {"startedAt": "1970-01-01T00:00:00Z", "containerID": f"containerd://{'b' * 64}"}
    node.write_state(pod, "Failed", {"terminated": ended})


def oom_killed(node: PretendedNode, pod: Json, limit: int) -> None:
    ended = {"reason": "OOMKilled", "exitCode": 137, "startedAt": ago(1), "finishedAt": ago(0)}
    node.write_state(pod, "Failed", {"terminated": {**ended, "containerID": f"containerd://{'b' * 64}"}})


def image_missing(node: PretendedNode, pod: Json, limit: int) -> None:
    image = pod["spec"]["containers"][0]["image"]
    message = NOT_PRESENT.format(image=image)
    node.write_state(pod, "Pending", {"waiting": {"reason": "ErrImageNeverPull", "message": message}})


def ends_at_once(node: PretendedNode, pod: Json, limit: int) -> None:
    ended = {"reason": "Completed", "exitCode": 0, "startedAt": ago(1), "finishedAt": ago(0)}
    node.write_state(pod, "Succeeded", {"terminated": {**ended, "containerID": f"containerd://{'b' * 64}"}})


def from_limit(smallest: int, below: Play = sandbox_fails) -> Play:
    """Ready with `smallest` bytes or more."""

    def play(node: PretendedNode, pod: Json, limit: int) -> None:
        (ready if limit >= smallest else below)(node, pod, limit)

    return play


def is_sandbox_only(pod: Json) -> bool:
    return NO_SUCH_TAG in pod["spec"]["containers"][0]["image"]


def limit_of(pod: Json) -> int:
    """Bytes of the pod's memory limit, overhead included."""
    overhead = pod["spec"].get("overhead", {}).get("memory", "0")
    return _bytes(pod["spec"]["containers"][0]["resources"]["limits"]["memory"]) + _bytes(overhead)


def _bytes(text: str) -> int:
    number = text.rstrip("KMGi")
    return int(number) * UNITS.get(text[len(number) :], 1)


@dataclass(slots=True)
class PretendedNode:
    """Watches the pods of calibrate in all namespaces, on whichever node they ask for, until the block is left."""

    stand_ins: StandIns
    play: Play
    places: bool = True
    """Whether there is a scheduler."""
    ends_namespaces: bool = True
    """Whether there is a namespace controller."""
    most_at_once: int = 0
    """The most pods that were there at one time."""
    limits: list[int] = field(default_factory=list)
    """Of every pod that was placed."""
    pods: list[Json] = field(default_factory=list)
    """As they were admitted."""
    _played: set[str] = field(default_factory=set)
    _done: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def running(self) -> Iterator[PretendedNode]:
        thread = threading.Thread(target=self._work, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._done.set()
            thread.join()

    def write_state(self, pod: Json, phase: str, state: Json) -> None:
        """Of its container, in a sandbox that is up."""
        name, image = pod["spec"]["containers"][0]["name"], pod["spec"]["containers"][0]["image"]
        status = {"name": name, "image": image, "imageID": "", "ready": False, "restartCount": 0, "state": state}
        conditions = [{"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": ago(1)}]
        self.stand_ins.api.write_status(pod, {"phase": phase, "conditions": conditions, "containerStatuses": [status]})

    def _work(self) -> None:
        while not self._done.wait(EVERY_SECONDS):
            for turn in (self._give_accounts, self._run_pods, self._end_namespaces):
                # Things vanish while they are looked at, and tests stop the server.
                with contextlib.suppress(Refused, OSError):
                    turn()

    def _give_accounts(self) -> None:
        for namespace in self._own_namespaces():
            if "deletionTimestamp" not in namespace["metadata"]:
                account = {"apiVersion": "v1", "kind": "ServiceAccount"}
                metadata = {"name": "default", "namespace": namespace["metadata"]["name"]}
                with contextlib.suppress(Refused):
                    self.stand_ins.api.create({**account, "metadata": metadata})

    def _own_namespaces(self) -> list[Json]:
        found = self.stand_ins.api.items("v1", "Namespace")
        return [entry for entry in found if RUN_LABEL in entry["metadata"].get("labels", {})]

    def _run_pods(self) -> None:
        found = self.stand_ins.api.items("v1", "Pod")
        pods = [pod for pod in found if RUN_LABEL in pod["metadata"].get("labels", {})]
        self.most_at_once = max(self.most_at_once, len(pods))
        owners = {entry["metadata"]["uid"] for entry in self.stand_ins.api.items("v1", "ConfigMap")}
        for pod in pods:
            owned = pod["metadata"].get("ownerReferences", [])
            if "deletionTimestamp" in pod["metadata"] or any(owner["uid"] not in owners for owner in owned):
                self.stand_ins.api.delete(pod)
            elif "nodeName" not in pod["spec"]:
                self._place(pod)
            elif pod["metadata"]["uid"] not in self._played:
                self._played.add(pod["metadata"]["uid"])
                self.limits.append(limit_of(pod))
                self.pods.append(pod)
                self.play(self, pod, limit_of(pod))

    def _place(self, pod: Json) -> None:
        if not self.places:
            return
        required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        (term,) = required["nodeSelectorTerms"]
        (wanted,) = term["matchFields"]
        (name,) = wanted["values"]
        metadata = {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
        target = {"apiVersion": "v1", "kind": "Node", "name": name}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
        self.stand_ins.api.call("POST", f"{path_of(pod)}/binding", binding)

    def _end_namespaces(self) -> None:
        for namespace in self._own_namespaces() if self.ends_namespaces else ():
            if "deletionTimestamp" not in namespace["metadata"]:
                continue
            name = namespace["metadata"]["name"]
            for kind in ("Pod", "Event", "ServiceAccount"):
                for entry in self.stand_ins.api.items("v1", kind, name):
                    self.stand_ins.api.delete(entry)
            self.stand_ins.api.call("PUT", f"{path_of(namespace)}/finalize", {**namespace, "spec": {"finalizers": []}})
