"""Where a pod comes from: the object that holds its template, and what that template said before.

Looked up for pods with findings only, once per owner. A pod's controller is followed upwards as far as a template can
be changed: ReplicaSet to Deployment, Job to CronJob. The history is what the API keeps of it: the ReplicaSets of a
Deployment, the ControllerRevisions of a StatefulSet or DaemonSet.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from kubectl_memdoctor.objects import (
    ControllerRevision,
    ObjectMeta,
    OwnerReference,
    Pod,
    PodSpec,
    Workload,
)

REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
BUILT_IN = {
    "Deployment": "apps",
    "ReplicaSet": "apps",
    "StatefulSet": "apps",
    "DaemonSet": "apps",
    "Job": "batch",
    "CronJob": "batch",
    "ReplicationController": "",
}
"""Kinds that hold a pod template which `kubectl set resources` knows, and their API group."""


class Revision(Struct, frozen=True):
    """One template of an owner. `since` is when the object that holds it was made."""

    number: int
    since: datetime | None
    template: PodSpec


class PodOwner(Struct, frozen=True):
    """The object to change. `template` is None when it was not read; `revisions` are oldest first.

    `known` is False for kinds that are not Kubernetes' own: then nothing says where their template lies.
    `manager` names a tool that writes the object (Helm, Argo CD, Flux): a change by hand would be undone by it.
    """

    kind: str
    namespace: str
    name: str
    known: bool
    template: PodSpec | None = None
    revisions: tuple[Revision, ...] = ()
    manager: str | None = None


def is_built_in(reference: OwnerReference) -> bool:
    group = reference.api_version.rpartition("/")[0]
    return BUILT_IN.get(reference.kind) == group


def manager_of(metadata: ObjectMeta) -> str | None:
    """Who writes the object, by the labels and annotations that these tools put on what they write."""
    marks = {**metadata.annotations, **metadata.labels}
    if "argocd.argoproj.io/instance" in marks or "argocd.argoproj.io/tracking-id" in marks:
        return "Argo CD"
    if "kustomize.toolkit.fluxcd.io/name" in marks or "helm.toolkit.fluxcd.io/name" in marks:
        return "Flux"
    if "meta.helm.sh/release-name" in marks or marks.get("app.kubernetes.io/managed-by") == "Helm":
        return "Helm"
    return None


def bare_pod(pod: Pod) -> PodOwner:
    metadata = pod.metadata
    return PodOwner(
        "Pod", metadata.namespace, metadata.name, known=True, template=pod.spec, manager=manager_of(metadata)
    )


def unread_owner(reference: OwnerReference, namespace: str) -> PodOwner:
    """The controller as the pod names it, when nothing more could be read."""
    return PodOwner(reference.kind, namespace, reference.name, known=is_built_in(reference))


def deployment_owner(
    replica_set: Workload, namespace: str, siblings: Iterable[Workload], deployments: Iterable[Workload]
) -> PodOwner:
    """A ReplicaSet's Deployment with its history, or the ReplicaSet itself when nothing controls it.

    A ReplicaSet gets its Deployment's annotations, not its labels: who writes the Deployment may stand there only.
    https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/controller/deployment/util/deployment_util.go
    (SetNewReplicaSetAnnotations)
    """
    controller = replica_set.metadata.controller()
    if controller is None:
        return _workload_owner("ReplicaSet", namespace, replica_set)
    if controller.kind != "Deployment" or not is_built_in(controller):
        return unread_owner(controller, namespace)
    own = next((entry.metadata for entry in deployments if entry.metadata.name == controller.name), ObjectMeta())
    of_same = (entry for entry in siblings if _controlled_by(entry.metadata, controller))
    revisions = sorted(map(_replica_set_revision, of_same), key=lambda revision: revision.number)
    return PodOwner(
        "Deployment",
        namespace,
        controller.name,
        known=True,
        template=replica_set.spec.template.spec,
        revisions=tuple(revisions),
        manager=manager_of(own) or manager_of(replica_set.metadata),
    )


def job_owner(job: Workload, namespace: str) -> PodOwner:
    """A Job's CronJob, or the Job itself."""
    controller = job.metadata.controller()
    if controller is None:
        return _workload_owner("Job", namespace, job)
    if controller.kind != "CronJob" or not is_built_in(controller):
        return unread_owner(controller, namespace)
    return PodOwner(
        "CronJob",
        namespace,
        controller.name,
        known=True,
        template=job.spec.template.spec,
        manager=manager_of(job.metadata),
    )


def revisioned_owner(
    reference: OwnerReference, namespace: str, workload: Workload | None, history: Iterable[ControllerRevision]
) -> PodOwner:
    """A StatefulSet or DaemonSet with its ControllerRevisions."""
    of_same = (entry for entry in history if _controlled_by(entry.metadata, reference))
    revisions = sorted(map(_controller_revision, of_same), key=lambda revision: revision.number)
    return PodOwner(
        reference.kind,
        namespace,
        reference.name,
        known=True,
        template=workload.spec.template.spec if workload else None,
        revisions=tuple(revisions),
        manager=manager_of(workload.metadata) if workload else None,
    )


def plain_owner(reference: OwnerReference, namespace: str, template: PodSpec | None) -> PodOwner:
    return PodOwner(reference.kind, namespace, reference.name, known=is_built_in(reference), template=template)


def _workload_owner(kind: str, namespace: str, workload: Workload) -> PodOwner:
    metadata = workload.metadata
    template = workload.spec.template.spec
    return PodOwner(kind, namespace, metadata.name, known=True, template=template, manager=manager_of(metadata))


def _controlled_by(metadata: ObjectMeta, reference: OwnerReference) -> bool:
    controller = metadata.controller()
    if controller is None or controller.kind != reference.kind or controller.name != reference.name:
        return False
    return not controller.uid or not reference.uid or controller.uid == reference.uid


def _replica_set_revision(replica_set: Workload) -> Revision:
    metadata = replica_set.metadata
    number = metadata.annotations.get(REVISION_ANNOTATION, "")
    return Revision(
        int(number) if number.isascii() and number.isdigit() else 0,
        metadata.creation_timestamp,
        replica_set.spec.template.spec,
    )


def _controller_revision(entry: ControllerRevision) -> Revision:
    return Revision(entry.revision, entry.metadata.creation_timestamp, entry.data.spec.template.spec)
