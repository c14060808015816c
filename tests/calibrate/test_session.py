"""Whatever ends a run, what it has made is removed before anyone hears of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from kubectl_memdoctor.calibration.manifests import Run, new_run
from kubectl_memdoctor.calibration.run import Calibration
from kubectl_memdoctor.calibration.session import Ending, Session
from kubectl_memdoctor.cluster.source import AccessError
from kubectl_memdoctor.cluster.writing import Refusal
from kubectl_memdoctor.screen import open_screen
from kubectl_memdoctor.temporary.process import has_ended, this_process
from kubectl_memdoctor.temporary.progress import Progress

from .pretended_cluster import KILLED, PretendedCluster, PretendedPod, target

MIB = 1 << 20


def ended(cluster: PretendedCluster, *, nodes: tuple[str, ...] = ("worker-1",)) -> tuple[Run, Calibration, Ending]:
    source: Any = cluster
    run, progress = new_run(None, this_process()), Progress(open_screen("never"))
    targets = [target(name) for name in nodes]
    calibration = Calibration(run, targets, source, source, clock=cluster.clock(), tell=progress)
    return run, calibration, Session(source, source, cluster.clock(), progress).measure(calibration, [])


def starts(pod: PretendedPod) -> None:
    pod.ready()


def test_a_run_that_is_done() -> None:
    cluster = PretendedCluster(starts)
    run, calibration, ending = ended(cluster)
    assert ending == Ending()
    assert run.name in cluster.gone
    assert len([*calibration.measurements()]) == 1


def test_a_fault_of_the_program_itself() -> None:
    def play(pod: PretendedPod) -> None:
        raise ZeroDivisionError

    cluster = PretendedCluster(play)
    with pytest.raises(ZeroDivisionError):
        ended(cluster)
    assert [name for name in cluster.gone if name.startswith("memdoctor-calibrate-")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal(number: signal.Signals, request: pytest.FixtureRequest) -> None:
    # What a shell starts in the background ignores some, and the tests may be among that.
    request.addfinalizer(partial(signal.signal, number, signal.getsignal(number)))
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    def play(pod: PretendedPod) -> None:
        os.kill(os.getpid(), number)

    cluster = PretendedCluster(play)
    before = signal.getsignal(number)
    run, _, ending = ended(cluster)
    assert ending == Ending(interrupted=128 + number)
    assert run.name in cluster.gone
    assert signal.getsignal(number) == before


def test_an_error_keeps_the_figures_of_nodes_that_are_done() -> None:
    def play(pod: PretendedPod) -> None:
        pod.placed()
        if pod.node == "slow" and len(cluster.made) > 20:
            raise AccessError("error: gone")
        if pod.node == "slow" and pod.age < 20:
            return
        if pod.limit >= 3 * MIB:
            pod.ready()
        else:
            cluster.warn(pod, "FailedCreatePodSandBox", KILLED)

    cluster = PretendedCluster(play)
    run, calibration, ending = ended(cluster, nodes=("quick", "slow"))
    assert str(ending.error) == "error: gone"
    assert [entry.node for entry in calibration.measurements()] == ["quick"]
    assert run.name in cluster.gone


def test_what_the_server_refuses_to_make_is_not_removed() -> None:
    class Refusing(PretendedCluster):
        def create(self, resource: Any, manifest: Any) -> Any:
            raise Refusal("Error from server (Forbidden): no")

    cluster = Refusing(starts)
    _, calibration, ending = ended(cluster)
    assert str(ending.error) == "Error from server (Forbidden): no"
    assert not calibration.has_made
    assert cluster.gone == set()


def test_what_may_have_been_made_is_removed() -> None:
    """The answer got lost: nobody knows."""

    class Silent(PretendedCluster):
        def create(self, resource: Any, manifest: Any) -> Any:
            raise AccessError("Unable to connect to the server: EOF")

    cluster = Silent(starts)
    run, _, ending = ended(cluster)
    assert ending.error is not None
    assert run.name in cluster.gone


def test_what_does_not_go_is_named() -> None:
    class Clinging(PretendedCluster):
        def get(self, resource: Any, namespace: str | None, name: str) -> Any:
            return resource.type()

    cluster = Clinging(starts)
    run, _, ending = ended(cluster)
    assert ending.remains is not None
    assert ending.remains.names == f"namespace/{run.name}"
    assert (ending.remains.reason, ending.remains.is_going) == ("still there after 120s", True)


def test_processes() -> None:
    machine = this_process().rpartition("-")[0]
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not has_ended(this_process())
    assert has_ended(f"{machine}-{child.pid}")
    assert not has_ended(f"0123456789ab-{child.pid}")
    for odd in ("", "x", f"{machine}-", f"{machine}-x", f"{machine}-{10**30}"):
        assert not has_ended(odd)
