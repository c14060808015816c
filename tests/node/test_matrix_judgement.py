"""How the matrix judges: what is right follows from what happened, and a wrong verdict is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cluster.api import Json

from .matrix.all_cases import cases
from .matrix.case import Case, Place
from .matrix.expectation import Expectation, Said, Wanted, expectation, fault
from .matrix.happened import Facts, KernelKill, Stage, innermost, kernel_kills
from .programs import GENERATIONS

SANDBOX = "sandbox-memory-limit-too-small"
NOWHERE = 0
UID = "9b7c0d0e-52a1-4f0e-8d0b-0a1b2c3d4e5f"


def case(name: str, runtime: str = "runc") -> Case:
    place = Place("current", "v1", runtime)
    return next(entry for entry in cases("current") if entry.place == place and entry.name == name)


def finding(rule: str, severity: str = "critical", confidence: str = "confirmed", kind: str = "Pod") -> Json:
    return {"rule": rule, "severity": severity, "confidence": confidence, "involvedObject": {"kind": kind}}


def event(reason: str, message: str, count: int = 1) -> Json:
    return {"reason": reason, "message": message, "count": count}


def facts(*events: Json, ready: bool = False, spec: Json | None = None, **status: Any) -> Facts:
    condition = {"type": "PodReadyToStartContainers", "status": str(ready)}
    pod = {"spec": spec or {"containers": []}, "status": {"conditions": [condition], **status}}
    return Facts(pod, events)


def app(*, ready: bool = False, restarts: int = 0, **states: Json) -> list[Json]:
    return [{"name": "app", "ready": ready, "restartCount": restarts, **states}]


ENOMEM = event("FailedCreatePodSandBox", "mkdir /sys/fs/cgroup/x: cannot allocate memory", 2)
OPAQUE = event("FailedCreatePodSandBox", "cannot start a stopped process: unknown", 2)
FULL = event("FailedMount", "write /x/token: no space left on device", 3)
KILLED = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}


def wanted(made: Case, happened: Facts, edge_bytes: int = NOWHERE) -> list[tuple[Said, ...]]:
    return [entry.ways for entry in expectation(made, happened, edge_bytes).wanted]


def test_a_sandbox_that_fails_under_a_page_is_certain() -> None:
    assert wanted(case("4095-bytes"), facts(OPAQUE)) == [(Said(SANDBOX, "critical", "confirmed"),)]


def test_a_sandbox_that_fails_in_opaque_words_is_not_certain() -> None:
    assert wanted(case("2mi"), facts(OPAQUE)) == [(Said(SANDBOX, "critical", "likely"),)]
    assert wanted(case("2mi"), facts(OPAQUE, ENOMEM)) == [(Said(SANDBOX, "critical", "confirmed"),)]


def test_the_limit_that_decides_is_that_of_the_pod() -> None:
    spec = {"containers": [{"name": "app", "resources": {"limits": {"memory": "300m"}}}]}
    assert wanted(case("init-decides"), facts(OPAQUE, spec=spec)) == [(Said(SANDBOX, "critical", "likely"),)]


def test_a_full_volume_comes_before_the_sandbox() -> None:
    (ways,) = wanted(case("300m-with-token"), facts(FULL))
    assert ways == (Said("volume-memory-limit-too-small", "critical", "confirmed"),)
    assert wanted(case("300m-with-token"), facts(FULL, ENOMEM))[0][0].rule == SANDBOX


def test_a_pod_that_runs_wants_nothing_above_what_ever_failed() -> None:
    runs = facts(ready=True, phase="Running", containerStatuses=app(ready=True))
    assert runs.stage is Stage.RUNNING
    assert wanted(case("4mi"), runs, edge_bytes=3 << 20) == []
    below = expectation(case("2mi"), runs, edge_bytes=3 << 20)
    assert fault(below, []) == ""
    assert fault(below, [finding("pod-memory-limit-below-sandbox-minimum", "warning", "possible")]) == ""
    assert "said besides" in fault(below, [finding(SANDBOX)])


def test_a_kill_at_the_start_is_the_one_that_the_kernel_tells() -> None:
    killed = facts(ready=True, phase="Running", containerStatuses=app(restarts=2, state=KILLED))
    of_program = replace(killed, kills=(KernelKill(UID, "sh"),))
    of_runtime = replace(killed, kills=(KernelKill(UID, "runc:[2:INIT]"),))
    assert [way.rule for way in wanted(case("512ki", "crun"), of_program)[0]] == ["container-oom-killed"]
    assert [way.rule for way in wanted(case("512ki", "crun"), of_runtime)[0]] == ["container-memory-limit-too-small"]


def test_a_child_that_was_killed_is_never_certain() -> None:
    spec = {"containers": [{"name": "app", "resources": {"limits": {"memory": "48Mi"}}}]}
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 3}}
    killed = facts(spec=spec, containerStatuses=app(restarts=1, state={"running": {}}, lastState=ended))
    (ways,) = wanted(case("child-killed"), killed)
    assert ways == (Said("container-child-oom-killed", "warning", "likely"),)


def test_what_no_object_shows_is_not_wanted() -> None:
    runs = facts(ready=True, phase="Running", containerStatuses=app(ready=True))
    unseen = expectation(case("child-killed-runs-on"), runs, NOWHERE)
    assert unseen.unseen
    assert fault(unseen, []) == ""


ONE = Expectation((Wanted((Said(SANDBOX, "critical", "likely"),)),))


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        ([], "not said"),
        ([finding(SANDBOX)], "likely at most"),
        ([finding(SANDBOX, "warning", "likely")], "not said"),
        ([finding("volume-memory-limit-too-small", confidence="likely")], "not said"),
        ([finding(SANDBOX, confidence="likely"), finding("memory-quantity-fractional", "warning")], "said besides"),
        ([finding(SANDBOX, confidence="likely"), finding(SANDBOX, confidence="likely")], "said besides"),
    ],
    ids=["nothing", "too sure", "too mild", "another rule", "a second rule", "twice"],
)
def test_a_wrong_verdict_is_seen(findings: list[Json], words: str) -> None:
    assert words in fault(ONE, findings)


@pytest.mark.parametrize("confidence", ["possible", "likely"])
def test_a_right_verdict_is_let_through(confidence: str) -> None:
    assert fault(ONE, [finding(SANDBOX, confidence=confidence)]) == ""


def test_a_limit_range_is_told_of_beside_its_pod() -> None:
    expected = expectation(case("limitrange"), facts(ENOMEM, spec={"containers": [{"resources": {"limits": {
        "memory": "300m"}}}]}), NOWHERE)  # fmt: skip
    of_pod, of_range = finding(SANDBOX), finding("limitrange-memory-default-too-small", "warning", kind="LimitRange")
    assert fault(expected, [of_pod, of_range]) == ""
    assert "limitrange-memory-default-too-small" in fault(expected, [of_pod])
    assert fault(expected.of_pod(), [of_pod]) == ""


def test_the_kernel_log_tells_pod_and_victim() -> None:
    line = (
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/kubepods/burstable/"
        f"pod{UID},task_memcg=/kubepods/burstable/pod{UID}/4fd0,task=runc:[2:INIT],pid=4711,uid=0"
    )
    node = "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),global_oom,task_memcg=/system.slice,task=x,pid=1,uid=0"
    assert kernel_kills(f"[ 1.0] {node}\n[ 2.0] {line}\n") == [KernelKill(UID, "runc:[2:INIT]")]


def test_the_innermost_words_have_no_ids() -> None:
    text = (
        'failed to start sandbox container task "' + "4f" * 32 + '": OCI runtime create failed: runc create failed: '
        f"unable to start container process: unable to apply cgroup configuration: mkdir /sys/fs/cgroup/memory/x/"
        f"pod{UID}/{'4f' * 32}: cannot allocate memory: unknown"
    )
    assert innermost(text) == "mkdir ... cannot allocate memory"


def test_names_are_unique_in_their_place() -> None:
    found = [entry for name in GENERATIONS for entry in cases(name)]
    assert len({(entry.place, entry.name) for entry in found}) == len(found)
