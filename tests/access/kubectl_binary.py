"""The kubectl that memdoctor is compared with: the test cluster's own, where it has been built."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path

from cluster.programs import programs


@functools.cache
def kubectl_binary() -> str | None:
    """MEMDOCTOR_TEST_KUBECTL, else what `python -m tests.cluster.build` made, else the one on PATH."""
    named = os.environ.get("MEMDOCTOR_TEST_KUBECTL")
    if named:
        return named
    built = programs()
    if built is not None and built.kubectl.is_file():
        return str(built.kubectl)
    return _undispatched(shutil.which("kubectl"))


def _undispatched(kubectl: str | None) -> str | None:
    """gcloud's kubectl asks the server for its version, even for `config view`, and then starts a kubectl.1.NN."""
    if kubectl is None:
        return None
    dispatched = Path(kubectl).resolve().parent.glob("kubectl.1.*")
    return str(max(dispatched, key=lambda file: int(file.suffix[1:]), default=kubectl))


@functools.cache
def kubectl_version() -> tuple[int, int]:
    """(1, 37) for v1.37.2; (0, 0) when there is no kubectl."""
    kubectl = kubectl_binary()
    if kubectl is None:
        return (0, 0)
    output = subprocess.run([kubectl, "version", "--client", "-o", "json"], capture_output=True, check=True)
    version = json.loads(output.stdout)["clientVersion"]
    return int(version["major"]), int("".join(char for char in version["minor"] if char.isdigit()))
