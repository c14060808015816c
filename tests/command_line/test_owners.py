"""Where a pod comes from, asked once for each owner; and who writes that object."""

from __future__ import annotations

from typing import Any

import pytest
from typed import convert

from kubectl_memdoctor.objects import ObjectMeta, Pod
from kubectl_memdoctor.owner_lookup import OwnerLookup
from kubectl_memdoctor.owners import PodOwner, manager_of
from kubectl_memdoctor.reading import Reading

from .memory_source import MemorySource

GROUPS = {"Rollout": "argoproj.io/v1alpha1", "Job": "batch/v1", "CronJob": "batch/v1", "ReplicationController": "v1"}


def reference(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, "apiVersion": GROUPS.get(kind, "apps/v1"), "controller": True, **fields}


def metadata(name: str, *owners: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "shop", "ownerReferences": [*owners], **fields}


def pod(*owners: dict[str, Any], **fields: Any) -> Pod:
    return convert({"metadata": metadata("web-1", *owners, **fields)}, Pod)


def template(limit: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": limit}}}]}}


def replica_set(name: str, revision: str, limit: str, owner: str | None = "web", **fields: Any) -> dict[str, Any]:
    owners = [reference("Deployment", owner)] if owner else []
    annotations = {"deployment.kubernetes.io/revision": revision, **fields.pop("annotations", {})}
    return {
        "kind": "ReplicaSet",
        "metadata": metadata(name, *owners, annotations=annotations, **fields),
        "spec": {"template": template(limit)},
    }


def controller_revision(number: int, limit: str, owner: str, kind: str = "StatefulSet") -> dict[str, Any]:
    return {
        "kind": "ControllerRevision",
        "metadata": metadata(f"{owner}-{number}", reference(kind, owner)),
        "revision": number,
        "data": {"spec": {"template": template(limit)}},
    }


def workload(kind: str, name: str, limit: str, *owners: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": metadata(name, *owners, **fields), "spec": {"template": template(limit)}}


def owner_of(made: Pod, *items: dict[str, Any], forbidden: tuple[str, ...] = ()) -> PodOwner:
    with Reading(MemorySource(items, forbidden)) as reading:
        return OwnerLookup(reading).owner(made)


def limit_in(owner: PodOwner) -> str | None:
    return owner.template.containers[0].resources.limits["memory"] if owner.template else None


def test_a_replica_set_leads_to_its_deployment_with_its_history() -> None:
    owner = owner_of(
        pod(reference("ReplicaSet", "web-b")),
        replica_set("web-b", "10", "300m"),
        replica_set("web-a", "9", "64Mi"),
        replica_set("web-0", "2", "32Mi"),
        replica_set("api-a", "1", "1Gi", owner="api"),
        replica_set("stray", "3", "2Gi", owner=None),
    )
    assert (owner.kind, owner.namespace, owner.name, owner.known) == ("Deployment", "shop", "web", True)
    assert [revision.number for revision in owner.revisions] == [2, 9, 10]
    assert limit_in(owner) == "300m"


def test_replica_sets_of_a_deployment_that_was_made_anew_are_not_its_history() -> None:
    old, new = (reference("Deployment", "web", uid=uid) for uid in ("old", "new"))
    items = [
        {**replica_set("web-a", "5", "64Mi"), "metadata": metadata("web-a", old)},
        {**replica_set("web-b", "1", "300m"), "metadata": metadata("web-b", new)},
    ]
    owner = owner_of(pod(reference("ReplicaSet", "web-b")), *items)
    assert len(owner.revisions) == 1


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "٣", None])
def test_a_revision_that_is_no_number_is_the_oldest(number: str | None) -> None:
    odd = replica_set("web-a", "1", "64Mi")
    odd["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": number}
    owner = owner_of(pod(reference("ReplicaSet", "web-b")), odd, replica_set("web-b", "2", "300m"))
    assert [revision.number for revision in owner.revisions] == [0, 2]


def test_a_replica_set_of_its_own_is_the_owner() -> None:
    owner = owner_of(pod(reference("ReplicaSet", "web-b")), replica_set("web-b", "1", "300m", owner=None))
    assert (owner.kind, owner.name, limit_in(owner)) == ("ReplicaSet", "web-b", "300m")


@pytest.mark.parametrize(
    ("name", "labels", "kind", "found"),
    [
        ("web-5d9c", {"pod-template-hash": "5d9c"}, "Deployment", "web"),
        ("web-5d9c", {"pod-template-hash": "other"}, "ReplicaSet", "web-5d9c"),
        ("web-5d9c", {}, "ReplicaSet", "web-5d9c"),
        ("web", {"pod-template-hash": ""}, "ReplicaSet", "web"),
    ],
)
@pytest.mark.parametrize("forbidden", [(), ("replicasets",)])
def test_without_its_replica_set_the_pods_hash_tells(
    name: str, labels: dict[str, str], kind: str, found: str, forbidden: tuple[str, ...]
) -> None:
    owner = owner_of(pod(reference("ReplicaSet", name), labels=labels), forbidden=forbidden)
    assert (owner.kind, owner.name, owner.known, owner.template) == (kind, found, True, None)


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_what_has_controller_revisions(kind: str) -> None:
    items = [controller_revision(number, limit, "db", kind) for number, limit in ((11, "300m"), (9, "1Gi"))]
    owner = owner_of(
        pod(reference(kind, "db")),
        workload(kind, "db", "300m"),
        *items,
        controller_revision(1, "2Gi", "other", kind),
    )
    assert (owner.kind, owner.name, limit_in(owner)) == (kind, "db", "300m")
    assert [revision.number for revision in owner.revisions] == [9, 11]


def test_a_job_leads_to_its_cron_job() -> None:
    owner = owner_of(
        pod(reference("Job", "report-1")), workload("Job", "report-1", "300m", reference("CronJob", "report"))
    )
    assert (owner.kind, owner.name, limit_in(owner)) == ("CronJob", "report", "300m")


def test_a_job_of_its_own_is_the_owner() -> None:
    owner = owner_of(pod(reference("Job", "once")), workload("Job", "once", "300m"))
    assert (owner.kind, owner.name, limit_in(owner)) == ("Job", "once", "300m")


def test_a_job_that_is_gone_is_still_named() -> None:
    owner = owner_of(pod(reference("Job", "once")))
    assert (owner.kind, owner.name, owner.known, owner.template) == ("Job", "once", True, None)


def test_custom_owners_are_named_as_such_wherever_they_stand() -> None:
    rollout = reference("Rollout", "web")
    direct = owner_of(pod(rollout))
    above = owner_of(
        pod(reference("ReplicaSet", "web-b")),
        {**replica_set("web-b", "1", "1"), "metadata": metadata("web-b", rollout)},
    )
    job = owner_of(
        pod(reference("Job", "j")), workload("Job", "j", "1", reference("Workflow", "w", apiVersion="x.io/v1"))
    )
    for owner, kind in ((direct, "Rollout"), (above, "Rollout"), (job, "Workflow")):
        assert (owner.kind, owner.known) == (kind, False)


def test_a_kind_of_a_foreign_group_is_not_kubernetes_own() -> None:
    owner = owner_of(pod(reference("Deployment", "web", apiVersion="apps.example.org/v1")))
    assert (owner.kind, owner.known) == ("Deployment", False)


def test_a_pod_without_controller_is_its_own_owner() -> None:
    for owners in ([], [reference("ReplicaSet", "web-b", controller=False)]):
        owner = owner_of(pod(*owners))
        assert (owner.kind, owner.name, owner.known) == ("Pod", "web-1", True)


def test_a_static_pod_is_not_its_nodes() -> None:
    mirror = pod(reference("Node", "worker-1", apiVersion="v1"), annotations={"kubernetes.io/config.mirror": "x"})
    assert owner_of(mirror).kind == "Pod"


def test_each_owner_is_asked_for_once() -> None:
    source = MemorySource([replica_set("web-b", "1", "300m"), workload("StatefulSet", "db", "1Gi")])
    with Reading(source) as reading:
        owners = OwnerLookup(reading)
        for _ in range(3):
            for controller in (
                reference("ReplicaSet", "web-b"),
                reference("StatefulSet", "db"),
                reference("Rollout", "x"),
            ):
                owners.prefetch(pod(controller))
                owners.owner(pod(controller))
    assert sorted(source.asked) == [
        ("get", "statefulsets", "shop", "db"),
        ("list", "controllerrevisions", "shop", "", ""),
        ("list", "deployments", "shop", "", ""),
        ("list", "replicasets", "shop", "", ""),
    ]


def test_owners_that_may_not_be_read_are_noted() -> None:
    source = MemorySource([], forbidden=["statefulsets", "controllerrevisions"])
    with Reading(source) as reading:
        owner = OwnerLookup(reading).owner(pod(reference("StatefulSet", "db")))
        assert reading.unreadable == {"statefulsets": "forbidden: no", "controllerrevisions": "forbidden: no"}
    assert (owner.kind, owner.name, owner.template, owner.revisions) == ("StatefulSet", "db", None, ())


MANAGERS = [
    ({}, {}, None),
    ({"meta.helm.sh/release-name": "web"}, {}, "Helm"),
    ({}, {"app.kubernetes.io/managed-by": "Helm"}, "Helm"),
    ({}, {"app.kubernetes.io/managed-by": "me"}, None),
    ({"argocd.argoproj.io/tracking-id": "x"}, {}, "Argo CD"),
    ({}, {"argocd.argoproj.io/instance": "web"}, "Argo CD"),
    ({}, {"kustomize.toolkit.fluxcd.io/name": "web"}, "Flux"),
    ({}, {"helm.toolkit.fluxcd.io/name": "web", "app.kubernetes.io/managed-by": "Helm"}, "Flux"),
]


@pytest.mark.parametrize(("annotations", "labels", "manager"), MANAGERS, ids=str)
def test_who_writes_an_object(annotations: dict[str, str], labels: dict[str, str], manager: str | None) -> None:
    assert manager_of(ObjectMeta(annotations=annotations, labels=labels)) == manager


def test_the_manager_is_seen_on_the_owner() -> None:
    marks: dict[str, Any] = {"annotations": {"meta.helm.sh/release-name": "web"}}
    assert owner_of(pod(reference("ReplicaSet", "web-b")), replica_set("web-b", "1", "1", **marks)).manager == "Helm"
    assert owner_of(pod(reference("StatefulSet", "db")), workload("StatefulSet", "db", "1", **marks)).manager == "Helm"
    assert owner_of(pod(**marks)).manager == "Helm"


def test_labels_stand_on_the_deployment_only() -> None:
    labels = {"kustomize.toolkit.fluxcd.io/name": "apps"}
    deployment = workload("Deployment", "web", "1", labels=labels)
    assert owner_of(pod(reference("ReplicaSet", "web-b")), replica_set("web-b", "1", "1"), deployment).manager == "Flux"
