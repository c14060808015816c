from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from .control_plane import ControlPlane, control_plane
from .programs import Programs, kubernetes_asked_for, programs


def _built() -> Programs:
    found = programs()
    missing = found.missing() if found else ()
    if found and not missing:
        return found
    names = ", ".join(file.name for file in missing) or f"Kubernetes {kubernetes_asked_for()}"
    reason = f"not run against a real API server: {names} not built, run `make test-cluster` on Linux with Go"
    if os.environ.get("MEMDOCTOR_NO_SKIP"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(_built(), tmp_path_factory.mktemp("control-plane")) as running:
        yield running
