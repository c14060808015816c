"""The machine's name in the words of Go and krew: linux/amd64, darwin/arm64, windows/amd64."""

from __future__ import annotations

import platform
import sys

_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def this_platform() -> tuple[str, str]:
    """(os, arch) of the running Python. Raises KeyError where krew has no name for it."""
    return _SYSTEMS[sys.platform], _MACHINES[platform.machine().lower()]


def archive_name(version: str, system: str, machine: str) -> str:
    ending = "zip" if system == "windows" else "tar.gz"
    return f"kubectl-memdoctor_{version}_{system}_{machine}.{ending}"
