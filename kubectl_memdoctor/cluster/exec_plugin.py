"""Credential plugins (`user.exec`), run the way client-go runs them.

https://github.com/kubernetes/client-go/blob/v0.37.0/plugin/pkg/client/auth/exec/exec.go
The official Python client goes on as anonymous where a plugin fails; here that is an AccessError.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from kubectl_memdoctor.cluster.connection import Connection
from kubectl_memdoctor.cluster.kubeconfig import ExecConfig
from kubectl_memdoctor.cluster.plugin_policy import refusal
from kubectl_memdoctor.cluster.source import AccessError

UNATTENDED_SECONDS = 60.0
"""How long a plugin may take that nobody watches: one that waits for a person would wait for ever."""
API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a plugin handed out: a token, or a client certificate and its key (PEM), until `expires`, if ever."""

    token: str = field(default="", repr=False)
    client_certificate: bytes = field(default=b"", repr=False)
    client_key: bytes = field(default=b"", repr=False)
    expires: datetime | None = None


class ExecCredentialStatus(Struct, frozen=True, rename="camel"):
    expiration_timestamp: datetime | None = None
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""


class ExecCredential(Struct, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""
    status: ExecCredentialStatus | None = None


_CREDENTIAL_DECODER = msgspec.json.Decoder(ExecCredential)


class ExecPlugin:
    """Runs a plugin when credentials are first needed, have expired, or were refused; several threads share one run."""

    def __init__(
        self,
        plugin: ExecConfig,
        connection: Connection,
        environ: Mapping[str, str] | None = None,
        stdin_is_terminal: Callable[[], bool] | None = None,
    ) -> None:
        self._plugin = plugin
        self._connection = connection
        self._environ = os.environ if environ is None else environ
        self._stdin_is_terminal = stdin_is_terminal or _stdin_is_terminal
        self._lock = threading.Lock()
        self._held: Credentials | None = None
        self._failure: AccessError | None = None

    def credentials(self) -> Credentials:
        """Raises AccessError when the plugin is missing, fails, or answers with anything but credentials."""
        with self._lock:
            held = self._held
            if held is None or (held.expires is not None and datetime.now(UTC) > held.expires):
                held = self._fetch()
            return held

    def refresh(self, refused: Credentials) -> Credentials:
        """Newer credentials than those that the server refused; another thread may have fetched them already."""
        with self._lock:
            if self._held is refused or self._held is None:
                return self._fetch()
            return self._held

    def _fetch(self) -> Credentials:
        """Requests wait for one another's plugin: where it fails, the others fail with it rather than ask it again."""
        if self._failure is not None:
            raise self._failure
        try:
            self._held = self._run()
        except AccessError as failure:
            self._failure = failure
            raise
        return self._held

    def _run(self) -> Credentials:
        plugin = self._plugin
        if plugin.api_version not in API_VERSIONS:
            raise AccessError(f'error: exec plugin: invalid apiVersion "{plugin.api_version}"')
        interactive = self._is_interactive()
        command = os.path.normpath(plugin.command)
        path = shutil.which(command, path=self._environ.get("PATH"))
        policy = refusal(command, path, self._environ)
        if policy:
            raise _failure(policy)
        if path is None:
            raise _failure(f"exec: executable {command} not found{_install_hint(plugin)}")
        environ = {**self._environ, **{entry.name: entry.value for entry in plugin.env or ()}}
        environ["KUBERNETES_EXEC_INFO"] = self._exec_info(interactive)
        try:
            # The plugin's stderr is the user's: it may say where to log in.
            done = subprocess.run(
                [command, *(plugin.args or ())],
                executable=path,
                env=environ,
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                check=False,
                timeout=UNATTENDED_SECONDS if self._connection.unattended else None,
            )
        except subprocess.TimeoutExpired:
            raise _failure(f"exec: executable {command} gave no answer within {UNATTENDED_SECONDS:g}s") from None
        except OSError as error:
            raise _failure(f"exec: {command}: {(error.strerror or '').lower()}") from None
        if done.returncode != 0:
            code = max(done.returncode, -1)
            raise _failure(f"exec: executable {command} failed with exit code {code}")
        return _credentials(done.stdout, plugin.api_version)

    def _is_interactive(self) -> bool:
        mode = self._plugin.interactive_mode
        if mode == "Never":
            return False
        terminal = not self._connection.unattended and self._stdin_is_terminal()
        if mode == "Always" and self._connection.unattended:
            raise _failure("exec plugin needs interactive mode: look at this context alone, with --context")
        if mode == "Always" and not terminal:
            raise _failure("exec plugin cannot support interactive mode: standard input is not a terminal")
        return terminal

    def _exec_info(self, interactive: bool) -> str:
        spec: dict[str, Any] = {"interactive": interactive}
        if self._plugin.provide_cluster_info:
            spec["cluster"] = _cluster_info(self._connection)
        info = {"kind": "ExecCredential", "apiVersion": self._plugin.api_version, "spec": spec}
        return msgspec.json.encode(info).decode()


def _stdin_is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _cluster_info(connection: Connection) -> dict[str, Any]:
    """https://kubernetes.io/docs/reference/config-api/client-authentication.v1/#client-authentication-k8s-io-v1-Cluster"""
    optional = {
        "tls-server-name": connection.tls_server_name,
        "insecure-skip-tls-verify": connection.insecure,
        "certificate-authority-data": b64encode(connection.ca_data).decode(),
        "proxy-url": connection.proxy_url,
        "disable-compression": connection.disable_compression,
    }
    given = {name: value for name, value in optional.items() if value}
    return {"server": connection.server, **given, "config": msgspec.json.decode(connection.exec_extension)}


def _failure(reason: str) -> AccessError:
    return AccessError(f"Unable to connect to the server: getting credentials: {reason}")


def _install_hint(plugin: ExecConfig) -> str:
    hint = " ".join(_without_escapes(plugin.install_hint).split())
    missing = ": the credential plugin that the kubeconfig names is not installed, or not on PATH"
    return f"{missing}. {hint}" if hint else missing


def _without_escapes(text: str) -> str:
    """client-go's cleanANSIEscapeCodes: control characters become their code point, spaces stay."""
    return "".join(
        char if char in "\t\n\v\f\r" or unicodedata.category(char)[0] != "C" else f"U+{ord(char):04X}" for char in text
    )


def _credentials(output: bytes, api_version: str) -> Credentials:
    """What the plugin printed is never part of a message: it may hold a token."""
    answer = _decode(output)
    if answer.kind != "ExecCredential" or answer.api_version != api_version:
        returned = answer.api_version if answer.api_version in API_VERSIONS else "another one"
        raise _failure(
            f"exec plugin is configured to use API version {api_version}, plugin returned version {returned}"
        )
    status = answer.status
    if status is None:
        raise _failure("exec plugin didn't return a status field")
    certificate, key = status.client_certificate_data, status.client_key_data
    if not (status.token or certificate or key):
        raise _failure("exec plugin didn't return a token or cert/key pair")
    if bool(certificate) != bool(key):
        raise _failure("exec plugin returned only certificate or key, not both")
    return Credentials(status.token, certificate.encode(), key.encode(), status.expiration_timestamp)


def _decode(output: bytes) -> ExecCredential:
    try:
        return _CREDENTIAL_DECODER.decode(output)
    except msgspec.ValidationError:
        raise _failure("decoding stdout: the plugin printed no valid ExecCredential") from None
    except msgspec.DecodeError:
        pass
    import yaml  # rarely needed: plugins print JSON

    try:
        return msgspec.convert(yaml.load(output, Loader=yaml.BaseLoader), ExecCredential)
    except (yaml.YAMLError, msgspec.ValidationError, ValueError):
        raise _failure("decoding stdout: the plugin printed no ExecCredential") from None
