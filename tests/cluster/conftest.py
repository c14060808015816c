from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from .api import Refused
from .calibrating import NODE, PAUSE, SAVED, Calibrating
from .control_plane import ControlPlane, control_plane
from .memdoctor import Shell, new_shell
from .programs import Programs, kubernetes_asked_for, programs
from .seeded import Seeded, seed
from .stand_ins import StandIns


def _obstacle() -> str:
    """Why nothing can be run; empty when all programs are there."""
    found = programs()
    missing = found.missing() if found else ()
    if found and not missing:
        return ""
    names = ", ".join(file.name for file in missing) or f"Kubernetes {kubernetes_asked_for()}"
    return f"not run against a real API server: {names} not built, run `make test-cluster` on Linux with Go"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where nothing is built, one test is left to say so."""
    if os.environ.get("MEMDOCTOR_NO_SKIP") or not _obstacle():
        return
    needing = [item for item in items if "plane" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=needing[1:])
    items[:] = [item for item in items if item not in needing[1:]]


def _built() -> Programs:
    obstacle = _obstacle()
    if obstacle and os.environ.get("MEMDOCTOR_NO_SKIP"):
        pytest.fail(obstacle)
    if obstacle:
        pytest.skip(obstacle)
    found = programs()
    assert found is not None
    return found


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


@pytest.fixture(scope="module")
def calibrated_node(stand_ins: StandIns) -> Iterator[None]:
    node = stand_ins.node(NODE, "containerd://2.2.0")
    stand_ins.api.write_status(node, {"images": [{"names": [PAUSE], "sizeBytes": 700_000}]})
    yield
    stand_ins.api.delete(node)


@pytest.fixture
def calibrating(
    shell: Shell,
    stand_ins: StandIns,
    calibrated_node: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Calibrating]:
    yield Calibrating(shell, stand_ins, monkeypatch, capsys)
    with contextlib.suppress(Refused):
        stand_ins.api.call("DELETE", SAVED)
