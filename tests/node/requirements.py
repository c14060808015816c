"""What must be installed on the machine itself, and why; everything else is built, or fetched without installing it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cluster.go_programs import BuildError

from . import enclosure

INSTALL = "MEMDOCTOR_INSTALL"
"""Set to anything: install what is missing."""


@dataclass(frozen=True, slots=True)
class Requirement:
    package: str
    """Debian's name."""
    sign: str
    """A program, or a file's path, that is there when the package is."""
    reason: str


REQUIREMENTS = (
    Requirement("ca-certificates", "/etc/ssl/certs/ca-certificates.crt", "the Go module proxy"),
    Requirement("debian-archive-keyring", "/usr/share/keyrings/debian-archive-keyring.gpg", "packages of other suites"),
    Requirement("e2fsprogs", "mke2fs", "the virtual machine's disk"),
    Requirement("gcc", "gcc", "runc, and the programs in the images"),
    Requirement("iproute2", "ip", "the node's network"),
    Requirement("libc6-dev", "/usr/include/stdlib.h", "runc, and the programs in the images"),
    Requirement("libseccomp-dev", "/usr/include/seccomp.h", "runc"),
    Requirement("patchelf", "patchelf", "crun beside the libraries that it was built for"),
    Requirement("pkg-config", "pkg-config", "runc"),
    Requirement("qemu-system-x86", "qemu-system-x86_64", "a node with the other cgroup version"),
)
STDERR = 2
_SYSTEM_PROGRAMS = "/usr/sbin:/sbin"


def obstacle() -> str:
    """Why no node can be built on this machine; empty when one can, after installing what can be installed."""
    reason = enclosure.obstacle()
    if reason:
        return reason
    if shutil.which("go") is None:
        return "Go is not installed"
    if shutil.which("apt-get") is None:
        return "its packages are Debian's, and this machine has no apt-get"
    absent = missing()
    if not absent or INSTALL in os.environ:
        return ""
    return f"apt-get install {' '.join(absent)} (or set {INSTALL}=1)"


def missing() -> list[str]:
    return [required.package for required in REQUIREMENTS if not _is_there(required.sign)]


def _is_there(sign: str) -> bool:
    if sign.startswith("/"):
        return Path(sign).exists()
    return shutil.which(sign) is not None or shutil.which(sign, path=_SYSTEM_PROGRAMS) is not None


def install() -> None:
    """Raises BuildError."""
    absent = missing()
    if not absent:
        return
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *absent]):
        done = subprocess.run(["apt-get", "-qq", *command], env=environ, stdout=STDERR, check=False)
        if done.returncode != 0:
            raise BuildError(f"apt-get {' '.join(command)} failed: see above")
