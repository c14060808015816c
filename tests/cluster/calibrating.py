"""Runs calibrate against the real API server, whose pods a PretendedNode plays; in this process by a faster clock."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.temporary import clock
from kubectl_memdoctor.temporary.clock import Clock

from .api import Api, Json
from .memdoctor import Ran, Shell
from .pretended_node import RUN_LABEL
from .stand_ins import StandIns

TIMES_FASTER = 5.0
"""So that waits of seconds are fractions of one, and those of a minute some seconds."""
NODE = "calibrated-1"
PAUSE = "registry.k8s.io/pause:3.10"
SAVED = "/api/v1/namespaces/kube-public/configmaps/memdoctor-sandbox-minimum"
"""What --save keeps."""
SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Calibrating:
    """`quickly` runs it here, `start` as a process of its own, as people have it."""

    shell: Shell
    stand_ins: StandIns
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> Ran:
        """As a process of its own, without a terminal, by the real clock: what is over soon."""
        return self.shell.memdoctor("calibrate", *arguments)

    def quickly(
        self,
        *arguments: str,
        nodes: tuple[str, ...] = ("--node", NODE),
        kubeconfig: Path | None = None,
    ) -> Ran:
        for name, value in self.shell.environ("admin", "default").items():
            self.monkeypatch.setenv(name, value)
        if kubeconfig is not None:
            self.monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        self.monkeypatch.setattr(clock, "Clock", faster)
        self.capsys.readouterr()
        code = main(["calibrate", *nodes, *arguments])
        out, err = self.capsys.readouterr()
        return Ran(code, out, err)

    @contextlib.contextmanager
    def start(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Ended when the block is left, if it still runs."""
        environ = {**os.environ, **self.shell.environ("admin", "default")}
        command = ["kubectl", "memdoctor", "calibrate", "--node", NODE, *arguments]
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_heed_signals,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def at_terminal(self, typed: str, *arguments: str) -> tuple[int, str]:
        """As a person at a terminal who types that: the exit code, and all that was to be seen."""
        main_end, own_end = os.openpty()
        environ = {**os.environ, **self.shell.environ("admin", "default"), "TERM": "xterm"}
        command = ["kubectl", "memdoctor", "calibrate", *arguments]
        process = subprocess.Popen(command, env=environ, stdin=own_end, stdout=own_end, stderr=own_end)
        os.close(own_end)
        os.write(main_end, typed.encode())
        seen = b""
        with contextlib.suppress(OSError):  # which is how a terminal ends
            while chunk := os.read(main_end, 4096):
                seen += chunk
        os.close(main_end)
        return process.wait(SECONDS), seen.decode()


def faster() -> Clock:
    return Clock(now=lambda: time.monotonic() * TIMES_FASTER, sleep=lambda seconds: time.sleep(seconds / TIMES_FASTER))


def remains(api: Api) -> list[str]:
    """Everything in the cluster that calibrate has made, but for what it keeps."""
    return [
        f"{kind}/{entry['metadata']['name']}"
        for kind in ("Namespace", "ConfigMap", "Pod")
        for entry in api.items("v1", kind)
        if RUN_LABEL in entry["metadata"].get("labels", {})
    ]


def until_there_are_pods(api: Api, number: int = 1) -> list[Json]:
    give_up = time.monotonic() + SECONDS
    while time.monotonic() < give_up:
        found = [pod for pod in api.items("v1", "Pod") if RUN_LABEL in pod["metadata"].get("labels", {})]
        if len(found) >= number:
            return found
        time.sleep(0.1)
    raise AssertionError("calibrate has made no pods")


def _heed_signals() -> None:
    """What a shell starts in the background, or nohup, is deaf to some, and so are its children: the tests may be."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
