"""Starts a machine with qemu's software emulation, which needs nothing of this machine's kernel."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.control_plane import ending
from cluster.go_programs import BuildError

from node.place import SECONDS, CommandFailed

from .kernel import SUITE, Kernel, kernel
from .shell import Gone, Shell

UNIFIED_HIERARCHY = {"v1": 0, "v2": 1}
"""Cgroup version -> what systemd, whose kernel option it is, and init/rc make of it."""
QEMU = "qemu-system-x86_64"
BOOT_SECONDS = 300.0
"""Far more than it takes: this machine may be busy."""
PORTS = 4
KERNEL_OPTIONS = (
    *("console=ttyS0", "quiet", "panic=-1", "log_buf_len=8M"),
    # Emulated processors are slow, and two real ones stand in for up to eight.
    *("mitigations=off", "nowatchdog", "rcupdate.rcu_cpu_stall_suppress=1", "no_timer_check", "tsc=reliable"),
)


@dataclass(frozen=True, slots=True)
class Tap:
    """A network device of this machine (`ip tuntap`) whose other end is the machine's eth0."""

    device: str
    here: str
    machine: str
    """IPv4 addresses in a network of 24 bits."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Its programs are run by the shell in it; up to PORTS at once, from any thread."""

    folder: Path
    shell: Shell
    address: str | None
    """None: the machine has no network."""

    def ask(
        self, argv: Sequence[str], seconds: float = SECONDS, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Raises subprocess.TimeoutExpired and Gone; never for the exit code, which is 127 for no such program."""
        return self.shell.ask(f"exec {shlex.join(argv)}", stdin, seconds)

    def run(self, argv: Sequence[str], seconds: float = SECONDS, stdin: bytes = b"") -> str:
        """What it prints on stdout. Raises CommandFailed as well."""
        done = self.ask(argv, seconds, stdin)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise CommandFailed(f"{shlex.join(argv)} left with {done.returncode} in the machine: {said}")
        return done.stdout.decode(errors="replace")

    def start(self, argv: Sequence[str], log: str) -> int:
        """Runs a program that goes on, its output at the end of the file `log` of the machine; its process id there."""
        folder, file = shlex.quote(str(Path(log).parent)), shlex.quote(log)
        script = f"mkdir -p {folder}; setsid {shlex.join(argv)} </dev/null >>{file} 2>&1 & echo $!"
        return int(self.run(["sh", "-c", script]))

    def put(self, path: str, content: bytes, *, executable: bool = False) -> None:
        folder, file = shlex.quote(str(Path(path).parent)), shlex.quote(path)
        script = f"mkdir -p {folder} && cat >{file}" + (f" && chmod 755 {file}" if executable else "")
        self.run(["sh", "-c", script], stdin=content)

    def get(self, path: str) -> bytes:
        """Raises FileNotFoundError."""
        done = self.ask(["cat", path])
        if done.returncode != 0:
            raise FileNotFoundError(f"{path} in the machine: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def kernel_log(self) -> str:
        return self.run(["dmesg"])


@contextlib.contextmanager
def machine(
    root_image: Path,
    *,
    cpus: int = 2,
    memory_mib: int = 2048,
    cgroup: str = "v2",
    suite: str = SUITE,
    folder: Path,
    tap: Tap | None = None,
) -> Iterator[Machine]:
    """Runs until the block is left, however that happens, or the thread that entered it ends. What it writes is lost.

    `cgroup` is `v1` or `v2`, `suite` whose kernel it has. `folder` takes the console's log, `machine-console.log`.
    Raises BuildError where a part is missing, and Gone.
    """
    if shutil.which(QEMU) is None:
        raise BuildError(f"{QEMU} is not installed: apt-get install qemu-system-x86")
    with contextlib.ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(PORTS)]
        ours, theirs = zip(*pairs, strict=True)
        for end in (*ours, *theirs):
            stack.enter_context(end)
        command = _command(kernel(suite), root_image, cpus, memory_mib, cgroup, folder)
        command += _ports([end.fileno() for end in theirs]) + (_network(tap) if tap else [])
        stack.enter_context(_running(command, [end.fileno() for end in theirs], folder))
        for end in theirs:
            end.close()
        started = Machine(folder, Shell(ours), tap.machine if tap else None)
        _wait_until_booted(started)
        if tap:
            _join_network(started, tap)
        yield started


def _command(kernel: Kernel, root_image: Path, cpus: int, memory_mib: int, cgroup: str, folder: Path) -> list[str]:
    """https://www.qemu.org/docs/master/system/invocation.html"""
    options = (*KERNEL_OPTIONS, f"systemd.unified_cgroup_hierarchy={UNIFIED_HIERARCHY[cgroup]}")
    return [
        # Also when this process is killed: https://man7.org/linux/man-pages/man1/setpriv.1.html
        *("setpriv", "--pdeathsig", "KILL"),
        *(QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(cpus), "-m", str(memory_mib)),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-rtc", "base=utc"),
        *("-serial", f"file:{folder / 'machine-console.log'}"),
        *("-kernel", str(kernel.image), "-initrd", str(kernel.initramfs), "-append", " ".join(options)),
        *("-drive", f"file={root_image},format=raw,if=virtio,snapshot=on,cache=unsafe"),
    ]


def _ports(descriptors: Sequence[int]) -> list[str]:
    options = ["-device", f"virtio-serial-pci,max_ports={len(descriptors) + 1}"]
    for number, descriptor in enumerate(descriptors, start=1):
        options += ["-chardev", f"socket,id=shell{number},fd={descriptor}"]
        options += ["-device", f"virtserialport,nr={number},chardev=shell{number},name=shell{number}"]
    return options


def _network(tap: Tap) -> list[str]:
    return [
        *("-netdev", f"tap,id=network,ifname={tap.device},script=no,downscript=no"),
        *("-device", "virtio-net-pci,netdev=network,romfile="),
    ]


@contextlib.contextmanager
def _running(command: list[str], descriptors: Sequence[int], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "qemu.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)},
            pass_fds=descriptors,
        )
    with ending(process):
        yield process


def _wait_until_booted(machine: Machine) -> None:
    try:
        machine.run(["true"], BOOT_SECONDS)
    except Gone as gone:
        said = "".join(
            (machine.folder / name).read_text(errors="replace") for name in ("qemu.log", "machine-console.log")
        )
        raise Gone(f"{gone} before it had started:\n{said[-3000:]}") from None


def _join_network(machine: Machine, tap: Tap) -> None:
    for words in (
        f"ip addr add {tap.machine}/24 dev eth0",
        "ip link set eth0 up",
        f"ip route add default via {tap.here}",
    ):
        machine.run(words.split())
