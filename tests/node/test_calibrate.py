"""calibrate on a real node: its figure is the lab's for the same runtime, and nothing is left of it."""

from __future__ import annotations

import subprocess

import pytest
from cluster.api import Api, Json
from cluster.memdoctor import Shell

from kubectl_memdoctor.calibration.manifests import RUN_LABEL
from kubectl_memdoctor.calibration.search import grid, is_narrow, sandbox_evidence
from kubectl_memdoctor.measured_minimum import Measurement, decode, failed_bytes, ready_bytes
from kubectl_memdoctor.runtime_kind import version_key
from kubectl_memdoctor.sandbox_minimum import Row, table

from .cluster import NodeCluster, own_cgroup
from .images import PAUSE
from .pods import delete, pod, wait_for_event

GRID = grid()
RUNTIMES = ("runc", "crun")
SECONDS = 900.0
"""For what takes one minute: the machine may be busy."""


def measured(shell: Shell, *arguments: str) -> Measurement:
    command = ["kubectl", "memdoctor", "calibrate", "--yes", "-o", "json", *arguments]
    environ = shell.environ("admin", "default")
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    (found,) = decode(done.stdout.encode(), "stdout")
    return found


def rows(runtime: str, version: str) -> list[Row]:
    """What the lab measured of this version, else of those that it stands for, on this machine's cgroup version."""
    fitting = [row for row in table().rows if row.runtime == runtime and row.cgroup == own_cgroup() and row.tries]
    return [row for row in fitting if row.version == version] or [row for row in fitting if _stands_for(row, version)]


def _stands_for(row: Row, version: str) -> bool:
    key = version_key(version)
    return (not row.since or version_key(row.since) <= key) and (not row.before or key < version_key(row.before))


def step_of(limit: int) -> int:
    """The place on the grid of the smallest limit that is not below."""
    return next(number for number, entry in enumerate(GRID) if entry >= limit)


def made(api: Api) -> list[Json]:
    everything = [entry for kind in ("Namespace", "ConfigMap", "Pod") for entry in api.items("v1", kind)]
    return [entry for entry in everything if RUN_LABEL in entry["metadata"].get("labels", {})]


@pytest.fixture(scope="module")
def measurements(shell: Shell) -> dict[str, Measurement]:
    """Runtime -> what is measured of it, and saved."""
    return {runtime: measured(shell, f"--runtime-class={runtime}", "--save") for runtime in RUNTIMES}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_it_finds_what_the_lab_found(
    cluster: NodeCluster, node: str, measurements: dict[str, Measurement], runtime: str
) -> None:
    """Within one step of the grid. Where it is chance in a span of limits, the edge lies somewhere in that span; and
    where pods took many tries, few are left to bring the ends for sandboxes together."""
    found = measurements[runtime]
    assert (found.node, found.image, found.pool.handler) == (node, PAUSE, runtime)
    sandboxes = sandbox_evidence(found.tries, found.sandbox_tries)
    assert is_narrow(found.tries, GRID)
    version = getattr(cluster.generation, f"{runtime}_version")
    lab = rows(runtime, version)
    assert lab, f"the lab has not measured {runtime} {version}"
    alone = ready_bytes(sandboxes)
    assert alone is not None
    lowest, highest = min(row.failed_bytes for row in lab), max(row.ran_bytes for row in lab)
    assert step_of(lowest + 1) - 1 <= step_of(alone), (found, lab)
    assert step_of(failed_bytes(sandboxes) + 1) <= step_of(highest) + 1, (found, lab)
    assert alone <= found.ready_bytes


def test_nothing_is_left(api: Api, measurements: dict[str, Measurement]) -> None:
    assert made(api) == []


def test_all_that_was_measured_is_saved(api: Api, measurements: dict[str, Measurement]) -> None:
    saved = api.call("GET", "/api/v1/namespaces/kube-public/configmaps/memdoctor-sandbox-minimum")
    assert decode(saved["data"]["minimum.yaml"].encode(), "saved") == tuple(measurements.values())


def test_what_is_saved_is_used(shell: Shell, api: Api, node: str, measurements: dict[str, Measurement]) -> None:
    """By the next look at a pod, without a word on the command line."""
    failing = api.create(pod("too-small", node=node, memory="1Mi", runtime_class="runc"))
    try:
        wait_for_event(api, failing, "FailedCreatePodSandBox")
        ran = shell.memdoctor("pod", "too-small", "-o", "json")
    finally:
        delete(api, failing)
    (finding,) = ran.report()["findings"]
    assert finding["rule"] == "sandbox-memory-limit-too-small"
    assert finding["memory"]["minimumBytes"] == measurements["runc"].ready_bytes
    assert "measured on your nodes" in " ".join(finding["details"])
