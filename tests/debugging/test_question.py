"""What a command says before and after it has a debug pod made, and where it makes none."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from kubectl_memdoctor.cluster.connection import Connection
from kubectl_memdoctor.cluster.source import AccessError, NotFound, Unreadable
from kubectl_memdoctor.debugging import question
from kubectl_memdoctor.debugging.images import DEFAULT
from kubectl_memdoctor.debugging.leftovers import left_debug_pods
from kubectl_memdoctor.debugging.manifests import LIFE_SECONDS, manifest
from kubectl_memdoctor.debugging.question import MOST_NODES, DebugReading, choose, plan, read_by_debug_pods, remaining
from kubectl_memdoctor.debugging.reading import NodeReading
from kubectl_memdoctor.exit_code import CouldNotLook, Interrupted
from kubectl_memdoctor.flags import parse
from kubectl_memdoctor.screen import open_screen
from kubectl_memdoctor.temporary import clock
from kubectl_memdoctor.temporary.consent import demand_consent
from kubectl_memdoctor.temporary.removal import Remains

from .pretended_node import Json, PretendedNode, debug_pod

BUSYBOX = "docker.io/library/busybox:1.37"
READY = {"type": "Ready", "status": "True"}
CONNECTION = Connection(server="https://10.20.0.10:6443", namespace="shop", context="")
Asking = Callable[..., DebugReading]


def node(name: str, *images: str, system: str = "linux", ready: Json = READY) -> Json:
    status = {"images": [{"names": [*images]}], "nodeInfo": {"operatingSystem": system}, "conditions": [ready]}
    return {"metadata": {"name": name}, "status": status}


def worker(**more: Any) -> PretendedNode:
    return PretendedNode(nodes={"worker-1": node("worker-1", BUSYBOX)}, **more)


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Asking:
    """A command with these arguments, on a pretended cluster."""

    def ask(pretended: PretendedNode, *arguments: str) -> DebugReading:
        for name in ("ApiServer", "ApiWriter", "PodLogs"):
            monkeypatch.setattr(question, name, lambda connection: pretended)
        monkeypatch.setattr(clock, "Clock", pretended.clock)
        monkeypatch.setattr(
            question, "read_run", lambda run, now: NodeReading(reasons=(run.reason,) * bool(run.reason))
        )
        line = parse(["--debug-pod", *arguments])
        return read_by_debug_pods(line, open_screen("never"), CONNECTION, "shop", ["worker-1"])

    return ask


def test_it_says_what_it_makes(asking: Asking, capsys: pytest.CaptureFixture[str]) -> None:
    pretended = worker()
    assert asking(pretended, "--yes") == DebugReading()
    assert pretended.pods == {}
    (made,) = pretended.made
    assert capsys.readouterr().err.splitlines() == [
        "This makes, in the cluster https://10.20.0.10:6443, for a moment:",
        f"  pod/{made['metadata']['name']} in namespace shop, on node worker-1",
        f"    privileged, with the node's network and files (read only); image {BUSYBOX}, which the node has",
        "As root on the node it prints the kernel's log and the runtime's list of sandboxes, and does nothing else.",
        "It is removed at the end, also when this is interrupted; the node ends it after 150s anyway.",
    ]


@pytest.mark.parametrize(
    ("typed", "makes"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_it_asks(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, makes: bool
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    pretended = worker()
    reading = asking(pretended)
    assert "Do you want to continue? (y/N): " in capsys.readouterr().err
    assert bool(pretended.made) == makes
    assert reading == DebugReading(reasons=() if makes else ("not agreed to",))


def test_where_nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    demand_consent(parse(["--yes"]), "--debug-pod")
    with pytest.raises(CouldNotLook) as caught:
        demand_consent(parse([]), "--debug-pod")
    assert str(caught.value) == (
        "error: --debug-pod writes to the cluster, and there is no terminal to ask on: pass --yes"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal(
    asking: Asking, capsys: pytest.CaptureFixture[str], number: signal.Signals, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(partial(signal.signal, number, signal.getsignal(number)))
    signal.signal(number, signal.default_int_handler)
    pretended = worker(before=lambda verb: os.kill(os.getpid(), number) if verb == "log" else None)
    with pytest.raises(Interrupted) as caught:
        asking(pretended, "--yes")
    assert caught.value.exit_code == 128 + number
    assert pretended.pods == {}
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted: nothing was read, all that was made is removed"


def test_what_is_left_is_named(asking: Asking, capsys: pytest.CaptureFixture[str]) -> None:
    pretended = worker(lingers=10**9)
    reading = asking(pretended, "--yes")
    name = pretended.made[0]["metadata"]["name"]
    assert reading.reasons == (f"not removed: pod/{name} in namespace shop",)
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: not gone yet: pod/{name} in namespace shop is deleted (still there after 120s); kubectl -n shop delete"
        f" pod {name} waits until it is gone"
    )


def test_what_is_not_removed_is_named_with_the_command() -> None:
    pod = debug_pod()
    assert remaining(Remains(str(pod), "EOF"), [pod]) == (
        f"error: not removed: pod/{pod.name} in namespace shop (EOF); kubectl -n shop delete pod {pod.name} removes it,"
        " as does the next --debug-pod there, or kubectl memdoctor calibrate --clean; the node ends it after 150s"
    )


def test_the_image_that_is_given(asking: Asking, capsys: pytest.CaptureFixture[str]) -> None:
    pretended = worker()
    asking(pretended, "--yes", "--image=registry.example/tools:1")
    assert pretended.made[0]["spec"]["containers"][0]["image"] == "registry.example/tools:1"
    assert "image registry.example/tools:1, which the node may have to pull" in capsys.readouterr().err


NOT_READY = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting"}


@pytest.mark.parametrize(
    ("found", "refusal"),
    [
        (node("worker-1", system="windows"), "it runs Windows"),
        (node("worker-1", ready=NOT_READY), 'node "worker-1" is not ready: NodeStatusUnknown: Kubelet stopped posting'),
    ],
)
def test_nodes_on_which_none_can_run(asking: Asking, found: Json, refusal: str) -> None:
    pretended = PretendedNode(nodes={"worker-1": found})
    assert asking(pretended, "--yes") == DebugReading(reasons=(f"node worker-1: {refusal}",))
    assert pretended.made == []


def choice_without(error: Exception) -> question.Choice:
    def before(verb: str) -> None:
        raise error

    source: Any = PretendedNode(before=before)
    return choose(source, "shop", ["worker-1"], "")


def test_a_node_that_may_not_be_read() -> None:
    """Its name is enough; what it is and has remains unknown."""
    choice = choice_without(Unreadable("", resource="nodes", reason="forbidden"))
    (pod,) = choice.pods
    assert (pod.node, pod.image, pod.is_there) == ("worker-1", DEFAULT, False)
    assert choice.refusals == ()


@pytest.mark.parametrize("error", [NotFound('nodes "worker-1" not found'), AccessError("EOF")])
def test_a_node_that_is_not_there(error: AccessError) -> None:
    assert choice_without(error) == question.Choice((), (f"node worker-1: {error}",))


def test_not_too_many_at_once() -> None:
    names = [f"worker-{number:02}" for number in range(MOST_NODES + 2)]
    source: Any = PretendedNode(nodes={name: node(name) for name in names})
    choice = choose(source, "shop", names, "")
    assert [pod.node for pod in choice.pods] == names[:MOST_NODES]
    assert choice.refusals == tuple(f"node {name}: no more than 10 nodes at once" for name in names[MOST_NODES:])
    assert len({pod.name for pod in choice.pods}) == MOST_NODES


def left_pod(age_seconds: int, name: str = "", **labels: str) -> Json:
    pod = manifest(debug_pod())
    pod["metadata"]["creationTimestamp"] = datetime.fromtimestamp(1_795_521_600 - age_seconds, UTC).isoformat()
    pod["metadata"]["annotations"]["memdoctor.dev/process"] = "0123456789ab-1"
    pod["metadata"]["labels"] |= labels
    pod["metadata"]["name"] = name or pod["metadata"]["name"]
    return pod


@pytest.mark.parametrize(("age", "is_removed"), [(LIFE_SECONDS - 5, False), (LIFE_SECONDS + 5, True)])
def test_what_an_earlier_run_left(
    asking: Asking, capsys: pytest.CaptureFixture[str], age: int, is_removed: bool
) -> None:
    pretended = worker()
    old = left_pod(age)
    name = old["metadata"]["name"]
    pretended.pods[name] = old
    asking(pretended, "--yes")
    assert (name in pretended.deleted) == is_removed
    said = f"Removed first, left by an earlier run: pod/{name} in namespace shop"
    assert (said in capsys.readouterr().err.splitlines()) == is_removed


def test_what_only_has_the_labels_is_no_leftover() -> None:
    source: Any = PretendedNode(pods={"mine": left_pod(10**6, name="mine")})
    assert left_debug_pods(source, None) == []


def test_hostile_words_do_not_reach_the_terminal(asking: Asking, capsys: pytest.CaptureFixture[str]) -> None:
    pretended = PretendedNode(nodes={"worker-1": node("worker-1")})
    asking(pretended, "--yes", "--image=\x1b[2Jbusybox")
    assert "\x1b" not in capsys.readouterr().err
    assert [*plan([debug_pod()], [], "x")][1].startswith("  pod/")
