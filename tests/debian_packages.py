"""What tests need of the machine itself, and why: Debian's packages, installed where that is asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cluster.go_programs import BuildError

INSTALL = "MEMDOCTOR_INSTALL"
"""Set to anything: install what is missing."""


@dataclass(frozen=True, slots=True)
class Requirement:
    package: str
    """Debian's name."""
    sign: str
    """A program, or a file's path, that is there when the package is."""
    reason: str


STDERR = 2
_SYSTEM_PROGRAMS = "/usr/sbin:/sbin"


def missing(requirements: Iterable[Requirement]) -> list[str]:
    """The packages that are not there."""
    return [required.package for required in requirements if not _is_there(required.sign)]


def _is_there(sign: str) -> bool:
    if sign.startswith("/"):
        return Path(sign).exists()
    return shutil.which(sign) is not None or shutil.which(sign, path=_SYSTEM_PROGRAMS) is not None


def obstacle(requirements: Iterable[Requirement]) -> str:
    """What keeps them from being there after `install`; empty when nothing does."""
    absent = missing(requirements)
    if not absent:
        return ""
    if shutil.which("apt-get") is None:
        return f"{', '.join(absent)} not installed, and this machine has no apt-get"
    return "" if INSTALL in os.environ else f"apt-get install {' '.join(absent)} (or set {INSTALL}=1)"


def install(requirements: Iterable[Requirement]) -> None:
    """What is missing. Raises BuildError."""
    absent = missing(requirements)
    if not absent:
        return
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *absent]):
        done = subprocess.run(["apt-get", "-qq", *command], env=environ, stdout=STDERR, check=False)
        if done.returncode != 0:
            raise BuildError(f"apt-get {' '.join(command)} failed: see above")


def demand(requirements: Sequence[Requirement]) -> None:
    """Installs what is missing. Where that cannot be, tests are skipped; they fail where MEMDOCTOR_NO_SKIP is set."""
    reason = obstacle(requirements)
    if reason and os.environ.get("MEMDOCTOR_NO_SKIP"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    install(requirements)
