"""What is told while pods pass by is what the whole run finds, whatever the order, and whatever changes meanwhile."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from command_line.hostile_objects import recorded
from live_source import KINDS, LiveSource, answer_at_once, answer_whenever, stored

from kubectl_memdoctor.diagnosis import (
    FEW_KEPT,
    FEW_NAMESPACES,
    FIRST_PODS,
    NODES_OWN_EVENTS,
    OTHER_PODS,
    OWNER_EVENTS,
    PODS_OWN_EVENTS,
    NodeLook,
    UsageLook,
    diagnose_namespaces,
)
from kubectl_memdoctor.finding import AnyReport, Diagnosis, Finding
from kubectl_memdoctor.pod_pass import FIRST_PAGES, UNWELL
from kubectl_memdoctor.selection import Selection

Item = dict[str, Any]
EVERYTHING = Selection()
TOO_SMALL = "sandbox-memory-limit-too-small"


class Told:
    """The findings of each time that something was told."""

    def __init__(self) -> None:
        self.batches: list[tuple[Finding, ...]] = []

    def __call__(self, findings: Sequence[Finding], now: datetime) -> None:
        assert findings
        self.batches.append(tuple(findings))

    @property
    def findings(self) -> list[Finding]:
        return [finding for batch in self.batches for finding in batch]

    @property
    def names(self) -> list[str]:
        return [finding.involved_object.name for finding in self.findings]


def streamed(source: LiveSource, selection: Selection = EVERYTHING, **given: Any) -> tuple[Diagnosis, Told]:
    told = Told()
    diagnosis = diagnose_namespaces(source, selection, tell=told, **given)
    # They are the report's own.
    assert {id(finding) for finding in told.findings} <= {id(finding) for finding in diagnosis.report.findings}
    assert len(set(map(id, told.findings))) == len(told.findings)
    return diagnosis, told


def live(before: Sequence[Item], after: Sequence[Item] | None = None, **given: Any) -> LiveSource:
    return LiveSource(stored(before), None if after is None else stored(after), **given)


def each_once(items: Sequence[Item]) -> list[Item]:
    """As a cluster holds them: one object of a uid, and one of a name."""
    seen: set[tuple[str, ...]] = set()
    found = []
    for item in items:
        metadata = item["metadata"]
        keys = {(item["kind"], metadata.get("namespace", ""), metadata["name"]), ("", "", metadata.get("uid") or "")}
        keys.discard(("", "", ""))
        if item["kind"] in KINDS and not keys & seen:
            seen |= keys
            found.append(item)
    return found


CLUSTERS = [each_once(case) for case in recorded()]
PARTS = 8
EARLY = {
    "memory-quantity-fractional",
    "pod-evicted-memory",
    "pod-memory-limit-below-sandbox-minimum",
    "pod-rejected-memory",
    "sandbox-failure-not-memory",
    "sandbox-memory-limit-too-small",
    "volume-memory-limit-too-small",
}
"""Rules that may find before the end. docs/output.md says what waits, and for what."""


@pytest.mark.parametrize("part", range(PARTS))
def test_every_case_is_found_the_same(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_at_once(monkeypatch)
    early: set[str] = set()
    for items in CLUSTERS[part::PARTS]:
        source = stored(items)
        whole = diagnose_namespaces(LiveSource(source), EVERYTHING).report
        diagnosis, told = streamed(LiveSource(source))
        assert diagnosis.report == whole
        early |= {finding.rule for finding in told.findings}
    assert TOO_SMALL in early <= EARLY


@pytest.mark.parametrize("seed", range(25))
def test_in_any_order_and_whenever_answers_come(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    answer_whenever(monkeypatch, chance)
    items = each_once([item for case in chance.sample(CLUSTERS, 6) for item in case] + made_up(chance, 40))
    whole = diagnose_namespaces(LiveSource(stored(items), page=500), EVERYTHING).report
    pods = [item for item in items if item["kind"] == "Pod"]
    chance.shuffle(pods)
    others = [item for item in items if item["kind"] != "Pod"]
    page = chance.choice((1, 7, 500))
    diagnosis, told = streamed(LiveSource(stored([*others, *pods]), page=page))
    assert diagnosis.report == whole
    assert told.findings or page > 1


# A made-up cluster in which everything depends on everything.

LIMITS = ("300m", "100", "4095", "4Ki", "2Mi", "6Mi", "12Mi", "17Mi", "64Mi", "0.5Mi", None)
SANDBOX_ERRORS = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = container init was OOM-killed (limit too low?)",
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to set up sandbox container network: no CNI",
    "Failed to create pod sandbox: rpc error: code = Unknown desc = what nobody knows",
)


def made_up(chance: random.Random, count: int) -> list[Item]:
    nodes = [node(f"made-{number}", f"containerd://{version}") for number, version in enumerate(("1.7.24", "2.1.0"))]
    pods = [made_up_pod(chance, number) for number in range(count)]
    return [*nodes, *pods, *(failed(item, chance.choice(SANDBOX_ERRORS)) for item in pods if chance.random() < 0.5)]


def made_up_pod(chance: random.Random, number: int) -> Item:
    made = pod(f"made-{number}", chance.choice(LIMITS), node=f"made-{chance.randrange(2)}", owner=chance.choice("abc"))
    ways = (running, killed, evicted, unscheduled, lambda item: item, lambda item: item)
    way: Any = chance.choice(ways)
    changed: Item = way(made)
    return changed


def node(name: str, runtime: str) -> Item:
    info = {"containerRuntimeVersion": runtime, "kernelVersion": "6.1.0", "kubeletVersion": "v1.34.2"}
    status = {"nodeInfo": info, "allocatable": {"memory": "8Gi"}, "capacity": {"cpu": "4", "memory": "8Gi"}}
    return {"kind": "Node", "metadata": {"name": name, "uid": name}, "status": status}


def pod(name: str, limit: str | None, *, node: str = "made-0", owner: str = "") -> Item:
    """One whose sandbox does not start."""
    references = [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": owner, "uid": owner, "controller": True}]
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "made",
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-11-23T09:00:00Z",
            "ownerReferences": references if owner else [],
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": "app", "resources": {"limits": {"memory": limit} if limit else {}}}],
        },
        "status": {
            "phase": "Pending",
            "startTime": "2026-11-23T09:00:00Z",
            "conditions": [{"type": "PodReadyToStartContainers", "status": "False"}],
            "containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}}],
        },
    }


def with_status(item: Item, **status: Any) -> Item:
    return {**copy.deepcopy(item), "status": status}


def running(item: Item) -> Item:
    return with_status(
        item,
        phase="Running",
        conditions=[{"type": "PodReadyToStartContainers", "status": "True"}],
        containerStatuses=[{"name": "app", "ready": True, "state": {"running": {}}}],
    )


def killed(item: Item) -> Item:
    ended = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-23T09:59:00Z"}
    app = {"name": "app", "restartCount": 3, "state": {"running": {}}, "lastState": {"terminated": ended}}
    return with_status(item, phase="Running", containerStatuses=[app])


def evicted(item: Item) -> Item:
    message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 95Mi. "
    return with_status(item, phase="Failed", reason="Evicted", message=message)


def unscheduled(item: Item) -> Item:
    message = "0/2 nodes are available: 2 Insufficient memory."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    found = with_status(item, phase="Pending", conditions=[condition])
    del found["spec"]["nodeName"]
    return found


def failed(item: Item, message: str) -> Item:
    metadata = item["metadata"]
    return {
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.1",
            "namespace": metadata["namespace"],
            "uid": f"event-{metadata['name']}",
        },
        "involvedObject": {"kind": "Pod", **{key: metadata[key] for key in ("namespace", "name", "uid")}},
        "type": "Warning",
        "reason": "FailedCreatePodSandBox",
        "message": message,
        "count": 4,
        "lastTimestamp": "2026-11-23T09:59:00Z",
    }


# What may happen between the two lists.

NODE = node("made-0", "containerd://1.7.24")
MISTYPED = pod("mistyped", "300m")
SMALL = pod("small", "6Mi")
"""More than a page: what other pods start with matters."""
WELL = running(pod("well", "256Mi"))
MENDED = running(MISTYPED)
AGAIN = {**MISTYPED, "metadata": {**MISTYPED["metadata"], "uid": "uid-again"}}
WAS_WELL = running(pod("mistyped", "256Mi"))


@pytest.mark.parametrize(
    ("before", "after", "told", "found", "pods"),
    [
        pytest.param([MISTYPED, WELL], None, ["mistyped"], ["mistyped"], 2, id="nothing"),
        pytest.param([MISTYPED, WELL], [MENDED, WELL], ["mistyped"], ["mistyped"], 2, id="told, then Running"),
        pytest.param([MISTYPED, WELL], [WELL], ["mistyped"], ["mistyped"], 2, id="told, then deleted"),
        pytest.param([MISTYPED], [AGAIN], ["mistyped"] * 2, ["mistyped"] * 2, 2, id="told, then another of the name"),
        pytest.param([WELL, WAS_WELL], [WELL, MISTYPED], ["mistyped"], ["mistyped"], 2, id="Running, then Pending"),
        pytest.param([WELL], [MISTYPED, WELL], ["mistyped"], ["mistyped"], 2, id="new"),
        pytest.param([SMALL, WELL], [SMALL, WELL], [], ["small"], 2, id="not certain until the end"),
        pytest.param([SMALL, WELL], [running(pod("small", "64Mi")), WELL], [], [], 2, id="not certain, then well"),
        pytest.param([SMALL, WELL], [WELL], [], [], 1, id="not certain, then deleted"),
    ],
)
def test_between_the_lists(
    before: list[Item],
    after: list[Item] | None,
    told: list[str],
    found: list[str],
    pods: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer_at_once(monkeypatch)
    later = None if after is None else [NODE, *after]
    diagnosis, early = streamed(live([NODE, *before], later))
    assert early.names == told
    assert [entry.involved_object.name for entry in diagnosis.report.findings] == found
    assert diagnosis.report.summary.pods == pods


def test_a_pod_that_is_certain_but_lacks_its_owner_is_decided_by_its_newest_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody was told of it yet."""
    answer_whenever(monkeypatch, never := random.Random(0))
    monkeypatch.setattr(never, "random", lambda: 1.0)
    diagnosis, told = streamed(live([NODE, MISTYPED], [NODE, running(pod("mistyped", "64Mi"))]))
    assert told.findings == []
    assert diagnosis.report.findings == ()


def test_what_a_pod_proves_of_others_is_by_the_second_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that was told of still counts where others are compared with it."""
    answer_at_once(monkeypatch)
    ready = running(pod("ready", "8Mi"))
    items = [NODE, MISTYPED, failed(MISTYPED, SANDBOX_ERRORS[0]), SMALL, failed(SMALL, SANDBOX_ERRORS[2]), ready]
    diagnosis, told = streamed(live(items))
    assert told.names == ["mistyped"]
    (small,) = [entry for entry in diagnosis.report.findings if entry.involved_object.name == "small"]
    assert any("made/ready runs with 8Mi" in entry.value for entry in small.evidence)
    (mistyped,) = told.findings
    assert all("made/ready" not in entry.value for entry in mistyped.evidence)


# What is asked.


def test_the_unwell_are_asked_for_first_where_somebody_waits() -> None:
    source = live([NODE, MISTYPED])
    streamed(source, Selection(field_selector="spec.nodeName=made-0"))
    assert source.pod_lists == [f"spec.nodeName=made-0,{UNWELL}", "spec.nodeName=made-0"]


def test_the_first_pods_do_not_wait_for_the_events_and_nodes_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are many on a large cluster."""
    answer_at_once(monkeypatch)
    pods = [pod(f"web-{number:02}", "300m") for number in range(FIRST_PODS + 2)]
    items = [NODE, *pods, *(failed(entry, SANDBOX_ERRORS[0]) for entry in pods)]
    diagnosis, told = streamed(live(items))
    assert told.names == [f"web-{number:02}" for number in range(FIRST_PODS)]
    assert diagnosis.report == diagnose_namespaces(live(items), EVERYTHING).report


OWNERS = (None, OWNER_EVENTS)
OF_NODES = ("default", NODES_OWN_EVENTS)


@pytest.mark.parametrize(
    ("pods", "namespaces", "asked"),
    [
        (0, 1, set()),
        (1, 1, {("made-0", "involvedObject.kind=Pod,involvedObject.name=web-00")}),
        (FEW_KEPT + 2, 2, {("made-0", PODS_OWN_EVENTS), ("made-1", PODS_OWN_EVENTS)}),
        (FEW_KEPT + 2, FEW_NAMESPACES + 1, {(None, PODS_OWN_EVENTS)}),
    ],
)
def test_events_are_asked_for_of_pods_that_stand_out(
    pods: int, namespaces: int, asked: set[tuple[str | None, str]]
) -> None:
    made = [pod(f"web-{number:02}", "300m") for number in range(pods)]
    for number, entry in enumerate(made):
        entry["metadata"]["namespace"] = f"made-{number % namespaces}"
    items = [NODE, WELL, failed(WELL, SANDBOX_ERRORS[0]), *made, *(failed(entry, SANDBOX_ERRORS[0]) for entry in made)]
    source = live(items)
    found = diagnose_namespaces(source, EVERYTHING).report.findings
    assert set(source.event_lists) == {OWNERS, OF_NODES, *asked}
    confident = [entry for entry in found if any(proof.source == "event" for proof in entry.evidence)]
    assert len(confident) == pods


def test_namespace_by_namespace() -> None:
    source = live([NODE, MISTYPED, {"kind": "Namespace", "metadata": {"name": "empty"}}])
    diagnosis, _ = streamed(source, Selection(namespaces=("made", "empty")))
    assert source.pod_lists == [UNWELL, UNWELL, "", ""]
    assert diagnosis.report.summary.pods == 1


@pytest.mark.parametrize("waiting", [False, True])
def test_one_list_where_nobody_waits_or_a_recording_is_read(waiting: bool) -> None:
    source = live([NODE, MISTYPED])
    source.parallel = not waiting
    told = Told()
    report = diagnose_namespaces(source, EVERYTHING, tell=told if waiting else None).report
    assert source.pod_lists == [""]
    assert (len(report.findings), told.findings) == (1, [])


@pytest.mark.parametrize("given", [{"nodes_look": NodeLook(deadline_seconds=1.0)}, {"usage_look": UsageLook(0.9)}])
def test_what_nodes_and_metrics_may_change_is_told_at_the_end(given: dict[str, Any]) -> None:
    source = live([NODE, MISTYPED])
    diagnosis, told = streamed(source, **given)
    assert (len(diagnosis.report.findings), told.findings, source.pod_lists) == (1, [], [""])


def test_the_first_look_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_at_once(monkeypatch)
    pods = [pod(f"web-{number}", "300m") for number in range(FIRST_PAGES + 5)]
    diagnosis, told = streamed(live([NODE, *pods]))
    assert len(told.batches) == len(pods)
    assert len(diagnosis.report.findings) == len(pods)


# Ctrl-C.


def interrupted(pods: Sequence[Item], page: int, *, tells: bool = True) -> AnyReport:
    source = live([NODE, *pods], interrupted_at=page)
    diagnosis = diagnose_namespaces(source, EVERYTHING, tell=Told() if tells else None)
    assert diagnosis.is_interrupted
    return diagnosis.report


def test_an_interrupt_leaves_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_at_once(monkeypatch)
    report = interrupted([WELL, killed(pod("dying", "64Mi")), MISTYPED, killed(pod("late", "64Mi"))], 2)
    assert {entry.involved_object.name for entry in report.findings} == {"mistyped", "dying"}
    assert report.summary.pods == 3
    assert [entry.reason for entry in report.not_checked if entry.resource == OTHER_PODS] == [
        "interrupted: looked at 3"
    ]


def test_an_interrupt_without_anybody_who_waits() -> None:
    report = interrupted([WELL, MISTYPED, SMALL], 1, tells=False)
    assert (report.findings, report.summary.pods) == ((), 1)


def test_an_interrupt_before_anything_was_seen() -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted([WELL], 0)
