"""`ns` on the clusters of several kubeconfig contexts: what is printed in each form, and what becomes of a cluster that
is down."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from access.faulty_server import Reply, status

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.cluster import exec_plugin

from .fake_cluster import FOUND, HEALTHY_POD, STUCK, STUCK_POD, FakeCluster, fake_cluster, forbidden, listed
from .test_metrics import metrics_in

SICK, WELL, DOWN, UNKNOWN_USER = "prod-eu", "prod-us", "lab", "stranger"
BOTH = listed("pods", [STUCK_POD, HEALTHY_POD])
REFUSED = "The connection to the server 127.0.0.1:{port} was refused - did you specify the right host or port?"
HTML = Reply(b"<html><body>Please log in</body></html>", headers=(("Content-Type", "text/html"),))
UNAUTHORIZED = status(401, "Unauthorized", "Unauthorized")

Ran = tuple[int, str, list[str]]
Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name not in ("LANG", "TMPDIR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


@pytest.fixture
def kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Has kubectl print a configuration with these contexts, each with a server and a user of its own."""

    def write(servers: dict[str, str], users: dict[str, Any] | None = None) -> None:
        content = {
            "current-context": next(iter(servers), ""),
            "clusters": [{"name": f"at-{name}", "cluster": {"server": server}} for name, server in servers.items()],
            "users": [{"name": name, "user": (users or {}).get(name, {})} for name in servers],
            "contexts": [
                {"name": name, "context": {"cluster": f"at-{name}", "user": name, "namespace": "shop"}}
                for name in servers
            ],
        }
        (tmp_path / "config").write_text(json.dumps(content))
        kubectl = tmp_path / "kubectl"
        kubectl.write_text(f"#!/bin/sh\ncat {shlex.quote(str(tmp_path / 'config'))}\n")
        kubectl.chmod(0o755)
        monkeypatch.setenv("KUBECTL_PATH", str(kubectl))

    return write


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> Ran:
        code = main(arguments)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out, err.splitlines()

    return run


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def sick() -> Iterator[FakeCluster]:
    with fake_cluster() as cluster:
        yield cluster


@pytest.fixture
def well() -> Iterator[FakeCluster]:
    with fake_cluster(pods=listed("pods", [HEALTHY_POD])) as cluster:
        yield cluster


@pytest.fixture
def fleet(kubeconfig: Callable[..., None], sick: FakeCluster, well: FakeCluster, closed_port: int) -> str:
    """A cluster with a finding, one without, and one that is down, whose reason is returned."""
    kubeconfig({DOWN: f"http://127.0.0.1:{closed_port}", SICK: sick.url, WELL: well.url})
    return REFUSED.format(port=closed_port)


def test_the_table_says_which_cluster(run: Run, fleet: str) -> None:
    code, out, err = run("ns", "--all-contexts")
    assert code == 1
    header, row = (line.split() for line in out.splitlines())
    assert header[:3] == ["CONTEXT", "NAMESPACE", "WORKLOAD"]
    assert row[:4] == [SICK, "shop", "deployment/web", FOUND]
    assert err == [
        f"not checked: {DOWN}: cluster: {fleet}",
        "1 finding (1 critical) in 3 pods on 2 nodes in 2 clusters.",
        f"For proof and fix: kubectl memdoctor pod {STUCK} -n shop --context={SICK}",
    ]


def test_commands_carry_the_context(run: Run, fleet: str) -> None:
    _, out, _ = run("ns", "--all-contexts", "-o", "wide")
    assert f"kubectl --context={SICK} -n shop set resources deployment/web" in out
    _, out, _ = run("ns", "--all-contexts", "-o", "page")
    assert out.startswith(f"critical: {SICK}: shop/{STUCK} cannot start")
    assert f"    kubectl --context={SICK} -n shop set resources deployment/web" in out
    assert f"    {DOWN}: cluster: {fleet}\n" in out


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_one_document_for_all(output: str, run: Run, fleet: str, sick: FakeCluster) -> None:
    code, out, err = run("ns", f"--contexts={WELL},{DOWN}", "--contexts", SICK, "-o", output)
    assert (code, err) == (1, [])
    report = json.loads(out) if output == "json" else yaml.safe_load(out)
    assert (report["apiVersion"], report["kind"]) == ("memdoctor.dev/v1", "ClustersReport")
    assert [entry["cluster"]["context"] for entry in report["clusters"]] == [WELL, SICK]
    assert report["clusters"][1]["cluster"] == {"server": sick.url, "version": "v1.34.2", "context": SICK}
    assert [entry["summary"]["findings"]["critical"] for entry in report["clusters"]] == [0, 1]
    assert (report["summary"]["pods"], report["summary"]["findings"]["critical"]) == (3, 1)
    (finding,) = report["findings"]
    assert (finding["context"], finding["involvedObject"]["name"]) == (SICK, STUCK)
    assert finding["remedy"]["command"].startswith(f"kubectl --context={SICK} -n shop ")
    assert report["notChecked"] == [{"context": DOWN, "resource": "cluster", "reason": fleet}]


def test_the_report_of_one_cluster_is_the_same_in_both_ways(run: Run, fleet: str) -> None:
    _, one, _ = run("ns", "--context", SICK, "-o", "json")
    _, several, _ = run("ns", "--contexts", SICK, "-o", "json")
    (alone,), (among,) = json.loads(one)["findings"], json.loads(several)["findings"]
    assert "context" not in alone
    assert {**alone, "context": SICK} == among


def test_lines_of_json(run: Run, fleet: str) -> None:
    code, out, err = run("ns", "--all-contexts", "-o", "jsonl")
    assert (code, err) == (1, [])
    finding, summary = map(json.loads, out.splitlines())
    assert (finding["context"], finding["rule"]) == (SICK, FOUND)
    assert (summary["kind"], summary["complete"]) == ("ClustersReportSummary", True)
    assert [entry["context"] for entry in summary["notChecked"]] == [DOWN]


def test_metrics_have_a_label(run: Run, fleet: str) -> None:
    code, out, err = run("ns", "--all-contexts", "-o", "prometheus")
    assert (code, err) == (1, [])
    metrics = metrics_in(out)
    assert [(labels["context"], count) for labels, count in metrics["memdoctor_findings"]] == [(SICK, 1)]
    assert [labels["context"] for labels, _ in metrics["memdoctor_workload_findings"]] == [SICK]
    assert metrics["memdoctor_complete"] == [
        ({"context": SICK}, 1), ({"context": WELL}, 1), ({"context": DOWN}, 0),
    ]  # fmt: skip
    assert metrics["memdoctor_checked_pods"] == [({"context": SICK}, 2), ({"context": WELL}, 1)]
    assert metrics["memdoctor_not_checked"] == [({"context": DOWN, "resource": "cluster", "rule": ""}, 1)]
    assert len(metrics["memdoctor_severity_findings"]) == 6


def test_names_with_the_flag_that_reaches_them(run: Run, fleet: str) -> None:
    assert run("ns", "--all-contexts", "-o", "name")[:2] == (1, f"pod/{STUCK} --context={SICK}\n")


def test_exit_codes(run: Run, fleet: str) -> None:
    assert run("ns", f"--contexts={WELL},{DOWN}")[0] == 0
    assert run("ns", f"--contexts={WELL},{DOWN}", "--strict")[0] == 2
    assert run("ns", "--all-contexts", "--fail-on=never")[0] == 0


def test_nothing_could_be_looked_at(run: Run, kubeconfig: Callable[..., None], closed_port: int) -> None:
    kubeconfig(dict.fromkeys(("a", "b"), f"http://127.0.0.1:{closed_port}"))
    reason = REFUSED.format(port=closed_port)
    assert run("ns", "--all-contexts", "-o", "json") == (2, "", [f"a: {reason}", f"b: {reason}"])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"version": UNAUTHORIZED}, "You must be logged in to the server (Unauthorized)"),
        ({"pods": forbidden("pods")}, "Error from server (Forbidden): pods is forbidden: "),
        ({"pods": [listed("pods", [STUCK_POD], "t"), UNAUTHORIZED]}, "You must be logged in to the server"),
        ({"version": HTML}, "http://127.0.0.1:"),
    ],
    ids=["unauthorised", "forbidden", "unauthorised half way", "no API server"],
)
def test_a_cluster_that_refuses(
    fault: dict[str, Any], reason: str, run: Run, kubeconfig: Callable[..., None], sick: FakeCluster
) -> None:
    with fake_cluster(**fault) as refusing:
        kubeconfig({"bad": refusing.url, SICK: sick.url})
        code, out, _ = run("ns", "--all-contexts", "-o", "json")
    (entry,) = json.loads(out)["notChecked"]
    assert (code, entry["context"], entry["resource"]) == (1, "bad", "cluster")
    assert entry["reason"].startswith(reason)


def plugin(tmp_path: Path, script: str, mode: str = "IfAvailable") -> dict[str, Any]:
    file = tmp_path / "login"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": str(file), "interactiveMode": mode}}


@pytest.mark.parametrize(
    ("script", "mode", "reason"),
    [
        ("exit 3", "IfAvailable", "login failed with exit code 3"),
        ("exec sleep 60", "IfAvailable", "login gave no answer within 0.2s"),
        ("read answer", "IfAvailable", "login failed with exit code 1"),
        ("exit 0", "Always", "needs interactive mode: look at this context alone, with --context"),
    ],
)
def test_a_plugin_that_gives_no_credentials(
    script: str,
    mode: str,
    reason: str,
    run: Run,
    kubeconfig: Callable[..., None],
    sick: FakeCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if script.startswith("exec sleep"):
        monkeypatch.setattr(exec_plugin, "UNATTENDED_SECONDS", 0.2)
    kubeconfig({"plugged": "https://127.0.0.1:1", SICK: sick.url}, {"plugged": plugin(tmp_path, script, mode)})
    code, out, _ = run("ns", "--all-contexts", "-o", "json")
    (entry,) = json.loads(out)["notChecked"]
    assert (code, entry["context"]) == (1, "plugged")
    assert entry["reason"].endswith(reason)


def test_a_context_that_is_incomplete(run: Run, kubeconfig: Callable[..., None], sick: FakeCluster) -> None:
    """A file that is missing is that context's matter."""
    users = {"torn": {"client-certificate": "/nowhere.crt", "client-key": "/nowhere.key"}}
    kubeconfig({"torn": "https://127.0.0.1:1", SICK: sick.url}, users)
    code, out, _ = run("ns", "--all-contexts", "-o", "json")
    (entry,) = json.loads(out)["notChecked"]
    assert (code, entry["context"]) == (1, "torn")
    assert "/nowhere.crt" in entry["reason"]


def test_a_namespace_that_only_one_of_them_has(run: Run, kubeconfig: Callable[..., None], sick: FakeCluster) -> None:
    without = status(404, "NotFound", 'namespaces "shop" not found')
    with fake_cluster(pods=listed("pods", []), namespaces=[without, without, None]) as bare:
        kubeconfig({"bare": bare.url, SICK: sick.url})
        code, out, err = run("ns", "shop", "--all-contexts", "-o", "json")
        (entry,) = json.loads(out)["notChecked"]
        assert (code, err, entry["context"], entry["resource"]) == (1, [], "bare", "namespaces")
        code, _, err = run("ns", "shop", "no-such", "--all-contexts")
        assert code == 2
        assert 'Error from server (NotFound): namespaces "no-such" not found' in err


# The command line.


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--contexts=a", "--all-contexts"), "give --contexts or --all-contexts, not both"),
        (("--contexts=a", "--context=b"), "--context is of one cluster: give it without --contexts"),
        (("--all-contexts", "--context=b"), "--context is of one cluster: give it without --all-contexts"),
        (("--contexts=a", "--cluster=b"), "--cluster is of one cluster: give it without --contexts"),
        (("--contexts=a", "-s", "b"), "--server is of one cluster: give it without --contexts"),
        (("--contexts=a", "--user=b"), "--user is of one cluster: give it without --contexts"),
        (("--contexts=a", "--token=b"), "--token is of one cluster: give it without --contexts"),
        (("--contexts=a", "-f", "b"), "--filename is of one cluster: give it without --contexts"),
        (("--contexts=a", "--node-log", "b"), "--node-log is of one cluster: give it without --contexts"),
        (
            ("--contexts=a", "--prometheus", "http://b"),
            "the URL of a Prometheus is of one cluster: with --contexts give --prometheus auto",
        ),
        (("--contexts=a,",), 'invalid argument "a," for "--contexts" flag: a name is empty'),
        (("--contexts=",), 'invalid argument "" for "--contexts" flag: a name is empty'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_meant(flags: tuple[str, ...], words: str, run: Run, fleet: str) -> None:
    code, out, err = run("ns", *flags)
    assert (code, out, err[0]) == (2, "", f"error: {words}")


def test_unknown_contexts_are_named_before_anything_is_asked(run: Run, fleet: str, sick: FakeCluster) -> None:
    lines = ['error: context "prod-ue" does not exist', 'error: context "x" does not exist']
    assert run("ns", f"--contexts={SICK},prod-ue,x") == (2, "", lines)
    assert sick.asked == []


def test_a_kubeconfig_without_contexts(run: Run, kubeconfig: Callable[..., None]) -> None:
    kubeconfig({})
    assert run("ns", "--all-contexts") == (2, "", ["error: the kubeconfig has no contexts"])


def test_all_contexts_can_be_switched_off(run: Run, fleet: str) -> None:
    _, out, _ = run("ns", "--all-contexts=false", "--context", SICK, "-o", "json")
    assert json.loads(out)["kind"] == "Report"


# On a terminal, and interrupted.


def started(*arguments: str, stdout: int | None = subprocess.PIPE, stderr: int = subprocess.PIPE) -> Any:
    command = [sys.executable, "-m", "kubectl_memdoctor", "ns", "--all-contexts", *arguments]
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"},
        stdout=stdout,
        stderr=stderr,
        text=True,
        # The tests may run in a background that is deaf to interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(cluster: FakeCluster, path: str, times: int = 1) -> None:
    for _ in itertools.repeat(None, 400):
        if sum(asked.path == path for asked in list(cluster.asked)) >= times:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} was not asked for")


def until(descriptor: int, text: str) -> str:
    """What a terminal shows, up to `text`."""
    shown = ""
    while text not in shown:
        shown += os.read(descriptor, 1024).decode()
    return shown


def test_rows_do_not_wait_for_a_slow_cluster(kubeconfig: Callable[..., None], sick: FakeCluster) -> None:
    with fake_cluster(pods=replace(BOTH, delay_seconds=60)) as slow:
        kubeconfig({"slow": slow.url, SICK: sick.url})
        reading, terminal = pty.openpty()
        process = started(stdout=terminal, stderr=terminal)
        shown = until(reading, "waiting for slow ...")
        assert shown.index("CONTEXT") < shown.index(FOUND) < shown.index("1 of 2 clusters done, 2 pods")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        os.close(terminal)
        rest = until(reading, "interrupted: what was printed is not the whole")
        os.close(reading)
    assert "not checked: slow: cluster: interrupted before it was looked at" in rest
    assert "1 finding (1 critical) in 2 pods on 1 node in 1 cluster." in rest


def test_interrupted_clusters_tell_what_they_have_seen(kubeconfig: Callable[..., None]) -> None:
    late = replace(BOTH, delay_seconds=60)
    with fake_cluster(pods=[listed("pods", [STUCK_POD], "t"), late]) as half, fake_cluster(version=late) as silent:
        kubeconfig({"half": half.url, "silent": silent.url})
        process = started("-o", "json")
        wait_for(silent, "/version")
        wait_for(half, "/api/v1/namespaces/shop/pods", times=2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    report = json.loads(out)
    assert (process.returncode, err) == (130, "interrupted: what was printed is not the whole\n")
    assert [finding["context"] for finding in report["findings"]] == ["half"]
    assert [(entry["cluster"]["context"], entry["complete"]) for entry in report["clusters"]] == [("half", False)]
    assert {entry["context"]: entry["resource"] for entry in report["notChecked"]} == {
        "half": "other pods", "silent": "cluster",
    }  # fmt: skip


def test_interrupted_before_anything_came(kubeconfig: Callable[..., None]) -> None:
    with contextlib.ExitStack() as stack:
        late = replace(BOTH, delay_seconds=60)
        clusters = [stack.enter_context(fake_cluster(version=late)) for _ in range(2)]
        kubeconfig({f"c{number}": cluster.url for number, cluster in enumerate(clusters)})
        process = started("-o", "json")
        for cluster in clusters:
            wait_for(cluster, "/version")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "interrupted: what was printed is not the whole\n")
