"""The node's own word for every kill: read back from logs and counters, joined to the right pod, none to another.

On each kind of node pods are killed in every way, or only seem to be; what really happened, kills/truth.py reads by
itself from the same logs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec
import pytest

from kubectl_memdoctor.evidence.kept_kills import MOST_CONTAINERS
from kubectl_memdoctor.evidence.log_line import Writer
from kubectl_memdoctor.evidence.node_evidence import KernelKill, NodeEvidence, PodEvidence
from kubectl_memdoctor.evidence.pod_join import EvidenceIndex
from kubectl_memdoctor.objects import Pod

from .host_node import leftovers
from .kills.looks import API, BOTH, COUNTERS, NOTHING, POD, POD_ALONE, RAW, WHOLE, Findings, evidence, looks
from .kills.pods import Scenario, Told
from .kills.run import KINDS, Happened, happened, ids_of
from .kills.truth import Kill
from .matrix.expectation import CONFIDENCES
from .matrix.look import said_of
from .matrix.scenarios import CHILD

ALWAYS = ("v1", "v2")
"""Kinds of node; all with NODE_FULL=1: an emulated one takes ten minutes."""
KERNEL_LOGS = ("kern.log", "dmesg.txt")


@dataclass(frozen=True, slots=True)
class Seen:
    happened: Happened
    said: dict[str, Findings]

    def of_pod(self, name: str, read: NodeEvidence) -> PodEvidence:
        return EvidenceIndex(read).of(msgspec.convert(self.happened.pod(name), Pod))


@pytest.fixture(scope="module", params=KINDS if os.environ.get("NODE_FULL") else ALWAYS)
def seen(request: pytest.FixtureRequest, enclosed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with ExitStack() as stack:
        found = happened(KINDS[request.param], tmp_path_factory.mktemp("kills"), stack)
        yield Seen(found, looks(found))
    assert leftovers() == []


@pytest.mark.parametrize("log", KERNEL_LOGS)
def test_every_kill_is_joined_to_its_pod_and_container(seen: Seen, log: str) -> None:
    read = evidence(seen.happened.logs[log])
    for scenario in seen.happened.scenarios:
        own = [kill for kill in seen.happened.kills() if kill.pod_uid == seen.happened.uid(scenario.name)]
        joined = [kill for kill in seen.of_pod(scenario.name, read).kills if not kill.no_killable]
        assert [kill for kill in joined if not any(is_same(kill, each) for each in own)] == [], scenario.name
        lost = [each for each in own if not any(is_same(kill, each) for kill in joined)]
        assert lost == [] or len(own) > MOST_CONTAINERS, scenario.name


def is_same(kill: KernelKill, told: Kill) -> bool:
    ids = {(task.pid, task.name) for task in kill.victims}
    return (kill.pod_uid, kill.container_id) == (told.pod_uid, told.container_id) and (told.pid, told.victim) in ids


def test_the_kernel_killed_where_it_was_made_to(seen: Seen) -> None:
    """What containerd calls a container's id, and the pod's status too, is what the kernel's cgroup is called."""
    made = seen.happened.containers()
    for scenario in seen.happened.scenarios:
        own = [kill for kill in seen.happened.kills() if kill.pod_uid == seen.happened.uid(scenario.name)]
        assert bool(own) == bool(scenario.killed_in), scenario.name
        assert {kill.at for kill in own} <= ({scenario.at} if scenario.at else {"container", "pod"}), scenario.name
        known = {kill.container_id: made[kill.container_id] for kill in own if kill.container_id in made}
        assert {each.pod_uid for each in known.values()} <= {seen.happened.uid(scenario.name)}
        assert {each.name for each in known.values()} <= {*scenario.killed_in}
        if scenario.killed_in not in ((), ("",)):
            assert len(known) == len({kill.container_id for kill in own}), scenario.name
            assert ids_of(seen.happened.pod(scenario.name)) & set(known), scenario.name


def test_kubelet_and_runtime_name_the_pods_whose_sandbox_failed(seen: Seen) -> None:
    read = evidence(seen.happened.logs["kubelet.log"], seen.happened.logs["containerd.log"])
    for scenario in seen.happened.scenarios:
        failures = seen.of_pod(scenario.name, read).sandbox_failures
        counted = {entry.writer: entry.count for entry in failures}
        if not seen.happened.facts[scenario.name].sandbox_failures:
            assert counted == {}, scenario.name
            continue
        assert set(counted) == {Writer.KUBELET, Writer.CONTAINERD}, scenario.name
        # A sandbox that starts at last, and dies, is no failure to the runtime, but the kubelet makes another.
        assert min(counted.values()) >= 1
        assert {entry.pod_uid for entry in failures} <= {seen.happened.uid(scenario.name), ""}


def test_what_the_runtime_heard_is_joined_to_its_containers(seen: Seen) -> None:
    """With cgroup v1 it hears of a kill at the limit of all pods in each of them, whoever died."""
    read, made = evidence(seen.happened.logs["containerd.log"]), seen.happened.containers()
    for scenario in seen.happened.scenarios:
        heard = {oom.container_id for oom in seen.of_pod(scenario.name, read).runtime_ooms}
        assert {made[each].pod_uid for each in heard} <= {seen.happened.uid(scenario.name)}
        assert heard <= ids_of(seen.happened.pod(scenario.name))


def test_counters_are_joined_to_their_containers(seen: Seen) -> None:
    read, made = evidence(seen.happened.logs["cadvisor.txt"]), seen.happened.containers()
    for scenario in seen.happened.scenarios:
        for counters in seen.of_pod(scenario.name, read).counters:
            assert counters.cgroup, counters
            assert counters.cgroup.pod_uid == seen.happened.uid(scenario.name)
            container_id = counters.cgroup.container_id
            if container_id in made:
                assert made[container_id].name == counters.container.replace("POD", "")
            if counters.oom_events:
                assert scenario.killed_in, scenario.name


WITH_THE_NODE = (WHOLE, POD, API, BOTH)


@pytest.mark.parametrize("way", WITH_THE_NODE)
def test_with_the_nodes_word_all_is_told_apart(seen: Seen, way: str) -> None:
    # Where the kernel left out reports, nothing can be missed.
    told_of = [each for each in seen.happened.scenarios if not each.by_hand or seen.happened.kernel_log_is_whole]
    assert said_of_each(seen, told_of, way) == {each.name: as_said(each.by_node) for each in told_of}


def test_by_dmesg_alone_all_kills_are_told_apart(seen: Seen) -> None:
    """It does not say of which node it is, so what it lacks proves nothing."""
    wanted = {
        each.name: as_said(each.by_status[0] if each.by_hand else each.by_node) for each in seen.happened.scenarios
    }
    assert said_of_each(seen, seen.happened.scenarios, RAW) == wanted


def said_of_each(seen: Seen, scenarios: Iterable[Scenario], way: str) -> dict[str, list[Told]]:
    return {each.name: said(seen, each.name, way) for each in scenarios}


def said(seen: Seen, name: str, way: str) -> list[Told]:
    return [Told(finding["rule"], finding["confidence"]) for finding in seen.said[way][name]]


def as_said(wanted: Told | None) -> list[Told]:
    return [wanted] if wanted else []


@pytest.mark.parametrize(("way", "alone"), [(WHOLE, NOTHING), (API, NOTHING), (RAW, NOTHING), (POD, POD_ALONE)])
def test_without_it_nothing_is_surer_than_the_status_allows(seen: Seen, way: str, alone: str) -> None:
    for scenario in seen.happened.scenarios:
        name = scenario.name
        found, allowed = said(seen, name, alone), {told.rule: told.confidence for told in scenario.by_status}
        assert len(found) == bool(scenario.by_status), said_of(seen.said[alone][name])
        for told in found:
            assert rank(told) <= CONFIDENCES.index(allowed[told.rule]), name
            assert [rank(told) <= rank(surer) for surer in said(seen, name, way)] == [True], name


def rank(told: Told) -> int:
    return CONFIDENCES.index(told.confidence)


@pytest.mark.parametrize("way", [*WITH_THE_NODE, RAW])
def test_what_proves_it_is_of_this_pod(seen: Seen, way: str) -> None:
    uids = {each.name: seen.happened.uid(each.name) for each in seen.happened.scenarios}
    for scenario in seen.happened.scenarios:
        name, own = scenario.name, uids[scenario.name]
        for finding in seen.said[way][name]:
            lines = [
                each["value"] for each in finding["evidence"] if each["source"] in ("kernel", "kubelet", "runtime")
            ]
            assert [line for line in lines if any(uid in line for uid in uids.values() if uid != own)] == [], name
            kernel = [each["value"] for each in finding["evidence"] if each["source"] == "kernel"]
            assert any(own in line for line in kernel) == bool(kernel), name
            if not scenario.is_for_memory:
                assert kernel == [], name
            elif scenario.killed_in and (way in (API, BOTH) or not scenario.goes_on):
                assert kernel, name


def test_counters_alone_tell_of_the_child_of_a_container_that_runs_on(seen: Seen) -> None:
    told = said(seen, "child-killed-runs-on", COUNTERS)
    if not seen.happened.kubelet_sees_its_cgroups:
        # The kubelet takes the path that the kernel names, which is the whole machine's, for its own.
        assert told == []
        return
    assert told == [Told(CHILD, "confirmed")]
    (finding,) = seen.said[COUNTERS]["child-killed-runs-on"]
    assert "had a process killed for memory" in finding["message"]


@pytest.mark.parametrize("way", WITH_THE_NODE)
def test_the_child_of_a_container_that_runs_on_is_counted_once(seen: Seen, way: str) -> None:
    """However many of the node's logs and counters tell of it."""
    (finding,) = seen.said[way]["child-killed-runs-on"]
    assert "had a process killed for memory, and runs on" in finding["message"]
