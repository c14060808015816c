"""Nothing of an enclosure outlives it, however it ends; and the machine outside is as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from . import cgroups, enclosure
from .enclosure import PREFIX, STATE
from .images import APP
from .programs import Generation

ENCLOSURE = (sys.executable, "-m", "node.enclosure")
SECONDS = 120.0
pytestmark = pytest.mark.usefixtures("enclosed")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ENCLOSURE, *command], capture_output=True, text=True, check=False, timeout=SECONDS)


@contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[str]]:
    """An enclosure in which the command runs, which says so by a line, and waits for its standard input to end."""
    process = subprocess.Popen([*ENCLOSURE, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), process.wait()
        yield process
    finally:
        process.stdin.close()
        process.wait(SECONDS)
        process.stdout.close()


def processes(kind: str) -> dict[str, set[int]]:
    """The namespaces of that kind that processes are in, and those processes."""
    found: dict[str, set[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found.setdefault(os.readlink(folder / "ns" / kind), set()).add(int(folder.name))
            except OSError:
                continue
    return found


def program(pid: int) -> str:
    """Empty where the process has ended meanwhile, as the runtime's own do all the time."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return ""


def wait_until_gone(running: set[int]) -> None:
    deadline = time.monotonic() + SECONDS
    while left := [pid for pid in running if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def traces() -> set[str]:
    """Cgroups and folders of enclosures that are gone: nobody holds their lock."""
    names = {folder.name for folder in STATE.glob(f"{PREFIX}*")} | cgroups.names(PREFIX)
    return {name for name in names if is_abandoned(name)}


def is_abandoned(name: str) -> bool:
    with enclosure.claimed(name) as ours:
        return ours


def test_it_answers_with_the_commands_exit_code() -> None:
    assert run("sh", "-c", "exit 7").returncode == 7
    assert run("sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL
    assert run("/nosuch").returncode == 127


def test_what_a_node_writes_to_is_its_own() -> None:
    folders = ("/etc", "/opt", "/run", "/var/lib", "/var/lib/kubelet", "/var/log")
    files = [f"{folder}/memdoctor-test" for folder in folders]
    before = Path("/proc/sys/vm/overcommit_memory").read_text()
    script = f"touch {' '.join(files)} && echo 2 > /proc/sys/vm/overcommit_memory && hostname elsewhere"
    assert run("sh", "-c", script).returncode == 0
    assert [file for file in files if Path(file).exists()] == []
    assert Path("/proc/sys/vm/overcommit_memory").read_text() == before
    assert "elsewhere" not in os.uname().nodename


def test_what_was_left_running_ends_with_the_command() -> None:
    before = set(processes("net"))
    assert run("sh", "-c", "setsid sleep 100000 & sleep 0.2").returncode == 0
    assert set(processes("net")) <= before
    assert traces() == set()


def test_it_ends_its_command_when_it_is_asked_to_end() -> None:
    script = "trap 'exit 3' TERM; echo; while :; do sleep 0.1; done"
    with started("sh", "-c", script) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 3
    assert traces() == set()


def test_its_orphans_are_reaped() -> None:
    script = "sh -c 'sleep 0.1 & exit' ; sleep 0.5; ps -e -o stat | grep -c Z"
    assert run("sh", "-c", script).stdout == "0\n"


@pytest.mark.parametrize("chosen", ["current"], indirect=True)
def test_a_whole_cluster_ends_with_an_enclosure_that_is_killed(chosen: Generation) -> None:
    before, mounts = set(processes("net")), Path("/proc/self/mountinfo").read_text()
    with started(sys.executable, "-m", "node.up", chosen.name) as process:
        run_pod(process)
        inside = set(processes("net")) - before
        running = {pid for name in inside for pid in processes("net")[name]}
        programs = {program(pid) for pid in running}
        assert programs >= {"etcd", "kube-apiserver", "kubelet", "containerd", "containerd-shim-runc-v2", "busybox"}
        process.kill()
    wait_until_gone(running)
    assert not inside & set(processes("net"))
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert traces() != set()
    assert run("true").returncode == 0
    assert traces() == set()


def run_pod(process: subprocess.Popen[str]) -> None:
    """By hand, in the shell that `node.up` gives."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"kubectl run lives --image={APP} --command -- sleep 100000\n")
    process.stdin.write("kubectl wait --for=condition=Ready --timeout=60s pod/lives\n")
    process.stdin.flush()
    assert process.stdout.readline() == "pod/lives created\n"
    assert process.stdout.readline() == "pod/lives condition met\n"
