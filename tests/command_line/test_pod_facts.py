"""The short page's facts: kubectl's STATUS and READY columns, the ends of containers, the newest warning."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from typed import convert

from kubectl_memdoctor.context import ClusterContext, PodContext
from kubectl_memdoctor.objects import Event, Pod
from kubectl_memdoctor.pod_facts import pod_facts, pod_status

from .made import NOW

RUNNING = {"running": {"startedAt": "2026-11-23T09:00:00Z"}}


def waits(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def ended(exit_code: int, reason: str = "", **fields: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": exit_code, "reason": reason, **fields}}


def container(state: dict[str, Any], ready: bool = False, name: str = "app", **fields: Any) -> dict[str, Any]:
    return {"name": name, "state": state, "ready": ready, **fields}


def pod(phase: str = "Running", *statuses: dict[str, Any], **fields: Any) -> Pod:
    """`fields` are the status's; `init`, `sidecars` and `deleted` make the rest."""
    init, sidecars = fields.pop("init", []), fields.pop("sidecars", [])
    deleted = {"deletionTimestamp": "2026-11-23T09:59:00Z"} if fields.pop("deleted", False) else {}
    init_containers = [
        {"name": entry["name"], **({"restartPolicy": "Always"} if entry["name"] in sidecars else {})} for entry in init
    ]
    containers = [{"name": entry["name"]} for entry in statuses] or [{"name": "app"}]
    status = {"phase": phase, "containerStatuses": [*statuses], "initContainerStatuses": init, **fields}
    metadata = {"name": "web-1", "namespace": "shop", "uid": "u", **deleted}
    spec = {"containers": containers, "initContainers": init_containers, "nodeName": "worker-1"}
    return convert({"metadata": metadata, "spec": spec, "status": status}, Pod)


def condition(kind: str, status: str = "True", reason: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason}]}


STATUSES = [
    ("Pending", pod("Pending")),
    ("Running", pod("Running", container(RUNNING, True))),
    ("Evicted", pod("Failed", reason="Evicted")),
    ("Unknown", pod("")),
    ("SchedulingGated", pod("Pending", **condition("PodScheduled", "False", "SchedulingGated"))),
    ("ContainerCreating", pod("Pending", container(waits("ContainerCreating")))),
    ("CrashLoopBackOff", pod("Running", container(RUNNING, True), container(waits("CrashLoopBackOff"), name="b"))),
    ("OOMKilled", pod("Running", container(ended(137, "OOMKilled")))),
    ("ExitCode:3", pod("Failed", container(ended(3)))),
    ("Signal:9", pod("Failed", container(ended(137, signal=9)))),
    ("Error", pod("Running", container(ended(1, "Error")), container(waits("CrashLoopBackOff"), name="b"))),
    ("Completed", pod("Succeeded", container(ended(0, "Completed")))),
    ("Running", pod("Running", container(ended(0, "Completed")), container(RUNNING, True, "b"), **condition("Ready"))),
    ("NotReady", pod("Running", container(ended(0, "Completed")), container(RUNNING, True, "b"))),
    ("Error", pod("Running", container(ended(1, "Error")), container(RUNNING, True, "b"), **condition("Ready"))),
    ("Init:0/1", pod("Pending", container(waits("PodInitializing")), init=[container(RUNNING, name="a")])),
    (
        "Init:0/1",
        pod("Pending", container(waits("PodInitializing")), init=[container(waits("PodInitializing"), name="a")]),
    ),
    ("Init:1/2", pod("Pending", init=[container(ended(0, "Completed"), name="a"), container(RUNNING, name="b")])),
    ("Init:OOMKilled", pod("Pending", init=[container(ended(137, "OOMKilled"), name="a")])),
    ("Init:CrashLoopBackOff", pod("Pending", init=[container(waits("CrashLoopBackOff"), name="a")])),
    ("Init:ExitCode:2", pod("Pending", init=[container(ended(2), name="a")])),
    ("Init:Signal:9", pod("Pending", init=[container(ended(137, signal=9), name="a")])),
    (
        "ContainerCreating",
        pod(
            "Pending",
            container(waits("ContainerCreating")),
            init=[container(RUNNING, True, "m", started=True)],
            sidecars=["m"],
        ),
    ),
    ("Init:0/1", pod("Pending", init=[container(RUNNING, False, "m", started=False)], sidecars=["m"])),
    (
        "CrashLoopBackOff",
        pod(
            "Running",
            container(waits("CrashLoopBackOff")),
            init=[container(ended(1, "Error"), name="a")],
            **condition("Initialized"),
        ),
    ),
    ("Terminating", pod("Running", container(RUNNING, True), deleted=True)),
    ("Completed", pod("Succeeded", container(ended(0, "Completed")), deleted=True)),
    ("Unknown", pod("Running", reason="NodeLost", deleted=True)),
]


@pytest.mark.parametrize(
    ("word", "made"), STATUSES, ids=[f"{number}-{word}" for number, (word, _) in enumerate(STATUSES)]
)
def test_status_as_kubectl_words_it(word: str, made: Pod) -> None:
    assert pod_status(made) == word


def facts_of(made: Pod, *events: dict[str, Any]) -> Any:
    own = [convert({"involvedObject": {"kind": "Pod", "uid": "u"}, **event}, Event) for event in events]
    return pod_facts(PodContext(made, ClusterContext(NOW, pod_events={"u": own})))


@pytest.mark.parametrize(
    ("made", "ready"),
    [
        (pod("Running", container(RUNNING, True)), "1/1"),
        (pod("Running", container(RUNNING, True), container(RUNNING, False, "b")), "1/2"),
        (pod("Pending"), "0/1"),
        (pod("Running", container(RUNNING, True), init=[container(RUNNING, True, "m")], sidecars=["m"]), "2/2"),
        (pod("Running", container(RUNNING, True), init=[container(ended(0, "Completed"), True, "a")]), "1/1"),
    ],
)
def test_ready_counts_sidecars_and_no_other_init_container(made: Pod, ready: str) -> None:
    assert facts_of(made).ready == ready


def test_ends_of_containers_with_how_long_they_ran() -> None:
    times = {"startedAt": "2026-11-23T09:00:00Z", "finishedAt": "2026-11-23T09:00:42Z"}
    made = pod(
        "Running",
        container(ended(1, "Error", finishedAt="2026-11-23T09:59:00Z"), lastState=ended(137, "OOMKilled", **times)),
        container(ended(3), name="b"),
    )
    found = [(end.container, end.reason, end.exit_code, end.lasted_seconds) for end in facts_of(made).terminations]
    assert found == [("app", "Error", 1, None), ("app", "OOMKilled", 137, 42), ("b", "Unknown", 3, None)]


def event(reason: str, minutes_ago: int, kind: str = "Warning") -> dict[str, Any]:
    time = (NOW - timedelta(minutes=minutes_ago)).isoformat()
    return {"type": kind, "reason": reason, "message": f"{reason} it is", "lastTimestamp": time}


def test_the_newest_warning_that_says_why() -> None:
    events = (event("FailedMount", 5), event("Failed", 9), event("BackOff", 1), event("Pulled", 0, "Normal"))
    not_well = facts_of(pod("Pending", container(waits("ContainerCreating"))), *events)
    assert not_well.warning.field == "FailedMount"


def test_a_symptom_is_better_than_nothing() -> None:
    assert facts_of(pod("Running", container(RUNNING)), event("Unhealthy", 1)).warning.field == "Unhealthy"


@pytest.mark.parametrize("made", [pod("Running", container(RUNNING, True)), pod("Succeeded", container(ended(0)))])
def test_a_pod_that_is_well_has_no_warning(made: Pod) -> None:
    assert facts_of(made, event("FailedMount", 5)).warning is None
