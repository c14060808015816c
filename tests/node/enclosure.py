"""Runs a command where it can start a node without touching the machine: `python -m node.enclosure COMMAND...`.

The command gets mount, network, UTS, PID and cgroup namespaces of its own, below a small init that reaps. When the
command ends, or this program is killed, the kernel ends everything in there, and its mounts, addresses and devices
vanish. What outlives that, a folder of files and the cgroups, is removed afterwards; where this program was killed, by
the next run. Several may run at once. What a node writes to in /etc, /opt, /run, /var/lib and /var/log is its own.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.programs import CACHE

from . import cgroups

PLANE_ADDRESS = "10.77.0.1"
NODE_ADDRESS = "10.77.0.11"
PREFIX = "memdoctor-node-"
"""Of the names of the folder and the cgroups of one run."""
STATE = Path("/var/tmp")
"""On a disk: what pods write into a tmpfs would count as their memory."""
INSIDE = "MEMDOCTOR_ENCLOSURE"
"""Set to the folder of the run, inside."""
LAYERED = ("/etc", "/opt", "/var/lib")
"""Seen as they are on the machine; what is written there is seen inside only, and goes with the enclosure."""
EMPTY = ("/var/log", "/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet")
KUBELET_SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""Of the whole machine; the kubelet sets them: https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/util/sysctl/sysctl.go"""
NAMESPACES = ("--mount", "--net", "--uts", "--pid", "--cgroup")
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def obstacle() -> str:
    """Why no node can run on this machine; empty when one can."""
    if sys.platform != "linux":
        return "a node runs on Linux only"
    if platform.machine() != "x86_64":
        return f"its programs are for x86_64, and this machine is {platform.machine()}"
    if os.geteuid() != 0:
        return "it takes root"
    mounted = cgroups.hierarchies()
    if not mounted or not os.access(mounted[0].mount, os.W_OK):
        return "no cgroups can be made"
    hidden = [place for place in (Path.cwd(), CACHE) if any(place.is_relative_to(layered) for layered in LAYERED)]
    if hidden:
        return f"what is written to {hidden[0]} would be lost: it lies in {', '.join(LAYERED)}"
    if _file_system(STATE) == "overlay":
        return f"{STATE} lies in a container's own file system, in which containerd cannot keep images"
    absent = [program for program in ("unshare", "mount") if shutil.which(program) is None]
    if absent:
        return f"{' and '.join(absent)} not installed: apt-get install util-linux"
    tried = subprocess.run(["unshare", *NAMESPACES, "--fork", "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"it needs namespaces of its own: {tried.stderr.strip()}"


def _file_system(place: Path) -> str:
    """The type of the file system that it lies in."""
    mounts = [line.split(" ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    above = [fields for fields in mounts if place.is_relative_to(fields[4])]
    fields = max(above, key=lambda fields: len(fields[4]))
    return fields[fields.index("-") + 1]


def inside() -> bool:
    return INSIDE in os.environ


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--init"]:
        return _init(arguments[1:], Path(os.environ[INSIDE]))
    if not arguments:
        print("error: usage: python -m node.enclosure COMMAND [ARGUMENT...]", file=sys.stderr)
        return 2
    reason = obstacle()
    if reason:
        print(f"no node: {reason}", file=sys.stderr)
        return 1 if os.environ.get("MEMDOCTOR_NO_SKIP") else 0
    return run(arguments)


def run(command: list[str]) -> int:
    """Runs `command` in an enclosure of its own; its exit code, 128 + the signal's number when one ended it."""
    remove_abandoned()
    with _state() as folder:
        cgroups.make(folder.name)

        def join() -> None:
            _end_with_parent()
            cgroups.enter(folder.name)

        init = [sys.executable, "-m", "node.enclosure", "--init", *command]
        unshare = ["unshare", *NAMESPACES, "--fork", "--kill-child", "--mount-proc", "--propagation", "private", "--"]
        environ = {**os.environ, INSIDE: str(folder)}
        process = subprocess.Popen([*unshare, *init], env=environ, preexec_fn=join)
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: _end_children(process.pid))
        return _code(process.wait())


def _end_children(pid: int) -> None:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGTERM)


def _code(returned: int) -> int:
    return returned if returned >= 0 else 128 - returned


def remove_abandoned() -> None:
    """Removes the folders and cgroups of runs that were killed."""
    for name in {folder.name for folder in STATE.glob(f"{PREFIX}*")} | cgroups.names(PREFIX):
        with claimed(name) as ours:
            if ours:
                _remove(name)


@contextmanager
def _state() -> Iterator[Path]:
    """The folder of this run; removed with its cgroups in the end."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=STATE))
    with claimed(folder.name) as ours:
        if ours and folder.exists():
            try:
                yield folder
            finally:
                _remove(folder.name)
            return
    # Another run, which had just begun, took it for abandoned.
    with _state() as folder:
        yield folder


@contextmanager
def claimed(name: str) -> Iterator[bool]:
    """Whether no other living run has that name: the kernel drops a lock with the process that has it."""
    try:
        descriptor = os.open(STATE / name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        yield _locked(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(name: str) -> None:
    cgroups.remove(name)
    shutil.rmtree(STATE / name, ignore_errors=True)


def _init(command: list[str], folder: Path) -> int:
    """Process 1 of the enclosure: when it ends, the kernel ends all others."""
    cgroups.mount_own()
    _mount_own_folders(folder)
    _hide_sysctls(folder)
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
    _bring_up_network()
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        print(f"error: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    # Ctrl-C reaches the command by itself. Handlers, unlike SIG_IGN, are not inherited.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            return _code(os.waitstatus_to_exitcode(status))


def _mount_own_folders(folder: Path) -> None:
    layers = folder / "layers"
    layers.mkdir()
    _mount("-t", "tmpfs", "tmpfs", str(layers))
    for place in LAYERED:
        upper, work = layers / place.replace("/", "-"), layers / f"work{place.replace('/', '-')}"
        upper.mkdir()
        work.mkdir()
        _mount("-t", "overlay", "-o", f"lowerdir={place},upperdir={upper},workdir={work}", "overlay", place)
    for place in EMPTY:
        own = folder / place.replace("/", "-")
        own.mkdir()
        Path(place).mkdir(exist_ok=True)
        _mount("--bind", str(own), place)
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")


def _hide_sysctls(folder: Path) -> None:
    for name in KUBELET_SYSCTLS:
        real, own = Path("/proc/sys", name), folder / name.replace("/", ".")
        if real.exists():
            own.write_text(real.read_text())
            _mount("--bind", str(own), str(real))


def _bring_up_network() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in (PLANE_ADDRESS, NODE_ADDRESS):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _end_with_parent() -> None:
    """https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html"""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
