"""What `kubectl get pod web` sends, `memdoctor pod web` sends; where kubectl fails, memdoctor names the same reason.

Compared are the path, the query, Authorization, impersonation headers, the client certificate's subject, the name asked
for in TLS, whether gzip is offered, and what a proxy was asked for. kubectl's discovery requests are its own business;
what memdoctor asks for beside the pod carries the same credentials.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .certificates import SERVER_NAME, KeyPair
from .conftest import Stage
from .kubectl_binary import kubectl_binary, kubectl_version
from .memdoctor_get import get_pod, list_pods
from .recording_server import Request

pytestmark = pytest.mark.skipif(
    kubectl_binary() is None and not os.environ.get("MEMDOCTOR_NO_SKIP"),
    reason="no kubectl to compare with: set MEMDOCTOR_TEST_KUBECTL, or run `make test-cluster` first",
)


def text(content: bytes) -> str:
    return b64encode(content).decode()


@dataclass(frozen=True, slots=True)
class Setting:
    """What one row stands on: the session's servers and the row's own folder (HOME and working folder)."""

    stage: Stage
    folder: Path

    def cluster(self, **changes: Any) -> dict[str, Any]:
        """The recording server; a change of None takes a field away. Names are written with underscores."""
        cluster: dict[str, Any] = {
            "server": self.stage.server,
            "certificate-authority-data": text(self.stage.authority.pair.certificate),
        }
        cluster |= {name.replace("_", "-"): value for name, value in changes.items()}
        return {name: value for name, value in cluster.items() if value is not None}

    def config(self, user: dict[str, Any], namespace: str = "", **cluster: Any) -> dict[str, Any]:
        """One context `c` with one cluster `c` and one user `u`."""
        return kubeconfig({"c": self.cluster(**cluster)}, {"u": user}, {"c": ("c", "u", namespace)}, "c")

    def write(self, content: dict[str, Any] | str, path: str = ".kube/config") -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    def plugin(self, answer: str, path: str = "bin/plugin", exit_code: int = 0) -> Path:
        """A credential plugin that prints `answer`, and writes what it was told into files beside it."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / "answer").write_text(answer)
        file.write_text(
            "#!/bin/sh\n"
            f'echo "$KUBERNETES_EXEC_INFO" >> "{self.folder}/told"\n'
            f'echo "$0|$*|$STAGE" >> "{self.folder}/ran"\n'
            f'cat "{self.folder}/answer"\nexit {exit_code}\n'
        )
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return file


def kubeconfig(
    clusters: dict[str, Any],
    users: dict[str, Any],
    contexts: dict[str, tuple[str, str, str]],
    current: str,
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster} for name, cluster in clusters.items()],
        "users": [{"name": name, "user": user} for name, user in users.items()],
        "contexts": [
            {"name": name, "context": {"cluster": cluster, "user": user, "namespace": namespace}}
            for name, (cluster, user, namespace) in contexts.items()
        ],
        "current-context": current,
    }


def credential(version: str = "v1", **status: Any) -> str:
    api_version = f"client.authentication.k8s.io/{version}"
    return json.dumps({"apiVersion": api_version, "kind": "ExecCredential", "status": status})


def exec_user(command: str | Path, version: str = "v1", **more: Any) -> dict[str, Any]:
    plugin = {"apiVersion": f"client.authentication.k8s.io/{version}", "command": str(command)}
    return {"exec": plugin | {"interactiveMode": "Never"} | more}


def certificate_user(pair: KeyPair) -> dict[str, Any]:
    return {"client-certificate-data": text(pair.certificate), "client-key-data": text(pair.key)}


def jwt(expiry: float) -> str:
    parts = ({"alg": "none"}, {"exp": int(expiry)})
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".sig"


def oidc(**config: str) -> dict[str, Any]:
    issuer = {"idp-issuer-url": "https://127.0.0.1:1", "client-id": "kubectl"}
    return {"auth-provider": {"name": "oidc", "config": issuer | config}}


Prepare = Callable[[Setting], "list[str] | tuple[list[str], dict[str, str]]"]


@dataclass(frozen=True, slots=True)
class Row:
    """`prepare` writes the files and gives the flags (and environment); `reason` is what both errors must hold."""

    name: str
    prepare: Prepare
    reason: str = ""
    since: tuple[int, int] = (1, 0)
    """The kubectl from which on it behaves so; memdoctor follows the newest."""


@dataclass(slots=True)
class _Table:
    rows: list[Row] = field(default_factory=list)

    def add(self, reason: str = "", since: tuple[int, int] = (1, 0)) -> Callable[[Prepare], Prepare]:
        def keep(prepare: Prepare) -> Prepare:
            self.rows.append(Row(prepare.__name__, prepare, reason, since))
            return prepare

        return keep


TABLE = _Table()
row = TABLE.add


# Contexts, clusters, users, namespaces


def three_contexts(at: Setting) -> dict[str, Any]:
    users = {"a": {"token": "token-a"}, "b": {"token": "token-b"}}
    clusters = {"tls": at.cluster(), "plain": {"server": f"http://127.0.0.1:{at.stage.http_port}"}}
    contexts = {"a": ("tls", "a", "ns-a"), "b": ("tls", "b", ""), "plain": ("plain", "a", "ns-p")}
    return kubeconfig(clusters, users, contexts, "a")


@row()
def current_context(at: Setting) -> list[str]:
    at.write(three_contexts(at))
    return []


@row()
def another_context(at: Setting) -> list[str]:
    at.write(three_contexts(at))
    return ["--context=b"]


@row()
def another_user(at: Setting) -> list[str]:
    at.write(three_contexts(at))
    return ["--user=b"]


@row()
def another_cluster(at: Setting) -> list[str]:
    at.write(three_contexts(at))
    return ["--context=plain", "--cluster=tls"]


@row()
def cluster_and_user_without_context(at: Setting) -> list[str]:
    at.write({**three_contexts(at), "current-context": "", "contexts": []})
    return ["--cluster=tls", "--user=b"]


@row()
def namespace_flag(at: Setting) -> list[str]:
    at.write(three_contexts(at))
    return ["--namespace=elsewhere"]


@row()
def no_credentials_over_plain_http(at: Setting) -> list[str]:
    at.write(three_contexts(at))
    return ["--context=plain"]


@row("context was not found for specified context: nope")
def unknown_context(at: Setting) -> list[str]:
    at.write(three_contexts(at))
    return ["--context=nope"]


@row('context "nope" does not exist')
def unknown_context_with_namespace(at: Setting) -> list[str]:
    at.write(three_contexts(at))
    return ["--context=nope", "--namespace=default"]


@row("context was not found for specified context: gone")
def unknown_current_context(at: Setting) -> list[str]:
    at.write({**three_contexts(at), "current-context": "gone"})
    return []


@row('auth info "nope" does not exist')
def unknown_user(at: Setting) -> list[str]:
    at.write(three_contexts(at))
    return ["--user=nope"]


@row('no server found for cluster "nope"')
def unknown_cluster(at: Setting) -> list[str]:
    at.write(three_contexts(at))
    return ["--context=b", "--cluster=nope"]


@row('cluster "nope" does not exist')
def unknown_cluster_with_namespace(at: Setting) -> list[str]:
    at.write(three_contexts(at))
    return ["--cluster=nope", "--namespace=default"]


# Files


@row()
def several_files_first_entry_wins(at: Setting) -> tuple[list[str], dict[str, str]]:
    one = at.write(kubeconfig({}, {"u": {"token": "first"}}, {}, "second"), "one")
    clusters, contexts = {"c": at.cluster()}, {"first": ("c", "u", "ns-1"), "second": ("c", "u", "ns-2")}
    two = at.write(kubeconfig(clusters, {"u": {"token": "second"}}, contexts, "first"), "two")
    return [], {"KUBECONFIG": os.pathsep.join([str(one), str(at.folder / "missing"), "", str(two)])}


@row()
def relative_paths_of_a_second_file(at: Setting) -> tuple[list[str], dict[str, str]]:
    one = at.write(kubeconfig({}, {}, {"c": ("c", "u", "")}, "c"), "one/config")
    (at.folder / "two").mkdir()
    (at.folder / "two/ca.crt").write_bytes(at.stage.authority.pair.certificate)
    (at.folder / "two/token").write_text("from-two\n")
    cluster = at.cluster(certificate_authority_data=None, certificate_authority="ca.crt")
    two = at.write(kubeconfig({"c": cluster}, {"u": {"tokenFile": "token"}}, {}, ""), "two/config")
    return [], {"KUBECONFIG": os.pathsep.join([str(one), str(two)])}


@row()
def empty_kubeconfig_variable_means_home(at: Setting) -> tuple[list[str], dict[str, str]]:
    at.write(at.config({"token": "home"}))
    return [], {"KUBECONFIG": ""}


@row()
def kubeconfig_flag_before_variable(at: Setting) -> tuple[list[str], dict[str, str]]:
    named = at.write(at.config({"token": "named"}), "named")
    variable = at.write(at.config({"token": "variable"}), "variable")
    return [f"--kubeconfig={named.name}"], {"KUBECONFIG": str(variable)}


@row("no such file or directory")
def kubeconfig_flag_without_file(at: Setting) -> list[str]:
    return ["--kubeconfig=nowhere"]


@row("The connection to the server localhost:8080 was refused - did you specify the right host or port?")
def no_kubeconfig(at: Setting) -> list[str]:
    return []


@row("error loading config file")
def broken_yaml(at: Setting) -> list[str]:
    at.write("clusters: [")
    return []


@row("json: cannot unmarshal")
def not_a_kubeconfig(at: Setting) -> list[str]:
    at.write("just some words")
    return []


@row()
def server_and_token_without_kubeconfig(at: Setting) -> list[str]:
    return [f"--server={at.stage.server}", "--token=alone", "--insecure-skip-tls-verify=true"]


# Tokens


@row()
def token(at: Setting) -> list[str]:
    at.write(at.config({"token": "abc"}, "shop"))
    return []


@row()
def token_flag(at: Setting) -> list[str]:
    at.write(at.config({"token": "abc"}))
    return ["--token=from-flag"]


@row()
def token_file(at: Setting) -> list[str]:
    (at.folder / "token").write_text("from-file\n")
    at.write(at.config({"tokenFile": str(at.folder / "token")}))
    return []


@row()
def token_file_before_token(at: Setting) -> list[str]:
    (at.folder / "token").write_text("from-file")
    at.write(at.config({"token": "inline", "tokenFile": str(at.folder / "token")}))
    return []


@row()
def token_flag_beside_token_file(at: Setting) -> list[str]:
    (at.folder / "token").write_text("from-file")
    at.write(at.config({"tokenFile": str(at.folder / "token")}))
    return ["--token=from-flag"]


@row("no such file or directory")
def token_file_missing(at: Setting) -> list[str]:
    at.write(at.config({"tokenFile": "/nowhere/token"}))
    return []


@row("error: You must be logged in to the server (")
def token_refused(at: Setting) -> list[str]:
    at.write(at.config({"token": "refused"}))
    return []


# Client certificates and passwords


@row()
def client_certificate_data(at: Setting) -> list[str]:
    at.write(at.config(certificate_user(at.stage.alice)))
    return []


@row()
def client_certificate_files_beside_the_config(at: Setting) -> list[str]:
    at.write(at.config({"client-certificate": "me.crt", "client-key": "keys/me.key"}), "conf/config")
    (at.folder / "conf/keys").mkdir()
    (at.folder / "conf/me.crt").write_bytes(at.stage.alice.certificate)
    (at.folder / "conf/keys/me.key").write_bytes(at.stage.alice.key)
    return ["--kubeconfig=conf/config"]


@row()
def client_certificate_flags(at: Setting) -> list[str]:
    at.write(at.config({}))
    (at.folder / "me.crt").write_bytes(at.stage.alice.certificate)
    (at.folder / "me.key").write_bytes(at.stage.alice.key)
    return ["--client-certificate=me.crt", "--client-key=me.key"]


@row(since=(1, 36))
def client_certificate_flags_over_data(at: Setting) -> list[str]:
    at.write(at.config(certificate_user(at.stage.authority.client("bob"))))
    (at.folder / "me.crt").write_bytes(at.stage.alice.certificate)
    (at.folder / "me.key").write_bytes(at.stage.alice.key)
    return ["--client-certificate=me.crt", "--client-key=me.key"]


@row()
def certificate_and_token(at: Setting) -> list[str]:
    at.write(at.config(certificate_user(at.stage.alice) | {"token": "both"}))
    return []


@row("unable to read client-cert")
def client_certificate_missing(at: Setting) -> list[str]:
    at.write(at.config({"client-certificate": "gone.crt", "client-key": "gone.key"}))
    return []


@row("client-key-data or client-key must be specified for u to use the clientCert authentication method")
def client_certificate_without_key(at: Setting) -> list[str]:
    at.write(at.config({"client-certificate-data": text(at.stage.alice.certificate)}))
    return []


@row("tls: private key does not match public key")
def client_key_of_another(at: Setting) -> list[str]:
    pair = KeyPair(at.stage.alice.certificate, at.stage.authority.client("bob").key)
    at.write(at.config(certificate_user(pair)))
    return []


@row()
def basic(at: Setting) -> list[str]:
    at.write(at.config({"username": "eve", "password": "pä:ss"}))
    return []


@row()
def basic_flags(at: Setting) -> list[str]:
    at.write(at.config({}))
    return ["--username=eve", "--password=secret"]


@row("more than one authentication method found for u; found [token basicAuth], only one is allowed")
def basic_and_token(at: Setting) -> list[str]:
    at.write(at.config({"username": "eve", "password": "secret", "token": "abc"}))
    return []


@row()
def user_info_in_the_server(at: Setting) -> list[str]:
    at.write(at.config({"token": "abc"}, server=f"https://me:pass@127.0.0.1:{at.stage.https_port}"))
    return []


# Credential plugins


@row()
def plugin_with_token(at: Setting) -> list[str]:
    at.write(at.config(exec_user(at.plugin(credential(token="from-plugin")))))
    return []


@row()
def plugin_of_the_old_version(at: Setting) -> list[str]:
    plugin = at.plugin(credential("v1beta1", token="old"))
    user = exec_user(plugin, "v1beta1")
    del user["exec"]["interactiveMode"]
    at.write(at.config(user))
    return []


@row()
def plugin_with_certificate(at: Setting) -> list[str]:
    pair = at.stage.alice
    answer = credential(clientCertificateData=pair.certificate.decode(), clientKeyData=pair.key.decode())
    at.write(at.config(exec_user(at.plugin(answer))))
    return []


@row()
def plugin_with_arguments_environment_and_cluster(at: Setting) -> list[str]:
    plugin = at.plugin(credential(token="told"))
    more: dict[str, Any] = {
        "args": ["login", "--now"],
        "env": [{"name": "STAGE", "value": "prod"}],
        "provideClusterInfo": True,
    }
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "me"}}
    cluster: dict[str, Any] = {"extensions": [extension], "tls_server_name": SERVER_NAME, "disable_compression": True}
    at.write(at.config(exec_user(plugin, **more), **cluster))
    return []


@row()
def plugin_beside_the_config(at: Setting) -> list[str]:
    at.plugin(credential(token="beside"), "conf/bin/plugin")
    at.write(at.config(exec_user("./bin/plugin")), "conf/config")
    return ["--kubeconfig=conf/config"]


@row()
def plugin_on_path(at: Setting) -> tuple[list[str], dict[str, str]]:
    at.plugin(credential(token="on-path"), "bin/my-login")
    at.write(at.config(exec_user("my-login")))
    return [], {"PATH": f"{at.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}


@row()
def plugin_printing_yaml(at: Setting) -> list[str]:
    answer = "apiVersion: client.authentication.k8s.io/v1\nkind: ExecCredential\nstatus: {token: from-yaml}\n"
    at.write(at.config(exec_user(at.plugin(answer))))
    return []


@row()
def plugin_not_run_beside_a_token(at: Setting) -> list[str]:
    at.write(at.config(exec_user(at.plugin("", exit_code=1))))
    return ["--token=from-flag"]


@row()
def plugin_not_run_beside_a_certificate(at: Setting) -> list[str]:
    at.write(at.config(exec_user(at.plugin("", exit_code=1)) | certificate_user(at.stage.alice)))
    return []


@row("failed with exit code 3")
def plugin_failing(at: Setting) -> list[str]:
    at.write(at.config(exec_user(at.plugin("", exit_code=3))))
    return []


@row("exec: executable no-such-login not found")
def plugin_missing(at: Setting) -> list[str]:
    at.write(at.config(exec_user("no-such-login", installHint="Get it at https://example.com")))
    return []


@row("Get it at https://example.com")
def plugin_missing_with_hint(at: Setting) -> list[str]:
    at.write(at.config(exec_user("no-such-login", installHint="Get it at https://example.com")))
    return []


@row("standard input is not a terminal")
def plugin_that_must_ask(at: Setting) -> list[str]:
    at.write(at.config(exec_user(at.plugin(credential(token="x")), interactiveMode="Always")))
    return []


@row("interactiveMode must be specified for u to use exec authentication plugin")
def plugin_without_interactive_mode(at: Setting) -> list[str]:
    at.write(at.config(exec_user(at.plugin(credential(token="x")), interactiveMode="")))
    return []


@row('exec plugin: invalid apiVersion "client.authentication.k8s.io/v1alpha1"')
def plugin_of_a_gone_version(at: Setting) -> list[str]:
    at.write(at.config(exec_user(at.plugin(credential(token="x")), "v1alpha1")))
    return []


@row("exec plugin is configured to use API version client.authentication.k8s.io/v1, plugin returned version")
def plugin_answering_another_version(at: Setting) -> list[str]:
    at.write(at.config(exec_user(at.plugin(credential("v1beta1", token="x")))))
    return []


@row("exec plugin didn't return a token or cert/key pair")
def plugin_without_credentials(at: Setting) -> list[str]:
    at.write(at.config(exec_user(at.plugin(credential()))))
    return []


@row("exec plugin returned only certificate or key, not both")
def plugin_with_half_a_certificate(at: Setting) -> list[str]:
    at.write(at.config(exec_user(at.plugin(credential(clientKeyData="k")))))
    return []


@row("decoding stdout")
def plugin_printing_something_else(at: Setting) -> list[str]:
    at.write(at.config(exec_user(at.plugin("Please log in first, then try again"))))
    return []


@row('not allowed: policy set to "DenyAll"', since=(1, 35))
def plugins_denied_by_kuberc(at: Setting) -> list[str]:
    policy = {"credentialPluginPolicy": "DenyAll"}
    at.write({"apiVersion": "kubectl.config.k8s.io/v1beta1", "kind": "Preference", **policy}, ".kube/kuberc")
    at.write(at.config(exec_user(at.plugin(credential(token="x")))))
    return []


@row("is not permitted by the credential plugin allowlist", since=(1, 35))
def plugin_not_on_the_allowlist(at: Setting) -> list[str]:
    policy = {"credentialPluginPolicy": "Allowlist", "credentialPluginAllowlist": [{"command": "my-login"}]}
    at.write({"apiVersion": "kubectl.config.k8s.io/v1beta1", "kind": "Preference", **policy}, ".kube/kuberc")
    at.write(at.config(exec_user(at.plugin(credential(token="x")))))
    return []


@row()
def oidc_token(at: Setting) -> list[str]:
    at.write(at.config(oidc(**{"id-token": jwt(time.time() + 3600)})))
    return []


@row("No valid id-token, and cannot refresh without refresh-token")
def oidc_token_expired(at: Setting) -> list[str]:
    at.write(at.config(oidc(**{"id-token": jwt(time.time() - 3600)})))
    return []


@row("The gcp auth plugin has been removed.")
def gcp_provider(at: Setting) -> list[str]:
    at.write(at.config({"auth-provider": {"name": "gcp"}}))
    return []


@row('no Auth Provider found for name "ldap"')
def unknown_provider(at: Setting) -> list[str]:
    at.write(at.config({"auth-provider": {"name": "ldap"}}))
    return []


# Impersonation


@row()
def impersonation(at: Setting) -> list[str]:
    extra = {"example.com/scopes": ["view", "edit"], "reason": ["a b"]}
    at.write(
        at.config({"token": "t", "as": "jane", "as-uid": "7", "as-groups": ["dev", "ops"], "as-user-extra": extra})
    )
    return []


@row()
def impersonation_flags(at: Setting) -> list[str]:
    at.write(at.config({"token": "t", "as": "jane", "as-groups": ["dev"]}))
    return ["--as=système:ünï", "--as-group=a,b", "--as-group=c", "--as-uid=8"]


@row(since=(1, 35))
def impersonation_extra_flags(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}))
    return ["--as=jane", "--as-user-extra=scopes=view", "--as-user-extra=scopes=a=b", "--as-user-extra=odd"]


@row("requesting uid, groups or user-extra for u without impersonating a user")
def impersonated_group_without_user(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}))
    return ["--as-group=dev"]


# TLS


@row()
def tls_server_name(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, tls_server_name=SERVER_NAME))
    return []


@row()
def server_flag_drops_the_tls_server_name(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, server="https://127.0.0.1:1", tls_server_name="other.example"))
    return [f"--server={at.stage.server}"]


@row()
def tls_server_name_flag(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, tls_server_name="other.example"))
    return [f"--tls-server-name={SERVER_NAME}"]


@row("tls: failed to verify certificate: x509: certificate is valid for")
def wrong_tls_server_name(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, tls_server_name="other.example"))
    return []


@row()
def insecure(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, certificate_authority_data=None, insecure_skip_tls_verify=True))
    return []


@row()
def insecure_flag_drops_the_authority(at: Setting) -> list[str]:
    stranger = text(at.stage.stranger.pair.certificate)
    at.write(at.config({"token": "t"}, certificate_authority_data=stranger))
    return ["--insecure-skip-tls-verify=true"]


@row("specifying a root certificates file with the insecure flag is not allowed")
def insecure_with_an_authority(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, insecure_skip_tls_verify=True))
    return []


@row()
def authority_flag_over_data(at: Setting) -> list[str]:
    stranger = text(at.stage.stranger.pair.certificate)
    at.write(at.config({"token": "t"}, certificate_authority_data=stranger))
    return [f"--certificate-authority={at.stage.folder / 'ca.crt'}"]


@row("x509: certificate signed by unknown authority")
def authority_of_another(at: Setting) -> list[str]:
    stranger = text(at.stage.stranger.pair.certificate)
    at.write(at.config({"token": "t"}, certificate_authority_data=stranger))
    return []


@row("unable to read certificate-authority")
def authority_missing(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, certificate_authority_data=None, certificate_authority="gone.crt"))
    return []


@row("unable to load root certificates: unable to parse bytes as PEM block")
def authority_that_is_no_certificate(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, certificate_authority_data=text(b"hello")))
    return []


@row("x509: certificate has expired")
def server_certificate_expired(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, server=f"https://127.0.0.1:{at.stage.expired_port}"))
    return []


@row("http: server gave HTTP response to HTTPS client")
def https_to_a_plain_server(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, server=f"https://127.0.0.1:{at.stage.http_port}"))
    return []


# Servers and proxies


@row()
def server_with_a_path(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, server=f"{at.stage.server}/k8s/clusters/c-1/?x=1#y"))
    return []


@row()
def server_without_a_scheme(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}))
    return [f"--server=127.0.0.1:{at.stage.http_port}"]


@row("The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?")
def server_down(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, server="https://127.0.0.1:1"))
    return []


@row()
def proxy_url(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, proxy_url=f"http://me:p%40ss@127.0.0.1:{at.stage.proxy_port}"))
    return []


@row()
def https_proxy_url(at: Setting) -> list[str]:
    server = f"https://{SERVER_NAME}:6443"
    at.write(at.config({"token": "t"}, server=server, proxy_url=f"https://127.0.0.1:{at.stage.https_proxy_port}"))
    return []


@row()
def socks_proxy_url(at: Setting) -> list[str]:
    server = f"https://{SERVER_NAME}:6443"
    at.write(at.config({"token": "t"}, server=server, proxy_url=f"socks5://127.0.0.1:{at.stage.socks_port}"))
    return []


@row("must be http, https, or socks5")
def proxy_url_of_another_kind(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, proxy_url="ftp://127.0.0.1:1"))
    return []


@row(f"The connection to the server {SERVER_NAME}:6443 was refused")
def proxy_down(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, server=f"https://{SERVER_NAME}:6443", proxy_url="http://127.0.0.1:1"))
    return []


@row()
def proxy_from_the_environment(at: Setting) -> tuple[list[str], dict[str, str]]:
    at.write(at.config({"token": "t"}, server=f"https://{SERVER_NAME}:6443"))
    lower = "http://127.0.0.1:1"
    return [], {"HTTPS_PROXY": f"127.0.0.1:{at.stage.proxy_port}", "https_proxy": lower, "NO_PROXY": "other.example"}


@row()
def no_environment_proxy_for_loopback(at: Setting) -> tuple[list[str], dict[str, str]]:
    at.write(at.config({"token": "t"}))
    return [], {"HTTPS_PROXY": "http://127.0.0.1:1"}


# The request


@row()
def request_timeout(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}))
    return ["--request-timeout=1m30.5s"]


@row()
def request_timeout_in_seconds(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}))
    return ["--request-timeout=7"]


@row("Invalid timeout value. Timeout must be a single integer in seconds")
def request_timeout_that_is_none(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}))
    return ["--request-timeout=soon"]


@row()
def no_compression_by_config(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}, disable_compression=True))
    return []


@row()
def no_compression_by_flag(at: Setting) -> list[str]:
    at.write(at.config({"token": "t"}))
    return ["--disable-compression=true"]


def run_kubectl(flags: list[str], stage: Stage, *arguments: str) -> str:
    """Nothing when kubectl got it, else what it wrote on stderr. What it discovers it keeps for later rows."""
    kubectl = kubectl_binary()
    assert kubectl is not None, "no kubectl: set MEMDOCTOR_TEST_KUBECTL"
    done = subprocess.run(
        [kubectl, "get", *arguments, "-o", "name", f"--cache-dir={stage.folder / 'cache'}", *flags],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr if done.returncode else ""


def seen(request: Request) -> dict[str, Any]:
    """The part of a request that must be the same."""
    names = sorted(name for name in request.headers if name == "authorization" or name.startswith("impersonate-"))
    return {
        "path": request.path,
        "query": request.query,
        "headers": {name: sorted(request.headers[name]) for name in names},
        "subject": request.subject,
        "sni": request.sni,
        "gzip": "gzip" in request.one("accept-encoding"),
    }


def credentials(request: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name not in ("path", "query")}


SECRETS = ("token-a", "token-b", "refused", "from-plugin", "p@ss", "p%40ss", "pä:ss", "secret", "BEGIN", "alone")


@pytest.mark.parametrize("case", TABLE.rows, ids=lambda case: case.name)
def test_memdoctor_reaches_the_cluster_as_kubectl_does(
    case: Row, stage: Stage, tmp_path: Path, bare_environ: pytest.MonkeyPatch
) -> None:
    if kubectl_version() < case.since:
        pytest.skip(f"kubectl {kubectl_version()} did this differently before {case.since}")
    prepared = case.prepare(Setting(stage, tmp_path))
    flags, environ = prepared if isinstance(prepared, tuple) else (prepared, {})
    for name, value in environ.items():
        bare_environ.setenv(name, value)
    bare_environ.setenv("KUBECTL_PATH", kubectl_binary() or "")
    bare_environ.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115

    stage.recorder.clear()
    theirs = run_kubectl(flags, stage, "pod", "web")
    expected = [seen(request) for request in stage.recorder.for_pods()]
    proxied, told = set(stage.recorder.proxied), _told(tmp_path)
    stage.recorder.clear()
    ours = get_pod(flags)
    got = [seen(request) for request in stage.recorder.for_pods()]
    beside = [seen(request) for request in stage.recorder.requests]

    assert bool(theirs) == bool(case.reason), theirs
    assert case.reason in " ".join(theirs.split())
    assert case.reason in ours
    assert bool(ours) == bool(case.reason), ours
    assert "\n" not in ours
    assert not [secret for secret in SECRETS if secret in ours and secret not in case.reason]
    # Who is refused may be so at discovery already, which kubectl skips where an earlier case has filled its cache.
    assert got == expected or (case.reason and not expected)
    assert case.reason or len(got) == 1
    assert all(credentials(request) in map(credentials, got) for request in beside)
    assert set(stage.recorder.proxied) == proxied
    assert _told(tmp_path) == told


def _told(folder: Path) -> tuple[list[Any], list[str]]:
    """What plugins were told by the environment, and how they were started; forgotten once read."""
    info, ran = folder / "told", folder / "ran"
    if not info.exists():
        return [], []
    told = {line for line in info.read_text().splitlines() if line}
    started = set(ran.read_text().splitlines())
    info.unlink()
    ran.unlink()
    return sorted(map(_sorted_json, told)), sorted(started)


def _sorted_json(line: str) -> str:
    return json.dumps(json.loads(line), sort_keys=True)


def test_a_list_is_asked_for_with_the_same_query(
    stage: Stage, tmp_path: Path, bare_environ: pytest.MonkeyPatch
) -> None:
    at = Setting(stage, tmp_path)
    at.write(at.config({"token": "t"}, "shop"))
    bare_environ.setenv("KUBECTL_PATH", kubectl_binary() or "")
    stage.recorder.clear()
    run_kubectl([], stage, "pods", "-l", "app in (web, db),!old", "--field-selector", "status.phase!=Running")
    expected = [seen(request) for request in stage.recorder.for_pods()]
    stage.recorder.clear()
    list_pods([], "app in (web, db),!old", "status.phase!=Running")
    assert [seen(request) for request in stage.recorder.for_pods()] == expected
    assert expected[0]["query"].count("limit=500") == 1
