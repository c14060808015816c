"""Which server, as whom, in which namespace: what needs no kubectl to compare with, and no credential in any error."""

from __future__ import annotations

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kubectl_memdoctor.cluster import connection as connection_module
from kubectl_memdoctor.cluster import kubeconfig as kubeconfig_module
from kubectl_memdoctor.cluster import transport as transport_module
from kubectl_memdoctor.cluster.api import ApiServer, go_duration
from kubectl_memdoctor.cluster.connection import Connection, connect, parse_timeout
from kubectl_memdoctor.cluster.exec_plugin import ExecPlugin
from kubectl_memdoctor.cluster.kubeconfig import AuthProvider, ConnectionFlags, ExecConfig, start
from kubectl_memdoctor.cluster.oidc import id_token
from kubectl_memdoctor.cluster.proxy import proxy_for
from kubectl_memdoctor.cluster.source import AccessError
from kubectl_memdoctor.objects import PODS

from .conftest import Stage
from .faulty_server import Script, faulty_server, pod_list, status

V1 = "client.authentication.k8s.io/v1"


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


def fake_kubectl(folder: Path, answer: dict[str, Any]) -> dict[str, str]:
    """An environment whose kubectl prints `answer` as its configuration."""
    (folder / "answer.json").write_text(json.dumps(answer))
    kubectl = script(folder / "my-kubectl", f"cat '{folder / 'answer.json'}'")
    return {"KUBECTL_PATH": str(kubectl), "HOME": str(folder), "PATH": os.environ["PATH"]}


def failure(flags: ConnectionFlags, environ: dict[str, str]) -> str:
    with pytest.raises(AccessError) as caught:
        connect(start(flags, environ))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# kubectl


def test_without_kubectl_the_error_says_what_to_install(tmp_path: Path) -> None:
    assert failure(ConnectionFlags(context="c"), {"PATH": str(tmp_path), "HOME": str(tmp_path)}) == (
        "error: kubectl was not found on PATH, and its configuration is needed to reach the cluster:"
        " install kubectl, or set KUBECTL_PATH to it"
    )


def test_a_kubectl_path_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=r"^error: /nowhere/kubectl cannot be run: No such file or directory$"):
        start(ConnectionFlags(), {"KUBECTL_PATH": "/nowhere/kubectl", "HOME": str(tmp_path)})


def test_kubectls_own_reason_is_passed_on_in_one_line(tmp_path: Path) -> None:
    kubectl = script(tmp_path / "k", 'echo "error: error loading config file:\n  line 3" >&2', "exit 1")
    line = failure(ConnectionFlags(), {"KUBECTL_PATH": str(kubectl), "HOME": str(tmp_path)})
    assert line == "error: error loading config file: line 3"


@pytest.mark.parametrize("output", ["", "Hello", "[]", '{"users": 1}'])
def test_something_else_than_a_configuration_is_refused(tmp_path: Path, output: str) -> None:
    kubectl = script(tmp_path / "k", f"printf '%s' '{output}'")
    line = failure(ConnectionFlags(), {"KUBECTL_PATH": str(kubectl), "HOME": str(tmp_path)})
    assert line == "error: kubectl config view -o json did not print a configuration"


def test_a_kubectl_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeconfig_module, "KUBECTL_SECONDS", 0.2)
    kubectl = script(tmp_path / "k", "exec sleep 20")
    environ = {"KUBECTL_PATH": str(kubectl), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    assert failure(ConnectionFlags(), environ) == "error: kubectl config view gave no answer within 0s"


# In a pod


@pytest.fixture
def pod_environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Stage) -> dict[str, str]:
    """A pod's environment, without kubectl and kubeconfig."""
    account = tmp_path / "serviceaccount"
    account.mkdir()
    (account / "token").write_text("pod-token\n")
    (account / "namespace").write_text("team-a\n")
    (account / "ca.crt").write_bytes(stage.authority.pair.certificate)
    monkeypatch.setattr(connection_module, "SERVICE_ACCOUNT", account)
    return {
        "PATH": "",
        "HOME": str(tmp_path),
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(stage.https_port),
    }


def test_a_pod_uses_its_service_account(pod_environ: dict[str, str], stage: Stage) -> None:
    connection = connect(start(ConnectionFlags(), pod_environ))
    assert connection.server == stage.server
    assert connection.namespace == "team-a"
    stage.recorder.clear()
    ApiServer(connection).get(PODS, "default", "web")
    assert [request.one("authorization") for request in stage.recorder.requests] == ["Bearer pod-token"]


def test_a_pod_with_kubectl_and_no_kubeconfig_uses_its_service_account(
    pod_environ: dict[str, str], tmp_path: Path, stage: Stage
) -> None:
    environ = pod_environ | fake_kubectl(tmp_path, {"users": None, "clusters": None, "contexts": None})
    assert connect(start(ConnectionFlags(), environ)).server == stage.server


def test_a_pods_namespace_gives_way(pod_environ: dict[str, str]) -> None:
    assert connect(start(ConnectionFlags(namespace="shop"), pod_environ)).namespace == "shop"
    assert connect(start(ConnectionFlags(), pod_environ | {"POD_NAMESPACE": "own"})).namespace == "own"


def test_a_pods_token_gives_way_to_the_flag(pod_environ: dict[str, str]) -> None:
    connection = connect(start(ConnectionFlags(token="mine"), pod_environ))
    assert (connection.token, connection.token_file) == ("mine", "")


def test_an_ipv6_service_host_is_bracketed(pod_environ: dict[str, str]) -> None:
    environ = pod_environ | {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert connect(start(ConnectionFlags(), environ)).server == "https://[fd00::1]:443"


def test_a_kubeconfig_without_kubectl_is_not_passed_over(pod_environ: dict[str, str]) -> None:
    assert "kubectl was not found" in failure(ConnectionFlags(), pod_environ | {"KUBECONFIG": "/some/file"})


# Flags and values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("5", 5), ("+5", 5), ("5s", 5), ("1m30s", 90), ("1.5h", 5400), ("300ms", 0.3), (".5s", 0.5), ("-5s", 0)],
)
def test_request_timeouts_are_kubectls(text: str, seconds: float) -> None:
    assert parse_timeout(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "5x", "5 s", "1m 30s", "five", "5s5", "1e3", "-5"])
def test_other_timeouts_are_refused(text: str) -> None:
    with pytest.raises(AccessError, match=r"^error: Invalid timeout value\. Timeout must be a single integer"):
        parse_timeout(text)


@given(st.integers(1, 10**7).map(lambda thousandths: thousandths / 1000))
@example(59.999)
def test_written_durations_are_read_back(seconds: float) -> None:
    assert parse_timeout(go_duration(seconds)) == pytest.approx(seconds)


def test_without_credentials_nobody_is_asked_for_a_password(tmp_path: Path) -> None:
    environ = fake_kubectl(tmp_path, {"clusters": None})
    line = failure(ConnectionFlags(server="https://127.0.0.1:1"), environ)
    assert line.startswith("error: no credentials for the server")


@pytest.mark.parametrize(
    ("server", "line"),
    [
        ("ftp://x", 'error: unsupported protocol scheme "ftp" in the server\'s address'),
        ("x/y", 'error: host must be a URL or a host:port pair: "x/y"'),
        ("https://x:port", "error: the server's address is not a URL or a host:port pair"),
        ("https://", 'error: host must be a URL or a host:port pair: "https://"'),
    ],
)
def test_a_server_that_is_no_address_is_named(tmp_path: Path, server: str, line: str) -> None:
    assert failure(ConnectionFlags(server=server), fake_kubectl(tmp_path, {})) == line


@pytest.mark.parametrize(
    ("server", "environ", "proxy"),
    [
        ("https://kube.example", {"HTTPS_PROXY": "http://up:1", "https_proxy": "http://low:1"}, "http://up:1"),
        ("https://kube.example", {"https_proxy": "low:1"}, "http://low:1"),
        ("https://kube.example", {"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://p:1"}, ""),
        ("http://kube.example", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("https://localhost", {"HTTPS_PROXY": "http://p:1"}, ""),
        ("https://127.1.2.3", {"HTTPS_PROXY": "http://p:1"}, ""),
        ("https://[::1]:6443", {"HTTPS_PROXY": "http://p:1"}, ""),
        ("https://kube.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, ""),
        ("https://kube.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a, KUBE.example"}, ""),
        ("https://kube.example", {"HTTPS_PROXY": "http://p:1", "no_proxy": "example"}, ""),
        ("https://kube.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example"}, ""),
        ("https://kube.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*.example"}, ""),
        ("https://kube.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".kube.example"}, "http://p:1"),
        ("https://kube.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ube.example"}, "http://p:1"),
        ("https://kube.example:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "kube.example:6443"}, ""),
        ("https://kube.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "kube.example:6443"}, "http://p:1"),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, ""),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.1.2.4,nonsense/x"}, "http://p:1"),
        ("https://[fd00::1]:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "[fd00::1]:6443"}, ""),
    ],
)
def test_proxies_from_the_environment_are_gos(server: str, environ: dict[str, str], proxy: str) -> None:
    assert proxy_for(server, "", environ) == proxy


def test_a_proxy_url_holds_for_loopback_too() -> None:
    assert proxy_for("https://127.0.0.1", "http://p:1", {"NO_PROXY": "*"}) == "http://p:1"


# Connections that fail


def line_of(connection: Connection) -> str:
    with pytest.raises(AccessError) as caught:
        ApiServer(connection, sleep=lambda seconds: None).origin()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def plain(server: str, **more: Any) -> Connection:
    return replace(Connection(server=server, namespace="default", context=""), **more)


def test_an_unknown_name_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: object, **more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert line_of(plain("http://kube.example:6443")) == (
        "Unable to connect to the server: dial tcp: lookup kube.example: no such host - is the server's name right?"
    )


def test_a_server_that_never_answers_a_connection_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*arguments: object, **more: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", silent)
    assert line_of(plain("http://10.0.0.1:6443")) == (
        "Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout"
        " - is the server reachable from here (VPN, firewall)?"
    )


def test_an_unreachable_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*arguments: object, **more: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("urllib3.util.connection.create_connection", unreachable)
    assert line_of(plain("http://10.0.0.1:6443")) == (
        "Unable to connect to the server: dial tcp 10.0.0.1:6443: connect: network is unreachable"
    )


def test_a_server_that_falls_silent_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "IDLE_SECONDS", 0.2)
    with faulty_server(Script([replace(pod_list("a"), delay_seconds=1)])) as connection:
        host = connection.server.removeprefix("http://")
        assert line_of(connection) == f"Unable to connect to the server: no answer from {host} for 0.2s"


def test_a_proxy_that_wants_a_password_is_one_line(stage: Stage) -> None:
    with faulty_server(Script([status(407, "", "")])) as proxy:
        proxy_url = proxy.server.replace("http://", "http://me:hunter2@")
        line = line_of(plain("https://kube.example:6443", proxy_url=proxy_url))
    assert line.startswith("Unable to connect to the server: proxyconnect tcp: the proxy 127.0.0.1:")
    assert "hunter2" not in line


def test_a_client_certificate_that_the_server_does_not_accept_is_one_line(stage: Stage) -> None:
    pair = stage.stranger.client("mallory")
    ca = stage.authority.pair.certificate
    line = line_of(plain(stage.server, ca_data=ca, client_certificate=pair.certificate, client_key=pair.key))
    assert line.startswith("Unable to connect to the server: ")
    assert "BEGIN" not in line


# Credentials


def test_no_credential_is_in_a_repr() -> None:
    connection = plain(
        "https://x",
        token="sesame",
        password="sesame",
        client_key=b"sesame",
        client_certificate=b"sesame",
        proxy_url="http://me:sesame@p",
        auth_provider=AuthProvider("oidc", {"id-token": "sesame"}),
    )
    assert "sesame" not in repr(connection)


@pytest.mark.parametrize("token", ["sesame\r\nX-Evil: 1", "sesame\x00", "a\nsesame"])
def test_a_token_that_no_header_can_hold_is_not_printed(stage: Stage, token: str) -> None:
    line = line_of(plain(stage.server, ca_data=stage.authority.pair.certificate, token=token))
    assert line == 'error: net/http: invalid header field value for "Authorization"'


def test_a_token_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "TOKEN_FILE_SECONDS", 0.0)
    file = tmp_path / "token"
    written = Script([pod_list()])
    with faulty_server(written) as connection:
        api = ApiServer(replace(connection, token="fallback", token_file=str(file)))
        for content in (None, "one\n", "two", ""):
            if content is not None:
                file.write_text(content)
            list(api.list(PODS))
    assert [asked.headers["Authorization"].split()[1] for asked in written.asked] == ["fallback", "one", "two", "two"]


def counting_plugin(folder: Path, *status_lines: str) -> ExecConfig:
    """A plugin that hands out token-1, token-2, ... and says so in a file."""
    command = script(
        folder / "plugin",
        f"echo x >> '{folder}/runs'",
        f"n=$(wc -l < '{folder}/runs' | tr -d ' ')",
        f'echo "{{\\"apiVersion\\": \\"{V1}\\", \\"kind\\": \\"ExecCredential\\","',
        f'echo "\\"status\\": {{\\"token\\": \\"token-$n\\"{"".join(status_lines)}}}}}"',
    )
    return ExecConfig(command=str(command), api_version=V1, interactive_mode="Never")


def expiring(moment: datetime) -> str:
    return f', \\"expirationTimestamp\\": \\"{moment.strftime("%Y-%m-%dT%H:%M:%SZ")}\\"'


def test_refused_credentials_are_fetched_again_once(tmp_path: Path) -> None:
    written = Script([status(401, "Unauthorized", "Unauthorized"), pod_list("a"), pod_list("a")])
    with faulty_server(written) as connection:
        api = ApiServer(replace(connection, exec=counting_plugin(tmp_path)))
        list(api.list(PODS))
        list(api.list(PODS))
    tokens = [asked.headers["Authorization"] for asked in written.asked]
    assert tokens == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_credentials_that_stay_refused_are_an_error(tmp_path: Path) -> None:
    written = Script([status(401, "Unauthorized", "Unauthorized")])
    with faulty_server(written) as connection:
        api = ApiServer(replace(connection, exec=counting_plugin(tmp_path)))
        with pytest.raises(AccessError, match=r"^error: You must be logged in to the server \(Unauthorized\)$"):
            list(api.list(PODS))
    assert len(written.asked) == 2


@pytest.mark.parametrize(("hours", "runs"), [(1, 1), (-1, 3)])
def test_a_plugin_runs_again_when_its_credentials_have_expired(tmp_path: Path, hours: int, runs: int) -> None:
    plugin = counting_plugin(tmp_path, expiring(datetime.now(UTC) + timedelta(hours=hours)))
    held = ExecPlugin(plugin, plain("https://x"))
    tokens = [held.credentials().token for _ in range(3)]
    assert tokens[-1] == f"token-{runs}"


def test_threads_share_one_run_of_a_plugin(tmp_path: Path) -> None:
    held = ExecPlugin(counting_plugin(tmp_path), plain("https://x"))
    with ThreadPoolExecutor(8) as threads:
        first = list(threads.map(lambda number: held.credentials(), range(8)))
        second = list(threads.map(lambda number: held.refresh(first[0]), range(8)))
    assert {credentials.token for credentials in first} == {"token-1"}
    assert {credentials.token for credentials in second} == {"token-2"}


@pytest.mark.parametrize(("mode", "terminal", "stdin"), [("IfAvailable", True, True), ("IfAvailable", False, False)])
def test_a_plugin_gets_the_terminal_where_there_is_one(tmp_path: Path, mode: str, terminal: bool, stdin: bool) -> None:
    command = script(
        tmp_path / "plugin",
        f"echo \"$KUBERNETES_EXEC_INFO\" > '{tmp_path}/told'",
        f'echo \'{{"apiVersion": "{V1}", "kind": "ExecCredential", "status": {{"token": "t"}}}}\'',
    )
    plugin = ExecConfig(command=str(command), api_version=V1, interactive_mode=mode)
    ExecPlugin(plugin, plain("https://x"), stdin_is_terminal=lambda: terminal).credentials()
    told = json.loads((tmp_path / "told").read_text())
    assert told == {"apiVersion": V1, "kind": "ExecCredential", "spec": {"interactive": stdin}}


@pytest.mark.parametrize(
    "output",
    [
        "sesame",
        '{"token": "sesame"',
        '{"apiVersion": "v1", "kind": "sesame", "status": {"token": "sesame"}}',
        f'{{"apiVersion": "{V1}", "kind": "ExecCredential", "status": {{"token": ["sesame"]}}}}',
        f'{{"apiVersion": "{V1}", "kind": "ExecCredential", "status": {{"clientKeyData": "sesame"}}}}',
        "a: [sesame",
        "status: {token: sesame}",
        "- sesame",
    ],
)
def test_what_a_plugin_printed_is_never_in_an_error(tmp_path: Path, output: str) -> None:
    (tmp_path / "output").write_text(output)
    command = script(tmp_path / "plugin", f"cat '{tmp_path / 'output'}'")
    plugin = ExecConfig(command=str(command), api_version=V1, interactive_mode="Never")
    with pytest.raises(AccessError) as caught:
        ExecPlugin(plugin, plain("https://x")).credentials()
    assert str(caught.value).startswith("Unable to connect to the server: getting credentials: ")
    assert "sesame" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_install_hint_cannot_colour_the_terminal() -> None:
    plugin = ExecConfig(
        command="no-such-login", api_version=V1, interactive_mode="Never", install_hint="\x1b[1mGet\nit"
    )
    with pytest.raises(AccessError) as caught:
        ExecPlugin(plugin, plain("https://x")).credentials()
    assert str(caught.value).endswith("is not installed, or not on PATH. U+001B[1mGet it")


def test_certificates_of_a_plugin_that_are_none_are_an_error(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "output").write_text(
        json.dumps(
            {
                "apiVersion": V1,
                "kind": "ExecCredential",
                "status": {"clientCertificateData": "sesame", "clientKeyData": "sesame"},
            }
        )
    )
    command = script(tmp_path / "plugin", f"cat '{tmp_path / 'output'}'")
    plugin = ExecConfig(command=str(command), api_version=V1, interactive_mode="Never")
    line = line_of(plain(stage.server, ca_data=stage.authority.pair.certificate, exec=plugin))
    assert line.startswith("error: tls: failed to find any PEM data")
    assert "sesame" not in line


def test_a_client_key_does_not_stay_on_disk(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ca, alice = stage.authority.pair.certificate, stage.alice
    connection = plain(stage.server, ca_data=ca, client_certificate=alice.certificate, client_key=alice.key)
    stage.recorder.clear()
    ApiServer(connection).get(PODS, "default", "web")
    assert stage.recorder.requests[0].subject == "alice"
    assert list(tmp_path.iterdir()) == []


def test_an_oidc_token_that_must_be_renewed_says_how() -> None:
    config = {"idp-issuer-url": "https://x", "client-id": "y", "id-token": "sesame", "refresh-token": "sesame"}
    with pytest.raises(AccessError, match=r"run any kubectl command once") as caught:
        id_token(AuthProvider("oidc", config))
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("missing", ["idp-issuer-url", "client-id"])
def test_an_oidc_provider_needs_its_settings(missing: str) -> None:
    config = {"idp-issuer-url": "https://x", "client-id": "y"}
    del config[missing]
    with pytest.raises(AccessError, match=f"^error: Must provide {missing}$"):
        id_token(AuthProvider("oidc", config))


# kuberc


@pytest.mark.parametrize(
    ("kuberc", "reason"),
    [
        ("credentialPluginPolicy: DenyAll", 'not allowed: policy set to "DenyAll"'),
        ("{credentialPluginPolicy: Allowlist, credentialPluginAllowlist: [{command: other}]}", "not permitted"),
        ("credentialPluginPolicy: Allowlist", "misconfigured credential plugin allowlist"),
        ("{credentialPluginPolicy: AllowAll, credentialPluginAllowlist: [{command: x}]}", "misconfigured"),
        ("credentialPluginPolicy: Sometimes", 'unknown plugin policy: "Sometimes"'),
        ("{credentialPluginPolicy: Allowlist, credentialPluginAllowlist: [{name: x}]}", "misconfigured"),
    ],
)
def test_plugins_that_kuberc_forbids_do_not_run(tmp_path: Path, kuberc: str, reason: str) -> None:
    (tmp_path / "kuberc").write_text(kuberc)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBERC": str(tmp_path / "kuberc")}
    with pytest.raises(AccessError, match=reason):
        ExecPlugin(counting_plugin(tmp_path), plain("https://x"), environ).credentials()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("entry", ["plugin", "{folder}/plugin"])
def test_plugins_that_kuberc_lists_run(tmp_path: Path, entry: str) -> None:
    allowlist = [{"command": entry.format(folder=tmp_path)}]
    kuberc = {"credentialPluginPolicy": "Allowlist", "credentialPluginAllowlist": allowlist}
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube/kuberc").write_text(json.dumps(kuberc))
    environ = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    assert ExecPlugin(counting_plugin(tmp_path), plain("https://x"), environ).credentials().token == "token-1"


@pytest.mark.parametrize("setting", [{"KUBERC": "off"}, {"KUBECTL_KUBERC": "false"}])
def test_kuberc_can_be_turned_off(tmp_path: Path, setting: dict[str, str]) -> None:
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube/kuberc").write_text("credentialPluginPolicy: DenyAll")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | setting
    assert ExecPlugin(counting_plugin(tmp_path), plain("https://x"), environ).credentials().token == "token-1"


def test_a_named_kuberc_must_be_readable(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBERC": str(tmp_path / "gone")}
    with pytest.raises(AccessError, match="kuberc"):
        ExecPlugin(counting_plugin(tmp_path), plain("https://x"), environ).credentials()
