"""Which pods are meant by names, by TYPE/NAME, by labels and by namespaces."""

from __future__ import annotations

from typing import Any

import pytest
from typed import convert

from kubectl_memdoctor.cluster.source import AccessError, NotFound, Unreadable
from kubectl_memdoctor.diagnosis import diagnose_namespaces
from kubectl_memdoctor.objects import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
    LabelSelector,
    Resource,
)
from kubectl_memdoctor.reading import Reading
from kubectl_memdoctor.selection import Selection, find_pods, parse_target, selector_text

from .memory_source import MemorySource

TARGETS: list[tuple[str, Resource[Any], str]] = [
    ("web-1", PODS, "web-1"),
    ("pod/web-1", PODS, "web-1"),
    ("pods/web-1", PODS, "web-1"),
    ("po/web-1", PODS, "web-1"),
    ("Pod/web-1", PODS, "web-1"),
    *(
        (f"{kind}/web", DEPLOYMENTS, "web")
        for kind in ("deploy", "deployment", "deployments", "deployments.apps", "Deployment")
    ),
    *((f"{kind}/web", REPLICA_SETS, "web") for kind in ("rs", "replicaset", "replicasets.apps")),
    *((f"{kind}/web", STATEFUL_SETS, "web") for kind in ("sts", "statefulset", "statefulsets")),
    *((f"{kind}/web", DAEMON_SETS, "web") for kind in ("ds", "daemonset", "DaemonSet")),
    *((f"{kind}/web", JOBS, "web") for kind in ("job", "jobs", "jobs.batch")),
    *((f"{kind}/web", CRON_JOBS, "web") for kind in ("cj", "cronjob", "cronjobs.batch")),
    *((f"{kind}/web", REPLICATION_CONTROLLERS, "web") for kind in ("rc", "replicationcontroller")),
]


@pytest.mark.parametrize(("text", "resource", "name"), TARGETS, ids=[text for text, _, _ in TARGETS])
def test_what_a_name_means(text: str, resource: Resource[Any], name: str) -> None:
    assert parse_target(text) == (resource, name)


@pytest.mark.parametrize("text", ["svc/web", "/web", "deploy/", "deploy/a/b", "deploy//", "//", "nodes/worker-1"])
def test_what_a_name_may_not_be(text: str) -> None:
    with pytest.raises(AccessError, match=r"^error: "):
        parse_target(text)


SELECTORS = [
    ({}, ""),
    ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, "a in (1,2)"),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, "a notin (1)"),
    ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "a"),
    ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, "!a"),
    ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, "a=1,b"),
]


@pytest.mark.parametrize(("given", "text"), SELECTORS, ids=[text or "empty" for _, text in SELECTORS])
def test_a_selector_as_the_api_takes_it(given: dict[str, Any], text: str) -> None:
    assert selector_text(convert(given, LabelSelector)) == text


def pod(name: str, namespace: str = "shop", owner: str = "", **labels: str) -> dict[str, Any]:
    owners = [{"kind": "Job", "name": owner, "apiVersion": "batch/v1", "controller": True}] if owner else []
    metadata = {"name": name, "namespace": namespace, "uid": f"{namespace}-{name}", "labels": labels}
    return {"kind": "Pod", "metadata": {**metadata, "ownerReferences": owners}}


def holder(kind: str, name: str, namespace: str = "shop", owner: str = "", **labels: str) -> dict[str, Any]:
    selector = labels if kind == "ReplicationController" else {"matchLabels": labels}
    owners = [{"kind": "CronJob", "name": owner, "apiVersion": "batch/v1", "controller": True}] if owner else []
    metadata = {"name": name, "namespace": namespace, "ownerReferences": owners}
    return {"kind": kind, "metadata": metadata, "spec": {"selector": selector}}


ITEMS = [
    pod("web-1", app="web"),
    pod("web-2", app="web"),
    pod("web-1", "billing", app="web"),
    pod("api-1", app="api"),
    pod("report-1-x", job="report-1"),
    pod("report-2-x", job="report-2"),
    *(holder(kind, "web", app="web") for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")),
    holder("ReplicationController", "web", app="web"),
    holder("Deployment", "web", "billing", app="web"),
    holder("Deployment", "all"),
    holder("Deployment", "idle", app="idle"),
    holder("Job", "report-1", owner="report", job="report-1"),
    holder("Job", "report-2", owner="report", job="report-2"),
    holder("Job", "other", owner="other", job="other"),
    {"kind": "CronJob", "metadata": {"name": "report", "namespace": "shop"}},
]


def found(*names: str, namespaces: tuple[str, ...] | None = ("shop",), **selection: str) -> tuple[list[str], list[str]]:
    """`namespace/name` of the pods, and the lines about names that do not exist."""
    with Reading(MemorySource(ITEMS)) as reading:
        pods, errors = find_pods(reading, Selection(namespaces, names, **selection))
    return [f"{entry.metadata.namespace}/{entry.metadata.name}" for entry in pods], [*errors]


WEB = ["shop/web-1", "shop/web-2"]
FOUND = [
    (("web-1",), ["shop/web-1"]),
    (("web-2", "web-1"), ["shop/web-2", "shop/web-1"]),
    (("web-1", "pod/web-1", "deploy/web"), WEB),
    *(((f"{kind}/web",), WEB) for kind in ("deploy", "rs", "sts", "ds", "rc")),
    (("job/report-1",), ["shop/report-1-x"]),
    (("cj/report",), ["shop/report-1-x", "shop/report-2-x"]),
    (("deploy/idle",), []),
    # An empty selector in a workload selects nothing here: "everything" is never what was asked for.
    (("deploy/all",), []),
]


@pytest.mark.parametrize(("names", "pods"), FOUND, ids=[" ".join(names) for names, _ in FOUND])
def test_pods_by_name(names: tuple[str, ...], pods: list[str]) -> None:
    assert found(*names) == (pods, [])


def test_pods_by_name_in_all_namespaces() -> None:
    assert found("web-1", namespaces=None) == (["shop/web-1", "billing/web-1"], [])
    assert found("deploy/web", namespaces=None) == ([*WEB, "billing/web-1"], [])


def test_pods_by_selector() -> None:
    assert found(label_selector="app=web") == (WEB, [])
    assert found(label_selector="app=web", namespaces=None)[0] == ["billing/web-1", *WEB]
    assert found(label_selector="app in (api)")[0] == ["shop/api-1"]
    assert found(field_selector="metadata.name=api-1")[0] == ["shop/api-1"]
    assert found(label_selector="app=nothing") == ([], [])


def test_names_that_do_not_exist_beside_some_that_do() -> None:
    pods, errors = found("nope", "web-1", "sts/nope")
    assert pods == ["shop/web-1"]
    assert errors == [
        'Error from server (NotFound): pods "nope" not found',
        'Error from server (NotFound): statefulsets.apps "nope" not found',
    ]


@pytest.mark.parametrize("namespaces", [("shop",), None])
def test_no_name_exists(namespaces: tuple[str, ...] | None) -> None:
    with pytest.raises(NotFound) as caught:
        found("nope", "deploy/nope", namespaces=namespaces)
    assert str(caught.value).splitlines() == [
        'Error from server (NotFound): pods "nope" not found',
        'Error from server (NotFound): deployments.apps "nope" not found',
    ]


def test_pods_that_may_not_be_read_are_an_error() -> None:
    with Reading(MemorySource(ITEMS, forbidden=["pods"])) as reading, pytest.raises(Unreadable):
        find_pods(reading, Selection(("shop",), ("web-1",)))


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(names=("web-1", "po/web-2")), ("web-1", "web-2")),
        (Selection(names=("web-1", "deploy/web")), ()),
        (Selection(), ()),
    ],
)
def test_pod_names_are_told_only_where_all_are(selection: Selection, names: tuple[str, ...]) -> None:
    assert selection.pod_names() == names


def test_what_counts_as_the_whole_cluster() -> None:
    assert Selection().is_whole_cluster()
    assert not Selection(("shop",)).is_whole_cluster()
    assert not Selection(label_selector="app=web").is_whole_cluster()
    assert not Selection(field_selector="spec.nodeName=a").is_whole_cluster()
    assert not Selection(names=("web-1",)).is_whole_cluster()


@pytest.mark.parametrize(("namespaces", "pods", "nodes"), [(None, 2, 3), (("shop",), 1, 1), (("shop", "bank"), 2, 2)])
def test_what_was_looked_at_is_counted(namespaces: tuple[str, ...] | None, pods: int, nodes: int) -> None:
    items = [
        *({"kind": "Node", "metadata": {"name": f"worker-{number}"}} for number in (1, 2, 3)),
        *(
            {"kind": "Pod", "metadata": {"name": "web", "namespace": name}, "spec": {"nodeName": node}}
            for name, node in (("shop", "worker-1"), ("bank", "worker-2"))
        ),
    ]
    summary = diagnose_namespaces(MemorySource(items), Selection(namespaces)).report.summary
    assert (summary.pods, summary.nodes) == (pods, nodes)
