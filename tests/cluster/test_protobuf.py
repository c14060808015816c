"""What the API server itself writes in protobuf is read into the same structs as its JSON."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_memdoctor.cluster import protobuf
from kubectl_memdoctor.cluster.protobuf_fields import LISTED
from kubectl_memdoctor.objects import EVENTS, PODS, Container, Pod, Resource, decode_list

from .control_plane import ControlPlane
from .seeded import Seeded
from .stand_ins import StandIns

NAMESPACE = "in-protobuf"
RESOURCES = {"limits": {"memory": "0.5Gi", "cpu": "1500m"}, "requests": {"memory": "100e6", "cpu": "0.1"}}
TIME = "2026-11-23T10:00:00Z"
WHOLE_SPEC = {
    "containers": [{"name": "app", "image": "web:1", "resources": RESOURCES}],
    "initContainers": [{"name": "sidecar", "image": "proxy:1", "restartPolicy": "Always", "resources": RESOURCES}],
    "volumes": [
        {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "disk", "emptyDir": {}},
        {"name": "key", "secret": {"secretName": "x", "optional": True}},
        {"name": "me", "downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"name": "all", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}},
        {"name": "host", "hostPath": {"path": "/tmp"}},
    ],
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "os": {"name": "linux"},
    "terminationGracePeriodSeconds": 0,
    "runtimeClassName": "heavy",
}
RUN = {"startedAt": TIME, "finishedAt": TIME, "containerID": "containerd://" + "a" * 64}
KILLED = {"exitCode": 137, "signal": 9, "reason": "OOMKilled", "message": "\N{SKULL} gone", **RUN}
WHOLE_STATUS = {
    "phase": "Running",
    "reason": "Odd",
    "message": "two\nlines",
    "startTime": TIME,
    "resize": "Deferred",
    "conditions": [
        {"type": "Ready", "status": "False", "reason": "R", "message": "m", "lastTransitionTime": TIME},
        {"type": "PodScheduled", "status": "True"},
    ],
    "containerStatuses": [
        {
            "name": "app",
            "image": "web:1",
            "imageID": "",
            "ready": False,
            "started": False,
            "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            "lastState": {"terminated": KILLED},
            "resources": RESOURCES,
            "allocatedResources": {"memory": "100M"},
        }
    ],
    "initContainerStatuses": [
        {
            "name": "sidecar",
            "image": "proxy:1",
            "imageID": "",
            "ready": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": TIME}},
            "lastState": {},
        }
    ],
}
DEBUGGER = {"name": "debugger", "image": "busybox:1", "terminationMessagePolicy": "File", "imagePullPolicy": "Always"}


@pytest.fixture(scope="module")
def whole(plane: ControlPlane, stand_ins: StandIns) -> None:
    """A pod with something in every field that is read, and events in the old and the new form."""
    api = plane.api()
    stand_ins.namespace(NAMESPACE)
    heavy = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "heavy"}, "handler": "kata"}
    api.create({**heavy, "overhead": {"podFixed": {"memory": "120Mi"}}})
    metadata = {"name": "whole", "namespace": NAMESPACE, "labels": {"a": "b"}, "annotations": {"c": "d\n"}}
    pod = api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": WHOLE_SPEC})
    target = f"/api/v1/namespaces/{NAMESPACE}/pods/whole/ephemeralcontainers"
    patch = {"spec": {"ephemeralContainers": [DEBUGGER]}}
    api.call("PATCH", target, patch, content_type="application/strategic-merge-patch+json")
    api.write_status(pod, WHOLE_STATUS)
    involved = {"kind": "Pod", "namespace": NAMESPACE, "name": "whole", "fieldPath": "spec.containers{app}"}
    event = {"apiVersion": "v1", "kind": "Event", "involvedObject": involved, "type": "Warning", "reason": "BackOff"}
    old = {"message": "m", "count": 3, "firstTimestamp": TIME, "lastTimestamp": TIME, "source": {"host": "worker-0"}}
    api.create({**event, **old, "metadata": {"name": "old", "namespace": NAMESPACE}})
    new = {
        "eventTime": "2026-11-23T10:00:00.123456Z",
        "series": {"count": 2, "lastObservedTime": "2026-11-23T10:00:01.000007Z"},
        "reportingComponent": "kubelet",
        "reportingInstance": "worker-0",
        "action": "Pulling",
    }
    api.create({**event, **new, "metadata": {"name": "new", "namespace": NAMESPACE}})


@pytest.mark.parametrize("resource", sorted(LISTED, key=str), ids=lambda resource: str(resource.name))
def test_every_object_is_the_same_in_both(
    plane: ControlPlane, seeded: Seeded, whole: None, resource: Resource[Any]
) -> None:
    target = resource.path()
    in_json = plane.api().raw(target, {"Accept": "application/json"}).data
    in_protobuf = plane.api().raw(target, {"Accept": protobuf.CONTENT_TYPE}).data
    _, items = decode_list(in_json, resource.type)
    assert items
    assert protobuf.open_list(in_protobuf, resource).items() == items
    assert len(in_protobuf) < len(in_json)


def test_the_pod_has_something_in_every_field(plane: ControlPlane, whole: None) -> None:
    """Else a field of another number would be as empty as the right one."""
    body = plane.api().raw(PODS.path(NAMESPACE), {"Accept": protobuf.CONTENT_TYPE}).data
    (pod,) = protobuf.open_list(body, PODS).items()
    empty = {name for name in Pod.__struct_fields__ if getattr(pod, name) == getattr(Pod(), name)}
    assert empty == set()
    spec, status = pod.spec, pod.status
    unset = {name for name in spec.__struct_fields__ if not getattr(spec, name)}
    assert unset == {"node_name", "termination_grace_period_seconds"}
    assert spec.termination_grace_period_seconds == 0
    assert spec.ephemeral_containers == (Container("debugger", "busybox:1"),)
    assert spec.overhead == {"memory": "120Mi"}
    assert [volume.is_tmpfs() for volume in spec.volumes[:6]] == [True, False, True, True, True, False]
    assert status.container_statuses[0].started is False
    assert status.init_container_statuses[0].started is None


def test_events_keep_their_microseconds(plane: ControlPlane, whole: None) -> None:
    body = plane.api().raw(EVENTS.path(NAMESPACE), {"Accept": protobuf.CONTENT_TYPE}).data
    found = {event.metadata.name: event for event in protobuf.open_list(body, EVENTS).items()}
    new = found["new"]
    assert new.event_time is not None
    assert new.event_time.microsecond == 123456
    assert new.last_seen() is not None
    assert found["old"].event_time is None


def test_pages_and_refusals_come_in_protobuf_as_well(plane: ControlPlane, seeded: Seeded) -> None:
    api = plane.api()
    page = api.raw(f"{PODS.path()}?limit=1", {"Accept": protobuf.CONTENT_TYPE})
    meta = protobuf.open_list(page.data, PODS).meta
    known, _ = decode_list(api.raw(f"{PODS.path()}?limit=1").data, PODS.type)
    assert meta.continue_
    assert meta.remaining_item_count == known.remaining_item_count
