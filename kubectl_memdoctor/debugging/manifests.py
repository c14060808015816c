"""The pod that is made: as `kubectl debug node/NAME --profile=sysadmin` makes it, less what is not needed here.

https://github.com/kubernetes/kubectl/blob/v0.37.2/pkg/cmd/debug/debug.go (generateNodeDebugPod), and profiles.go there.
Not needed are the node's processes and IPC, a service account's token, and writing to the node's files.
"""

from __future__ import annotations

from msgspec import Struct

from kubectl_memdoctor.debugging.script import HOST, PATH, command, mark_of
from kubectl_memdoctor.temporary.manifests import (
    GRACE_SECONDS,
    PROCESS_ANNOTATION,
    Manifest,
    made_object,
    new_serial,
    run_labels,
)
from kubectl_memdoctor.temporary.places import Place

RUN_LABEL = "memdoctor.dev/debug-pod"
"""The value is the pod's own."""
LIFE_SECONDS = 150
"""Its activeDeadlineSeconds: the node ends it then, whatever became of who made it."""
PREFIX = "memdoctor-debug-"
CONTAINER = "debugger"
RESOURCES: Manifest = {
    "requests": {"cpu": "1m", "memory": "1Mi"},
    "limits": {"cpu": "1", "memory": "256Mi"},
}
"""Given, since quotas may demand it, and a LimitRange would give a memory limit of its own, which may be the very fault
that is looked for. It asks for next to nothing, so that it fits on a node that is full."""


class DebugPod(Struct, frozen=True):
    """`is_there`: the node says that it has the image."""

    serial: str
    namespace: str
    place: Place
    image: str
    is_there: bool
    process: str

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.serial}"

    @property
    def node(self) -> str:
        return self.place.name

    def __str__(self) -> str:
        return f"pod/{self.name} in namespace {self.namespace}"


def new_debug_pod(namespace: str, place: Place, image: str, *, is_there: bool, process: str) -> DebugPod:
    return DebugPod(new_serial(), namespace, place, image, is_there, process)


def manifest(pod: DebugPod) -> Manifest:
    metadata = {
        "name": pod.name,
        "namespace": pod.namespace,
        "labels": run_labels(RUN_LABEL, pod.serial, LIFE_SECONDS),
        "annotations": {PROCESS_ANNOTATION: pod.process},
    }
    spec = {
        # Past the scheduler, which may be what does not work.
        "nodeName": pod.node,
        "hostNetwork": True,
        "tolerations": [{"operator": "Exists"}],
        "restartPolicy": "Never",
        "activeDeadlineSeconds": LIFE_SECONDS,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [_container(pod)],
        "volumes": [{"name": "host-root", "hostPath": {"path": "/"}}],
    }
    return made_object("Pod", metadata) | {"spec": spec}


def _container(pod: DebugPod) -> Manifest:
    return {
        "name": CONTAINER,
        "image": pod.image,
        "imagePullPolicy": "IfNotPresent",
        "command": command(pod.place.status.node_info.container_runtime_version),
        "env": [{"name": "PATH", "value": PATH}, {"name": "MARK", "value": mark_of(pod.serial)}],
        "resources": RESOURCES,
        "securityContext": {"privileged": True, "runAsUser": 0},
        "volumeMounts": [{"name": "host-root", "mountPath": HOST, "readOnly": True}],
    }
