"""How a try ends: by recorded pods and events, and by what only a calibrate pod shows."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from msgspec.structs import replace

from kubectl_memdoctor.calibration.outcomes import (
    Failed,
    Obstacle,
    Ready,
    changed,
    events_of,
    outcome,
    sandbox_outcome,
    timed_out,
)
from kubectl_memdoctor.cluster.recording import open_recording
from kubectl_memdoctor.cluster.source import NotRecorded
from kubectl_memdoctor.objects import (
    EVENTS,
    PODS,
    Condition,
    Container,
    ContainerState,
    ContainerStatus,
    Event,
    Pod,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    StateTerminated,
    StateWaiting,
)

CASES = Path(__file__).parents[1] / "cases"
IN_SANDBOXES = sorted((CASES / "sandbox-memory-limit-too-small").glob("fires-*.yaml"))
ELSEWHERE = [
    "fires-handler-not-configured",
    "fires-network-plugin-missing",
    "fires-no-address-left",
    "fires-runtime-binary-missing",
    "fires-sandbox-image-missing",
    "fires-seccomp-not-supported",
    "fires-shim-missing",
]


@cache
def recorded(path: Path) -> tuple[tuple[Pod, tuple[Event, ...]], ...]:
    """The pods of a case whose sandboxes fail, with their warnings."""
    recording = open_recording([str(path)], None)
    try:
        events = [event for page in recording.list(EVENTS) for event in page.items]
    except NotRecorded:
        return ()
    pods = [pod for page in recording.list(PODS) for pod in page.items]
    told = [(pod, tuple(event for event in events_of(events, pod) if event.type == "Warning")) for pod in pods]
    return tuple((pod, own) for pod, own in told if any(event.reason == "FailedCreatePodSandBox" for event in own))


def test_recorded_sandboxes_that_fail_on_memory() -> None:
    failing = [(path.stem, pod, warnings) for path in IN_SANDBOXES for pod, warnings in recorded(path)]
    assert len(failing) > 30
    for name, pod, warnings in failing:
        found = outcome(pod, warnings, one_has_run=True)
        assert isinstance(found, Failed), name
        assert found.stage == "sandbox", name
        assert found.words, name


@pytest.mark.parametrize("name", ELSEWHERE)
def test_recorded_sandboxes_that_fail_on_something_else(name: str) -> None:
    ((pod, warnings),) = recorded(CASES / "sandbox-failure-not-memory" / f"{name}.yaml")
    assert isinstance(outcome(pod, warnings, one_has_run=False), Obstacle)


def test_the_network_may_fail_at_any_time() -> None:
    ((pod, warnings),) = recorded(CASES / "sandbox-failure-not-memory" / "fires-network-plugin-missing.yaml")
    found = outcome(pod, warnings, one_has_run=True)
    assert isinstance(found, Obstacle)
    assert found.words.startswith("its pod fails, and not on memory (network): ")


def test_a_handler_that_has_run_a_pod_is_configured() -> None:
    """The words may be about anything: these pods differ in their limits only."""
    ((pod, warnings),) = recorded(CASES / "sandbox-failure-not-memory" / "fires-handler-not-configured.yaml")
    assert isinstance(outcome(pod, warnings, one_has_run=True), Failed)


def ended(reason: str, exit_code: int, message: str = "") -> Pod:
    state = ContainerState(terminated=StateTerminated(reason=reason, exit_code=exit_code, message=message))
    return a_pod(ContainerStatus(name="pause", state=state))


def waiting(reason: str, message: str) -> Pod:
    return a_pod(ContainerStatus(name="pause", state=ContainerState(waiting=StateWaiting(reason, message))))


def a_pod(status: ContainerStatus, **conditions: str) -> Pod:
    found = tuple(Condition(type=name, status=value) for name, value in conditions.items())
    return Pod(spec=PodSpec(node_name="worker-1"), status=PodStatus(conditions=found, container_statuses=(status,)))


GONE = (
    "failed to create containerd task: failed to start shim: can't find shim for sandbox"
    " 0af78d7ea5e2791cae90f38dbf0886128360a8545908acb00d0303f2e619828b: not found"
)
STOPPED = 'failed to start containerd task "0af78d7ea5e2": cannot start a stopped process'
NO_PROGRAM = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed:"
    " unable to start container process: error during container init: exec:"
    ' "/pause": stat /pause: no such file or directory'
)


@pytest.mark.parametrize(
    "pod",
    [
        ended("OOMKilled", 137),
        ended("Error", 137),
        ended("StartError", 128, STOPPED),
        ended("ContainerCannotRun", 128, "container init was OOM-killed (memory limit too low?)"),
        ended("Completed", 0),
        waiting("RunContainerError", "container init was OOM-killed (memory limit too low?)"),
        waiting("CreateContainerError", "set memory limit 16384 too low; should be at least 512000 bytes"),
    ],
    ids=repr,
)
def test_containers_fail_on_their_limit_where_one_has_run(pod: Pod) -> None:
    found = outcome(pod, [], one_has_run=True)
    assert isinstance(found, Failed)
    assert found.stage == "container"


SANDBOX_STOPPED = 'sandbox container "0af78d7ea5e2791cae90f38dbf0886128360a8545908acb00d0303f2e619828b" is not running'


def failed_start(message: str, second: int) -> Event:
    made = datetime(2026, 11, 24, 20, 0, second, tzinfo=UTC)
    return Event(type="Warning", reason="Failed", message=f"Error: {message}", first_timestamp=made)


@pytest.mark.parametrize("message", [GONE, SANDBOX_STOPPED])
@pytest.mark.parametrize("events", [[], [1]], ids=["by-status", "by-event"])
def test_a_sandbox_that_its_first_container_misses_may_have_died_of_either(message: str, events: list[int]) -> None:
    told = [failed_start(message, second) for second in events]
    found = outcome(ended("StartError", 128, message), told, one_has_run=True)
    assert isinstance(found, Failed)
    assert found.stage == ""


@pytest.mark.parametrize("message", [GONE, SANDBOX_STOPPED])
def test_a_sandbox_that_a_later_container_misses_was_killed_by_an_earlier_one(message: str) -> None:
    events = [failed_start(message, 9), failed_start(STOPPED, 1)]
    found = outcome(ended("StartError", 128, message), events, one_has_run=True)
    assert isinstance(found, Failed)
    assert found.stage == "container"


@pytest.mark.parametrize("reason", ["Failed", "FailedCreatePodSandBox"])
@pytest.mark.parametrize("message", [GONE, SANDBOX_STOPPED, STOPPED])
def test_what_fails_after_a_container_had_started_is_no_sandbox_that_failed(reason: str, message: str) -> None:
    started = replace(failed_start("", 1), type="Normal", reason="Started", message="Container started")
    later = replace(failed_start(message, 9), reason=reason)
    found = outcome(ended("StartError", 128, message), [later, started], one_has_run=True)
    assert isinstance(found, Failed)
    assert found.stage == ("container" if message == STOPPED else "")


def test_ids_are_left_out() -> None:
    found = outcome(ended("StartError", 128, STOPPED), [], one_has_run=True)
    assert isinstance(found, Failed)
    assert "0af78d7ea5e2" not in found.words


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (ended("StartError", 128, NO_PROGRAM), "no such file or directory"),
        (ended("Completed", 0), "ended with exit code 0"),
        (ended("Error", 2), "ended with exit code 2"),
        (waiting("ErrImageNeverPull", 'Container image "x" is not present with pull policy of Never'), "not present"),
        (waiting("ImagePullBackOff", 'Back-off pulling image "x"'), "ImagePullBackOff: Back-off"),
        (
            waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
            "runAsNonRoot",
        ),
        (Pod(status=PodStatus(phase="Failed", reason="OutOfpods", message="no room")), "OutOfpods: no room"),
    ],
)
def test_what_is_not_memory_is_named(pod: Pod, words: str) -> None:
    found = outcome(pod, [], one_has_run=False)
    assert isinstance(found, Obstacle)
    assert words in found.words
    assert "\n" not in found.words


def test_a_first_pod_that_is_killed_failed_on_its_limit() -> None:
    """Only a larger control can tell more."""
    assert isinstance(outcome(ended("OOMKilled", 137), [], one_has_run=False), Failed)


RUNNING = ContainerStatus(name="pause", ready=True, started=True)


def test_ready() -> None:
    assert outcome(a_pod(RUNNING, Ready="True"), [], one_has_run=False) == Ready()
    assert outcome(a_pod(RUNNING, Ready="False"), [], one_has_run=False) is None
    restarted = ContainerStatus(name="pause", ready=True, restart_count=1)
    assert outcome(a_pod(restarted, Ready="True"), [], one_has_run=True) is None


def failed_sandbox(message: str) -> Event:
    return Event(type="Warning", reason="FailedCreatePodSandBox", message=message)


def test_a_sandbox_that_fails_after_a_container_did() -> None:
    """What the container's start left in the pod's cgroup is in the way of the next sandbox, not of the first."""
    first, later = (datetime(2026, 11, 24, 20, 0, second, tzinfo=UTC) for second in (1, 9))
    sandbox = failed_sandbox("container init was OOM-killed (memory limit too low?)")
    container = Event(type="Warning", reason="Failed", message=f"Error: {STOPPED}")

    def stage(of_sandbox: datetime, of_container: datetime) -> str:
        events = [replace(sandbox, first_timestamp=of_sandbox), replace(container, first_timestamp=of_container)]
        found = outcome(ended("StartError", 128, STOPPED), events, one_has_run=True)
        assert isinstance(found, Failed)
        return found.stage

    assert stage(later, first) == "container"
    assert stage(first, later) == "sandbox"


def test_a_pod_that_is_ready_after_a_failure_has_failed() -> None:
    """The kubelet tries again and again; a limit that is enough at the third time is not enough."""
    event = failed_sandbox("container init was OOM-killed (memory limit too low?)")
    assert isinstance(outcome(a_pod(RUNNING, Ready="True"), [event], one_has_run=True), Failed)


def test_words_of_memory_outweigh_others() -> None:
    events = [failed_sandbox("failed to setup network for sandbox"), failed_sandbox("container init was OOM-killed")]
    assert isinstance(outcome(Pod(), events, one_has_run=True), Failed)


def told(reason: str, message: str, minute: int) -> Event:
    at = datetime(2026, 11, 24, 12, minute, tzinfo=UTC)
    return Event(type="Warning", reason=reason, message=message, last_timestamp=at)


def test_time_is_up() -> None:
    unplaced, placed = Pod(), a_pod(ContainerStatus(name="pause"))
    up, down = (a_pod(ContainerStatus(name="pause"), PodReadyToStartContainers=value) for value in ("True", "False"))
    no_room = told("FailedScheduling", "0/1 nodes are available: 1 Too many pods.", 1)
    no_network = told("NetworkNotReady", "network is not ready: cni plugin not initialized", 2)
    assert timed_out(unplaced, [no_room], one_has_run=True, seconds=30) == Obstacle(
        "FailedScheduling: 0/1 nodes are available: 1 Too many pods."
    )
    assert isinstance(timed_out(unplaced, [], one_has_run=True, seconds=30), Obstacle)
    late = timed_out(placed, [no_room, no_network], one_has_run=True, seconds=60)
    assert isinstance(late, Obstacle)
    assert late.words.startswith("NetworkNotReady: ")
    assert isinstance(timed_out(placed, [], one_has_run=False, seconds=120), Obstacle)
    for pod, stage in ((up, "container"), (down, "sandbox"), (placed, "")):
        late = timed_out(pod, [], one_has_run=True, seconds=60)
        assert isinstance(late, Failed)
        assert (late.stage, late.words) == (stage, "not ready after 60s, and no event says why")


CHANGED = Event(
    type="Normal", reason="SandboxChanged", message="Pod sandbox changed, it will be killed and re-created."
)
MISSING = 'Container image "registry.k8s.io/pause:none" is not present with pull policy of Never'


def imageless(reason: str = "ErrImageNeverPull", **conditions: str) -> Pod:
    return a_pod(
        ContainerStatus(name="pause", state=ContainerState(waiting=StateWaiting(reason, MISSING))), **conditions
    )


@pytest.mark.parametrize("reason", ["ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "ContainerCreating"])
def test_a_sandbox_alone_is_up_when_the_kubelet_says_so(reason: str) -> None:
    assert sandbox_outcome(imageless(reason, PodReadyToStartContainers="True"), []) == Ready()
    assert sandbox_outcome(imageless(reason, PodReadyToStartContainers="False"), []) is None


def test_a_sandbox_alone_on_a_kubelet_without_that_condition() -> None:
    """Before Kubernetes 1.29. A pull that hangs shows by its event only."""
    assert sandbox_outcome(imageless(), []) == Ready()
    assert sandbox_outcome(imageless("ContainerCreating"), []) is None
    pulling = Event(type="Normal", reason="Pulling", message='Pulling image "registry.k8s.io/pause:none"')
    assert sandbox_outcome(imageless("ContainerCreating"), [pulling]) == Ready()


@pytest.mark.parametrize("event", [CHANGED, failed_sandbox("container init was OOM-killed")])
def test_a_sandbox_alone_that_did_not_stay_has_failed(event: Event) -> None:
    """Even if the next one stands."""
    found = sandbox_outcome(imageless(PodReadyToStartContainers="True"), [event])
    assert isinstance(found, Failed)
    assert found.stage == "sandbox"


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(RUNNING, Ready="True", PodReadyToStartContainers="True"),
        ended("OOMKilled", 137),
        waiting("CreateContainerError", "set memory limit 16384 too low; should be at least 512000 bytes"),
        waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
        Pod(status=PodStatus(phase="Failed", reason="Evicted", message="low on memory")),
    ],
)
def test_a_sandbox_that_is_not_alone_is_no_measurement(pod: Pod) -> None:
    assert isinstance(sandbox_outcome(pod, []), Obstacle)


def test_the_network_may_fail_while_sandboxes_are_measured() -> None:
    found = sandbox_outcome(Pod(), [failed_sandbox('failed to setup network for sandbox "9d0e"')])
    assert isinstance(found, Obstacle)


def limited(*limits: str, overhead: str = "", init: str = "") -> Pod:
    containers = tuple(
        Container(name="pause" if number == 0 else f"added-{number}", resources=ResourceRequirements({"memory": limit}))
        for number, limit in enumerate(limits)
    )
    inits = (Container(name="setup", resources=ResourceRequirements({"memory": init})),) if init else ()
    more = {"memory": overhead} if overhead else {}
    return Pod(spec=PodSpec(containers=containers, init_containers=inits, overhead=more))


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (limited("3Mi"), ""),
        (limited("2Mi", overhead="1Mi"), ""),
        (limited("16Mi"), "changed the pod's memory limit from 3Mi to 16Mi"),
        (limited("3Mi", overhead="120Mi"), "changed the pod's memory limit from 3Mi to 123Mi"),
        (limited("0"), "changed the pod's memory limit from 3Mi to none"),
        (limited("3Mi", "64Mi"), "added the container added-1"),
        (limited("3Mi", init="3Mi"), "added the container setup"),
    ],
)
def test_what_admission_made_of_a_pod(pod: Pod, words: str) -> None:
    assert changed(pod, 3 << 20) == words
