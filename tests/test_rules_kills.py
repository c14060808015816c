"""Rules on kills, evictions, scheduling, quota, nodes, resize and starts: tables of what they must tell apart."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typed import convert

from kubectl_memdoctor import objects, quantity
from kubectl_memdoctor.container_kills import Killer, killed_containers
from kubectl_memdoctor.context import ClusterContext, NamespaceContext, NodeContext, PodContext, is_killed
from kubectl_memdoctor.finding import Confidence, Finding, Severity
from kubectl_memdoctor.node_room import at_least, at_most
from kubectl_memdoctor.oom_shape import OomShape, Pace, shape_sentences
from kubectl_memdoctor.rules import rules
from kubectl_memdoctor.usage import History, Usage

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
APP = "spec.containers{app}"
OWN = (
    "container-child-oom-killed",
    "container-killed-not-oom",
    "container-memory-limit-too-small",
    "container-oom-killed",
    "node-oom-killed",
    "pod-evicted-memory",
    "pod-memory-resize-stuck",
    "pod-oom-killed",
    "pod-rejected-memory",
    "pod-unschedulable-memory",
)
KILL_RULES = {
    Killer.CONTAINER: "container-oom-killed",
    Killer.POD: "pod-oom-killed",
    Killer.NODE: "node-oom-killed",
    Killer.CHILD: "container-child-oom-killed",
    Killer.OTHER: "container-killed-not-oom",
}


def at(seconds_ago: float) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).isoformat().replace("+00:00", "Z")


def ended(
    reason: str = "OOMKilled", exit_code: int = 137, finished: float = 600, started: float = 4000, message: str = ""
) -> dict[str, Any]:
    return {
        "terminated": {
            "reason": reason,
            "exitCode": exit_code,
            "startedAt": at(started),
            "finishedAt": at(finished),
            "message": message,
        }
    }


def running_pod(
    last_state: dict[str, Any] | None = None,
    *,
    limit: str | None = "256Mi",
    pod_limit: str | None = None,
    restarts: int = 1,
    state: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A running pod whose container app ended before as `last_state` says. `changes` go into metadata, spec, status."""
    spec: dict[str, Any] = {
        "nodeName": "worker-1",
        "terminationGracePeriodSeconds": 30,
        "containers": [{"name": "app", "resources": {"limits": {"memory": limit}} if limit else {}}],
    }
    if pod_limit:
        spec["resources"] = {"limits": {"memory": pod_limit}}
    status = {
        "phase": "Running",
        "conditions": [{"type": "PodReadyToStartContainers", "status": "True"}],
        "containerStatuses": [
            {
                "name": "app",
                "restartCount": restarts,
                "state": state or {"running": {"startedAt": at(500)}},
                "lastState": last_state or {},
            }
        ],
    }
    metadata = {"name": "web-0", "namespace": "shop", "uid": "u1", "creationTimestamp": at(90000)}
    return {
        "metadata": {**metadata, **changes.get("metadata", {})},
        "spec": {**spec, **changes.get("spec", {})},
        "status": {**status, **changes.get("status", {})},
    }


def event(reason: str, message: str, seconds_ago: float, *, field: str = APP, count: int = 1, first: float = 0) -> Any:
    value = {
        "involvedObject": {"kind": "Pod", "uid": "u1", "fieldPath": field},
        "reason": reason,
        "message": message,
        "type": "Warning",
        "count": count,
        "firstTimestamp": at(first or seconds_ago),
        "lastTimestamp": at(seconds_ago),
    }
    return convert(value, objects.Event)


def context(
    pod: dict[str, Any], events: Iterable[Any] = (), node_events: Iterable[Any] = (), **cluster: Any
) -> PodContext:
    surroundings = ClusterContext(
        now=NOW, pod_events={"u1": list(events)}, node_events={"worker-1": list(node_events)}, **cluster
    )
    return PodContext(convert(pod, objects.Pod), surroundings)


def findings(subject: PodContext | NamespaceContext | NodeContext, *names: str) -> list[Finding]:
    """What the rules of those names (all rules of this file otherwise) find, nothing superseded."""
    return [found for rule in rules() if rule.name in (names or OWN) for found in rule.find(subject)]


def killer_of(pod: PodContext) -> tuple[Killer, Confidence]:
    found = [(killer, killed) for killer in Killer for killed in killed_containers(pod, killer)]
    assert len(found) == 1
    killer, killed = found[0]
    return killer, killed.newest.confidence


SYSTEM_OOM = "System OOM encountered, victim process: java, pid: 4711"
GLOBAL_OOM = "Out of memory: Killed process 4711 (java) total-vm:921kB, anon-rss:381kB, file-rss:0kB"
CGROUP_OOM = f"Memory cgroup {GLOBAL_OOM[0].lower()}{GLOBAL_OOM[1:]}"
LIVENESS = "Container app failed liveness probe, will be restarted"


@pytest.mark.parametrize(
    ("limit", "pod_limit", "end", "killer", "confidence"),
    [
        ("256Mi", None, ended(), Killer.CONTAINER, Confidence.CONFIRMED),
        ("256Mi", "1Gi", ended(), Killer.CONTAINER, Confidence.LIKELY),
        (None, "1Gi", ended(), Killer.POD, Confidence.LIKELY),
        ("0", "1Gi", ended(), Killer.POD, Confidence.LIKELY),
        (None, None, ended(), Killer.NODE, Confidence.LIKELY),
        ("256Mi", None, ended(exit_code=0), Killer.CHILD, Confidence.LIKELY),
        ("256Mi", None, ended(exit_code=143), Killer.CHILD, Confidence.LIKELY),
        (None, None, ended(exit_code=1), Killer.CHILD, Confidence.LIKELY),
        ("256Mi", None, ended("Error"), Killer.OTHER, Confidence.POSSIBLE),
        (None, None, ended("Error"), Killer.OTHER, Confidence.POSSIBLE),
        ("256Mi", None, ended(""), Killer.OTHER, Confidence.POSSIBLE),
    ],
)
def test_limits_and_exit_code_tell_who_killed(
    limit: str | None, pod_limit: str | None, end: dict[str, Any], killer: Killer, confidence: Confidence
) -> None:
    pod = context(running_pod(end, limit=limit, pod_limit=pod_limit))
    assert killer_of(pod) == (killer, confidence)
    assert [found.rule for found in findings(pod)] == [KILL_RULES[killer]]


@pytest.mark.parametrize(("allocatable", "killer"), [("200Mi", Killer.NODE), ("256Mi", Killer.CONTAINER)])
def test_a_limit_above_what_the_node_has_is_never_reached(allocatable: str, killer: Killer) -> None:
    pod = context(running_pod(ended(), limit="256Mi"), nodes={"worker-1": node("worker-1", allocatable)})
    assert killer_of(pod)[0] is killer
    assert [found.rule for found in findings(pod)] == [KILL_RULES[killer]]


MARKED = (("app", ended()), ("beside", ended(exit_code=0)))


def test_a_mark_beside_a_killed_container_may_be_that_ones() -> None:
    statuses = [{"name": name, "restartCount": 1, "state": {"terminated": end["terminated"]}} for name, end in MARKED]
    pod = context(running_pod(ended(), status={"containerStatuses": statuses}))
    assert [(kill.title, kill.newest.confidence) for kill in killed_containers(pod, Killer.CHILD)] == [
        ("its container beside", Confidence.POSSIBLE)
    ]


@pytest.mark.parametrize(
    ("event_reason", "message", "seconds_after", "reason", "limit", "killer", "confidence"),
    [
        ("SystemOOM", SYSTEM_OOM, 1, "OOMKilled", None, Killer.NODE, Confidence.CONFIRMED),
        ("SystemOOM", SYSTEM_OOM, 1, "OOMKilled", "256Mi", Killer.NODE, Confidence.LIKELY),
        ("SystemOOM", SYSTEM_OOM, -3, "Error", "256Mi", Killer.NODE, Confidence.LIKELY),
        ("OOMKilling", GLOBAL_OOM, 2, "Error", None, Killer.NODE, Confidence.LIKELY),
        ("PodOOMKilling", GLOBAL_OOM, 2, "Error", None, Killer.NODE, Confidence.LIKELY),
        ("OOMKilling", CGROUP_OOM, 2, "OOMKilled", "256Mi", Killer.CONTAINER, Confidence.CONFIRMED),
        ("OOMKilling", CGROUP_OOM, 2, "Error", "256Mi", Killer.OTHER, Confidence.POSSIBLE),
        ("SystemOOM", SYSTEM_OOM, 300, "Error", "256Mi", Killer.OTHER, Confidence.POSSIBLE),
        ("SystemOOM", SYSTEM_OOM, -300, "OOMKilled", "256Mi", Killer.CONTAINER, Confidence.CONFIRMED),
    ],
)
def test_a_node_out_of_memory_at_the_same_moment(
    event_reason: str,
    message: str,
    seconds_after: float,
    reason: str,
    limit: str | None,
    killer: Killer,
    confidence: Confidence,
) -> None:
    node_event = event(event_reason, message, 600 - seconds_after)
    pod = context(running_pod(ended(reason), limit=limit), node_events=[node_event])
    assert killer_of(pod) == (killer, confidence)


@pytest.mark.parametrize(
    ("event_reason", "message", "seconds_ago", "explains"),
    [
        ("Killing", LIVENESS, 600, True),
        ("Killing", LIVENESS, 635, True),
        ("Killing", LIVENESS, 650, False),
        ("Killing", LIVENESS, 590, False),
        ("Killing", "Container app failed startup probe, will be restarted", 630, True),
        ("Killing", "Stopping container app", 630, True),
        ("Killing", "Container app definition changed, will be restarted", 630, True),
        ("Preempting", "Preempted in order to admit critical pod", 601, True),
        ("BackOff", "Back-off restarting failed container app", 600, False),
        ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", 605, False),
    ],
)
@pytest.mark.parametrize("reason", ["Error", "OOMKilled"])
def test_the_kubelets_own_kill(
    reason: str, event_reason: str, message: str, seconds_ago: float, explains: bool
) -> None:
    pod = context(running_pod(ended(reason)), events=[event(event_reason, message, seconds_ago)])
    expected = {
        ("Error", True): (Killer.OTHER, Confidence.CONFIRMED),
        ("Error", False): (Killer.OTHER, Confidence.POSSIBLE),
        ("OOMKilled", True): (Killer.CHILD, Confidence.LIKELY),
        ("OOMKilled", False): (Killer.CONTAINER, Confidence.CONFIRMED),
    }
    assert killer_of(pod) == expected[reason, explains]


def test_a_kill_before_the_run_began_does_not_explain_its_end() -> None:
    pod = context(running_pod(ended(started=615, finished=600)), events=[event("Killing", LIVENESS, 625)])
    assert killer_of(pod) == (Killer.CONTAINER, Confidence.CONFIRMED)


def test_another_containers_kill_does_not_explain_this_one() -> None:
    other = event("Killing", "Stopping container application", 601, field="spec.containers{application}")
    unnamed = event("Killing", "Stopping container app-logs", 601, field="")
    pod = context(running_pod(ended()), events=[other, unnamed])
    assert killer_of(pod) == (Killer.CONTAINER, Confidence.CONFIRMED)


def test_a_failing_liveness_probe_makes_it_likely_for_lack_of_its_kill() -> None:
    unhealthy = event("Unhealthy", "Liveness probe failed: command timed out", 640)
    assert killer_of(context(running_pod(ended("Error")), events=[unhealthy])) == (Killer.OTHER, Confidence.LIKELY)
    assert killer_of(context(running_pod(ended()), events=[unhealthy]))[0] is Killer.CONTAINER


def test_one_of_many_repeated_kills() -> None:
    repeated = event("Killing", LIVENESS, 60, count=9, first=5000)
    assert killer_of(context(running_pod(ended("Error")), events=[repeated])) == (Killer.OTHER, Confidence.CONFIRMED)
    assert killer_of(context(running_pod(ended()), events=[repeated])) == (Killer.CONTAINER, Confidence.CONFIRMED)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": {"phase": "Failed", "reason": "Terminated", "message": "imminent node shutdown"}},
        {"status": {"phase": "Failed", "reason": "DeadlineExceeded"}},
        {"metadata": {"deletionTimestamp": at(601)}},
        {
            "status": {
                "conditions": [
                    {
                        "type": "DisruptionTarget",
                        "status": "True",
                        "reason": "EvictionByEvictionAPI",
                        "lastTransitionTime": at(630),
                    }
                ]
            }
        },
    ],
)
def test_what_the_pod_itself_says_of_its_end(changes: dict[str, Any]) -> None:
    pod = running_pod(**changes)
    pod["status"]["containerStatuses"] = [{"name": "app", "state": ended("Error")}]
    found = findings(context(pod))
    assert [(entry.rule, entry.confidence) for entry in found] == [("container-killed-not-oom", Confidence.CONFIRMED)]
    assert found[0].ruled_out[0].cause == "memory limit"


def test_without_events_an_oom_kill_is_only_likely() -> None:
    pod = context(running_pod(ended()), unreadable={"events": "forbidden"})
    assert killer_of(pod) == (Killer.CONTAINER, Confidence.LIKELY)


def test_windows_has_no_oom_killer() -> None:
    pod = context(running_pod(ended("Error"), spec={"os": {"name": "windows"}}))
    assert not findings(pod)


def test_the_limit_that_the_node_has_counts() -> None:
    """A resize in place to 1Gi is pending: 256Mi is in force."""
    pod = running_pod(ended(), limit="1Gi")
    pod["status"]["containerStatuses"][0]["resources"] = {"limits": {"memory": "256Mi"}}
    (found,) = findings(context(pod))
    assert found.memory is not None
    assert found.memory.limit_quantity == "256Mi"
    assert found.remedy is not None
    assert found.remedy.changes[0].limit == "384Mi"


def test_ends_of_one_container_are_one_finding() -> None:
    pod = running_pod(ended(finished=4000, started=5000), restarts=2, state=ended(finished=60, started=1060))
    (found,) = findings(context(pod))
    assert found.severity is Severity.CRITICAL
    fields = [entry.field for entry in found.evidence]
    assert fields.count("status.containerStatuses{app}.state.terminated") == 1
    assert fields.count("status.containerStatuses{app}.lastState.terminated") == 1


@pytest.mark.parametrize(
    ("last", "state", "restarts", "phase", "severity"),
    [
        (ended(), None, 1, "Running", Severity.WARNING),
        (ended(), None, 7, "Running", Severity.CRITICAL),
        (ended(finished=7000, started=9000), None, 7, "Running", Severity.WARNING),
        (ended(), {"waiting": {"reason": "CrashLoopBackOff"}}, 1, "Running", Severity.CRITICAL),
        (
            ended(finished=9000, started=9100),
            {"waiting": {"reason": "CrashLoopBackOff"}},
            9,
            "Running",
            Severity.CRITICAL,
        ),
        (None, ended(), 0, "Failed", Severity.WARNING),
        (None, ended(), 0, "Running", Severity.CRITICAL),
    ],
)
def test_critical_is_what_keeps_dying(
    last: dict[str, Any] | None, state: dict[str, Any] | None, restarts: int, phase: str, severity: Severity
) -> None:
    pod = running_pod(last, restarts=restarts, state=state, status={})
    pod["status"]["phase"] = phase
    assert [found.severity for found in findings(context(pod))] == [severity]


def minutes(*lengths: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(minutes=length) for length in lengths)


@pytest.mark.parametrize(
    ("lasted", "pace"),
    [
        ((), Pace.UNKNOWN),
        (minutes(0), Pace.AT_START),
        (minutes(0.05, 0.9), Pace.AT_START),
        (minutes(12), Pace.AT_WORK),
        (minutes(0.1, 12), Pace.AT_WORK),
        (minutes(12, 300), Pace.AT_WORK),
        (minutes(360), Pace.GROWS),
        (minutes(60, 9000), Pace.GROWS),
        (minutes(0.1, 360), Pace.UNEVEN),
    ],
)
def test_pace(lasted: tuple[timedelta, ...], pace: Pace) -> None:
    assert OomShape(lasted=lasted).pace is pace


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (OomShape(minutes(0.05), restarts=5, pod_age=timedelta(minutes=10)), "3s after every start"),
        (OomShape(minutes(0.05), restarts=5, pod_age=timedelta(days=9)), "3s after its last start"),
        (OomShape(minutes(0.05)), "3s after its start"),
        (OomShape(minutes(0.05, 0.1)), "3s to 6s after its start"),
        (OomShape(minutes(0.05), initialises=True), "more than this for its work"),
        (OomShape(minutes(360)), "ran for 6h before"),
        (OomShape(minutes(0.05), pods=40, killed_pods=1), "only one of 40 replicas"),
        (OomShape(minutes(0.05), pods=3, killed_pods=3), "All 3 replicas"),
        (OomShape(minutes(0.05), pods=2, killed_pods=2), "Both replicas"),
        (OomShape(minutes(0.05), pods=10, killed_pods=4), "4 of 10 replicas"),
        (OomShape(minutes(0.05), pods=3, killed_pods=3, pod_age=timedelta(minutes=9)), "the last roll-out changed"),
    ],
)
def test_shape_in_words(shape: OomShape, words: str) -> None:
    assert words in " ".join(shape_sentences(shape))


def test_a_single_pod_is_not_compared_with_replicas() -> None:
    assert "replica" not in " ".join(shape_sentences(OomShape(minutes(5), restarts=3)))


def failed(reason: str, message: str = "") -> dict[str, Any]:
    return running_pod(
        spec={"containers": [{"name": "app", "resources": {"requests": {"memory": "64Mi"}}}]},
        status={"phase": "Failed", "reason": reason, "message": message, "containerStatuses": []},
    )


LOW = "The node was low on resource: "


@pytest.mark.parametrize(
    ("message", "request_"),
    [
        (f"{LOW}memory. Container app was using 300Mi, which exceeds its request of 64Mi. ", "320Mi"),
        (f"{LOW}memory. Container app was using 300Mi, request is 64Mi, has larger consumption of memory. ", "320Mi"),
        (f"{LOW}memory. Container app was using 1.5Gi, request is 64Mi, has larger consumption of memory", "1536Mi"),
        (f"{LOW}memory. Container app was using 30Mi, request is 64Mi, has larger consumption of memory. ", None),
        (f"{LOW}memory. ", None),
        (f"{LOW}[MemoryPressure]. ", None),
        ("The node had condition: [MemoryPressure]. ", None),
        ("Pod was rejected: The node had condition: [DiskPressure MemoryPressure]. ", None),
        (f"{LOW}memory. Container app was using ???, request is nothing, has larger consumption of memory. ", None),
        (f"{LOW}memory. Container gone was using 300Mi, request is 64Mi, has larger consumption of memory. ", None),
    ],
)
def test_evictions_for_memory(message: str, request_: str | None) -> None:
    (found,) = findings(context(failed("Evicted", message)))
    assert (found.rule, found.confidence) == ("pod-evicted-memory", Confidence.CONFIRMED)
    assert found.remedy is not None
    assert [change.request for change in found.remedy.changes] == ([request_] if request_ else [])
    assert bool(found.remedy.changes) != bool(found.remedy.command)


@pytest.mark.parametrize(
    "message",
    [
        f"{LOW}ephemeral-storage. Container app was using 9Gi, request is 0, has larger consumption of memory-less.",
        f"{LOW}inodes. ",
        f"{LOW}pids. Threshold quantity: 3276, available: 1204. ",
        f"{LOW}example.com/memory. ",
        'Usage of EmptyDir volume "memory" exceeds the limit "64Mi". ',
        "Container memory exceeded its local ephemeral storage limit",
        "The node had condition: [DiskPressure]. ",
        "",
    ],
)
def test_other_evictions_are_not_memory(message: str) -> None:
    assert not findings(context(failed("Evicted", message)), "pod-evicted-memory")


def test_an_eviction_request_stays_within_the_limit_by_raising_it() -> None:
    pod = failed("Evicted", f"{LOW}memory. Container app was using 300Mi, request is 64Mi, has larger consumption. ")
    pod["spec"]["containers"][0]["resources"]["limits"] = {"memory": "310Mi"}
    (found,) = findings(context(pod))
    assert found.remedy is not None
    assert (found.remedy.changes[0].request, found.remedy.changes[0].limit) == ("320Mi", "320Mi")


def test_rejection_says_how_much_is_missing() -> None:
    message = "Node didn't have enough resource: memory, requested: 2147483648, used: 6979321856, capacity: 8233406464"
    (found,) = findings(context(failed("OutOfmemory", message)))
    assert found.rule == "pod-rejected-memory"
    assert "853Mi are missing." in found.details
    assert found.severity is Severity.CRITICAL


def pending(message: str, request: str = "2Gi", reason: str = "Unschedulable") -> dict[str, Any]:
    return running_pod(
        spec={"nodeName": "", "containers": [{"name": "app", "resources": {"requests": {"memory": request}}}]},
        status={
            "phase": "Pending",
            "containerStatuses": [],
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": reason, "message": message}],
        },
    )


def node(name: str, memory: str, **status: Any) -> objects.Node:
    value = {"metadata": {"name": name}, "status": {"allocatable": {"memory": memory}, **status}}
    return convert(value, objects.Node)


PREEMPTION = "preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."


@pytest.mark.parametrize(
    ("message", "confidence"),
    [
        (f"0/3 nodes are available: 3 Insufficient memory. {PREEMPTION}", Confidence.CONFIRMED),
        ("0/1 nodes are available: 1 Insufficient memory.", Confidence.CONFIRMED),
        ("0/3 nodes are available: 1 Insufficient cpu, 3 Insufficient memory.", Confidence.CONFIRMED),
        ("0/3 nodes are available: 2 Insufficient memory, 1 node(s) had untolerated taint {a: b}.", Confidence.LIKELY),
        ("No nodes are available that match all of the predicates: Insufficient memory (3).", Confidence.LIKELY),
        ("0/3 nodes are available: 3 Insufficient cpu.", None),
        ("0/3 nodes are available: 3 Insufficient example.com/memory.", None),
        ("0/3 nodes are available: 3 Insufficient memory.example.com/fast.", None),
        ("0/3 nodes are available: 3 Insufficient hugepages-2Mi.", None),
        ("0/3 nodes are available: 3 Too many pods. preemption: 0/3 nodes: 3 Insufficient memory.", None),
        ("Scheduling is blocked due to non-empty scheduling gates", None),
    ],
)
def test_what_the_scheduler_says(message: str, confidence: Confidence | None) -> None:
    found = findings(context(pending(message)))
    assert [(entry.rule, entry.confidence) for entry in found] == (
        [("pod-unschedulable-memory", confidence)] if confidence else []
    )


@pytest.mark.parametrize(
    ("request_", "requested", "words"),
    [
        ("2Gi", {"a": 3 << 30, "b": 7 << 30}, "1Gi of 4Gi are not requested yet, so 1Gi are missing there."),
        ("2Gi", {"a": 3 << 30, "b": (7 << 30) + 1}, "Most is left on node a: 1Gi of 4Gi"),
        ("2Gi", {"a": 9 << 30, "b": 9 << 30}, "0 of 8Gi are not requested yet, so 3Gi are missing there."),
        ("2Gi", {}, "has 8Gi left, which would be enough"),
        ("5Gi", {"b": 4 << 30}, "4Gi of 4Gi are not requested yet, so 1Gi are missing there."),
        ("9Gi", {}, "the largest, b, has 8Gi for pods, 1Gi less than it requests"),
        ("2Gi", None, "not known here, since not all pods were looked at"),
        ("9Gi", None, "No node is large enough"),
    ],
)
def test_how_much_is_missing(request_: str, requested: dict[str, int] | None, words: str) -> None:
    nodes = {"a": node("a", "4Gi"), "b": node("b", "8Gi"), "odd": node("odd", "lots")}
    pod = pending("0/2 nodes are available: 2 Insufficient memory.", request_)
    (found,) = findings(context(pod, nodes=nodes, requested=requested))
    assert words in " ".join(found.details)


def test_rounding_never_understates_what_is_missing() -> None:
    for count in (0, 1, 1023, 10**6, 17 * 2**20 + 1, 2**33 + 5, 2**45 + 3):
        assert quantity_bytes(at_most(count)) <= count <= quantity_bytes(at_least(count))
    assert at_most(-5) == "0"


def quantity_bytes(text: str) -> int:
    return quantity.value(text)


FORBIDDEN = 'Error creating: pods "web-7k" is forbidden: '


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "exceeded quota: q, requested: limits.memory=1Gi, used: limits.memory=2Gi, limited: limits.memory=2Gi",
            "quota q allows limits.memory=2Gi, 2Gi are used, and a pod needs 1Gi",
        ),
        (
            "exceeded quota: q, requested: cpu=1,memory=1Gi, used: cpu=0,memory=1Gi, limited: cpu=4,memory=1Gi",
            "quota q allows memory=1Gi",
        ),
        ("failed quota: q: must specify limits.memory,requests.memory", "demands a memory limit and a memory request"),
        ("failed quota: q: must specify limits.cpu for: app; limits.memory for: app", "demands a memory limit of"),
        ("maximum memory usage per Container is 512Mi, but limit is 1Gi", "per Container is 512Mi, but limit is 1Gi"),
        ("maximum memory usage per Pod is 512Mi. No limit is specified", "maximum memory usage per Pod is 512Mi"),
        ("[minimum memory usage per Container is 64Mi, but request is 1Mi, x]", "minimum memory usage per Container"),
        ("memory max limit to request ratio per Container is 2, but provided ratio is 4.0", "ratio per Container is 2"),
        ('spec...: Invalid value: "2Gi": must be less than or equal to memory limit of 1Gi', "above the memory limit"),
    ],
)
def test_refusals_for_memory(message: str, words: str) -> None:
    (found,) = namespace_findings(failed_create(FORBIDDEN + message))
    assert words in found.message
    assert found.involved_object.name == "web-5d"
    assert found.confidence is Confidence.CONFIRMED


@pytest.mark.parametrize(
    "message",
    [
        "exceeded quota: memory, requested: limits.cpu=1, used: limits.cpu=2, limited: limits.cpu=2",
        "exceeded quota: limits.memory, requested: pods=1, used: pods=2, limited: pods=2",
        "failed quota: memory: must specify limits.cpu for: memory-app",
        "maximum cpu usage per Container is 2, but limit is 4",
        'admission webhook "x" denied the request: memory limit is too small',
        'pods "x" is forbidden: error looking up service account memory/limits.memory',
        "",
    ],
)
def test_other_refusals_are_not_memory(message: str) -> None:
    assert not namespace_findings(failed_create(FORBIDDEN + message))


QUOTA = "exceeded quota: q, requested: memory=1Gi, used: memory=1Gi, limited: memory=1Gi"


@pytest.mark.parametrize(
    ("failure", "success", "confidence"),
    [
        (60, None, Confidence.CONFIRMED),
        (60, 600, Confidence.CONFIRMED),
        (60, 58, Confidence.CONFIRMED),
        (600, 60, None),
        (1500, None, Confidence.LIKELY),
        (4000, None, None),
    ],
)
def test_a_refusal_must_be_current(failure: float, success: float | None, confidence: Confidence | None) -> None:
    events = failed_create(FORBIDDEN + QUOTA, failure)
    if success is not None:
        events += failed_create("Created pod: web-5d-x", success, reason="SuccessfulCreate")
    assert [found.confidence for found in namespace_findings(events)] == ([confidence] if confidence else [])


def failed_create(message: str, seconds_ago: float = 60, reason: str = "FailedCreate") -> list[Any]:
    value = {
        "involvedObject": {"kind": "ReplicaSet", "namespace": "shop", "name": "web-5d", "uid": "r1"},
        "reason": reason,
        "message": message,
        "lastTimestamp": at(seconds_ago),
    }
    return [convert(value, objects.Event)]


def namespace_findings(events: list[Any]) -> list[Finding]:
    cluster = ClusterContext(now=NOW, owner_events={"shop": events})
    return findings(NamespaceContext("shop", cluster), "workload-memory-quota-exceeded")


CRUN = (
    "OCI runtime create failed: OOM: the memory limit could be too low: read from sync socket: Connection reset by peer"
)
OPAQUE = "OCI runtime create failed: runc create failed: read init-p: connection reset by peer"
NOT_FOUND = 'runc create failed: unable to start container process: exec: "serve": executable file not found in $PATH'
CRIO = "set memory limit 8388608 too low; should be at least 12582912 bytes"
UNHEARD_OF = "the frobnicator could not frobnicate"


@pytest.mark.parametrize(
    ("limit", "message", "confidence"),
    [
        ("300m", CRUN, Confidence.CONFIRMED),
        ("300m", OPAQUE, Confidence.CONFIRMED),
        ("300m", UNHEARD_OF, Confidence.CONFIRMED),
        ("4095", "", Confidence.CONFIRMED),
        ("128Ki", CRUN, Confidence.CONFIRMED),
        ("1Mi", CRUN, Confidence.LIKELY),
        ("8Ki", OPAQUE, Confidence.LIKELY),
        ("8Ki", UNHEARD_OF, Confidence.POSSIBLE),
        ("8Mi", CRIO, Confidence.CONFIRMED),
        ("16Mi", CRIO, None),
        ("1Mi", NOT_FOUND, None),
        ("1Gi", OPAQUE, None),
        ("1Gi", CRUN, None),
        ("1Gi", UNHEARD_OF, None),
        (None, OPAQUE, None),
    ],
)
def test_a_start_that_fails(limit: str | None, message: str, confidence: Confidence | None) -> None:
    end = ended("StartError", 128, 60, 60, message)
    pod = context(running_pod(end, limit=limit, state={"waiting": {"reason": "CrashLoopBackOff"}}))
    found = findings(pod, "container-memory-limit-too-small")
    assert [entry.confidence for entry in found] == ([confidence] if confidence else [])


def test_the_pods_own_limit_is_raised_where_it_is_too_small() -> None:
    state = {"waiting": {"reason": "RunContainerError", "message": CRUN}}
    pod = context(running_pod(None, limit=None, pod_limit="300m", state=state))
    (found,) = findings(pod, "container-memory-limit-too-small")
    assert found.remedy is not None
    assert [(change.container, change.limit) for change in found.remedy.changes] == [(None, "300Mi")]


def test_an_image_event_is_not_read_as_a_failed_start() -> None:
    state = {"waiting": {"reason": "CreateContainerError", "message": UNHEARD_OF}}
    image = event("Failed", "Error: ErrImagePull", 60)
    pod = context(running_pod(None, limit="8Ki", state=state), events=[image])
    (found,) = findings(pod, "container-memory-limit-too-small")
    assert "ErrImagePull" not in " ".join(entry.value for entry in found.evidence)


def resizing(condition: dict[str, Any] | None, resize: str = "", in_force: str = "1Gi") -> dict[str, Any]:
    pod = running_pod(limit="2Gi", status={"conditions": [condition] if condition else [], "resize": resize})
    pod["status"]["containerStatuses"] = [{"name": "app", "resources": {"limits": {"memory": in_force}}}]
    return pod


def resize_condition(kind: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": "True", "reason": reason, "message": message}


@pytest.mark.parametrize(
    ("pod", "confidence"),
    [
        (
            resizing(resize_condition("PodResizePending", "Deferred", "Node didn't have enough resource: memory")),
            Confidence.CONFIRMED,
        ),
        (resizing(resize_condition("PodResizePending", "Infeasible", "static pods cannot be")), Confidence.LIKELY),
        (resizing(resize_condition("PodResizePending", "Infeasible", "Memory Manager policy")), Confidence.LIKELY),
        (resizing(resize_condition("PodResizeInProgress", "Error", "cannot decrease memory")), Confidence.CONFIRMED),
        (resizing(None, "Deferred"), Confidence.LIKELY),
        (resizing(resize_condition("PodResizeInProgress", "")), None),
        (resizing(None, "InProgress"), None),
        (resizing(resize_condition("PodResizePending", "Deferred", "not enough resource: cpu")), None),
        (resizing(resize_condition("PodResizePending", "Infeasible", "CPU Manager policy"), in_force="2Gi"), None),
        (resizing(resize_condition("PodResizePending", "Infeasible"), in_force="2048Mi"), None),
    ],
)
def test_stuck_resizes(pod: dict[str, Any], confidence: Confidence | None) -> None:
    found = findings(context(pod))
    assert [(entry.rule, entry.confidence) for entry in found] == (
        [("pod-memory-resize-stuck", confidence)] if confidence else []
    )


def test_the_command_takes_a_resize_back() -> None:
    pod = resizing(resize_condition("PodResizePending", "Infeasible", "memory"))
    for kubelet, subresource in (("v1.34.2", True), ("v1.31.4", False)):
        nodes = {"worker-1": node("worker-1", "4Gi", nodeInfo={"kubeletVersion": kubelet})}
        (found,) = findings(context(pod, nodes=nodes))
        assert found.remedy is not None
        words = shlex.split(found.remedy.command or "")
        assert ("--subresource=resize" in words) is subresource
        patch = json.loads(words[words.index("-p") + 1])
        assert patch == {"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "1Gi"}}}]}}


def test_a_resize_of_the_pods_own_resources() -> None:
    pod = running_pod(limit=None, pod_limit="2Gi", status={"resources": {"limits": {"memory": "1Gi"}}})
    pod["status"]["conditions"] = [resize_condition("PodResizePending", "Deferred")]
    (found,) = findings(context(pod))
    assert found.remedy is not None
    words = shlex.split(found.remedy.command or "")
    assert json.loads(words[words.index("-p") + 1]) == {"spec": {"resources": {"limits": {"memory": "1Gi"}}}}


@pytest.mark.parametrize(("status", "fires"), [("True", True), ("False", False), ("Unknown", False)])
def test_memory_pressure(status: str, fires: bool) -> None:
    subject = node("worker-1", "4Gi", conditions=[{"type": "MemoryPressure", "status": status}])
    found = findings(NodeContext(subject, ClusterContext(now=NOW)), "node-memory-pressure")
    assert bool(found) is fires


def limit_range_findings(item: dict[str, Any]) -> list[Finding]:
    value = {"metadata": {"namespace": "shop", "name": "defaults"}, "spec": {"limits": [{"type": "Container"}, item]}}
    limit_range = convert(value, objects.LimitRange)
    cluster = ClusterContext(now=NOW, limit_ranges={"shop": [limit_range]})
    return findings(NamespaceContext("shop", cluster), "limitrange-memory-default-too-small")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"type": "Container", "default": {"memory": "300m"}}, [(Severity.WARNING, Confidence.CONFIRMED)]),
        ({"type": "Container", "default": {"memory": "8Ki"}}, [(Severity.WARNING, Confidence.LIKELY)]),
        ({"type": "Container", "default": {"memory": "1181116006400m"}}, [(Severity.INFO, Confidence.CONFIRMED)]),
        ({"type": "Container", "defaultRequest": {"memory": "300m"}}, [(Severity.WARNING, Confidence.CONFIRMED)]),
        ({"type": "Container", "defaultRequest": {"memory": "1Mi"}}, []),
        ({"type": "Container", "default": {"memory": "512Mi"}}, []),
        ({"type": "Container", "default": {"memory": "0"}}, []),
        ({"type": "Container", "default": {"memory": "much"}}, []),
        ({"type": "Container", "default": {"cpu": "300m"}}, []),
        ({"type": "Pod", "default": {"memory": "300m"}}, []),
    ],
)
def test_limit_range_defaults(item: dict[str, Any], expected: list[tuple[Severity, Confidence]]) -> None:
    found = limit_range_findings(item)
    assert [(entry.severity, entry.confidence) for entry in found] == expected


def test_the_limit_range_patch_names_what_is_wrong() -> None:
    (found,) = limit_range_findings(
        {"type": "Container", "default": {"memory": "300m"}, "defaultRequest": {"memory": "300m"}}
    )
    assert found.remedy is not None
    words = shlex.split(found.remedy.command or "")
    assert words[:6] == ["kubectl", "-n", "shop", "patch", "limitrange", "defaults"]
    assert json.loads(words[words.index("-p") + 1]) == [
        {"op": "replace", "path": "/spec/limits/1/default/memory", "value": "300Mi"},
        {"op": "replace", "path": "/spec/limits/1/defaultRequest/memory", "value": "300Mi"},
    ]


TIMES = st.one_of(
    st.none(), st.sampled_from([at(0), at(60), at(600), at(4000), "0001-01-01T00:00:00Z"]), st.just(at(-9))
)
REASONS = (
    "",
    "OOMKilled",
    "Error",
    "StartError",
    "Evicted",
    "OutOfmemory",
    "CrashLoopBackOff",
    "Infeasible",
    "\x1b[31m\n",
)
MESSAGES = (CRUN, OPAQUE, LIVENESS, f"{LOW}memory.", "0/3 nodes are available: 3 Insufficient memory.", "x" * 3000)
WORDS = st.sampled_from((*REASONS, *MESSAGES))
QUANTITIES = st.sampled_from(["300m", "1", "64Mi", "1.1Gi", "0", "-1", "9E", "100Ei", "much", ""])
RESOURCES = st.fixed_dictionaries(
    {},
    optional={
        "limits": st.none() | st.fixed_dictionaries({}, optional={"memory": QUANTITIES}),
        "requests": st.none() | st.fixed_dictionaries({}, optional={"memory": QUANTITIES}),
    },
)
NAMES = st.sampled_from(["app", "init", "debug", ""])
CONTAINERS = st.none() | st.lists(st.fixed_dictionaries({"name": NAMES}, optional={"resources": RESOURCES}), max_size=3)
STATES = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "waiting": st.none() | st.fixed_dictionaries({"reason": WORDS, "message": WORDS}),
        "running": st.none() | st.fixed_dictionaries({"startedAt": TIMES}),
        "terminated": st.none()
        | st.fixed_dictionaries(
            {"exitCode": st.sampled_from([0, 1, 137, -1]), "reason": WORDS},
            optional={"startedAt": TIMES, "finishedAt": TIMES, "message": WORDS},
        ),
    },
)
STATUSES = st.none() | st.lists(
    st.fixed_dictionaries(
        {"name": NAMES},
        optional={"state": STATES, "lastState": STATES, "resources": RESOURCES, "restartCount": st.integers()},
    ),
    max_size=3,
)
CONDITIONS = st.none() | st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["PodScheduled", "DisruptionTarget", "PodResizePending", "PodResizeInProgress"]),
            "status": st.sampled_from(["True", "False", ""]),
            "reason": WORDS,
            "message": WORDS,
        },
        optional={"lastTransitionTime": TIMES},
    ),
    max_size=3,
)
PODS = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries({"uid": st.just("u1")}, optional={"deletionTimestamp": TIMES}),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": CONTAINERS,
                "initContainers": CONTAINERS,
                "ephemeralContainers": CONTAINERS,
                "resources": RESOURCES,
                "nodeName": st.sampled_from(["", "worker-1"]),
                "terminationGracePeriodSeconds": st.integers(),
            },
        ),
        "status": st.fixed_dictionaries(
            {"phase": st.sampled_from(["Pending", "Running", "Failed", "Succeeded", ""])},
            optional={
                "reason": WORDS,
                "message": WORDS,
                "resize": WORDS,
                "conditions": CONDITIONS,
                "containerStatuses": STATUSES,
                "initContainerStatuses": STATUSES,
                "ephemeralContainerStatuses": STATUSES,
            },
        ),
    }
)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {"reason": st.sampled_from(["Killing", "Failed", "Unhealthy", "SystemOOM", "FailedCreate"]), "message": WORDS},
        optional={"lastTimestamp": TIMES, "firstTimestamp": TIMES, "count": st.integers()},
    ),
    max_size=3,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pod=PODS, events=EVENTS)
def test_any_pod_is_looked_at_without_an_error(pod: dict[str, Any], events: list[dict[str, Any]]) -> None:
    decoded = [convert(entry, objects.Event) for entry in events]
    subject = context(pod, decoded, decoded, nodes={"worker-1": node("worker-1", "4Gi")})
    for found in findings(subject):
        assert found.message
        assert shlex.split((found.remedy.command if found.remedy else None) or "true")
    killed = [kill for killer in Killer for entry in killed_containers(subject, killer) for kill in entry.kills]
    assert len(killed) == sum(is_killed(end.terminated) for end in subject.ends)


def test_the_pods_limit_leaves_room_for_what_all_its_containers_used() -> None:
    pod = running_pod(ended(), limit=None, pod_limit="512Mi")
    pod["spec"]["containers"].append({"name": "cache"})
    used = {
        ("shop", "web-0", name): Usage(history=History(max_bytes=mebibytes << 20))
        for name, mebibytes in (("app", 700), ("cache", 100))
    }
    remedy = findings(context(pod, usages=used), "pod-oom-killed")[0].remedy
    assert remedy is not None
    assert "the 800Mi of its containers together (app 700Mi, cache 100Mi), and a quarter on top" in remedy.text
    assert [change.limit for change in remedy.changes] == ["1Gi"]
