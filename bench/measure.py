"""What a command takes, on this machine and of the API server."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SECONDS = 1.0
IDLE_SHARE = 0.15
"""Of a processor: the trickle of writes costs less."""
SETTLE_SECONDS = 30.0
ROWS, COLUMNS = 50, 200


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds; `peak_mb` is the largest resident set; `server_cpu` is the API server's in the same time; `last_words`
    is the last line on standard error."""

    wall: float
    cpu: float
    peak_mb: float
    exit_code: int
    server_cpu: float = 0.0
    last_words: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """A running program, by what /proc says of it."""

    pid: int

    def cpu_seconds(self) -> float:
        """Of user and system: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def settle(self) -> None:
        """Waits until it does next to nothing, such as collecting garbage of what was measured before; at most
        SETTLE_SECONDS."""
        deadline = time.monotonic() + SETTLE_SECONDS
        before = self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(IDLE_SECONDS)
            now = self.cpu_seconds()
            if now - before < IDLE_SHARE * IDLE_SECONDS:
                return
            before = now


def process_with(argument: str) -> Process:
    """The one whose command line holds the argument as a whole."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if argument.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                return Process(int(folder.name))
    raise LookupError(f"no process has {argument}")


def run(
    command: Sequence[str], environ: Mapping[str, str], stdout: Path = Path(os.devnull), server: Process | None = None
) -> Taken:
    """One run to its end, whatever that is."""
    before = server.cpu_seconds() if server else 0.0
    done = subprocess.run(
        [sys.executable, "-IS", str(LAUNCH), str(stdout), *command],
        env=dict(environ),
        capture_output=True,
        text=True,
        check=True,
    )
    after = server.cpu_seconds() if server else 0.0
    last_words = done.stderr.strip().rpartition("\n")[2]
    return Taken(**json.loads(done.stdout), server_cpu=after - before, last_words=last_words)


def seconds_until(word: str, command: Sequence[str], environ: Mapping[str, str]) -> float | None:
    """Until the word stands on a terminal, in whatever colour; None when it never does. The command is ended then."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    started = time.monotonic()
    child = subprocess.Popen(command, env=dict(environ), stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    try:
        return _seen(screen, word.encode(), started)
    finally:
        child.terminate()
        child.wait()
        os.close(screen)


def _seen(screen: int, wanted: bytes, started: float) -> float | None:
    printed = b""
    while True:
        try:
            printed += os.read(screen, 1 << 16)
        except OSError:
            # What a terminal says whose last program has ended.
            return None
        if wanted in printed:
            return time.monotonic() - started
