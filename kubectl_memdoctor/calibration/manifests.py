"""What is made: a namespace (or, in one that is given, a ConfigMap that owns the pods) and the pods of a step.

Everything carries the same labels, by which it is found again, and can be removed, when the run that made it is gone.
"""

from __future__ import annotations

from msgspec import Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.calibration.nodes import Target
from kubectl_memdoctor.temporary.manifests import (
    GRACE_SECONDS,
    PROCESS_ANNOTATION,
    Manifest,
    made_object,
    new_serial,
    run_labels,
)

RUN_LABEL = "memdoctor.dev/calibrate"
"""On all that a run makes; the value is the run's own."""
LIFE_SECONDS = 300
"""A run makes new pods all the time. Where the newest thing of a run is older than this, the run is gone; and its pods
have ended, since this is their activeDeadlineSeconds too."""
OWN_PREFIX = "memdoctor-calibrate-"
CONTAINER = "pause"
NOBODY = 65535
"""The user that pause images are made for: https://github.com/kubernetes/kubernetes/blob/v1.37.2/build/pause/Dockerfile"""
NO_SUCH_TAG = "memdoctor-no-such-tag"


class Run(Struct, frozen=True):
    """`namespace` is where the pods are; `makes_namespace`: it is made and removed with them."""

    serial: str
    namespace: str
    makes_namespace: bool
    process: str

    @property
    def name(self) -> str:
        """Of the namespace or the owner."""
        return f"{OWN_PREFIX}{self.serial}"

    @property
    def place(self) -> str:
        """The object that holds or owns all the rest."""
        return (
            f"namespace/{self.name}" if self.makes_namespace else f"configmap/{self.name} in namespace {self.namespace}"
        )

    @property
    def selector(self) -> str:
        return f"{RUN_LABEL}={self.serial}"


def new_run(namespace: str | None, process: str) -> Run:
    """In `namespace`, else in one of its own."""
    serial = new_serial()
    return Run(serial, namespace or f"{OWN_PREFIX}{serial}", namespace is None, process)


def namespace(run: Run) -> Manifest:
    """Pod security is asked for so that a mistake in the pods shows in every cluster, not only in strict ones."""
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    return made_object(
        "Namespace", {"name": run.name, "labels": _labels(run) | restricted, "annotations": _annotations(run)}
    )


def owner(run: Run) -> Manifest:
    metadata = {
        "name": run.name,
        "namespace": run.namespace,
        "labels": _labels(run),
        "annotations": _annotations(run),
    }
    return made_object("ConfigMap", metadata)


def pod(
    run: Run, target: Target, limit_bytes: int, number: int, owner_uid: str, *, sandbox_only: bool = False
) -> Manifest:
    """The try `number` of the run, whose pod-level limit is to be `limit_bytes`, overhead included. `sandbox_only`: its
    container is never to start.

    The scheduler places it, by the node's name: so quotas, admission and the kubelet treat it as any other pod.
    Request and limit are the same, as the API server has it for a pod that gives only the limit.
    """
    name = f"memdoctor-{run.serial}-{number:03}"
    metadata: Manifest = {"name": name, "namespace": run.namespace, "labels": _labels(run)}
    if owner_uid:
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": run.name, "uid": owner_uid}
        metadata["ownerReferences"] = [reference]
    spec: Manifest = {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _only_on(target.name)}},
        "tolerations": [{"operator": "Exists"}],
        "restartPolicy": "Never",
        "activeDeadlineSeconds": LIFE_SECONDS,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "runAsGroup": NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(target, limit_bytes) | (_unstartable(run, target) if sandbox_only else {})],
    }
    if target.runtime.metadata.name:
        spec["runtimeClassName"] = target.runtime.metadata.name
    return made_object("Pod", metadata) | {"spec": spec}


def _container(target: Target, limit_bytes: int) -> Manifest:
    memory = quantity.format_bytes(limit_bytes - target.runtime.overhead_bytes)
    return {
        "name": CONTAINER,
        "image": target.image.name,
        "imagePullPolicy": "Never" if target.image.is_there else "IfNotPresent",
        "resources": {"limits": {"memory": memory}, "requests": {"memory": memory}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _unstartable(run: Run, target: Target) -> Manifest:
    """An image that no node has, of the repository that policies let in. The kubelet looks for a container's image when
    the sandbox is up: https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/kuberuntime/kuberuntime_manager.go
    (SyncPod)
    """
    return {"image": missing_image(run, target), "imagePullPolicy": "Never"}


def missing_image(run: Run, target: Target) -> str:
    """The tag is the run's own, so there is no such image. A colon before the last slash is a registry's port."""
    folder, slash, name = target.image.name.partition("@")[0].rpartition("/")
    return f"{folder}{slash}{name.partition(':')[0]}:{NO_SUCH_TAG}-{run.serial}"


def _only_on(node: str) -> Manifest:
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    return {"nodeSelectorTerms": [{"matchFields": [field]}]}


def _labels(run: Run) -> dict[str, str]:
    return run_labels(RUN_LABEL, run.serial, LIFE_SECONDS)


def _annotations(run: Run) -> dict[str, str]:
    return {PROCESS_ANNOTATION: run.process}
