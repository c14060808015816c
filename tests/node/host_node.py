"""The node that this machine itself is, inside an enclosure."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import cgroups
from .configuration import BRIDGE
from .place import SECONDS, CommandFailed

STOP_SECONDS = 20.0
CAP_SYS_RESOURCE = 24
PODS = "kubepods"
"""The cgroup that the kubelet makes for pods."""
NODE_PROGRAMS = ("kubelet", "containerd", "containerd-shim-runc-v2")
OWN_FOLDERS = (
    "/opt/node",
    "/opt/cni",
    "/run/containerd",
    "/run/netns",
    "/var/lib/kubelet",
    "/var/lib/containerd",
    "/var/lib/cni",
    "/var/log",
)


class HostNode:
    """Runs programs where the tests run."""

    def run(self, argv: Sequence[str], seconds: float = SECONDS, stdin: bytes = b"") -> str:
        """What it prints on stdout. Raises CommandFailed and subprocess.TimeoutExpired."""
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=seconds, check=False)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise CommandFailed(f"{shlex.join(argv)} left with {done.returncode}: {said}")
        return done.stdout.decode(errors="replace")

    def start(self, argv: Sequence[str], log: str) -> int:
        """Runs a program that goes on, its output at the end of the file `log`; its process id."""
        script = f"setsid {shlex.join(argv)} </dev/null >>{shlex.quote(log)} 2>&1 & echo $!"
        # Not a child of ours: the enclosure's init reaps it.
        return int(self.run(["sh", "-c", script]))

    def put(self, path: str, content: bytes) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)

    def get(self, path: str) -> bytes:
        return Path(path).read_bytes()


def may_lower_oom_score() -> bool:
    found = re.search(r"^CapEff:\s*(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return bool(found and int(found[1], 16) >> CAP_SYS_RESOURCE & 1)


def lay_out(files: dict[str, Path], hostname: str) -> HostNode:
    """The node without its settings, nothing running; what a node before it left is removed."""
    clear()
    socket.sethostname(hostname)
    for path, file in files.items():
        link = Path(path)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(file)
    return HostNode()


def clear() -> None:
    """Ends the node's programs and its pods, and removes what they made: processes, mounts, devices, files, cgroups."""
    _end(lambda pid: _program(pid) == "kubelet")
    _end(_of_node)
    for place in reversed(_mounts()):
        subprocess.run(["umount", "--lazy", place], check=True)
    subprocess.run(["ip", "link", "delete", BRIDGE], check=False, stderr=subprocess.DEVNULL)
    for folder in OWN_FOLDERS:
        for path in Path(folder).glob("*"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    cgroups.remove(PODS)


def leftovers() -> list[str]:
    """What `clear` should have ended or removed: programs, processes of pods, mounts, cgroups, the pods' bridge."""
    found = [f"process {pid} {_program(pid)}" for pid in _processes() if _of_node(pid)]
    found += [f"mount {place}" for place in _mounts()]
    found += [f"cgroup {name}" for name in cgroups.names(PODS)]
    return found + [f"device {BRIDGE}"] * Path("/sys/class/net", BRIDGE).exists()


def _of_node(pid: int) -> bool:
    return _program(pid) in NODE_PROGRAMS or _in_pod(pid)


def _end(meant: Callable[[int], bool]) -> None:
    """Kills the processes that are meant, and waits until they are gone."""
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        found = [pid for pid in _processes() if meant(pid)]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    raise RuntimeError(f"processes {found} cannot be killed")


def _processes() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/exe").readlink().name
    return ""


def _in_pod(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return f":/{PODS}/" in Path(f"/proc/{pid}/cgroup").read_text()
    return False


def _mounts() -> list[str]:
    """Those below the node's own folders, in the order in which they were made."""
    places = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [place for place in places if any(place.startswith(f"{folder}/") for folder in OWN_FOLDERS)]
