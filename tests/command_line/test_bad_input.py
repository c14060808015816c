"""What a user reads when something is wrong with the cluster, the file or the command line.

One clear line, exit code 2, no traceback, and nothing of what could still be said is lost.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from access.certificates import new_authority
from access.faulty_server import HANG_UP, Reply, json_reply, status
from access.kubectl_binary import kubectl_binary
from access.recording_server import Recorder, api_server, tls_context

from kubectl_memdoctor.cli import main

from .fake_cluster import (
    EVENT,
    FOUND,
    HEALTHY,
    HEALTHY_POD,
    NODE,
    READ_BESIDE_PODS,
    STUCK,
    STUCK_POD,
    FakeCluster,
    fake_cluster,
    forbidden,
    listed,
)

HTML = Reply(b"<html><body>Please log in</body></html>", headers=(("Content-Type", "text/html"),))
BOTH = listed("pods", [STUCK_POD, HEALTHY_POD])
GONE = status(410, "Expired", "The provided continue parameter is too old")
NOT_SERVED = status(404, "NotFound", "the server could not find the requested resource")
BROKEN = status(500, "InternalError", "etcdserver: no leader").with_header("Retry-After", "0")
EXPIRED = status(401, "Unauthorized", "Unauthorized")


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No kubeconfig, no cluster, no kubectl, no colours, no proxies: only what a test brings."""
    for name in list(os.environ):
        if name not in ("LANG", "TMPDIR", "SYSTEMROOT"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)


Run = Callable[..., tuple[int, str, list[str]]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Exit code, stdout, and the lines of stderr."""

    def run(*arguments: str) -> tuple[int, str, list[str]]:
        code = main(arguments)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out, err.splitlines()

    return run


def refused(result: tuple[int, str, list[str]]) -> str:
    """The one line of a run that could not look."""
    code, out, err = result
    assert (code, out) == (2, "")
    (line,) = err
    return line


# The cluster answers, but not as it should.


@pytest.mark.parametrize("resource", READ_BESIDE_PODS)
@pytest.mark.parametrize(
    ("fault", "reason"), [(forbidden, "forbidden: "), (lambda resource: NOT_SERVED, "not served: ")], ids=["403", "404"]
)
@pytest.mark.parametrize("command", [("ns", "shop"), ("pod", STUCK, "-n", "shop")], ids=" ".join)
def test_what_is_refused_beside_the_pods_is_not_checked(
    resource: str, fault: Callable[[str], Reply], reason: str, command: tuple[str, ...], run: Run
) -> None:
    with fake_cluster(**{resource: fault(resource)}) as cluster:
        code, out, err = run(*command, "-s", cluster.url, "-o", "json")
        assert (code, err) == (1, [])
        report = json.loads(out)
        assert [finding["rule"] for finding in report["findings"]] == [FOUND]
        entries = report["notChecked"]
        assert {entry["resource"] for entry in entries} == {resource}
        assert all(entry["reason"].startswith(reason) for entry in entries)
        code, out, err = run(*command, "-s", cluster.url)
        assert code == 1
        assert reason in out + "\n".join(err)
        assert run(*command, "-s", cluster.url, "--strict")[0] == 2


@pytest.mark.parametrize("command", [("ns", "shop"), ("pod", STUCK, "-n", "shop")], ids=" ".join)
def test_who_may_not_read_what_is_saved_is_not_told_where_nothing_hangs_on_it(
    command: tuple[str, ...], run: Run
) -> None:
    with fake_cluster(configmaps=forbidden("configmaps")) as cluster:
        code, out, err = run(*command, "-s", cluster.url, "-o", "json", "--strict")
        assert (code, err) == (1, [])
        (finding,) = json.loads(out)["findings"]
        assert (finding["rule"], finding["confidence"]) == (FOUND, "confirmed")
        asked = [entry.path for entry in cluster.asked if "configmaps" in entry.path]
        assert asked == ["/api/v1/namespaces/kube-public/configmaps/memdoctor-sandbox-minimum"]


def test_without_the_version_the_rest_is_told(run: Run) -> None:
    with fake_cluster(version=forbidden("version")) as cluster:
        code, out, err = run("ns", "shop", "-s", cluster.url, "-o", "json")
        assert (code, err) == (1, [])
        assert "version" not in json.loads(out)["cluster"]


def test_forbidden_pods_are_no_empty_list(run: Run) -> None:
    with fake_cluster(pods=forbidden("pods")) as cluster:
        for command in (("ns", "shop"), ("ns", "--all"), ("pod", STUCK, "-n", "shop"), ("pod", "-l", "app=web")):
            line = refused(run(*command, "-s", cluster.url))
            assert line.startswith('Error from server (Forbidden): pods is forbidden: User "jane" cannot list')


UNUSABLE = [
    (NOT_SERVED, 'Error from server (NotFound): Unable to list "/v1, Resource=pods": the server could not find the'),
    (BROKEN, "Error from server (InternalError): etcdserver: no leader"),
    (EXPIRED, "error: You must be logged in to the server (Unauthorized)"),
    (HTML, "error: http://127.0.0.1:PORT answered with HTML instead of JSON: a proxy or a login page"),
    (json_reply({"kind": "Cat"}), "error: http://127.0.0.1:PORT did not answer with a Kubernetes list"),
    (Reply(b""), "error: http://127.0.0.1:PORT did not answer with a Kubernetes list"),
    (Reply(b'{"kind": 3'), "Unable to connect to the server: unexpected end of JSON input: the answer is cut"),
    (replace(BOTH, cut=90), "Unable to connect to the server: EOF: the connection was cut before the answer was"),
    (HANG_UP, "Unable to connect to the server: EOF: the connection was cut before the answer was"),
    (listed("pods", [STUCK_POD], "t"), "error: http://127.0.0.1:PORT answers each page of a list with the same one"),
]


@pytest.mark.parametrize(("fault", "words"), UNUSABLE, ids=[words.partition(": ")[2][:40] for _, words in UNUSABLE])
def test_an_answer_of_no_use(fault: Reply, words: str, run: Run) -> None:
    with fake_cluster(pods=fault) as cluster:
        line = refused(run("ns", "shop", "-s", cluster.url))
        assert line.startswith(words.replace("PORT", cluster.url.rpartition(":")[2]))


@pytest.mark.parametrize("resource", ["events", "version"])
def test_an_expired_token_is_told_whatever_notices_it(resource: str, run: Run) -> None:
    with fake_cluster(**{resource: EXPIRED}) as cluster:
        line = refused(run("pod", STUCK, "-n", "shop", "-s", cluster.url))
        assert line == "error: You must be logged in to the server (Unauthorized)"


def test_a_server_that_never_answers(run: Run) -> None:
    for resource in ("pods", "events"):
        with fake_cluster(**{resource: replace(BOTH, delay_seconds=60)}) as cluster:
            line = refused(run("ns", "shop", "-s", cluster.url, "--request-timeout=200ms"))
            assert "within 0.2s (--request-timeout)" in line


PASSING: list[tuple[str, list[Reply | None]]] = [
    ("503", [status(503, "ServiceUnavailable", "starting").with_header("Retry-After", "0"), None]),
    ("429", [status(429, "TooManyRequests", "later").with_header("Retry-After", "0"), None]),
    ("500", [BROKEN, BROKEN, None]),
    ("cut in mid-page", [replace(BOTH, cut=90), None]),
    ("hung up", [HANG_UP, None]),
    ("410 with a token", [listed("pods", [STUCK_POD], "t"), replace(GONE, body=GONE.body), BOTH]),
    ("a page twice", [listed("pods", [STUCK_POD], "t"), listed("pods", [STUCK_POD], "u"), BOTH]),
    ("empty pages", [listed("pods", [], "t"), listed("pods", [], "u"), BOTH]),
]


@pytest.mark.parametrize(("name", "answers"), PASSING, ids=[name for name, _ in PASSING])
def test_what_passes_is_not_told_and_counts_nothing_twice(name: str, answers: list[Reply | None], run: Run) -> None:
    with fake_cluster(pods=answers) as cluster:
        code, out, err = run("ns", "shop", "-s", cluster.url, "-o", "json")
        assert (code, err) == (1, [])
        report = json.loads(out)
        assert report["summary"]["pods"] == 2
        assert [finding["involvedObject"]["name"] for finding in report["findings"]] == [STUCK]


# Nothing answers, or nobody knows whom to ask.


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_no_kubectl_and_no_server(run: Run) -> None:
    line = refused(run("ns"))
    assert line.startswith("error: kubectl was not found on PATH")
    assert "KUBECTL_PATH" in line


def test_server_down(run: Run) -> None:
    port = free_port()
    line = refused(run("ns", "-s", f"http://127.0.0.1:{port}"))
    assert line.startswith(f"The connection to the server 127.0.0.1:{port} was refused - did you specify the right")


def test_a_plain_server_behind_an_https_address(run: Run) -> None:
    with fake_cluster() as cluster:
        line = refused(run("ns", "-s", cluster.url.replace("http:", "https:"), "--token=x"))
        assert line.startswith("Unable to connect to the server: ")


def test_a_certificate_of_a_stranger(run: Run, tmp_path: Path) -> None:
    pair = new_authority("stranger").server("127.0.0.1")
    (tmp_path / "server.pem").write_bytes(pair.certificate + pair.key)
    with api_server(Recorder(), tls_context(tmp_path / "server.pem")) as port:
        line = refused(run("ns", "-s", f"https://127.0.0.1:{port}", "--token=x"))
        assert line.startswith("Unable to connect to the server: tls: failed to verify certificate")


KUBECTL = kubectl_binary()


@pytest.fixture
def kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Writes a kubeconfig with context `dev`, and lets kubectl read it."""

    def write(server: str = "http://127.0.0.1:1", **user: Any) -> None:
        if KUBECTL is None:
            pytest.skip("there is no kubectl")
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "dev",
            "clusters": [{"name": "dev", "cluster": {"server": server}}],
            "users": [{"name": "dev", "user": user}],
            "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "dev", "namespace": "shop"}}],
        }
        (tmp_path / "config").write_text(json.dumps(content))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        monkeypatch.setenv("KUBECTL_PATH", KUBECTL)

    return write


def test_kubeconfig_names_server_and_namespace(run: Run, kubeconfig: Callable[..., None]) -> None:
    with fake_cluster() as cluster:
        kubeconfig(cluster.url)
        code, out, err = run("ns", "-o", "json")
        assert (code, err) == (1, [])
        assert json.loads(out)["cluster"]["context"] == "dev"
        assert {asked.path for asked in cluster.asked} >= {"/api/v1/namespaces/shop/pods"}


def test_no_configuration_at_all(run: Run, monkeypatch: pytest.MonkeyPatch, kubeconfig: Callable[..., None]) -> None:
    kubeconfig()
    monkeypatch.delenv("KUBECONFIG")
    line = refused(run("ns"))
    assert "localhost:8080" in line or "127.0.0.1:8080" in line


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--context=nope",), "Error in configuration: context was not found for specified context: nope"),
        (("--cluster=nope",), 'Error in configuration: no server found for cluster "nope"'),
        (("--user=nope",), 'error: auth info "nope" does not exist'),
        (("--kubeconfig=/nope",), "error: stat /nope: no such file or directory"),
    ],
)
def test_names_that_the_kubeconfig_does_not_hold(
    flags: tuple[str, ...], words: str, run: Run, kubeconfig: Callable[..., None]
) -> None:
    kubeconfig()
    assert refused(run("ns", *flags)) == words


def test_broken_kubeconfig(run: Run, tmp_path: Path, kubeconfig: Callable[..., None]) -> None:
    kubeconfig()
    (tmp_path / "config").write_text("clusters: [")
    assert "error loading config file" in refused(run("ns"))


def test_plugin_that_fails_is_asked_once(run: Run, kubeconfig: Callable[..., None], tmp_path: Path) -> None:
    plugin = tmp_path / "login"
    plugin.write_text("#!/bin/sh\necho session expired >&2\nexit 3\n")
    plugin.chmod(0o755)
    version = "client.authentication.k8s.io/v1"
    kubeconfig("https://127.0.0.1:1", exec={"apiVersion": version, "command": str(plugin), "interactiveMode": "Never"})
    code, out, err = run("ns")
    assert (code, out) == (2, "")
    said, line = err
    assert said == "session expired"
    assert (
        line
        == f"Unable to connect to the server: getting credentials: exec: executable {plugin} failed with exit code 3"
    )


# What was asked for is not there.


def test_some_names_exist_and_some_do_not(run: Run) -> None:
    with fake_cluster() as cluster:
        code, out, err = run("pod", "nope", HEALTHY, "deploy/nope", "-n", "shop", "-s", cluster.url)
        assert code == 2
        assert out.startswith(f"shop/{HEALTHY}: nothing about memory found")
        assert err == [
            'Error from server (NotFound): pods "nope" not found',
            'Error from server (NotFound): deployments "nope" not found',
        ]


def test_no_name_exists(run: Run) -> None:
    with fake_cluster() as cluster:
        code, out, err = run("pod", "nope", "gone", "-n", "shop", "-s", cluster.url)
        assert (code, out) == (2, "")
        assert err == [f'Error from server (NotFound): pods "{name}" not found' for name in ("nope", "gone")]


NOWHERE = 'Error from server (NotFound): namespaces "nope" not found'


@pytest.mark.parametrize(
    "command",
    [("ns", "nope"), ("ns", "-n", "nope"), ("ns", "nope", "-l", "app=web"), ("pod", "-l", "app=web", "-n", "nope")],
    ids=" ".join,
)
def test_namespace_that_does_not_exist(command: tuple[str, ...], run: Run) -> None:
    with fake_cluster() as cluster:
        assert refused(run(*command, "-s", cluster.url)) == NOWHERE


def test_namespace_beside_one_that_does_not_exist(run: Run) -> None:
    with fake_cluster() as cluster:
        code, out, err = run("ns", "nope", "shop", "-s", cluster.url)
        assert code == 2
        assert FOUND in out
        assert err[-1] == NOWHERE


def test_namespace_that_is_empty(run: Run) -> None:
    with fake_cluster() as cluster:
        assert run("ns", "empty", "-s", cluster.url) == (0, "", ["No pods found."])


def test_namespace_that_may_not_be_asked_for(run: Run) -> None:
    with fake_cluster(namespaces=forbidden("namespaces")) as cluster:
        code, out, err = run("ns", "nope", "-s", cluster.url)
        assert (code, out) == (0, "")
        assert err[0].startswith("not checked: namespaces: forbidden: ")


def test_bad_selector(run: Run) -> None:
    answer = status(400, "BadRequest", "unable to parse requirement: found '', expected: '('")
    with fake_cluster(pods=answer) as cluster:
        line = refused(run("ns", "shop", "-l", "app in", "-s", cluster.url))
        assert line.startswith("Error from server (BadRequest): Unable to find")
        assert 'label selector "app in"' in line


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("svc/web", 'error: no pods come from a resource of type "svc"; use a pod name or one of deploy/NAME, '),
        ("deploy/", "error: arguments in resource/name form must have a single resource and name"),
        ("deploy/a/b", "error: arguments in resource/name form must have a single resource and name"),
        ("..", "error: invalid resource name \"..\": [may not be '..']"),
        ("a%2fb", "error: invalid resource name \"a%2fb\": [may not contain '%']"),
    ],
)
def test_bad_name(target: str, words: str, run: Run) -> None:
    with fake_cluster() as cluster:
        assert refused(run("pod", target, "-n", "shop", "-s", cluster.url)).startswith(words)


def test_bad_timeout(run: Run) -> None:
    line = refused(run("ns", "-s", "http://127.0.0.1:1", "--request-timeout=soon"))
    assert line.startswith("error: Invalid timeout value.")


# Files.


def dump(*items: dict[str, Any]) -> bytes:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode()


GOOD = dump(
    {"apiVersion": "v1", **STUCK_POD},
    {"apiVersion": "v1", **HEALTHY_POD},
    {"apiVersion": "v1", "kind": "Event", **EVENT},
    {"apiVersion": "v1", "kind": "Node", **NODE},
)
FILES = [
    ("empty.json", b"", "is empty"),
    ("blank.yaml", b"\n \n", "is empty"),
    ("cut.json", GOOD[: len(GOOD) // 2], "ends too early"),
    ("cut.json.gz", gzip.compress(GOOD)[:-40], "ends too early"),
    ("cut-list.yaml", b"apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n", "ends too early"),
    ("cut.yaml", b"kind: Pod\nmetadata: {name: a", "not valid YAML"),
    ("broken.json", GOOD.replace(b":", b";", 9), "not valid JSON"),
    ("login.html", HTML.body, "is HTML or XML"),
    ("other.json", b'{"a": [1, 2, 3]}', "neither a Kubernetes object nor a list of them"),
    ("list.json", b"[1, 2]", "neither a Kubernetes object nor a list of them"),
    ("number.json", b"42", "neither a Kubernetes object nor a list of them"),
    ("screen.txt", b"NAME    READY   STATUS\nweb-1   0/1     ContainerCreating\n", "neither a Kubernetes object"),
    ("binary.bin", bytes(range(256)), "is a binary file"),
    ("deep.json", b"[" * 100_000, "not valid JSON"),
    ("manifest.yaml", b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n", "no pods in it"),
]


@pytest.mark.parametrize(("name", "content", "words"), FILES, ids=[name for name, _, _ in FILES])
@pytest.mark.parametrize("command", [("ns",), ("ns", "--all"), ("pod", "web-1")], ids=" ".join)
def test_file_of_no_use(
    name: str, content: bytes, words: str, command: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    line = refused(run(*command, "-f", name))
    assert line.startswith(f"error: {name}: ")
    assert words in line


def test_broken_file_beside_a_good_one_is_not_passed_over(run: Run, tmp_path: Path) -> None:
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "a.json").write_bytes(GOOD)
    (tmp_path / "dump" / "b.json").write_bytes(GOOD[:-10])
    assert "b.json: ends too early" in refused(run("ns", "-f", "dump"))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nope.json", 'error: the path "nope.json" does not exist'),
        ("", 'error: the path "" does not exist'),
        ("folder", "error: folder: no .json"),
        ("http://127.0.0.1:1/dump.json", "an address is not read: save it to a file first"),
    ],
)
def test_path_of_no_use(path: str, words: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert words in refused(run("ns", "-f", path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pod", "nope"), 'Error from server (NotFound): pods "nope" not found'),
        (("pod", STUCK, "-n", "billing"), f'Error from server (NotFound): pods "{STUCK}" not found'),
        (("pod", "deploy/web"), "error: dump.json: no deployments.apps in it"),
        (("ns", "nope"), NOWHERE),
        (("pod", "-l", "app in"), "Error from server (BadRequest): Unable to find"),
        (("ns", "--field-selector", "a=b"), "Error from server (BadRequest): Unable to find"),
    ],
    ids=str,
)
def test_recording_without_what_was_asked_for(arguments: tuple[str, ...], words: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "dump.json").write_bytes(GOOD)
    assert refused(run(*arguments, "-f", "dump.json")).startswith(words)


def test_an_empty_namespace_is_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "dump.json").write_bytes(GOOD)
    assert run("ns", "-n", "", "-f", "dump.json") == run("ns", "-f", "dump.json")


def test_file_name_that_is_no_text(run: Run, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.json")
    (tmp_path / name).write_bytes(GOOD)
    for output in ("table", "page", "json", "yaml"):
        assert run("ns", "-f", name, "-o", output)[0] == 1


# The terminal: interrupted, closed, full.


def started(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **options.pop("environ", {})}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(
        [sys.executable, "-m", "kubectl_memdoctor", *arguments], env=environ, text=True, encoding="utf-8", **streams
    )


def wait_for(cluster: FakeCluster, path: str, times: int) -> None:
    for _ in itertools.repeat(None, 200):
        if sum(asked.path == path for asked in list(cluster.asked)) >= times:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} was not asked for {times} times")


def heed_interrupts() -> None:
    """What a shell starts in the background is deaf to them, and so are its children: the tests may be among these."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(*arguments: str, lists: Sequence[Reply], asked: int) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a run that is interrupted as it waits for the last of these lists of pods."""
    late = replace(BOTH, delay_seconds=20)
    with fake_cluster(pods=[*lists, late]) as cluster:
        process = started("ns", "shop", "-s", cluster.url, *arguments, preexec_fn=heed_interrupts)
        wait_for(cluster, "/api/v1/namespaces/shop/pods", asked)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    return process.returncode, out, err


def test_interrupted_before_anything_came() -> None:
    code, out, err = interrupted(lists=[], asked=1)
    assert code in (130, -signal.SIGINT)
    assert out == ""
    assert err == "interrupted: what was printed is not the whole\n"


def test_interrupted_in_mid_scan() -> None:
    code, out, err = interrupted(lists=[listed("pods", [STUCK_POD], "t")], asked=2)
    assert code == 130
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [["shop", "deployment/web", FOUND]]
    assert "not checked: other pods: interrupted: looked at 1\n" in err
    assert err.endswith("\ninterrupted: what was printed is not the whole\n")


def test_findings_come_line_by_line_while_pages_still_come() -> None:
    pages = [replace(listed("pods", [STUCK_POD], f"t{number}"), delay_seconds=0.2) for number in range(100)]
    with fake_cluster(pods=[listed("pods", [STUCK_POD]), *pages, BOTH]) as cluster:
        process = started("ns", "shop", "-s", cluster.url, "-o", "jsonl", preexec_fn=heed_interrupts)
        assert process.stdout is not None
        finding = json.loads(process.stdout.readline())
        asked = sum(entry.path.endswith("/pods") for entry in list(cluster.asked))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert asked < len(pages)
    assert (finding["rule"], finding["involvedObject"]["name"]) == (FOUND, STUCK)
    summary = json.loads(out)
    assert (summary["kind"], summary["complete"]) == ("ReportSummary", False)
    assert (summary["summary"]["pods"], summary["summary"]["findings"]["critical"]) == (1, 1)
    assert (process.returncode, err) == (130, "interrupted: what was printed is not the whole\n")


@pytest.fixture
def large(tmp_path: Path) -> str:
    """A recording whose report is larger than a pipe holds."""
    metadata = STUCK_POD["metadata"]
    pods = [
        {"apiVersion": "v1", **STUCK_POD, "metadata": {**metadata, "name": f"web-{number}", "uid": f"u{number}"}}
        for number in range(200)
    ]
    (tmp_path / "large.json").write_bytes(dump(*pods))
    return "large.json"


@contextlib.contextmanager
def closed_pipe() -> Iterator[int]:
    """The writing end of a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def test_a_reader_that_stops_early(large: str) -> None:
    process = started("ns", "-f", large, "-o", "json")
    assert process.stdout is not None
    assert process.stdout.readline() == "{\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(10) == 1


@pytest.mark.parametrize(("arguments", "code"), [(("ns", "-f"), 1), (("--help",), 0)], ids=str)
def test_a_reader_that_is_gone_already(arguments: tuple[str, ...], code: int, large: str) -> None:
    with closed_pipe() as pipe:
        process = started(*arguments, *([large] if "-f" in arguments else []), stdout=pipe)
        _, err = process.communicate(timeout=10)
    assert "Traceback" not in err
    assert process.returncode == code


def test_streams_that_are_closed(large: str) -> None:
    shell = f'exec {shlex.quote(sys.executable)} -m kubectl_memdoctor ns -f "$0"'
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for closed in (">&-", "2>&-"):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{shell} {closed}", large], env=environ, capture_output=True, text=True, timeout=20
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [("ns", "-f"), ("version",)], ids=str)
def test_a_disk_that_is_full(arguments: tuple[str, ...], large: str) -> None:
    with open("/dev/full", "w") as full:
        process = started(*arguments, *([large] if "-f" in arguments else []), stdout=full)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (2, "error: No space left on device\n")


def test_an_encoding_without_the_letters(tmp_path: Path) -> None:
    name = "网页-1"
    (tmp_path / "cjk.json").write_bytes(dump({**STUCK_POD, "metadata": {**STUCK_POD["metadata"], "name": name}}))
    process = started("ns", "-f", "cjk.json", "--pods", environ={"PYTHONIOENCODING": "ascii"})
    out, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "\\u7f51\\u9875-1" in out
    assert "Traceback" not in err
