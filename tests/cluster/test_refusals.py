"""Pods that are refused or find no room, in the API server's own words and with the scheduler's kind of event."""

from __future__ import annotations

import pytest

from .api import Json, Refused
from .memdoctor import Shell
from .seeded import Seeded
from .stand_ins import StandIns, Told, ago, container, reference


def refused(stand_ins: StandIns, replica_set: Json) -> str:
    """What the API server says to the pod that the ReplicaSet's controller would make."""
    with pytest.raises(Refused) as refusal:
        stand_ins.pod_of(replica_set, "refused", "")
    return refusal.value.message


def tell_failed_create(stand_ins: StandIns, replica_set: Json, message: str) -> None:
    told = Told("FailedCreate", f"Error creating: {message}", 14, component="replicaset-controller")
    stand_ins.tell(replica_set, told)


def test_a_quota_that_is_used_up(shell: Shell, seeded: Seeded, stand_ins: StandIns) -> None:
    stand_ins.namespace("quota")
    hard = {"limits.memory": "256Mi"}
    meta = {"name": "team", "namespace": "quota"}
    quota = stand_ins.api.create(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}}
    )
    stand_ins.api.write_status(quota, {"hard": hard, "used": {"limits.memory": "200Mi"}})
    replica_set = stand_ins.deployment("quota", "greedy", {1: "128Mi"}, "6d5c4b3a29")
    message = refused(stand_ins, replica_set)
    assert "exceeded quota: team" in message
    tell_failed_create(stand_ins, replica_set, message)

    ran = shell.memdoctor("ns", "quota", "-o", "json")
    assert ran.code == 1
    (finding,) = ran.report()["findings"]
    assert finding["rule"] == "workload-memory-quota-exceeded"
    assert finding["involvedObject"]["name"] == replica_set["metadata"]["name"]
    assert ran.report().get("notChecked", []) == []

    raised = shell.script(finding["remedy"]["command"])
    assert raised.code == 0, raised.err
    stand_ins.api.write_status(quota, {"hard": stand_ins.api.read(quota)["spec"]["hard"]})
    assert stand_ins.pod_of(replica_set, "no-longer-refused", "")["metadata"]["uid"]


def test_a_limit_range_that_forbids_the_limit(shell: Shell, seeded: Seeded, stand_ins: StandIns) -> None:
    stand_ins.namespace("bounded")
    meta = {"name": "bounds", "namespace": "bounded"}
    limits = [{"type": "Container", "max": {"memory": "64Mi"}}]
    stand_ins.api.create({"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": {"limits": limits}})
    replica_set = stand_ins.deployment("bounded", "big", {1: "128Mi"}, "5c4b3a2918")
    message = refused(stand_ins, replica_set)
    assert "maximum memory usage per Container is 64Mi" in message
    tell_failed_create(stand_ins, replica_set, message)

    ran = shell.memdoctor("ns", "bounded", "-o", "json")
    assert ran.code == 1
    (finding,) = ran.report()["findings"]
    assert finding["rule"] == "workload-memory-quota-exceeded"
    assert finding["involvedObject"]["name"] == replica_set["metadata"]["name"]
    assert "64Mi" in finding["message"]
    assert shell.script(finding["remedy"]["command"]).code == 0


@pytest.mark.parametrize("arguments", [("pod", "homeless", "-n", "roomless"), ("ns", "roomless")], ids=" ".join)
def test_a_pod_that_no_node_has_room_for(
    shell: Shell, seeded: Seeded, stand_ins: StandIns, arguments: tuple[str, ...]
) -> None:
    if "roomless" not in [entry["metadata"]["name"] for entry in stand_ins.api.items("v1", "Namespace")]:
        unscheduled(stand_ins)
    ran = shell.memdoctor(*arguments, "-o", "json")
    assert ran.code == 1
    (finding,) = ran.report()["findings"]
    assert finding["rule"] == "pod-unschedulable-memory"
    assert finding["involvedObject"]["name"] == "homeless"
    (event,) = [entry for entry in finding["evidence"] if entry["source"] == "event"]
    assert event["count"] == 7


def unscheduled(stand_ins: StandIns) -> None:
    """The scheduler writes events.k8s.io/v1: eventTime and series, no count and no lastTimestamp."""
    stand_ins.namespace("roomless")
    pod = stand_ins.pod("roomless", "homeless", {"containers": [container("64Gi")]})
    message = (
        "0/2 nodes are available: 2 Insufficient memory. preemption: 0/2 nodes are available: 2 No preemption victims"
    )
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    stand_ins.api.write_status(pod, {"conditions": [{**condition, "lastTransitionTime": ago(300)}]})
    regarding = {name: value for name, value in reference(pod).items() if name != "controller"}
    stand_ins.api.create(
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "homeless.17a1", "namespace": "roomless"},
            "regarding": {**regarding, "namespace": "roomless"},
            "type": "Warning",
            "reason": "FailedScheduling",
            "note": message,
            "action": "Scheduling",
            "reportingController": "default-scheduler",
            "reportingInstance": "default-scheduler-1",
            "eventTime": ago(300).replace("Z", ".000000Z"),
            "series": {"count": 7, "lastObservedTime": ago(10).replace("Z", ".000000Z")},
        }
    )
