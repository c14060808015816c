"""What must be installed on the machine itself, and why; everything else is built, or fetched without installing it."""

from __future__ import annotations

import shutil

import debian_packages
from debian_packages import Requirement

from . import enclosure

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


def obstacle() -> str:
    """Why no node can be built on this machine; empty when one can, after installing what can be installed."""
    reason = enclosure.obstacle()
    if reason:
        return reason
    if shutil.which("go") is None:
        return "Go is not installed"
    if shutil.which("apt-get") is None:
        return "its packages are Debian's, and this machine has no apt-get"
    return debian_packages.obstacle(REQUIREMENTS)


def missing() -> list[str]:
    return debian_packages.missing(REQUIREMENTS)


def install() -> None:
    """Raises BuildError."""
    debian_packages.install(REQUIREMENTS)
