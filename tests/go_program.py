"""Runs the Go programs of tests/go, which answer with Kubernetes' own code."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent / "go"


def run_go(folder: str, lines: str) -> list[str]:
    """The program's output lines for the given input lines. Go builds it once and keeps it in its own cache.

    Skips without Go, and fails then where MEMDOCTOR_NO_SKIP is set.
    """
    go = shutil.which("go")
    if go is None:
        reason = "not compared with Kubernetes' own code: Go is not installed"
        if os.environ.get("MEMDOCTOR_NO_SKIP"):
            pytest.fail(reason)
        pytest.skip(reason)
    done = subprocess.run(
        [go, "run", "."], cwd=ROOT / folder, input=lines.encode(), capture_output=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode().splitlines()
