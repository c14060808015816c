"""What `make bundle` left in dist/, unpacked once where an installer could put it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

# The loopback API server of tests/access.
from access.conftest import stage  # noqa: F401

from krew.platforms import archive_name, this_platform
from kubectl_memdoctor import __version__

ROOT = Path(__file__).parents[2]
BUILD_PYTHON = ROOT / "build" / "bundle" / "venv" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture(scope="session")
def archive() -> Path:
    path = ROOT / "dist" / archive_name(__version__, *this_platform())
    assert path.is_file(), "run `make bundle` first"
    return path


@pytest.fixture(scope="session")
def unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="session")
def program(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As krew starts it: by a link in a folder of its own."""
    link = tmp_path_factory.mktemp("bin") / "kubectl-memdoctor"
    link.symlink_to(unpacked / "kubectl-memdoctor" / "kubectl-memdoctor")
    return link


def run(
    *command: str | Path, environ: Mapping[str, str] | None = None, cwd: Path | None = None, given: bytes = b""
) -> Done:
    """UTF-8 is what the program writes unless the test says otherwise."""
    environ = dict(os.environ) if environ is None else environ
    done = subprocess.run([*map(str, command)], env=environ, cwd=cwd, input=given, capture_output=True, check=False)
    return Done(done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="replace"))


PLAIN = (sys.executable, "-m", "kubectl_memdoctor")
"""The same program as these tests' own Python runs it."""
