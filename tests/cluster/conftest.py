from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from .control_plane import ControlPlane, control_plane
from .memdoctor import Shell, new_shell
from .programs import Programs, kubernetes_asked_for, programs
from .seeded import Seeded, seed
from .stand_ins import StandIns


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


@pytest.fixture(scope="session")
def shell(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return new_shell(plane, tmp_path_factory.mktemp("bin"))


@pytest.fixture(scope="session")
def stand_ins(plane: ControlPlane) -> StandIns:
    return StandIns(plane.api())


@pytest.fixture(scope="session")
def seeded(stand_ins: StandIns) -> Seeded:
    return seed(stand_ins)
