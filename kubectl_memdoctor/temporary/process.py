"""Which process a run is, and whether that has ended: so that what it left can be removed at once by a next run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")


def this_process() -> str:
    """`machine-pid`: the machine is a digest, which names neither host nor user."""
    return f"{_machine()}-{os.getpid()}"


def has_ended(process: str) -> bool:
    """Whether it was a process of this machine that is no more. False where that cannot be known from here."""
    machine, _, pid = process.rpartition("-")
    # On Windows, os.kill ends the process that it is asked about.
    if machine != _machine() or not pid.isdecimal() or os.name != "posix":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _machine() -> str:
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(BOOT_ID.read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink(PID_NAMESPACE))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
