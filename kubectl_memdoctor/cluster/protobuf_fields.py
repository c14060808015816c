"""Which number each field of `objects` has in Kubernetes' protobuf.

Numbers never change once they are published:
https://github.com/kubernetes/api/blob/v0.37.2/core/v1/generated.proto
https://github.com/kubernetes/api/blob/v0.37.2/apps/v1/generated.proto
https://github.com/kubernetes/apimachinery/blob/v0.37.2/pkg/apis/meta/v1/generated.proto
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from kubectl_memdoctor import objects
from kubectl_memdoctor.objects import Resource

LISTED: frozenset[Resource[Any]] = frozenset({objects.PODS, objects.EVENTS, objects.NODES, objects.REPLICA_SETS})
"""What a cluster has more of than a page holds."""


GLANCED: Mapping[type[Struct], frozenset[str]] = {
    objects.Pod: frozenset({"metadata", "spec", "status"}),
    objects.ObjectMeta: frozenset({"name", "namespace", "uid", "owner_references", "deletion_timestamp"}),
    objects.Container: frozenset({"resources", "restart_policy"}),
    objects.PodSpec: frozenset(
        {"containers", "init_containers", "resources", "overhead", "node_name", "node_selector", "os"}
    ),
    objects.ContainerState: frozenset({"waiting", "running", "terminated"}),
    objects.StateWaiting: frozenset({"reason"}),
    objects.StateRunning: frozenset(),
    objects.StateTerminated: frozenset({"exit_code", "reason"}),
    objects.ContainerStatus: frozenset({"state", "last_state"}),
    objects.Condition: frozenset({"type", "status"}),
    objects.PodStatus: frozenset(
        {
            "phase",
            "reason",
            "conditions",
            "container_statuses",
            "init_container_statuses",
            "ephemeral_container_statuses",
            "resize",
        }
    ),
}
"""The fields that tell whether a pod is worth a second look, and what it counts for. A struct that is not named here is
no part of a pod, or holds none that is: it is read as a whole."""


class Inside(NamedTuple):
    """JSON has the field inline, protobuf in a message of its own: that one's number, and the field's in it. Of a list,
    each item lies in such a message."""

    message: int
    field: int


Number = int | Inside

FIELDS: Mapping[type[Struct], Mapping[str, Number]] = {
    objects.ListMeta: {"continue_": 3, "remaining_item_count": 4},
    objects.StatusDetails: {"name": 1},
    objects.Status: {"metadata": 1, "message": 3, "reason": 4, "details": 5, "code": 6},
    objects.OwnerReference: {"kind": 1, "name": 3, "api_version": 5, "uid": 4, "controller": 6},
    objects.ObjectMeta: {
        "name": 1,
        "namespace": 3,
        "uid": 5,
        "labels": 11,
        "annotations": 12,
        "owner_references": 13,
        "creation_timestamp": 8,
        "deletion_timestamp": 9,
        "generation": 7,
    },
    objects.ResourceRequirements: {"limits": 1, "requests": 2},
    objects.Container: {"name": 1, "image": 2, "resources": 8, "restart_policy": 24},
    objects.EmptyDir: {"medium": 1},
    objects.VolumeMarker: {},
    objects.Volume: {
        "name": 1,
        "empty_dir": Inside(2, 2),
        "secret": Inside(2, 6),
        "projected": Inside(2, 26),
        "downward_api": Inside(2, 16),
    },
    objects.PodOS: {"name": 1},
    objects.PodSpec: {
        "containers": 2,
        "init_containers": 20,
        "ephemeral_containers": Inside(34, 1),
        "resources": 40,
        "overhead": 32,
        "node_name": 10,
        "node_selector": 7,
        "os": 36,
        "runtime_class_name": 29,
        "volumes": 1,
        "termination_grace_period_seconds": 4,
    },
    objects.StateWaiting: {"reason": 1, "message": 2},
    objects.StateRunning: {"started_at": 1},
    objects.StateTerminated: {
        "exit_code": 1,
        "signal": 2,
        "reason": 3,
        "message": 4,
        "started_at": 5,
        "finished_at": 6,
        "container_id": 7,
    },
    objects.ContainerState: {"waiting": 1, "running": 2, "terminated": 3},
    objects.ContainerStatus: {
        "name": 1,
        "state": 2,
        "last_state": 3,
        "ready": 4,
        "started": 9,
        "restart_count": 5,
        "container_id": 8,
        "resources": 11,
        "allocated_resources": 10,
    },
    objects.Condition: {"type": 1, "status": 2, "reason": 5, "message": 6, "last_transition_time": 4},
    objects.PodStatus: {
        "phase": 1,
        "reason": 4,
        "message": 3,
        "qos_class": 9,
        "conditions": 2,
        "container_statuses": 8,
        "init_container_statuses": 10,
        "ephemeral_container_statuses": 13,
        "start_time": 7,
        "resize": 14,
        "resources": 20,
    },
    objects.Pod: {"metadata": 1, "spec": 2, "status": 3},
    objects.ObjectReference: {"kind": 1, "namespace": 2, "name": 3, "uid": 4, "field_path": 7},
    objects.EventSource: {"component": 1, "host": 2},
    objects.EventSeries: {"count": 1, "last_observed_time": 2},
    objects.Event: {
        "metadata": 1,
        "involved_object": 2,
        "type": 9,
        "reason": 3,
        "message": 4,
        "count": 8,
        "first_timestamp": 6,
        "last_timestamp": 7,
        "event_time": 10,
        "series": 11,
        "source": 5,
        "reporting_component": 14,
    },
    objects.NodeSystemInfo: {
        "container_runtime_version": 6,
        "kernel_version": 4,
        "kubelet_version": 7,
        "operating_system": 9,
        "architecture": 10,
    },
    objects.NodeStatus: {"node_info": 7, "allocatable": 2, "capacity": 1, "conditions": 4},
    objects.Node: {"metadata": 1, "status": 3},
    objects.LabelSelectorRequirement: {"key": 1, "operator": 2, "values": 3},
    objects.LabelSelector: {"match_labels": 1, "match_expressions": 2},
    objects.PodTemplate: {"spec": 2},
    objects.WorkloadSpec: {"selector": 2, "template": 3},
    objects.Workload: {"metadata": 1, "spec": 2},
}
"""A field that is missing here is no field of the message. WorkloadSpec: as a ReplicaSet numbers it; a DaemonSet and a
Job do otherwise."""
