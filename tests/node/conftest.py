from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest
from cluster.api import Api, Json
from cluster.go_programs import BuildError
from cluster.memdoctor import Shell, new_shell

from . import enclosure
from .cluster import NodeCluster, node_cluster, own_cgroup
from .host_node import leftovers
from .pods import delete
from .programs import GENERATIONS, Generation, generation
from .requirements import obstacle


def _obstacle() -> str:
    """Why no node can be started; empty when one can."""
    reason = enclosure.obstacle()
    if reason:
        return f"not run on a real node: {reason}"
    return "" if enclosure.inside() else "not run on a real node: run `make test-node`, which encloses them"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where no node can be started, one test is left to say so."""
    if os.environ.get("MEMDOCTOR_NO_SKIP") or not _obstacle():
        return
    needing = [item for item in items if "enclosed" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=needing[1:])
    items[:] = [item for item in items if item not in needing[1:]]


@pytest.fixture(scope="session")
def enclosed() -> None:
    """What needs an enclosure uses it."""
    reason = _obstacle()
    if reason:
        _cannot_run(reason)


@pytest.fixture(scope="module", params=GENERATIONS)
def chosen(request: pytest.FixtureRequest, enclosed: None) -> Generation:
    try:
        wanted = generation(request.param)
    except BuildError as error:
        _cannot_run(f"{error}; python -m node.build")
    missing = wanted.missing()
    if missing:
        _cannot_run(f"{missing[0]} is not built: {obstacle() or 'python -m node.build'}")
    return wanted


def _cannot_run(reason: str) -> NoReturn:
    if os.environ.get("MEMDOCTOR_NO_SKIP"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def cluster(chosen: Generation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    """With this machine as its only node. One at a time: two kubelets of one machine would end each other's pods."""
    with node_cluster(chosen, tmp_path_factory.mktemp(chosen.name), cgroups=(own_cgroup(),)) as started:
        yield started
    assert leftovers() == []


@pytest.fixture(scope="module")
def node(cluster: NodeCluster) -> str:
    return cluster.nodes[own_cgroup()]


@pytest.fixture(scope="module")
def api(cluster: NodeCluster) -> Api:
    return cluster.plane.api()


@pytest.fixture
def made(api: Api) -> Iterator[list[Json]]:
    """Pods that are deleted after the test."""
    pods: list[Json] = []
    yield pods
    delete(api, *pods)


@pytest.fixture(scope="module")
def shell(cluster: NodeCluster, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return new_shell(cluster.plane, tmp_path_factory.mktemp("bin"))
