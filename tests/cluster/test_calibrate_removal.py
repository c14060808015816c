"""Whatever ends calibrate, what it has made is removed, or named and removed by the next run."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from . import pretended_node
from .api import Json
from .calibrating import NODE, SECONDS, Calibrating, remains, until_there_are_pods
from .control_plane import ControlPlane
from .pretended_node import MIB, RUN_LABEL, PretendedNode, from_limit
from .stand_ins import StandIns
from .test_calibrate import given_namespace

RUNC = from_limit(3 * MIB)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=lambda value: str(value),
)
def test_signals(calibrating: Calibrating, stand_ins: StandIns, number: signal.Signals, code: int) -> None:
    with PretendedNode(stand_ins, RUNC).running(), calibrating.start("--yes") as process:
        until_there_are_pods(stand_ins.api)
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (code, "")
    assert err.splitlines()[-1] == "interrupted: nothing was measured, all that was made is removed"
    assert remains(stand_ins.api) == []


def test_a_signal_while_things_are_removed(calibrating: Calibrating, stand_ins: StandIns) -> None:
    """Once is too little to leave them; twice is meant."""
    node = PretendedNode(stand_ins, pretended_node.nothing_happens, ends_namespaces=False)
    with node.running(), calibrating.start("--yes") as process:
        until_there_are_pods(stand_ins.api)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(2)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (130, "")
    assert "still removing what was made; once more leaves it there" in err
    assert "error: not removed: namespace/memdoctor-calibrate-" in err
    assert "(interrupted)" in err
    with PretendedNode(stand_ins, RUNC).running():
        until_nothing_remains(stand_ins)


def until_nothing_remains(stand_ins: StandIns) -> None:
    give_up = time.monotonic() + SECONDS
    while remains(stand_ins.api):
        assert time.monotonic() < give_up, remains(stand_ins.api)
        time.sleep(0.1)


def killed(calibrating: Calibrating, stand_ins: StandIns, *arguments: str) -> list[Json]:
    """The pods that are left of a run that is killed."""
    with (
        PretendedNode(stand_ins, pretended_node.nothing_happens).running(),
        calibrating.start("--yes", *arguments) as run,
    ):
        pods = until_there_are_pods(stand_ins.api)
        run.send_signal(signal.SIGKILL)
        run.wait(SECONDS)
    assert remains(stand_ins.api) != []
    return pods


def test_a_killed_run_is_cleaned_up(calibrating: Calibrating, stand_ins: StandIns) -> None:
    (pod,) = killed(calibrating, stand_ins)
    assert pod["spec"]["activeDeadlineSeconds"] == 300
    shown = calibrating.run("--clean", "--dry-run")
    assert (shown.code, shown.out) == (0, "")
    assert f"namespace/{pod['metadata']['namespace']}" in shown.err
    assert remains(stand_ins.api) != []
    with PretendedNode(stand_ins, RUNC).running():
        ran = calibrating.run("--clean", "--yes")
        until_nothing_remains(stand_ins)
    assert ran.code == 0
    assert ran.out == f"namespace/{pod['metadata']['namespace']} deleted\n"
    again = calibrating.run("--clean", "--yes")
    assert (again.code, again.out, again.err) == (0, "", "Nothing is left of earlier runs.\n")


def test_a_killed_run_in_a_given_namespace(calibrating: Calibrating, stand_ins: StandIns) -> None:
    given_namespace(stand_ins, "killed-there")
    killed(calibrating, stand_ins, "-n", "killed-there")
    with PretendedNode(stand_ins, RUNC).running():
        ran = calibrating.run("--clean", "--yes", "-n", "default")
        assert ran.err == "Nothing is left of earlier runs.\n"
        ran = calibrating.run("--clean", "--yes", "-n", "killed-there")
        until_nothing_remains(stand_ins)
    assert ran.code == 0
    assert ran.out.endswith(" in namespace killed-there deleted\n")
    assert stand_ins.api.call("GET", "/api/v1/namespaces/killed-there")["status"]["phase"] == "Active"


@pytest.mark.parametrize("namespace", ["", "killed-here"])
def test_the_next_run_removes_what_a_killed_one_left(
    calibrating: Calibrating, stand_ins: StandIns, namespace: str
) -> None:
    if namespace:
        given_namespace(stand_ins, namespace)
    there = ("-n", namespace) if namespace else ()
    killed(calibrating, stand_ins, *there)
    with PretendedNode(stand_ins, pretended_node.network_fails).running():
        ran = calibrating.quickly("--yes", *there)
        until_nothing_remains(stand_ins)
    assert "Removed first, left by an earlier run: " in ran.err


def test_a_run_of_somebody_else_is_left_alone(calibrating: Calibrating, stand_ins: StandIns) -> None:
    """Until its newest pod is older than a run lets pass."""
    labels = {
        "app.kubernetes.io/managed-by": "kubectl-memdoctor",
        RUN_LABEL: "bcdfg",
        "memdoctor.dev/ttl-seconds": "300",
    }
    metadata = {"name": "memdoctor-calibrate-bcdfg", "labels": labels}
    metadata["annotations"] = {"memdoctor.dev/process": "0123456789ab-1"}
    namespace = stand_ins.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    with PretendedNode(stand_ins, pretended_node.network_fails).running():
        ran = calibrating.quickly("--yes")
    assert "Left alone, since its run may still be under way: namespace/memdoctor-calibrate-bcdfg" in ran.err
    assert stand_ins.api.read(namespace)["status"]["phase"] == "Active"
    patch = {"metadata": {"labels": {"memdoctor.dev/ttl-seconds": "0"}}}
    stand_ins.api.call("PATCH", "/api/v1/namespaces/memdoctor-calibrate-bcdfg", patch, "application/merge-patch+json")
    time.sleep(1.1)
    with PretendedNode(stand_ins, pretended_node.network_fails).running():
        ran = calibrating.quickly("--yes")
        until_nothing_remains(stand_ins)
    assert "Removed first, left by an earlier run: namespace/memdoctor-calibrate-bcdfg" in ran.err


def test_what_only_has_the_labels_is_not_touched(calibrating: Calibrating, stand_ins: StandIns) -> None:
    labels = {"app.kubernetes.io/managed-by": "kubectl-memdoctor", RUN_LABEL: "bcdfh", "memdoctor.dev/ttl-seconds": "0"}
    given_namespace(stand_ins, "copied-labels", **labels)
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "copied-labels"}}
    own["metadata"]["labels"] = labels  # type: ignore[index]
    stand_ins.api.create(own)
    ran = calibrating.run("--clean", "--yes")
    assert ran.err == "Nothing is left of earlier runs.\n"
    assert stand_ins.api.read(own)
    stand_ins.api.call("DELETE", "/api/v1/namespaces/copied-labels")
    stand_ins.api.delete(own)


@contextlib.contextmanager
def proxied(plane: ControlPlane, folder: Path) -> Iterator[tuple[Path, Proxy]]:
    """A kubeconfig that reaches the server by way of a proxy."""
    proxy = Proxy(urlsplit(plane.server).port or 0)
    config = json.loads(plane.kubeconfig("admin").read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config))
    try:
        yield file, proxy
    finally:
        proxy.close()


class Proxy:
    """Passes bytes on, until it is cut: then every connection breaks, and none is taken any more."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._connections: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def cut(self) -> None:
        for one in (self._server, *self._connections):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._connections.clear()

    def mend(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def close(self) -> None:
        self.cut()

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                onward = socket.create_connection(("127.0.0.1", self._target))
                self._connections += [client, onward]
                for source, sink in ((client, onward), (onward, client)):
                    threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def test_the_server_goes_away(
    calibrating: Calibrating, stand_ins: StandIns, plane: ControlPlane, tmp_path: Path
) -> None:
    with proxied(plane, tmp_path) as (kubeconfig, proxy):

        def play(node: PretendedNode, pod: Json, limit: int) -> None:
            if len(node.limits) == 4:
                proxy.cut()
            RUNC(node, pod, limit)

        with PretendedNode(stand_ins, play).running():
            ran = calibrating.quickly("--yes", kubeconfig=kubeconfig)
    assert (ran.code, ran.out) == (2, "")
    fault, left = ran.err.splitlines()[-2:]
    assert fault.startswith(("The connection to the server ", "Unable to connect to the server: "))
    (namespace,) = {entry for entry in remains(stand_ins.api) if entry.startswith("Namespace/")}
    assert left.startswith(f"error: not removed: namespace/{namespace.removeprefix('Namespace/')}")
    assert "calibrate removes it" in left
    with PretendedNode(stand_ins, RUNC).running():
        calibrating.run("--clean", "--yes")
        until_nothing_remains(stand_ins)


def test_the_server_is_away_for_a_moment(
    calibrating: Calibrating, stand_ins: StandIns, plane: ControlPlane, tmp_path: Path
) -> None:
    with proxied(plane, tmp_path) as (kubeconfig, proxy):

        def play(node: PretendedNode, pod: Json, limit: int) -> None:
            if len(node.limits) == 4:
                proxy.cut()
                threading.Timer(2, proxy.mend).start()
            RUNC(node, pod, limit)

        with PretendedNode(stand_ins, play).running():
            ran = calibrating.quickly("--yes", kubeconfig=kubeconfig)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[-1] == "All that was made is removed."
    assert remains(stand_ins.api) == []


def test_somebody_deletes_the_namespace(calibrating: Calibrating, stand_ins: StandIns) -> None:
    def play(node: PretendedNode, pod: Json, limit: int) -> None:
        if len(node.limits) == 2:
            stand_ins.api.call("DELETE", f"/api/v1/namespaces/{pod['metadata']['namespace']}")
        RUNC(node, pod, limit)

    with PretendedNode(stand_ins, play).running():
        ran = calibrating.quickly("--yes")
    assert (ran.code, ran.out) == (2, "")
    assert remains(stand_ins.api) == []
    assert "not removed" not in ran.err


def test_a_pod_that_does_not_go_away_is_named(calibrating: Calibrating, stand_ins: StandIns) -> None:
    """What is deleted may be held by a finalizer, or by a node that is gone."""
    node = PretendedNode(stand_ins, pretended_node.network_fails, ends_namespaces=False)
    with node.running():
        ran = calibrating.quickly("--yes")
    assert ran.code == 2
    assert " is deleted (still there after 120s); something holds it, or the node is slow" in ran.err
    with PretendedNode(stand_ins, RUNC).running():
        until_nothing_remains(stand_ins)


def test_old_pods_alone_are_cleaned_up(calibrating: Calibrating, stand_ins: StandIns) -> None:
    """Their owner went first, and no garbage collector came."""
    given_namespace(stand_ins, "ownerless")
    labels = {"app.kubernetes.io/managed-by": "kubectl-memdoctor", RUN_LABEL: "bcdfj"}
    stand_ins.bare_pod("ownerless", "memdoctor-bcdfj-001", "1Mi", NODE, labels=labels)
    with PretendedNode(stand_ins, RUNC).running():
        ran = calibrating.run("--clean", "--yes")
        until_nothing_remains(stand_ins)
    assert ran.out == "pod/memdoctor-bcdfj-001 in namespace ownerless deleted\n"
