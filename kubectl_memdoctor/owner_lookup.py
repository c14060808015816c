"""Asks for the owners of pods with findings: each list once per namespace, all of them side by side."""

from __future__ import annotations

from typing import Any

from kubectl_memdoctor.objects import (
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    REPLICA_SETS,
    STATEFUL_SETS,
    OwnerReference,
    Pod,
    Resource,
    Workload,
)
from kubectl_memdoctor.owners import (
    PodOwner,
    bare_pod,
    deployment_owner,
    is_built_in,
    job_owner,
    plain_owner,
    revisioned_owner,
    unread_owner,
)
from kubectl_memdoctor.pod_limit import is_static
from kubectl_memdoctor.reading import Asked, Reading

TEMPLATE_HASH_LABEL = "pod-template-hash"
_REVISIONED: dict[str, Resource[Workload]] = {"StatefulSet": STATEFUL_SETS, "DaemonSet": DAEMON_SETS}


class OwnerLookup:
    """The owners of one run's pods."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._asked: dict[tuple[str, str, str], Asked[Any]] = {}
        self._owners: dict[tuple[str, str, str], PodOwner] = {}

    def prefetch(self, pod: Pod) -> tuple[Asked[Any], ...]:
        """Starts what `owner` will need, without waiting for it: all of these."""
        controller = pod.metadata.controller()
        if controller is None or not is_built_in(controller):
            return ()
        namespace = pod.metadata.namespace
        if controller.kind == "ReplicaSet":
            return self._list(REPLICA_SETS, namespace), self._list(DEPLOYMENTS, namespace)
        if controller.kind == "Job":
            return (self._get(JOBS, namespace, controller.name),)
        if controller.kind in _REVISIONED:
            workload = self._get(_REVISIONED[controller.kind], namespace, controller.name)
            return workload, self._list(CONTROLLER_REVISIONS, namespace)
        return ()

    def owner(self, pod: Pod) -> PodOwner:
        """The object to change for this pod."""
        controller = pod.metadata.controller()
        if controller is None or is_static(pod):
            return bare_pod(pod)
        key = (pod.metadata.namespace, controller.kind, controller.name)
        if key not in self._owners:
            self._owners[key] = self._resolve(pod, controller)
        return self._owners[key]

    def _resolve(self, pod: Pod, controller: OwnerReference) -> PodOwner:
        namespace = pod.metadata.namespace
        if not is_built_in(controller):
            return unread_owner(controller, namespace)
        if controller.kind == "ReplicaSet":
            return self._of_replica_set(pod, controller)
        if controller.kind == "Job":
            return self.owner_of("Job", namespace, controller.name) or unread_owner(controller, namespace)
        if controller.kind in _REVISIONED:
            workload = self._get(_REVISIONED[controller.kind], namespace, controller.name).answer()
            return revisioned_owner(
                controller, namespace, workload, self._list(CONTROLLER_REVISIONS, namespace).answer()
            )
        return plain_owner(controller, namespace, None)

    def owner_of(self, kind: str, namespace: str, name: str) -> PodOwner | None:
        """The object to change for a workload that has no pods yet; None where it is that itself, or is not known."""
        if kind == "ReplicaSet":
            replica_sets = self._list(REPLICA_SETS, namespace).answer()
            own = next((entry for entry in replica_sets if entry.metadata.name == name), None)
            return deployment_owner(own, namespace, replica_sets, self._deployments_of(own)) if own else None
        if kind == "Job":
            job = self._get(JOBS, namespace, name).answer()
            return job_owner(job, namespace) if job else None
        return None

    def _deployments_of(self, replica_set: Workload) -> list[Workload]:
        """All of the namespace; none where the ReplicaSet is nobody's."""
        if replica_set.metadata.controller() is None:
            return []
        return self._list(DEPLOYMENTS, replica_set.metadata.namespace).answer()

    def _of_replica_set(self, pod: Pod, controller: OwnerReference) -> PodOwner:
        namespace = pod.metadata.namespace
        owner = self.owner_of("ReplicaSet", namespace, controller.name)
        return owner or unread_owner(_deployment_by_name(pod, controller), namespace)

    def _list(self, resource: Resource[Any], namespace: str) -> Asked[list[Any]]:
        key = (resource.name, namespace, "")
        if key not in self._asked:
            self._asked[key] = self._reading.objects(resource, namespace)
        return self._asked[key]

    def _get(self, resource: Resource[Any], namespace: str, name: str) -> Asked[Any]:
        key = (resource.name, namespace, name)
        if key not in self._asked:
            self._asked[key] = self._reading.object(resource, namespace, name)
        return self._asked[key]


def _deployment_by_name(pod: Pod, controller: OwnerReference) -> OwnerReference:
    """A Deployment names its ReplicaSets after itself and the hash that their pods carry as a label.

    https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/controller/deployment/sync.go (getNewReplicaSet)
    """
    template_hash = pod.metadata.labels.get(TEMPLATE_HASH_LABEL)
    name, dash, ending = controller.name.rpartition("-")
    if not dash or not template_hash or ending != template_hash:
        return controller
    return OwnerReference(kind="Deployment", name=name, api_version=controller.api_version, controller=True)
