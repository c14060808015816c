"""A recording answers like a cluster, and says what it does not hold."""

from __future__ import annotations

import gzip
import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubectl_memdoctor.cluster.recording import Recording, open_recording
from kubectl_memdoctor.cluster.source import AccessError, NotFound, NotRecorded, Source
from kubectl_memdoctor.diagnosis import diagnose_namespaces
from kubectl_memdoctor.objects import (
    CRON_JOBS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    LIMIT_RANGES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    RUNTIME_CLASSES,
    STATEFUL_SETS,
    Resource,
)
from kubectl_memdoctor.selection import Selection

Objects = list[dict[str, Any]]


def an_object(kind: str, name: str, namespace: str = "shop", api_version: str = "v1", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": f"{kind}-{namespace}-{name}", **more.pop("metadata", {})}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def record(tmp_path: Path, *objects: dict[str, Any], name: str = "dump.json") -> Recording:
    path = tmp_path / name
    path.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": objects}))
    return open_recording([str(path)], None)


def names(recording: Recording, resource: Resource[Any], namespace: str | None = None) -> list[str]:
    return [entry.metadata.name for page in recording.list(resource, namespace) for entry in page.items]


def test_it_is_a_source(tmp_path: Path) -> None:
    source: Source = record(tmp_path, an_object("Pod", "web"))
    assert not source.parallel
    assert source.origin().recording == str(tmp_path / "dump.json")
    assert source.origin().server is None


def test_get(tmp_path: Path) -> None:
    recording = record(
        tmp_path, an_object("Pod", "web"), an_object("Pod", "web", "billing"), an_object("Node", "n1", "")
    )
    assert recording.get(PODS, "billing", "web").metadata.uid == "Pod-billing-web"
    assert recording.get(NODES, None, "n1").metadata.uid == "Node--n1"
    with pytest.raises(NotFound, match=r'^Error from server \(NotFound\): pods "db" not found$'):
        recording.get(PODS, "shop", "db")
    with pytest.raises(NotFound, match=r'^Error from server \(NotFound\): nodes "a,b\\=c" not found$'):
        recording.get(NODES, None, "a,b\\=c")


@pytest.mark.parametrize(
    ("resource", "api_version"),
    [
        (DEPLOYMENTS, "apps/v1"),
        (DEPLOYMENTS, "extensions/v1beta1"),
        (REPLICA_SETS, "apps/v1beta2"),
        (JOBS, "batch/v1"),
        (CRON_JOBS, "batch/v1beta1"),
        (RUNTIME_CLASSES, "node.k8s.io/v1beta1"),
    ],
)
def test_older_versions_are_the_same_kind(resource: Resource[Any], api_version: str, tmp_path: Path) -> None:
    template = {"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "300m"}}}]}}
    entry = an_object(resource.kind, "web", api_version=api_version, spec={"template": template})
    found = record(tmp_path, entry).get(resource, None, "web")
    if resource in (DEPLOYMENTS, REPLICA_SETS, JOBS):
        assert found.spec.template.spec.containers[0].resources.limits == {"memory": "300m"}


@pytest.mark.parametrize(
    ("resource", "api_version"),
    [
        (NODES, "longhorn.io/v1beta2"),
        (JOBS, "batch.volcano.sh/v1alpha1"),
        (STATEFUL_SETS, "apps.kruise.io/v1beta1"),
        (EVENTS, "eventing.example/v1"),
    ],
)
def test_the_same_kind_of_another_group_is_something_else(
    resource: Resource[Any], api_version: str, tmp_path: Path
) -> None:
    own = an_object(resource.kind, "own", api_version=resource.api_version)
    other = an_object(resource.kind, "other", api_version=api_version)
    assert names(record(tmp_path, own, other, own, other, an_object("Pod", "web")), resource) == ["own"]
    as_lists = [
        {"kind": f"{resource.kind}List", "apiVersion": entry["apiVersion"], "items": [{"metadata": entry["metadata"]}]}
        for entry in (own, other)
    ]
    path = tmp_path / "lists.json"
    path.write_text("".join(map(json.dumps, as_lists)))
    assert names(open_recording([str(path)], None), resource) == ["own"]


def test_an_event_of_the_newer_api_is_the_same_event(tmp_path: Path) -> None:
    """kubectl get events.v1.events.k8s.io"""
    newer = an_object(
        "Event",
        "web.1",
        api_version="events.k8s.io/v1",
        regarding={"kind": "Pod", "namespace": "shop", "name": "web", "uid": "1", "fieldPath": "spec.containers{app}"},
        note="Back-off restarting failed container",
        reason="BackOff",
        type="Warning",
        deprecatedCount=7,
        deprecatedFirstTimestamp="2026-11-23T09:00:00Z",
        deprecatedLastTimestamp="2026-11-23T10:00:00Z",
        deprecatedSource={"component": "kubelet", "host": "n1"},
        eventTime="2026-11-23T09:00:00.000001Z",
        series={"count": 8, "lastObservedTime": "2026-11-23T10:00:01.000000Z"},
        reportingController="kubelet",
    )
    older = an_object(
        "Event",
        "web.1",
        involvedObject=newer["regarding"],
        message=newer["note"],
        reason="BackOff",
        type="Warning",
        count=7,
        firstTimestamp="2026-11-23T09:00:00Z",
        lastTimestamp="2026-11-23T10:00:00Z",
        source={"component": "kubelet", "host": "n1"},
        eventTime="2026-11-23T09:00:00.000001Z",
        series=newer["series"],
        reportingComponent="kubelet",
    )
    [one], [other] = (
        [event for page in record(tmp_path, entry).list(EVENTS) for event in page.items] for entry in (newer, older)
    )
    assert one == other
    recording = record(tmp_path, newer, older)
    assert names(recording, EVENTS) == ["web.1"]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([an_object("Pod", "web", metadata={"creationTimestamp": "2026-01-01T00:00:00Z"})], "2026-01-01T00:00:00"),
        (
            [
                an_object(
                    "Pod",
                    "web",
                    metadata={
                        "creationTimestamp": "2026-01-01T00:00:00Z",
                        "deletionTimestamp": "2026-01-01T10:00:00Z",
                    },
                    status={
                        "conditions": [{"type": "Ready", "lastTransitionTime": "2026-01-02T00:00:00Z"}],
                        "containerStatuses": [
                            {
                                "state": {"running": {"startedAt": "2026-01-03T00:00:00+02:00"}},
                                "lastState": {"terminated": {"finishedAt": "2026-01-02T21:59:59Z"}},
                            }
                        ],
                    },
                )
            ],
            "2026-01-02T22:00:00",
        ),
        (
            [
                an_object(
                    "Pod",
                    "web",
                    status={
                        "initContainerStatuses": [{"state": {"terminated": {"finishedAt": "2026-01-04T00:00:00Z"}}}]
                    },
                )
            ],
            "2026-01-04T00:00:00",
        ),
        (
            [
                an_object("Pod", "web", metadata={"creationTimestamp": "2026-01-01T00:00:00Z"}),
                an_object("Event", "web.1", lastTimestamp="2026-01-05T00:00:00Z"),
                an_object("Event", "web.2", eventTime="2026-01-04T00:00:00.000000Z", lastTimestamp=None),
            ],
            "2026-01-05T00:00:00",
        ),
        (
            [
                an_object("Pod", "web"),
                an_object("Node", "n1", "", status={"conditions": [{"lastHeartbeatTime": "2026-01-06T00:00:00Z"}]}),
            ],
            "2026-01-06T00:00:00",
        ),
        (
            [
                an_object("Pod", "web"),
                an_object(
                    "Lease", "n1", api_version="coordination.k8s.io/v1", spec={"renewTime": "2026-01-07T00:00:00.5Z"}
                ),
                an_object("Certificate", "c", api_version="c.io/v1", spec={"renewTime": "2027-01-07T00:00:00Z"}),
            ],
            "2026-01-07T00:00:00.5",
        ),
        ([an_object("ConfigMap", "c", metadata={"creationTimestamp": "2026-01-08T00:00:00Z"})], "2026-01-08T00:00:00"),
        ([an_object("Pod", "web", metadata={"creationTimestamp": "yesterday"})], None),
    ],
)
def test_now_is_the_newest_time_that_the_objects_speak_of(
    objects: Objects, expected: str | None, tmp_path: Path
) -> None:
    """Ages are right for old recordings; a pod's deletion may lie ahead."""
    recording = record(tmp_path, *objects)
    saved = datetime(2025, 6, 1, tzinfo=UTC)
    os.utime(tmp_path / "dump.json", (saved.timestamp(), saved.timestamp()))
    recording = open_recording([str(tmp_path / "dump.json")], None)
    assert recording.now() == (datetime.fromisoformat(expected + "+00:00") if expected else saved)


def test_now_without_any_time_is_now() -> None:
    recording = open_recording(["-"], io.BytesIO(json.dumps(an_object("Pod", "web")).encode()))
    assert abs(recording.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_what_was_not_saved_is_not_an_empty_list(tmp_path: Path) -> None:
    recording = record(tmp_path, an_object("Pod", "web"))
    unsaved: list[Resource[Any]] = [EVENTS, NODES, LIMIT_RANGES, REPLICA_SETS]
    for resource in unsaved:
        with pytest.raises(NotRecorded) as raised:
            list(recording.list(resource))
        assert raised.value.reason == "not in the recording"
        assert raised.value.resource == resource.group_resource
    with pytest.raises(NotRecorded):
        recording.get(DEPLOYMENTS, "shop", "web")


def test_an_empty_list_of_a_kind_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    empty: Objects = [
        {"kind": f"{kind}List", "apiVersion": "v1", "items": items} for kind, items in (("Event", []), ("Node", None))
    ]
    path.write_text("".join(map(json.dumps, [*empty, an_object("Pod", "web")])))
    recording = open_recording([str(path)], None)
    assert names(recording, EVENTS) == []
    assert names(recording, NODES) == []
    with pytest.raises(NotRecorded):
        list(recording.list(LIMIT_RANGES))
    with pytest.raises(NotFound):
        recording.get(NODES, None, "n1")


def test_runtime_classes_are_missed_only_where_a_pod_names_one(tmp_path: Path) -> None:
    assert names(record(tmp_path, an_object("Pod", "web")), RUNTIME_CLASSES) == []
    with pytest.raises(NotRecorded):
        list(record(tmp_path, an_object("Pod", "web", spec={"runtimeClassName": "kata"})).list(RUNTIME_CLASSES))


def test_namespaces_are_those_that_something_lies_in(tmp_path: Path) -> None:
    recording = record(
        tmp_path,
        an_object("Pod", "web"),
        an_object("ConfigMap", "settings", "billing"),
        an_object("Namespace", "empty", ""),
        an_object("Namespace", "shop", ""),
    )
    assert sorted(names(recording, NAMESPACES)) == ["billing", "empty", "shop"]
    assert recording.get(NAMESPACES, None, "shop").metadata.uid == "Namespace--shop"
    assert recording.get(NAMESPACES, None, "billing").metadata.name == "billing"
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        recording.get(NAMESPACES, None, "nowhere")
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        diagnose_namespaces(recording, Selection(namespaces=("nowhere",)))
    assert diagnose_namespaces(recording, Selection(namespaces=("billing",))).report.summary.pods == 0


def test_nodes_and_events_without_pods_are_looked_at(tmp_path: Path) -> None:
    """Where a quota forbids every pod there is no pod to save."""
    pressure = {"conditions": [{"type": "MemoryPressure", "status": "True"}]}
    report = diagnose_namespaces(record(tmp_path, an_object("Node", "n1", "", status=pressure)), Selection()).report
    assert [finding.rule for finding in report.findings] == ["node-memory-pressure"]
    assert ("pods", "not in the recording") in [(entry.resource, entry.reason) for entry in report.not_checked]
    with pytest.raises(AccessError, match="no pods in it: save what"):
        diagnose_namespaces(record(tmp_path, an_object("Deployment", "web", api_version="apps/v1")), Selection())


def test_each_object_comes_once(tmp_path: Path) -> None:
    pods = [an_object("Pod", f"web-{number}") for number in range(5)]
    again = an_object("Pod", "web-0", metadata={"uid": "another"})
    nameless: Objects = [{"kind": "Pod", "apiVersion": "v1", "metadata": {"generateName": "x-"}}] * 2
    record(tmp_path, *pods[:3], again, *nameless, name="a.json")
    record(tmp_path, *reversed(pods), pods[0], name="b.json")
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json.dumps(pods[4]).encode()))
    (tmp_path / "d.yaml").write_text(yaml.safe_dump_all(pods))
    recording = open_recording([str(tmp_path)], None)
    expected = ["web-0", "web-1", "web-2", "web-0", "", "", "web-4", "web-3"]
    assert names(recording, PODS) == expected
    assert names(recording, PODS) == expected
    assert names(recording, PODS, "shop") == [*expected[:4], *expected[6:]]


def test_a_question_that_is_left_does_not_spoil_the_next(tmp_path: Path) -> None:
    text = json.dumps([an_object("Pod", f"web-{number}", spec={"x": "y" * 500}) for number in range(5000)])
    for recording in (
        open_recording(["-"], io.BytesIO(text.encode())),
        open_recording(["-"], io.BytesIO(gzip.compress(text.encode()))),
    ):
        first = next(iter(recording.list(PODS)))
        assert 0 < len(first.items) < 5000
        assert len(names(recording, PODS)) == 5000
        assert len(names(recording, PODS)) == 5000


def test_pods_pass_by_in_pages(tmp_path: Path) -> None:
    pods = [an_object("Pod", f"web-{number}", spec={"x": "y" * 500}) for number in range(5000)]
    recording = record(tmp_path, *pods, an_object("Node", "n1", ""), *pods[:10])
    for _ in range(2):
        sizes = [len(page.items) for page in recording.list(PODS)]
        assert sum(sizes) == 5000
        assert 2000 > max(sizes) > 100


@pytest.mark.parametrize("written", ["300", "300m", "0.5", "1e3", "1E3", "1Gi", "0x10", "010", "1_000", "null", "true"])
def test_yaml_keeps_quantities_as_they_are_written(written: str, tmp_path: Path) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {on: yes, 1: 2, version: 1.10, date: 2026-01-01}}\n"
        f"spec: {{containers: [{{name: app, resources: {{limits: {{memory: {written}}}}}}}]}}\n"
    )
    [pod] = [pod for page in open_recording([str(path)], None).list(PODS) for pod in page.items]
    limits = pod.spec.containers[0].resources.limits
    assert limits == ({} if written == "null" else {"memory": written})
    assert pod.metadata.labels == {"on": "yes", "1": "2", "version": "1.10", "date": "2026-01-01"}


def test_yaml_with_anchors_tags_and_odd_keys(tmp_path: Path) -> None:
    path = tmp_path / "pods.yaml"
    path.write_text(
        """\
apiVersion: v1
kind: List
metadata: &shared {namespace: shop, labels: {app: web}}
items:
- apiVersion: v1
  kind: Pod
  metadata: {<<: *shared, name: one, name: two, [odd, key]: value, ? {a: b} : c, !custom tag: !!str 5}
  spec: &spec
    containers:
    - name: !!str 7
      image: !thing |
        text
      resources: &resources {limits: {memory: "64Mi"}}
- apiVersion: v1
  kind: Pod
  metadata: {<<: [*shared, {name: hidden}], name: three, namespace: billing}
  spec:
    <<: *spec
    initContainers:
    - {name: init, resources: *resources}
"""
    )
    two, three = [pod for page in open_recording([str(path)], None).list(PODS) for pod in page.items]
    assert (two.metadata.name, two.metadata.namespace, two.metadata.labels) == ("two", "shop", {"app": "web"})
    assert two.spec.containers[0].name == "7"
    assert two.spec.containers[0].image == "text\n"
    assert (three.metadata.name, three.metadata.namespace) == ("three", "billing")
    assert three.spec.containers == two.spec.containers
    assert three.spec.init_containers[0].resources.limits == {"memory": "64Mi"}


@pytest.mark.parametrize("pure", [False, True])
def test_yaml_without_the_fast_parser(pure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kubectl_memdoctor.cluster.recording import yaml_items

    if pure:
        monkeypatch.setattr(yaml_items, "_LOADER", yaml.SafeLoader)
    path = tmp_path / "pods.yaml"
    path.write_text(yaml.safe_dump_all([an_object("Pod", f"web-{number}") for number in range(20)]))
    assert len(names(open_recording([str(path)], None), PODS)) == 20
    path.write_text("kind: Pod\nspec: " + "[" * 600)
    with pytest.raises(AccessError, match=r"not valid YAML|nested too deeply"):
        names(open_recording([str(path)], None), PODS)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    ["metadata", "spec", "status", "name", "namespace", "uid", "labels", "containers", "conditions"]
)
ODD = st.recursive(ANYTHING, lambda inner: st.dictionaries(FIELDS, inner, max_size=6), max_leaves=12)
KINDS = st.sampled_from(["Pod", "Event", "Node", "List", "PodList", "Secret", "Lease", "", "Namespace", "Deployment"])


@given(
    st.lists(
        st.fixed_dictionaries(
            {"kind": KINDS | ANYTHING},
            optional={"metadata": ODD, "spec": ODD, "status": ODD, "items": ODD, "apiVersion": ANYTHING},
        ),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_no_object_is_too_odd(tmp_path: Path, objects: Objects, as_yaml: bool) -> None:
    """Whatever is valid JSON or YAML is looked at, or refused in one line."""
    path = tmp_path / "odd"
    path.write_text(yaml.safe_dump_all(objects) if as_yaml else json.dumps({"items": objects}))
    recording = open_recording([str(path)], None)
    said = ""
    try:
        pods = diagnose_namespaces(recording, Selection()).report.summary.pods
    except AccessError as error:
        said = str(error)
    assert "\n" not in said
    expected = sum(1 for entry in objects if _is_pod(entry))
    assert said.startswith("error: ") or min(expected, 1) <= pods <= expected


def _is_pod(entry: dict[str, Any]) -> bool:
    api_version = entry.get("apiVersion")
    return entry["kind"] == "Pod" and not (isinstance(api_version, str) and api_version.rpartition("/")[0])
