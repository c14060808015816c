"""`ns` on two real API servers at once, beside contexts that cannot be looked at; one of them goes away half way."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml
from command_line.test_metrics import metrics_in

from .api import Json
from .control_plane import ControlPlane, control_plane, token
from .memdoctor import SCHEMA, Ran, Shell
from .stand_ins import StandIns, container

FIRST, SECOND, DOWN, STRANGER = "prod-eu", "prod-us", "lab", "stranger"
NAMESPACE = "side-by-side"
PODS = 12
UNAUTHORIZED = "You must be logged in to the server"
SECONDS = 60.0


@contextlib.contextmanager
def crowded_plane(beside: ControlPlane, folder: Path) -> Iterator[ControlPlane]:
    with control_plane(beside.programs, folder) as running:
        populate(running)
        yield running


def populate(plane: ControlPlane) -> None:
    """A namespace of pods that each have one finding."""
    stand_ins = StandIns(plane.api())
    stand_ins.namespace(NAMESPACE)
    for number in range(PODS):
        stand_ins.pod(NAMESPACE, f"small-{number:02}", {"containers": [container("1Ki")]})


@pytest.fixture(scope="module")
def first(plane: ControlPlane) -> ControlPlane:
    populate(plane)
    return plane


@pytest.fixture(scope="module")
def second(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with crowded_plane(plane, tmp_path_factory.mktemp("second")) as running:
        yield running


class Fleet:
    """A kubeconfig with both servers, one that is down, and a user that none knows."""

    def __init__(self, shell: Shell, folder: Path, first: ControlPlane, second: ControlPlane) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.refused = f"127.0.0.1:{probe.getsockname()[1]}"
        servers = {FIRST: first.server, SECOND: second.server, DOWN: f"https://{self.refused}", STRANGER: first.server}
        authorities = {SECOND: second.authority_file}
        clusters = [
            {
                "name": f"at-{name}",
                "cluster": {
                    "server": server,
                    "certificate-authority": str(authorities.get(name, first.authority_file)),
                },
            }
            for name, server in servers.items()
        ]
        users = [{"name": "admin", "user": {"token": token("admin")}}, {"name": "who", "user": {"token": "of-nobody"}}]
        contexts = [
            {"name": name, "context": {"cluster": f"at-{name}", "user": "who" if name == STRANGER else "admin"}}
            for name in servers
        ]
        # The same once more, in another namespace.
        contexts.append(
            {
                "name": "prod-us-billing",
                "context": {"cluster": f"at-{SECOND}", "user": "admin", "namespace": "billing"},
            }
        )
        content = {"apiVersion": "v1", "kind": "Config", "clusters": clusters, "users": users, "contexts": contexts}
        (folder / "config").write_text(json.dumps(content))
        self.environ = {**shell.environ("admin", "default"), "KUBECONFIG": str(folder / "config")}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = ["kubectl", "memdoctor", "ns", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=self.environ, text=True, **pipes)  # type: ignore[call-overload,no-any-return]

    def run(self, *arguments: str) -> Ran:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=SECONDS)
        return Ran(process.returncode, out, err)

    def script(self, command: str) -> Ran:
        done = subprocess.run(
            ["bash", "-ec", command], env=self.environ, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def fleet(shell: Shell, first: ControlPlane, second: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet(shell, tmp_path_factory.mktemp("fleet"), first, second)


def rows_of(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


@pytest.mark.parametrize("output", ["table", "wide"])
def test_tables(output: str, fleet: Fleet) -> None:
    ran = fleet.run(NAMESPACE, "--all-contexts", "-o", output, "--pods")
    assert ran.code == 1
    header, *rows = rows_of(ran.out)
    assert header[:3] == ["CONTEXT", "NAMESPACE", "POD"]
    expected = [(context, f"pod/small-{number:02}") for number in range(PODS) for context in (FIRST, SECOND)]
    assert sorted((row[0], row[2]) for row in rows) == sorted(expected)
    lines = ran.err.splitlines()
    assert f"context prod-us-billing: not asked, since it is the same server and user as {SECOND}" in lines
    assert any(
        line.startswith(f"not checked: {DOWN}: cluster: The connection to the server {fleet.refused}") for line in lines
    )
    assert any(line.startswith(f"not checked: {STRANGER}: cluster: {UNAUTHORIZED}") for line in lines)
    assert any(line.endswith(" in 2 clusters.") for line in lines)


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_documents(output: str, read: Callable[[str], Json], fleet: Fleet) -> None:
    ran = fleet.run(NAMESPACE, f"--contexts={DOWN},{SECOND},{STRANGER},{FIRST}", "-o", output)
    assert (ran.code, ran.err) == (1, "")
    report = read(ran.out)
    jsonschema.validate(report, json.loads(SCHEMA.read_text()))
    assert [entry["cluster"]["context"] for entry in report["clusters"]] == [SECOND, FIRST]
    counts = [finding["context"] for finding in report["findings"]]
    assert {context: counts.count(context) for context in {*counts}} == {FIRST: PODS, SECOND: PODS}
    assert [(entry["context"], entry["resource"]) for entry in report["notChecked"]] == [
        (DOWN, "cluster"), (STRANGER, "cluster"),
    ]  # fmt: skip


def test_lines(fleet: Fleet) -> None:
    ran = fleet.run(NAMESPACE, "--all-contexts", "-o", "jsonl")
    assert ran.code == 1
    *findings, summary = map(json.loads, ran.out.splitlines())
    assert {(finding["context"], finding["involvedObject"]["name"]) for finding in findings} == {
        (context, f"small-{number:02}") for context in (FIRST, SECOND) for number in range(PODS)
    }
    assert len(findings) == 2 * PODS
    assert (summary["kind"], summary["complete"], summary["summary"]["pods"]) == (
        "ClustersReportSummary",
        True,
        2 * PODS,
    )
    definitions = json.loads(SCHEMA.read_text())["$defs"]
    jsonschema.validate(summary, {"$defs": definitions, "$ref": "#/$defs/ClustersReportSummary"})


def test_metrics(fleet: Fleet) -> None:
    ran = fleet.run(NAMESPACE, "--all-contexts", "-o", "prometheus")
    assert ran.code == 1
    metrics = metrics_in(ran.out)
    assert {labels["context"]: value for labels, value in metrics["memdoctor_complete"]} == {
        FIRST: 1, SECOND: 1, DOWN: 0, STRANGER: 0,
    }  # fmt: skip
    assert {labels["context"]: value for labels, value in metrics["memdoctor_findings"]} == {FIRST: PODS, SECOND: PODS}


def test_names_and_commands_are_taken_by_kubectl(fleet: Fleet) -> None:
    names = fleet.run(NAMESPACE, "--all-contexts", "-o", "name").out
    assert f"pod/small-00 --context={SECOND}\n" in names
    got = fleet.script(f"xargs -L1 kubectl get -n {NAMESPACE} -o name <<'END'\n{names}END")
    assert (got.code, len(got.out.splitlines())) == (0, 2 * PODS), got.err
    report = fleet.run(NAMESPACE, f"--contexts={SECOND}", "-o", "json").report()
    command = report["findings"][0]["remedy"]["command"]
    assert f" --context={SECOND} " in command
    page = fleet.run(NAMESPACE, "--all-contexts", "-o", "page").out
    assert command in page


def test_strict_and_all_down(fleet: Fleet) -> None:
    assert fleet.run(NAMESPACE, f"--contexts={FIRST},{DOWN}", "--strict", "--fail-on=never").code == 2
    assert fleet.run(NAMESPACE, f"--contexts={FIRST},{DOWN}", "--fail-on=never").code == 0
    ran = fleet.run(NAMESPACE, f"--contexts={STRANGER},{DOWN}", "-o", "json")
    assert (ran.code, ran.out) == (2, "")
    assert [line.partition(":")[0] for line in ran.err.splitlines()] == [STRANGER, DOWN]


@pytest.mark.parametrize("output", ["jsonl", "json"])
def test_a_server_that_stops_half_way(output: str, shell: Shell, first: ControlPlane, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        (tmp_path / "plane").mkdir()
        stopping = stack.enter_context(crowded_plane(first, tmp_path / "plane"))
        fleet = Fleet(shell, tmp_path, first, stopping)
        process = fleet.start(NAMESPACE, f"--contexts={FIRST},{SECOND}", "-o", output, "--chunk-size=1", "--max-qps=5")
        wait_until_listing(stopping)
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (1, "")
    last = json.loads(out.splitlines()[-1] if output == "jsonl" else out)
    assert [entry["cluster"]["context"] for entry in last["clusters"]] == [FIRST]
    assert last["clusters"][0]["summary"]["pods"] == PODS
    assert [(entry["context"], entry["resource"]) for entry in last["notChecked"]] == [(SECOND, "cluster")]
    findings = map(json.loads, out.splitlines()[:-1]) if output == "jsonl" else last["findings"]
    assert sum(finding["context"] == FIRST for finding in findings) == PODS


def wait_until_listing(plane: ControlPlane) -> None:
    """Until the second page of the whole list was asked for, the last of many."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        targets = (urlsplit(event["requestURI"]) for event in plane.audited("kubectl-memdoctor/"))
        pages = [target for target in targets if target.path == f"/api/v1/namespaces/{NAMESPACE}/pods"]
        if any("continue=" in target.query and "fieldSelector" not in target.query for target in pages):
            return
        time.sleep(0.05)
    raise AssertionError(os.fspath(plane.folder))
