"""One run in a pretended cluster: how it counts, how long it waits, and what it does not wait for."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from kubectl_memdoctor.calibration.nodes import Overhead, Runtime
from kubectl_memdoctor.calibration.run import FIRST_SECONDS, GONE_SECONDS, RUN_SECONDS, TRY_SECONDS, Calibration
from kubectl_memdoctor.calibration.search import MOST_AT_ONCE, MOST_PODS
from kubectl_memdoctor.cluster.writing import Refusal
from kubectl_memdoctor.measured_minimum import decode, encode, ready_bytes
from kubectl_memdoctor.objects import ObjectMeta

from .pretended_cluster import KILLED, PretendedCluster, PretendedPod, measured, target

MIB = 1 << 20
NO_NETWORK = (
    'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "9d0e": plugin'
    ' type="bridge" failed (add): failed to find plugin "bridge" in path [/opt/cni/bin]'
)


def starting_from(smallest: int, seconds: float = 1.0) -> PretendedCluster:
    """Pods with `smallest` bytes or more are ready after `seconds`, the others' sandboxes fail then."""

    def play(pod: PretendedPod) -> None:
        pod.placed()
        if pod.age < seconds:
            return
        if pod.limit >= smallest:
            pod.ready()
        else:
            cluster.warn(pod, "FailedCreatePodSandBox", KILLED)

    cluster = PretendedCluster(play)
    return cluster


def test_it_finds_the_limit_and_deletes_every_pod() -> None:
    cluster = starting_from(3 * MIB)
    calibration = measured(cluster, target("worker-1"))
    (found,) = calibration.measurements()
    assert (found.failed_bytes, found.ready_bytes) == (2560 << 10, 3 * MIB)
    assert len(cluster.made) <= MOST_PODS
    assert cluster.most_at_once <= MOST_AT_ONCE
    assert cluster.deleted.keys() == {pod.body["metadata"]["name"] for pod in cluster.made}
    assert cluster.time < 90
    assert decode(encode([found]).encode(), "x") == (found,)


SANDBOX_GONE = 'sandbox container "0af78d7ea5e2791cae90f38dbf0886128360a8545908acb00d0303f2e619828b" is not running'


def with_sandboxes_from(
    sandbox: int, container: int, kind: type[PretendedCluster] = PretendedCluster
) -> PretendedCluster:
    """Whose containers' start kills sandboxes that stand by themselves."""

    def play(pod: PretendedPod) -> None:
        pod.placed()
        if pod.limit < sandbox:
            cluster.warn(pod, "FailedCreatePodSandBox", KILLED)
        elif pod.limit < container and not pod.is_sandbox_only:
            pod.fail("StartError", SANDBOX_GONE)
        else:
            pod.ready()

    cluster = kind(play)
    return cluster


def alone(calibration: Calibration) -> int | None:
    return ready_bytes(calibration.nodes[0].sandboxes)


def test_sandboxes_are_measured_by_pods_whose_container_never_starts() -> None:
    cluster = with_sandboxes_from(224 << 10, 640 << 10)
    calibration = measured(cluster, target("worker-1"))
    (found,) = calibration.measurements()
    assert (found.ready_bytes, alone(calibration)) == (640 << 10, 224 << 10)
    assert calibration.nodes[0].sandbox_remark == ""
    assert {entry.limit_bytes: entry.failed_at for entry in found.tries}[512 << 10] == ""
    assert {entry.failed_at for entry in found.sandbox_tries if entry.failed} == {"sandbox"}
    (image,) = {pod.body["spec"]["containers"][0]["image"] for pod in cluster.made if pod.is_sandbox_only}
    assert image.startswith("registry.k8s.io/pause:memdoctor-no-such-tag-")
    assert len(cluster.made) <= MOST_PODS
    assert decode(encode([found]).encode(), "x") == (found,)


def test_a_sandbox_that_does_not_stay_has_failed() -> None:
    """It stands for a moment; then the kubelet makes another, which may stand."""

    def play(pod: PretendedPod) -> None:
        pod.placed()
        if not pod.is_sandbox_only and pod.limit < 640 << 10:
            pod.fail("StartError", SANDBOX_GONE)
            return
        pod.ready()
        if pod.limit < 224 << 10 and pod.age > 1:
            cluster.warn(pod, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")

    cluster = PretendedCluster(play)
    assert alone(measured(cluster, target("worker-1"))) == 224 << 10


@pytest.mark.parametrize(
    "play",
    [
        lambda cluster, pod: cluster.warn(pod, "FailedCreatePodSandBox", NO_NETWORK),
        lambda cluster, pod: cluster.pods.pop(pod.body["metadata"]["name"]),
        lambda cluster, pod: pod.fail("StartError", SANDBOX_GONE),
    ],
    ids=["network", "deleted", "started"],
)
def test_what_is_in_the_way_of_sandboxes_leaves_the_figure_of_pods(
    play: Callable[[PretendedCluster, PretendedPod], None],
) -> None:
    cluster = with_sandboxes_from(224 << 10, 640 << 10)
    usual = cluster.play
    cluster.play = lambda pod: play(cluster, pod) if pod.is_sandbox_only else usual(pod)
    calibration = measured(cluster, target("worker-1"))
    (found,) = calibration.measurements()
    assert found.ready_bytes == 640 << 10
    assert calibration.nodes[0].sandbox_remark


def test_a_policy_against_pods_that_never_start() -> None:
    class Strict(PretendedCluster):
        def create(self, resource, manifest):  # type: ignore[no-untyped-def]
            if "no-such-tag" in str(manifest):
                raise Refusal("Error from server (Forbidden): images are pinned")
            return super().create(resource, manifest)

    cluster = with_sandboxes_from(224 << 10, 640 << 10, Strict)
    calibration = measured(cluster, target("worker-1"))
    (found,) = calibration.measurements()
    assert (found.ready_bytes, found.sandbox_tries) == (640 << 10, ())
    assert calibration.nodes[0].sandbox_remark == "Error from server (Forbidden): images are pinned"
    assert cluster.deleted.keys() == {pod.body["metadata"]["name"] for pod in cluster.made}


def test_nodes_are_measured_side_by_side() -> None:
    cluster = starting_from(3 * MIB)
    alone = measured(cluster, target("worker-1"))
    together = starting_from(3 * MIB)
    both = measured(together, target("worker-1"), target("worker-2"))
    assert [entry.node for entry in both.measurements()] == ["worker-1", "worker-2"]
    assert together.time <= cluster.time + 1
    assert len(together.made) == 2 * len(cluster.made)
    assert next(alone.measurements()).tries == [*both.measurements()][1].tries


def test_slow_nodes_are_waited_for() -> None:
    cluster = starting_from(3 * MIB, seconds=TRY_SECONDS - 5)
    (found,) = measured(cluster, target("worker-1")).measurements()
    assert found.ready_bytes == 3 * MIB


def test_a_pod_that_hangs_has_failed() -> None:
    def play(pod: PretendedPod) -> None:
        pod.placed()
        if pod.limit >= 3 * MIB:
            pod.ready()

    cluster = PretendedCluster(play)
    calibration = measured(cluster, target("worker-1"))
    (found,) = calibration.measurements()
    assert found.ready_bytes == 3 * MIB
    assert set(calibration.nodes[0].words.values()) == {"not ready after 60s, and no event says why"}
    assert cluster.time < RUN_SECONDS


def test_a_first_pod_that_hangs_is_no_measurement() -> None:
    cluster = PretendedCluster(PretendedPod.placed)
    calibration = measured(cluster, target("worker-1"))
    assert [*calibration.measurements()] == []
    assert calibration.nodes[0].obstacle == "not ready after 120s, and no event says why"
    assert FIRST_SECONDS <= cluster.time < FIRST_SECONDS + 10
    assert len(cluster.made) == 1


def test_a_pod_that_is_ready_for_a_moment_only_has_failed() -> None:
    """The sandbox is killed right after its start, and the container with it."""

    def play(pod: PretendedPod) -> None:
        pod.ready()
        if pod.limit < 3 * MIB and pod.age > 1:
            ended = {"terminated": {"reason": "Error", "exitCode": 137}}
            pod.body["status"] = {"phase": "Failed", "containerStatuses": [{"name": "pause", "state": ended}]}

    cluster = PretendedCluster(play)
    (found,) = measured(cluster, target("worker-1")).measurements()
    assert found.ready_bytes == 3 * MIB
    assert {entry.failed_at for entry in found.tries if entry.failed} == {"container"}


def test_a_pod_without_a_place() -> None:
    def play(pod: PretendedPod) -> None:
        cluster.warn(pod, "FailedScheduling", "0/3 nodes are available: 3 Too many pods.")

    cluster = PretendedCluster(play)
    calibration = measured(cluster, target("worker-1"))
    assert calibration.nodes[0].obstacle == "FailedScheduling: 0/3 nodes are available: 3 Too many pods."
    assert cluster.time < 40


def test_an_obstacle_at_one_node_leaves_the_others() -> None:
    def play(pod: PretendedPod) -> None:
        pod.placed()
        if pod.node == "broken":
            cluster.warn(pod, "FailedCreatePodSandBox", NO_NETWORK)
        elif pod.limit >= MIB:
            pod.ready()
        else:
            cluster.warn(pod, "FailedCreatePodSandBox", KILLED)

    cluster = PretendedCluster(play)
    calibration = measured(cluster, target("broken"), target("worker-1"))
    assert [entry.node for entry in calibration.measurements()] == ["worker-1"]
    assert calibration.nodes[0].obstacle.startswith("its pod fails, and not on memory (network)")
    assert sum(pod.node == "broken" for pod in cluster.made) == 1


def test_someone_else_deletes_a_pod() -> None:
    def play(pod: PretendedPod) -> None:
        if len(cluster.made) > 3:
            del cluster.pods[pod.body["metadata"]["name"]]
            return
        pod.ready()

    cluster = PretendedCluster(play)
    calibration = measured(cluster, target("worker-1"))
    assert "was deleted by someone else" in calibration.nodes[0].obstacle


def test_someone_resizes_a_pod() -> None:
    def play(pod: PretendedPod) -> None:
        pod.ready()
        if len(cluster.made) > 1:
            pod.body["spec"]["containers"][0]["resources"] = {"limits": {"memory": "512Mi"}}

    cluster = PretendedCluster(play)
    calibration = measured(cluster, target("worker-1"))
    assert calibration.nodes[0].obstacle == (
        "someone changed the pod's memory limit from 1Mi to 512Mi while it was being measured"
    )


def test_nothing_is_ready_with_any_limit() -> None:
    cluster = starting_from(1 << 40)
    calibration = measured(cluster, target("worker-1"))
    assert [*calibration.measurements()] == []
    assert calibration.nodes[0].obstacle == (
        "no pod became ready, not even with 1Gi: container init was OOM-killed (memory limit too low?)"
    )


def test_pods_that_do_not_go_away_are_not_waited_for() -> None:
    cluster = starting_from(3 * MIB)
    cluster.lingers = 10**9
    (found,) = measured(cluster, target("worker-1")).measurements()
    assert found.ready_bytes == 3 * MIB
    assert cluster.time > 5 * GONE_SECONDS


def test_the_run_ends_in_time_whatever_happens() -> None:
    """Pods that take as long as they may, and never go away."""

    def play(pod: PretendedPod) -> None:
        if pod.age > TRY_SECONDS - 3 and (pod.limit >= 3 * MIB):
            pod.ready()
        pod.placed()

    cluster = PretendedCluster(play, lingers=10**9)
    calibration = measured(cluster, target("worker-1"))
    assert cluster.time <= RUN_SECONDS + TRY_SECONDS
    (found,) = calibration.measurements()
    assert found.ready_bytes >= 3 * MIB
    assert calibration.nodes[0].remark in ("", "it was stopped after 15 minutes")


@pytest.mark.parametrize("seed", range(20))
def test_chance_is_told_as_it_was(seed: int) -> None:
    chance = random.Random(seed)

    def play(pod: PretendedPod) -> None:
        pod.placed()
        starts = pod.body.setdefault("starts", chance.random() < (pod.limit - 2 * MIB) / (6 * MIB))
        if starts:
            pod.ready()
        else:
            cluster.warn(pod, "FailedCreatePodSandBox", KILLED)

    cluster = PretendedCluster(play)
    calibration = measured(cluster, target("worker-1"))
    (found,) = calibration.measurements()
    told = [*((False, entry) for entry in found.tries), *((True, entry) for entry in found.sandbox_tries)]
    assert sum(entry.ready + entry.failed for _, entry in told) == len(cluster.made) <= MOST_PODS
    for is_alone, entry in told:
        made = [pod for pod in cluster.made if (pod.is_sandbox_only, pod.limit) == (is_alone, entry.limit_bytes)]
        assert (entry.ready + entry.failed, entry.ready) == (len(made), sum(pod.body["starts"] for pod in made))


def test_an_overhead_is_part_of_the_limit() -> None:
    """Admission adds it to the pod, so the container gets what is left."""
    kata = Runtime(metadata=ObjectMeta(name="kata"), handler="kata", overhead=Overhead({"memory": "160Mi"}))

    def play(pod: PretendedPod) -> None:
        pod.ready()

    class WithOverhead(PretendedCluster):
        def create(self, resource, manifest):  # type: ignore[no-untyped-def]
            if "spec" in manifest:
                manifest = {**manifest, "spec": {**manifest["spec"], "overhead": {"memory": "160Mi"}}}
            return super().create(resource, manifest)

    cluster = WithOverhead(play)
    (found,) = measured(cluster, target("worker-1", kata)).measurements()
    assert found.ready_bytes == 192 * MIB
    assert {pod.body["spec"]["runtimeClassName"] for pod in cluster.made} == {"kata"}
    assert min(pod.limit for pod in cluster.made) == 32 * MIB
