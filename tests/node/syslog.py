"""rsyslog on a node, which writes the kernel's messages to /var/log/kern.log as on Debian's and Ubuntu's nodes.

It reads /dev/kmsg, where everybody who reads gets every line: on this machine others read there, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .configuration import LOGS
from .packages import package, relocated
from .place import Place

SUITE = "bookworm"
KERNEL_LOG = f"{LOGS}/kern.log"
CONFIG = "/etc/rsyslog.conf"
MODULES = ("imkmsg.so", "lmnet.so")
"""The one that reads /dev/kmsg, and the one that finds out the host's name."""


def syslog_files() -> dict[str, Path]:
    """Path on the node -> file on this machine: the same, where its libraries are looked for. Raises BuildError."""
    files = [_program(), *(_modules() / name for name in MODULES)]
    return {str(file): file for file in files}


@contextlib.contextmanager
def kernel_logged(place: Place) -> Iterator[None]:
    """KERNEL_LOG has what the kernel has kept so far, and all that it says until the block is left."""
    place.put(CONFIG, f'module(load="imkmsg")\nkern.* {KERNEL_LOG}\n'.encode())
    command = [str(_program()), "-n", "-f", CONFIG, "-i", "NONE", "-M", str(_modules())]
    process = place.start(command, f"{LOGS}/rsyslog.log")
    try:
        yield
    finally:
        place.run(["sh", "-c", f"kill {process}"])


def _program() -> Path:
    return relocated(_package(), "usr/sbin/rsyslogd")


def _modules() -> Path:
    return _package() / "usr/lib/x86_64-linux-gnu/rsyslog"


def _package() -> Path:
    return package("rsyslog", SUITE, with_dependencies=True)
