"""Whatever ends it, a debug pod is removed before anyone hears of it, or it is named."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest

from kubectl_memdoctor.cluster.source import AccessError, NotFound
from kubectl_memdoctor.cluster.transport import ConnectionCut
from kubectl_memdoctor.cluster.writing import Refusal
from kubectl_memdoctor.debugging import session
from kubectl_memdoctor.debugging.session import LOG_SECONDS, START_SECONDS, PodRun
from kubectl_memdoctor.objects import PODS
from kubectl_memdoctor.temporary.removal import GONE_SECONDS, PATIENCE_SECONDS, Leftover, Made

from .pretended_node import RUNNING, PretendedNode, debug_pod, waiting

GONE = "Unable to connect to the server: EOF"


def at(verb: str, act: Callable[[], None], number: int = 1) -> Callable[[str], None]:
    """Acts at the request of that verb with that number."""
    seen: list[str] = []

    def before(asked: str) -> None:
        seen.append(asked)
        if asked == verb and seen.count(verb) == number:
            act()

    return before


def fail(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def output(run: PodRun) -> bytes:
    return run.output.read() if run.output else b""


def test_it_reads_and_leaves_nothing() -> None:
    node = PretendedNode()
    ending = node.run()
    (run,) = ending.runs
    assert (output(run), run.reason, run.broke_off) == (b"all of it\n", "", "")
    assert (ending.interrupted, ending.remains) == (None, None)
    assert node.pods == {}
    assert node.asked[:4] == ["create", "get", "log", "delete"]


def test_a_container_that_still_runs_is_read_too() -> None:
    assert output(PretendedNode(state=RUNNING).run().runs[0]) == b"all of it\n"


def test_several_nodes_at_once() -> None:
    node = PretendedNode()
    ending = node.run(debug_pod("worker-1"), debug_pod("worker-2"))
    assert node.asked[:2] == ["create", "create"]
    assert [output(run) for run in ending.runs] == [b"all of it\n"] * 2
    assert node.pods == {}


PULL = 'Back-off pulling image "docker.io/library/busybox:1.37"'
HINT = "(--image names another, with a shell, that the node has)"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (waiting("ImagePullBackOff", PULL), f"ImagePullBackOff: {PULL} {HINT}"),
        (waiting("CreateContainerError", "no space left"), "CreateContainerError: no space left"),
        (
            {"terminated": {"reason": "StartError", "message": 'exec: "sh": not found'}},
            'StartError: exec: "sh": not found',
        ),
    ],
)
def test_a_pod_that_will_not_start(state: dict[str, object], reason: str) -> None:
    node = PretendedNode(state=state)
    (run,) = node.run().runs
    assert (run.reason, run.output) == (reason, None)
    assert node.time < START_SECONDS
    assert node.pods == {}


def test_a_pod_that_the_node_does_not_take() -> None:
    node = PretendedNode(state={}, phase="Failed", reason="OutOfmemory")
    (run,) = node.run().runs
    assert run.reason == "the node ended it: OutOfmemory"
    assert node.pods == {}


def test_a_pod_that_never_starts() -> None:
    node = PretendedNode(state=waiting("ContainerCreating"))
    (run,) = node.run().runs
    assert run.reason == "the pod has not started after 60s: ContainerCreating"
    assert START_SECONDS <= node.time < START_SECONDS + 10
    assert node.pods == {}


def test_nothing_is_printed() -> None:
    node = PretendedNode(printed=lambda: iter([]))
    (run,) = node.run().runs
    assert (run.reason, run.output) == ("its log is empty", None)


REFUSAL = 'Error from server (Forbidden): pods "x" is forbidden: violates PodSecurity "baseline:latest": privileged'


def test_a_pod_that_the_cluster_refuses() -> None:
    node = PretendedNode(before=at("create", fail(Refusal(REFUSAL))))
    (run,) = node.run().runs
    assert run.reason == (
        f"not made in namespace shop: {REFUSAL} (kubectl memdoctor node worker-1 --debug-pod -n NAMESPACE makes it in"
        " another namespace)"
    )
    assert node.asked == ["create"]


def test_a_refusal_leaves_the_other_nodes() -> None:
    node = PretendedNode(before=at("create", fail(Refusal(REFUSAL))))
    refused, read = node.run(debug_pod("worker-1"), debug_pod("worker-2")).runs
    assert refused.reason.startswith("not made")
    assert output(read) == b"all of it\n"


@pytest.mark.parametrize("verb", ["create", "get", "log"])
def test_what_may_have_been_made_is_removed(verb: str) -> None:
    """Wherever the cluster stops to answer."""
    node = PretendedNode(before=at(verb, fail(AccessError(GONE))))
    ending = node.run()
    assert GONE in ending.runs[0].reason
    assert ending.remains is None
    assert node.pods == {}


def test_someone_else_deletes_the_pod() -> None:
    node = PretendedNode(before=at("get", fail(NotFound("Error from server (NotFound)"))))
    assert node.run().runs[0].reason == "the pod was deleted by someone else"


def test_a_log_that_breaks_off_is_read_again() -> None:
    tries: list[int] = []

    def printed() -> Iterator[bytes]:
        tries.append(1)
        yield b"all "
        if len(tries) < 3:
            raise ConnectionCut(GONE)
        yield b"of it\n"

    (run,) = PretendedNode(printed=printed).run().runs
    assert (output(run), run.broke_off) == (b"all of it\n", "")


def test_a_log_that_always_breaks_off_is_kept_as_far_as_it_goes() -> None:
    def printed() -> Iterator[bytes]:
        yield b"a part"
        raise ConnectionCut(GONE)

    node = PretendedNode(printed=printed)
    (run,) = node.run().runs
    assert (output(run), run.broke_off) == (b"a part", GONE)
    assert node.asked.count("log") == session.TRIES
    assert node.time < START_SECONDS + LOG_SECONDS


def test_an_endless_log_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MOST_BYTES", 3 << 20)

    def printed() -> Iterator[bytes]:
        while True:
            yield bytes(1000)

    (run,) = PretendedNode(printed=printed).run().runs
    assert (len(output(run)), run.broke_off) == (3 << 20, "longer than 3 MiB")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("verb", ["create", "get", "log", "delete"])
def test_a_signal_at_every_step(verb: str, number: signal.Signals, request: pytest.FixtureRequest) -> None:
    # What a shell starts in the background ignores some, and the tests may be among that.
    request.addfinalizer(partial(signal.signal, number, signal.getsignal(number)))
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    node = PretendedNode(before=at(verb, lambda: os.kill(os.getpid(), number)))
    before = signal.getsignal(number)
    ending = node.run()
    # While it is being removed, a signal changes nothing.
    if verb == "delete":
        assert ending.interrupted is None
    else:
        assert ending.interrupted is not None
        assert ending.interrupted.exit_code == 128 + number
    assert ending.remains is None
    assert node.pods == {}
    assert signal.getsignal(number) == before


def test_who_insists_is_told_what_is_left(request: pytest.FixtureRequest) -> None:
    request.addfinalizer(partial(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT)))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    node = PretendedNode(before=lambda verb: os.kill(os.getpid(), signal.SIGINT), lingers=10**9)
    ending = node.run()
    assert ending.interrupted is not None
    assert ending.remains is not None
    assert (ending.remains.names, ending.remains.reason) == (str(ending.runs[0].pod), "interrupted")


def test_a_lost_connection_is_waited_for_and_the_pod_named() -> None:
    def before(verb: str) -> None:
        if verb in ("log", "delete"):
            raise AccessError(GONE)

    node = PretendedNode(before=before)
    ending = node.run()
    assert ending.remains is not None
    assert (ending.remains.names, ending.remains.reason) == (str(ending.runs[0].pod), GONE)
    assert not ending.remains.is_going
    assert PATIENCE_SECONDS <= node.time < PATIENCE_SECONDS + 10


def test_a_pod_that_does_not_go_is_named() -> None:
    ending = PretendedNode(lingers=10**9).run()
    assert ending.remains is not None
    assert (ending.remains.reason, ending.remains.is_going) == (f"still there after {GONE_SECONDS:g}s", True)


def test_a_fault_of_the_program_itself() -> None:
    node = PretendedNode(before=at("log", fail(ZeroDivisionError())))
    with pytest.raises(ZeroDivisionError):
        node.run()
    assert node.pods == {}


def test_what_an_earlier_run_left_is_removed_first() -> None:
    node = PretendedNode()
    leftover = Leftover("bcdfg", timedelta(0), made=[Made(PODS, "shop", "memdoctor-debug-bcdfg")])
    node.run(abandoned=(leftover,))
    assert node.asked[:2] == ["delete", "create"]
    assert "memdoctor-debug-bcdfg" in node.deleted


def test_what_an_earlier_run_left_stops_nothing() -> None:
    node = PretendedNode(before=at("delete", fail(AccessError("Error from server (Forbidden): no"))))
    leftover = Leftover("bcdfg", timedelta(0), made=[Made(PODS, "shop", "memdoctor-debug-bcdfg")])
    assert output(node.run(abandoned=(leftover,)).runs[0]) == b"all of it\n"
