"""From kubeconfig and flags to one connection: which server, as whom, in which namespace.

The rules are client-go's, in its order, with its words for what is wrong:
https://github.com/kubernetes/client-go/blob/v0.37.0/tools/clientcmd/client_config.go
https://github.com/kubernetes/client-go/blob/v0.37.0/tools/clientcmd/validation.go
https://github.com/kubernetes/client-go/blob/v0.37.0/tools/clientcmd/merged_client_builder.go
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from kubectl_memdoctor.cluster.kubeconfig import (
    EMPTY,
    AuthProvider,
    Cluster,
    ConnectionFlags,
    Context,
    ExecConfig,
    Kubeconfig,
    Lookup,
    User,
)
from kubectl_memdoctor.cluster.source import AccessError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
EXEC_EXTENSION = "client.authentication.k8s.io/exec"
"""The cluster extension that is handed to a credential plugin."""

NO_KUBECONFIG = "No kubeconfig was found: set KUBECONFIG, or pass --kubeconfig, --context or --server."


@dataclass(frozen=True, slots=True)
class Connection:
    """One server and one identity. Credentials are never part of its repr.

    `server` is the base URL, without user info, query or closing slash. `request_timeout` is in seconds, 0 for none.
    `token_file` is read again as it changes and goes before `token`. `hint` is added to a connection failure, `purpose`
    to the name by which audit logs know the program. `unattended`: nobody answers what a credential plugin may ask.
    """

    server: str
    namespace: str
    context: str
    request_timeout: float = 0.0
    ca_data: bytes = field(default=b"", repr=False)
    insecure: bool = False
    tls_server_name: str = ""
    client_certificate: bytes = field(default=b"", repr=False)
    client_key: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    auth_provider: AuthProvider | None = field(default=None, repr=False)
    exec: ExecConfig | None = field(default=None, repr=False)
    exec_extension: bytes = field(default=b"null", repr=False)
    impersonation: tuple[tuple[str, str], ...] = ()
    proxy_url: str = field(default="", repr=False)
    disable_compression: bool = False
    hint: str = ""
    purpose: str = ""
    unattended: bool = False


def connect(lookup: Lookup) -> Connection:
    """Waits for kubectl's configuration and applies the flags to it. Raises AccessError in kubectl's words."""
    return connection_of(lookup, configuration(lookup), lookup.flags)


def configuration(lookup: Lookup) -> Kubeconfig:
    """Waits for kubectl's configuration; an empty one where none is needed. Raises AccessError."""
    config = lookup.finish()
    return _without_kubectl(lookup) if config is None else config


def connection_of(lookup: Lookup, config: Kubeconfig, flags: ConnectionFlags) -> Connection:
    """`config` with these flags applied to it, which need not be those of the lookup. Raises AccessError."""
    choice = _Choice(config, flags, lookup.environ)
    config = lookup.resolve(config, choice.user_name(), choice.cluster_name())
    return _Choice(config, flags, lookup.environ).connection()


def in_cluster_possible(environ: Mapping[str, str]) -> bool:
    return bool(
        environ.get("KUBERNETES_SERVICE_HOST")
        and environ.get("KUBERNETES_SERVICE_PORT")
        and (SERVICE_ACCOUNT / "token").is_file()
    )


def parse_timeout(text: str) -> float:
    """--request-timeout in seconds: a whole number of seconds, or a Go duration (`1m30s`); 0 and less mean none."""
    if re.fullmatch(r"\+?[0-9]+", text):
        return float(text)
    seconds = _go_duration(text)
    if seconds is None:
        raise AccessError(
            "error: Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by"
            " a corresponding time unit (e.g. 1s | 2m | 3h)"
        )
    return max(seconds, 0.0)


_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_DURATION = re.compile(r"(?:([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))")


def _go_duration(text: str) -> float | None:
    """https://pkg.go.dev/time#ParseDuration"""
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0.0
    parts = _GO_DURATION.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        return None
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    return -seconds if text.startswith("-") else seconds


def _without_kubectl(lookup: Lookup) -> Kubeconfig:
    """A pod's own service account, or a server named outright, need no kubeconfig; anything else needs kubectl."""
    flags = lookup.flags
    asks_for_config = (
        any((flags.kubeconfig, flags.context, flags.cluster, flags.user, lookup.environ.get("KUBECONFIG")))
        or lookup.files()[0].exists()
    )
    if not asks_for_config and (flags.server or in_cluster_possible(lookup.environ)):
        return EMPTY
    raise AccessError(
        "error: kubectl was not found on PATH, and its configuration is needed to reach the cluster:"
        " install kubectl, or set KUBECTL_PATH to it"
    )


@dataclass(frozen=True, slots=True)
class _Choice:
    """kubeconfig, flags and environment together: what client-go calls a DirectClientConfig."""

    config: Kubeconfig
    flags: ConnectionFlags
    environ: Mapping[str, str]

    def context_name(self) -> str:
        return self.flags.context or self.config.current_context

    def context(self) -> Context:
        return self.config.contexts.get(self.context_name(), Context())

    def user_name(self) -> str:
        return self.flags.user or self.context().user

    def cluster_name(self) -> str:
        return self.flags.cluster or self.context().cluster

    def connection(self) -> Connection:
        namespace = self._namespace()
        user, cluster = self._user(), self._cluster()
        if user is None:
            raise AccessError(f'error: auth info "{self.user_name()}" does not exist')
        if self.flags.context and self.flags.context not in self.config.contexts:
            raise AccessError(f'error: context "{self.flags.context}" does not exist')
        if cluster is None:
            raise AccessError(f'error: cluster "{self.cluster_name()}" does not exist')
        self._confirm_usable()
        if self._is_default(user, cluster) and in_cluster_possible(self.environ):
            return self._in_cluster(namespace)
        return self._direct(user, cluster, namespace)

    def _namespace(self) -> str:
        if self.flags.namespace:
            return self.flags.namespace
        self._confirm_usable()
        chosen = self.context().namespace
        if chosen or not in_cluster_possible(self.environ):
            return chosen or "default"
        return self.environ.get("POD_NAMESPACE") or _text(SERVICE_ACCOUNT / "namespace").strip() or "default"

    def _user(self) -> User | None:
        """None when --user names one that does not exist."""
        flags = self.flags
        user = self.config.users.get(self.user_name())
        if user is None:
            if flags.user:
                return None
            user = User()
        extra = dict(user.as_user_extra or {}) | _user_extra(flags.as_user_extra)
        own_certificate, own_key = bool(flags.client_certificate), bool(flags.client_key)
        return msgspec.structs.replace(
            user,
            client_certificate=flags.client_certificate or user.client_certificate,
            client_certificate_data=b"" if own_certificate else user.client_certificate_data,
            client_key=flags.client_key or user.client_key,
            client_key_data=b"" if own_key else user.client_key_data,
            token=flags.token or user.token,
            username=flags.username or user.username,
            password=flags.password or user.password,
            as_user=flags.as_user or user.as_user,
            as_uid=flags.as_uid or user.as_uid,
            as_groups=flags.as_group or user.as_groups,
            as_user_extra=extra,
            exec=_with_interactive_mode(user.exec),
        )

    def _cluster(self) -> Cluster | None:
        """None when --cluster names one that does not exist."""
        flags = self.flags
        cluster = self.config.clusters.get(self.cluster_name())
        if cluster is None:
            if flags.cluster:
                return None
            cluster = Cluster()
        # --insecure-skip-tls-verify drops the CA, --certificate-authority the CA data and the skipping.
        own_trust = bool(flags.insecure_skip_tls_verify or flags.certificate_authority)
        # --server drops the kubeconfig's tls-server-name, which was meant for another server.
        own_name = bool(flags.tls_server_name or flags.server)
        return msgspec.structs.replace(
            cluster,
            server=flags.server or cluster.server or self._default_server(),
            proxy_url=cluster.proxy_url,
            disable_compression=bool(flags.disable_compression) or cluster.disable_compression,
            insecure_skip_tls_verify=bool(flags.insecure_skip_tls_verify)
            if own_trust
            else cluster.insecure_skip_tls_verify,
            certificate_authority=(flags.certificate_authority or "") if own_trust else cluster.certificate_authority,
            certificate_authority_data=b"" if own_trust else cluster.certificate_authority_data,
            tls_server_name=(flags.tls_server_name or "") if own_name else cluster.tls_server_name,
        )

    def _default_server(self) -> str:
        return self.environ.get("KUBERNETES_MASTER") or "http://localhost:8080"

    def _is_default(self, user: User, cluster: Cluster) -> bool:
        """Nothing but kubectl's built-in default is known: only then does a pod's service account count."""
        return (
            cluster.server == self._default_server()
            and not cluster.proxy_url
            and not cluster.disable_compression
            and not user.as_user
        )

    def _confirm_usable(self) -> None:
        faults = list(self._faults())
        if faults:
            raise AccessError(f"Error in configuration: {'; '.join(faults)}")

    def _faults(self) -> Iterator[str]:
        name = self.context_name()
        if name and name not in self.config.contexts:
            yield f"context was not found for specified context: {name}"
        user = self._user()
        if user is not None:
            yield from _user_faults(self.user_name(), user)
        cluster = self._cluster()
        if cluster is None:
            yield f'no server found for cluster "{self.cluster_name()}"'
        else:
            yield from _cluster_faults(self.cluster_name(), cluster)

    def _in_cluster(self, namespace: str) -> Connection:
        host, port = self.environ["KUBERNETES_SERVICE_HOST"], self.environ["KUBERNETES_SERVICE_PORT"]
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        token_file = str(SERVICE_ACCOUNT / "token")
        authority = self.flags.certificate_authority or str(SERVICE_ACCOUNT / "ca.crt")
        return Connection(
            server=server,
            namespace=namespace,
            context="",
            request_timeout=parse_timeout(self.flags.request_timeout or "0"),
            ca_data=_read(authority) if os.path.exists(authority) else b"",
            token=self.flags.token or "",
            token_file="" if self.flags.token else token_file,
        )

    def _direct(self, user: User, cluster: Cluster, namespace: str) -> Connection:
        url = _parse_server(cluster.server)
        shared = Connection(
            server=_base_url(url),
            namespace=namespace,
            context=self.context_name(),
            request_timeout=parse_timeout(self.flags.request_timeout or "0"),
            impersonation=_impersonation(user),
            proxy_url=cluster.proxy_url,
            disable_compression=cluster.disable_compression,
            # Go's http client sends a URL's user info before any other credential.
            username=unquote(url.username or ""),
            password=unquote(url.password or ""),
            hint=NO_KUBECONFIG if self.config.is_empty() and not self.flags.server else "",
        )
        # Credentials go over TLS only.
        return _secured(shared, user, cluster) if url.scheme == "https" else shared


def _secured(connection: Connection, user: User, cluster: Cluster) -> Connection:
    if cluster.insecure_skip_tls_verify and (cluster.certificate_authority or cluster.certificate_authority_data):
        raise AccessError("error: specifying a root certificates file with the insecure flag is not allowed")
    if user.token_file and not user.token:
        _read(user.token_file)
    identified = user.token or user.token_file or user.username or user.auth_provider or user.exec
    if not (identified or user.client_certificate or user.client_certificate_data or connection.username):
        raise AccessError(
            "error: no credentials for the server: kubectl would ask for a username and a password here."
            " Pass --token or --client-certificate, or choose a --user that has some"
        )
    in_url = bool(connection.username)
    extension = next(
        (bytes(entry.extension) for entry in cluster.extensions or () if entry.name == EXEC_EXTENSION), b"null"
    )
    certificate = user.client_certificate_data or _read(user.client_certificate)
    key = user.client_key_data or _read(user.client_key)
    # A plugin runs only where nothing else says who we are.
    named = user.token or user.token_file or user.username or (certificate and key) or in_url
    return replace(
        connection,
        ca_data=cluster.certificate_authority_data or _read(cluster.certificate_authority),
        insecure=cluster.insecure_skip_tls_verify,
        tls_server_name=cluster.tls_server_name,
        client_certificate=certificate,
        client_key=key,
        token="" if in_url else user.token,
        token_file="" if in_url else user.token_file,
        username=connection.username or user.username,
        password=connection.password if in_url else user.password,
        auth_provider=user.auth_provider,
        exec=None if named else user.exec,
        exec_extension=extension,
    )


def _with_interactive_mode(plugin: ExecConfig | None) -> ExecConfig | None:
    """https://github.com/kubernetes/client-go/blob/v0.37.0/tools/clientcmd/api/v1/defaults.go"""
    old = ("client.authentication.k8s.io/v1beta1", "client.authentication.k8s.io/v1alpha1")
    if plugin is None or plugin.interactive_mode or plugin.api_version not in old:
        return plugin
    return msgspec.structs.replace(plugin, interactive_mode="IfAvailable")


def _user_extra(pairs: tuple[str, ...]) -> dict[str, tuple[str, ...] | None]:
    """--as-user-extra key=value, repeated: values of one key add up; what holds no `=` is dropped, as in kubectl."""
    extra: dict[str, tuple[str, ...] | None] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if equals:
            extra[key] = (*(extra.get(key) or ()), value)
    return extra


def _impersonation(user: User) -> tuple[tuple[str, str], ...]:
    if not user.as_user:
        return ()
    headers = [("Impersonate-User", user.as_user)]
    if user.as_uid:
        headers.append(("Impersonate-Uid", user.as_uid))
    headers += [("Impersonate-Group", group) for group in user.as_groups or ()]
    for key, values in (user.as_user_extra or {}).items():
        headers += [(f"Impersonate-Extra-{_header_key(key)}", value) for value in values or ()]
    return tuple(headers)


_TOKEN_BYTES = frozenset(b"!#$&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def _header_key(key: str) -> str:
    """What a header name cannot hold is %-encoded: client-go's transport/round_trippers.go, headerKeyEscape."""
    return "".join(chr(byte) if byte in _TOKEN_BYTES else f"%{byte:02X}" for byte in key.encode())


def _cluster_faults(name: str, cluster: Cluster) -> Iterator[str]:
    if cluster.proxy_url:
        scheme = cluster.proxy_url.partition(":")[0].lower() if ":" in cluster.proxy_url else ""
        if scheme not in ("http", "https", "socks5"):
            yield (
                f'invalid \'proxy-url\' for cluster "{name}": unsupported scheme "{scheme}",'
                " must be http, https, or socks5"
            )
    if cluster.certificate_authority and cluster.certificate_authority_data:
        yield f"certificate-authority-data and certificate-authority are both specified for {name}"
    yield from _unopenable("certificate-authority", cluster.certificate_authority, name)


def _user_faults(name: str, user: User) -> Iterator[str]:
    if user.client_certificate or user.client_certificate_data:
        yield from _certificate_faults(name, user)
    if user.exec:
        yield from _exec_faults(name, user.exec, user.auth_provider is not None)
    if user.token and (user.username or user.password):
        yield (f"more than one authentication method found for {name}; found [token basicAuth], only one is allowed")
    if (user.as_uid or user.as_groups or user.as_user_extra) and not user.as_user:
        yield f"requesting uid, groups or user-extra for {name} without impersonating a user"


def _certificate_faults(name: str, user: User) -> Iterator[str]:
    if user.client_certificate and user.client_certificate_data:
        yield f"client-cert-data and client-cert are both specified for {name}"
    if user.client_key and user.client_key_data:
        yield f"client-key-data and client-key are both specified for {name}"
    if not (user.client_key or user.client_key_data):
        yield (
            f"client-key-data or client-key must be specified for {name} to use the clientCert authentication method."
        )
    yield from _unopenable("client-cert", user.client_certificate, name)
    yield from _unopenable("client-key", user.client_key, name)


def _exec_faults(name: str, plugin: ExecConfig, has_provider: bool) -> Iterator[str]:
    if has_provider:
        yield f"authProvider cannot be provided in combination with an exec plugin for {name}"
    if not plugin.command:
        yield f"command must be specified for {name} to use exec authentication plugin"
    if not plugin.api_version:
        yield f"apiVersion must be specified for {name} to use exec authentication plugin"
    if any(not variable.name for variable in plugin.env or ()):
        yield f"env variable name must be specified for {name} to use exec authentication plugin"
    if not plugin.interactive_mode:
        yield f"interactiveMode must be specified for {name} to use exec authentication plugin"
    elif plugin.interactive_mode not in ("Never", "IfAvailable", "Always"):
        yield f'invalid interactiveMode for {name}: "{plugin.interactive_mode}"'


def _unopenable(what: str, path: str, name: str) -> Iterator[str]:
    if not path:
        return
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        yield f"unable to read {what} {path} for {name} due to open {path}: {(error.strerror or '').lower()}"


def _parse_server(server: str) -> SplitResult:
    """https://github.com/kubernetes/client-go/blob/v0.37.0/rest/url_utils.go, DefaultServerURL"""
    try:
        url = urlsplit(server)
        if not (url.scheme and url.netloc):
            url = urlsplit(f"http://{server}")
            if url.path not in ("", "/"):
                raise AccessError(f'error: host must be a URL or a host:port pair: "{server}"')
        _ = url.port
    except ValueError:
        raise AccessError("error: the server's address is not a URL or a host:port pair") from None
    if url.scheme not in ("http", "https"):
        raise AccessError(f'error: unsupported protocol scheme "{url.scheme}" in the server\'s address')
    if not url.hostname:
        raise AccessError(f'error: host must be a URL or a host:port pair: "{server}"')
    return url


def _base_url(url: SplitResult) -> str:
    host = url.netloc.rpartition("@")[2]
    path = posixpath.normpath(f"/{url.path.lstrip('/')}").rstrip("/")
    return f"{url.scheme}://{host}{path}"


def _read(path: str) -> bytes:
    """The whole file; nothing for no path. Raises AccessError naming the path."""
    if not path:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise AccessError(f"error: open {path}: {(error.strerror or '').lower()}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
