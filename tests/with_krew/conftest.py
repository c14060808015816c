from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from cluster.control_plane import ControlPlane, control_plane
from cluster.programs import Programs, programs
from cluster.seeded import seed
from cluster.stand_ins import StandIns

from krew.manifest import DIST
from krew.platforms import archive_name, this_platform
from kubectl_memdoctor import __version__

from .home import Home, Index, new_home
from .programs import KrewPrograms, krew_programs
from .stand_in import older_manifest


def _cannot_run(reason: str) -> NoReturn:
    if os.environ.get("MEMDOCTOR_NO_SKIP"):
        pytest.fail(reason)
    pytest.skip(f"not run with krew: {reason}, run `make test-krew` on Linux with Go")


@pytest.fixture(scope="session")
def kubernetes() -> Programs:
    found = programs()
    if found is None or found.missing():
        _cannot_run("the test cluster's programs are not built")
    return found


@pytest.fixture(scope="session")
def krew() -> KrewPrograms:
    found = krew_programs()
    if found.missing():
        _cannot_run(f"{found.missing()[0].name} is not built")
    return found


@pytest.fixture(scope="session")
def bundle() -> Path:
    """This machine's archive."""
    archive = DIST / archive_name(__version__, *this_platform())
    if not archive.is_file():
        _cannot_run(f"dist/{archive.name} is not built")
    return archive


@pytest.fixture(scope="session")
def plane(kubernetes: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(kubernetes, tmp_path_factory.mktemp("control-plane")) as running:
        seed(StandIns(running.api()))
        yield running


@pytest.fixture
def home(kubernetes: Programs, krew: KrewPrograms, tmp_path: Path) -> Home:
    """Its name has a blank and letters beyond ASCII. No cluster is set up there."""
    return new_home(tmp_path / "Zoë at home", kubernetes.kubectl, krew, tmp_path / "no-kubeconfig")


@pytest.fixture
def home_of_cluster(kubernetes: Programs, krew: KrewPrograms, plane: ControlPlane, tmp_path: Path) -> Home:
    return new_home(tmp_path / "Zoë at work", kubernetes.kubectl, krew, plane.kubeconfig())


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """An index that has only an older release to offer, and no archive of it."""
    index = Index(tmp_path / "index")
    index.publish(older_manifest(tmp_path, "http://127.0.0.1:1"))
    return index
