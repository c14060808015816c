"""One request at a time over the official client's connection pool: TLS, proxies, credentials, time-outs, gzip.

Each failure is one line in kubectl's words plus what to do; no line holds a credential.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import ssl
import tempfile
import threading
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from msgspec import Struct
from urllib3 import exceptions

from kubectl_memdoctor import __version__
from kubectl_memdoctor.cluster.authorities import trust_system
from kubectl_memdoctor.cluster.connection import Connection
from kubectl_memdoctor.cluster.exec_plugin import Credentials, ExecPlugin
from kubectl_memdoctor.cluster.official_client import Configuration, RESTClientObject
from kubectl_memdoctor.cluster.oidc import id_token
from kubectl_memdoctor.cluster.pace import Pace
from kubectl_memdoctor.cluster.proxy import proxy_for
from kubectl_memdoctor.cluster.source import AccessError
from kubectl_memdoctor.cluster.unpacking import CHUNK_BYTES, unpacked

JSON = "application/json"
CONNECT_SECONDS = 15.0
"""Until a connection stands; kubectl waits 30 s for TCP and 10 s for TLS."""
IDLE_SECONDS = 75.0
"""Without one byte from the server, which by default gives up a request itself after 60 s."""
TOKEN_FILE_SECONDS = 50.0
"""How long a token from a file is kept: https://github.com/kubernetes/client-go/blob/v0.37.0/transport/token_source.go"""
CONNECTIONS = 8
"""Kept open for lists that are fetched side by side."""


class ConnectionCut(AccessError):
    """The connection broke, or the body came garbled: worth another try."""


class Answer(Struct, frozen=True):
    """One HTTP answer with its whole body, unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Request(Struct, frozen=True):
    """`target` is the path with its query; `body` is JSON, none for a request without one. `accept` says in which form
    the answer may come."""

    method: str
    target: str
    body: bytes = b""
    content_type: str = JSON
    accept: str = JSON


class Stream:
    """An answer whose body is read while it comes, in constant memory. `close` belongs to it."""

    def __init__(
        self,
        response: urllib3.BaseHTTPResponse,
        received: Iterator[bytes],
        failure: Callable[[Exception], AccessError],
    ) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._received = received
        self._failure = failure
        self._whole = False

    def chunks(self) -> Iterator[bytes]:
        """The body, unpacked, once. Raises ConnectionCut, AccessError where it breaks off."""
        try:
            yield from unpacked(self._received) if _is_gzip(self.headers) else self._received
        except (exceptions.HTTPError, OSError, EOFError, zlib.error) as error:
            raise self._failure(error) from None
        self._whole = True

    def close(self) -> None:
        """Gives the connection back, or ends it where the body has not been read to its end."""
        if not self._whole:
            self._response.close()
        self._response.release_conn()


class Transport:
    """Safe for several threads."""

    def __init__(self, connection: Connection, environ: Mapping[str, str] | None = None, *, max_qps: int = 0) -> None:
        """`max_qps`: the most requests a second, of all threads together; 0 for no limit."""
        self._connection = connection
        self._pace = Pace(max_qps) if max_qps > 0 else None
        self._environ = os.environ if environ is None else environ
        self._plugin = ExecPlugin(connection.exec, connection, self._environ) if connection.exec else None
        self._token_file = _TokenFile(connection.token_file) if connection.token_file else None
        self._oidc_token = id_token(connection.auth_provider) if connection.auth_provider else ""
        self._lock = threading.Lock()
        self._pool: urllib3.PoolManager | None = None
        self._pool_certificate: bytes = b""

    def get(self, target: str, deadline: float | None, accept: str = JSON) -> Answer:
        """`target` is the path with its query. `deadline` is a time.monotonic() moment, None for no limit.

        Raises ConnectionCut for what may pass, AccessError for what will not.
        """
        return self.send(Request("GET", target, accept=accept), deadline)

    def send(self, request: Request, deadline: float | None) -> Answer:
        """As `get`, for any request."""
        if self._plugin is None:
            return self._send(request, deadline, Credentials())
        credentials = self._plugin.credentials()
        answer = self._send(request, deadline, credentials)
        if answer.status != 401:
            return answer
        return self._send(request, deadline, self._plugin.refresh(credentials))

    def stream(self, target: str, deadline: float | None, headers: Mapping[str, str]) -> Stream:
        """As `get`, with more headers, for a body that is read while it comes. It may be anything, not just JSON."""
        credentials = self._plugin.credentials() if self._plugin else Credentials()
        request = Request("GET", target, accept="*/*")
        response = self._respond(request, deadline, credentials, headers)
        return Stream(response, _received(response, deadline), lambda error: self._stream_failure(error, deadline))

    def _send(self, request: Request, deadline: float | None, credentials: Credentials) -> Answer:
        response = self._respond(request, deadline, credentials, {})
        try:
            return Answer(response.status, response.headers, self._body(response, deadline))
        except (exceptions.HTTPError, OSError) as error:
            raise self._failure(error, deadline) from None
        finally:
            response.release_conn()

    def _respond(
        self, request: Request, deadline: float | None, credentials: Credentials, more_headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        """The answer's head; its body is still to be read."""
        url = self._connection.server + request.target
        headers = self._headers(credentials)
        headers["Accept"] = request.accept
        for name, value in more_headers.items():
            headers[name] = value
        if request.body:
            headers["Content-Type"] = request.content_type
        if self._pace is not None:
            self._pace.wait()
        try:
            return self._pool_for(credentials).request(
                request.method,
                url,
                body=request.body or None,
                headers=headers,
                timeout=_timeout(deadline),
                preload_content=False,
                redirect=False,
                retries=False,
            )
        except (exceptions.HTTPError, OSError) as error:
            raise self._failure(error, deadline) from None

    def _headers(self, credentials: Credentials) -> urllib3.HTTPHeaderDict:
        connection = self._connection
        headers = urllib3.HTTPHeaderDict()
        purpose = f" ({connection.purpose})" if connection.purpose else ""
        headers["User-Agent"] = f"kubectl-memdoctor/{__version__}{purpose}"
        headers["Accept-Encoding"] = "identity" if connection.disable_compression else "gzip"
        authorization = self._authorization(credentials)
        if authorization:
            headers["Authorization"] = _header_value("Authorization", authorization)
        for name, value in connection.impersonation:
            headers.add(name, _header_value(name, value))
        return headers

    def _authorization(self, credentials: Credentials) -> str:
        connection = self._connection
        token = (self._token_file and self._token_file.token()) or connection.token
        if token:
            return f"Bearer {token.strip()}"
        if connection.username:
            pair = f"{connection.username}:{connection.password}".encode()
            return f"Basic {b64encode(pair).decode()}"
        token = credentials.token or self._oidc_token
        return f"Bearer {token}" if token else ""

    def _pool_for(self, credentials: Credentials) -> urllib3.PoolManager:
        """The pool; a new one when a plugin handed out another certificate."""
        with self._lock:
            if self._pool is None or self._pool_certificate != credentials.client_certificate:
                self._pool = _pool(self._connection, credentials, self._environ)
                self._pool_certificate = credentials.client_certificate
            return self._pool

    def _body(self, response: urllib3.BaseHTTPResponse, deadline: float | None) -> bytes:
        """The whole body."""
        body = b"".join(_received(response, deadline))
        if not _is_gzip(response.headers):
            return body
        try:
            return gzip.decompress(body)
        except (EOFError, OSError, zlib.error):
            raise self._garbled() from None

    def _garbled(self) -> ConnectionCut:
        return ConnectionCut(self._line("gzip: the compressed answer is cut or garbled"))

    def _stream_failure(self, error: Exception, deadline: float | None) -> AccessError:
        return self._garbled() if isinstance(error, EOFError | zlib.error) else self._failure(error, deadline)

    def _failure(self, error: Exception, deadline: float | None) -> AccessError:
        """https://github.com/kubernetes/kubectl/blob/v0.37.0/pkg/cmd/util/helpers.go, StandardErrorMessage"""
        host = urlsplit(self._connection.server).netloc
        proxy = proxy_for(self._connection.server, self._connection.proxy_url, self._environ)
        if isinstance(error, exceptions.ProxyError):
            return self._proxy_failure(error, proxy, host)
        if isinstance(error, exceptions.TimeoutError | TimeoutError) and not isinstance(
            error, exceptions.NewConnectionError
        ):
            return AccessError(self._line(self._timeout_reason(error, host)))
        if isinstance(error, exceptions.NameResolutionError):
            name = urlsplit(self._connection.server).hostname
            return AccessError(self._line(f"dial tcp: lookup {name}: no such host - is the server's name right?"))
        cause = _cause(error)
        if isinstance(cause, ssl.SSLError):
            line = self._line(_tls_reason(cause, self._connection))
            return ConnectionCut(line) if cause.reason in _GARBLED else AccessError(line)
        if isinstance(cause, ConnectionRefusedError):
            line = f"The connection to the server {host} was refused - did you specify the right host or port?"
            return AccessError(f"{line} {self._connection.hint}".rstrip())
        if isinstance(error, exceptions.NewConnectionError):
            reason = getattr(cause, "strerror", None) or "cannot connect"
            return AccessError(self._line(f"dial tcp {host}: connect: {str(reason).lower()}"))
        return ConnectionCut(self._line("EOF: the connection was cut before the answer was complete"))

    def _proxy_failure(self, error: exceptions.ProxyError, proxy: str, host: str) -> AccessError:
        proxy_host = urlsplit(proxy).netloc.rpartition("@")[2]
        if isinstance(_cause(error), ConnectionRefusedError):
            return AccessError(
                f"The connection to the server {host} was refused - did you specify the right host or port?"
                f" It was the proxy {proxy_host} that refused (proxy-url, HTTPS_PROXY)"
            )
        return AccessError(self._line(_proxy_reason(error, proxy_host)))

    def _timeout_reason(self, error: Exception, host: str) -> str:
        limit = self._connection.request_timeout
        if limit:
            return f"context deadline exceeded: no whole answer from {host} within {limit:g}s (--request-timeout)"
        if isinstance(error, exceptions.ConnectTimeoutError):
            return f"dial tcp {host}: i/o timeout - is the server reachable from here (VPN, firewall)?"
        return f"no answer from {host} for {IDLE_SECONDS:g}s"

    def _line(self, reason: str) -> str:
        return f"Unable to connect to the server: {reason} {self._connection.hint}".rstrip()


class _TokenFile:
    """A bearer token that another program renews; the last good one is kept while the file cannot be read."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._token = ""
        self._read_at = float("-inf")

    def token(self) -> str:
        if time.monotonic() - self._read_at > TOKEN_FILE_SECONDS:
            with contextlib.suppress(OSError):
                self._token = self._path.read_text().strip() or self._token
                self._read_at = time.monotonic()
        return self._token


def _received(response: urllib3.BaseHTTPResponse, deadline: float | None) -> Iterator[bytes]:
    """The body as it was sent; a server that drips its bytes cannot outlast the deadline."""
    while chunk := response.read1(CHUNK_BYTES, decode_content=False):
        yield chunk
        if deadline is not None and time.monotonic() > deadline:
            response.close()
            raise exceptions.TimeoutError


def _is_gzip(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Encoding", "").lower() == "gzip"


def _timeout(deadline: float | None) -> urllib3.Timeout:
    if deadline is None:
        return urllib3.Timeout(connect=CONNECT_SECONDS, read=IDLE_SECONDS)
    return urllib3.Timeout(total=max(deadline - time.monotonic(), 0.001))


def _header_value(name: str, value: str) -> str:
    """UTF-8 as Go sends it. A value that no header can hold is not printed: it may be a token."""
    if any((ord(char) < 0x20 and char != "\t") or ord(char) == 0x7F for char in value):
        raise AccessError(f'error: net/http: invalid header field value for "{name}"')
    return value.encode().decode("latin-1")


def _pool(connection: Connection, credentials: Credentials, environ: Mapping[str, str]) -> urllib3.PoolManager:
    proxy = proxy_for(connection.server, connection.proxy_url, environ)
    pool = _proxied_pool(proxy, connection, credentials) if proxy else _direct_pool(connection)
    if connection.server.startswith("https:"):
        # The client reads certificates from files only; and its context refuses cluster CAs that Go accepts.
        pool.connection_pool_kw["ssl_context"] = _tls_context(connection, credentials)
    if connection.insecure:
        urllib3.disable_warnings(exceptions.InsecureRequestWarning)
    return pool


def _direct_pool(connection: Connection) -> urllib3.PoolManager:
    configuration = Configuration(host=connection.server)
    configuration.verify_ssl = not connection.insecure
    configuration.tls_server_name = connection.tls_server_name or None
    configuration.connection_pool_maxsize = CONNECTIONS
    # Which proxy is meant is settled, by Go's rules.
    configuration.proxy = None
    pool: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
    return pool


def _proxied_pool(proxy: str, connection: Connection, credentials: Credentials) -> urllib3.PoolManager:
    """Go resolves names at a socks5 proxy, and takes a proxy's user and password from its URL.

    Of urllib3 itself: the client knows socks proxies and a TLS context for the proxy only from version 37 on.
    """
    url = urlsplit(proxy)
    options: dict[str, Any] = {"maxsize": CONNECTIONS}
    if connection.tls_server_name:
        options["server_hostname"] = connection.tls_server_name
    if url.scheme.startswith("socks"):
        from urllib3.contrib.socks import SOCKSProxyManager

        return SOCKSProxyManager(proxy.replace("socks5://", "socks5h://", 1), **options)
    if url.username:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        options["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=pair)
    if url.scheme == "https":
        options["proxy_ssl_context"] = _tls_context(connection, credentials)
    return urllib3.ProxyManager(proxy, **options)


def _tls_context(connection: Connection, credentials: Credentials) -> ssl.SSLContext:
    """TLS as Go's crypto/tls does it: any certificate in the CA file is trusted, RFC 5280 pedantry is not asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.hostname_checks_common_name = False
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif connection.ca_data:
        _load_authority(context, connection.ca_data)
    else:
        trust_system(context)
    certificate = connection.client_certificate or credentials.client_certificate
    key = connection.client_key or credentials.client_key
    if certificate and key:
        _load_client_certificate(context, certificate, key)
    return context


def _load_authority(context: ssl.SSLContext, ca_data: bytes) -> None:
    try:
        context.load_verify_locations(cadata=ca_data.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise AccessError(
            "error: unable to load root certificates: unable to parse bytes as PEM block"
            " (certificate-authority in the kubeconfig)"
        ) from None


def _load_client_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL wants a file: one that only this user can read, and only while it is read."""
    with _private_file(certificate + b"\n" + key) as path:
        try:
            context.load_cert_chain(path, password=_no_password)
        except ssl.SSLError as error:
            mismatch = "KEY_VALUES_MISMATCH" in str(error)
            reason = (
                "private key does not match public key"
                if mismatch
                else "failed to find any PEM data in certificate or key input"
            )
            raise AccessError(f"error: tls: {reason} (client-certificate and client-key)") from None


def _no_password() -> str:
    raise AccessError("error: tls: failed to parse private key: it is encrypted (client-key)")


@contextlib.contextmanager
def _private_file(content: bytes) -> Iterator[str]:
    descriptor, path = tempfile.mkstemp(prefix="memdoctor-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield path
    finally:
        os.unlink(path)


def _cause(error: BaseException) -> BaseException:
    """The operating system's or OpenSSL's own error inside urllib3's wrapping."""
    seen: BaseException = error
    for _ in range(8):
        inner = seen.__cause__ or next((arg for arg in seen.args if isinstance(arg, BaseException)), None)
        inner = inner or (seen.__context__ if isinstance(seen, exceptions.HTTPError) else None)
        if inner is None or isinstance(seen, ssl.SSLError | ConnectionError):
            return seen
        seen = inner
    return seen


def _proxy_reason(error: exceptions.ProxyError, host: str) -> str:
    cause = _cause(error)
    # http.client's own sentence: "Tunnel connection failed: 407 Proxy Authentication Required"
    _, tunnel, said = str(cause).partition("Tunnel connection failed: ")
    if tunnel:
        reason = said[:80]
    elif isinstance(cause, socket.gaierror):
        reason = "no such host"
    elif isinstance(cause, ssl.SSLError):
        reason = f"tls: {(cause.reason or 'handshake failed').lower().replace('_', ' ')}"
    else:
        reason = "it did not open a tunnel"
    return f"proxyconnect tcp: the proxy {host}: {reason} (proxy-url, HTTPS_PROXY)"


_GARBLED = frozenset({"TLSV1_ALERT_DECODE_ERROR", "SSLV3_ALERT_BAD_RECORD_MAC", "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"})
"""OpenSSL's names for bytes that came over otherwise than they were sent: a new connection has better luck."""
_VERIFY_REASONS = {
    9: "x509: certificate is not yet valid: is this machine's clock right?",
    10: "x509: certificate has expired: renew the server's certificate (is this machine's clock right?)",
    62: "x509: certificate is valid for other names than {name}: is --server right, or --tls-server-name needed?",
    64: "x509: certificate is valid for other addresses than {name}: is --server right, or --tls-server-name needed?",
}
"""OpenSSL's X509_V_ERR codes: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/"""
_UNKNOWN_AUTHORITY = (
    "x509: certificate signed by unknown authority: the kubeconfig's certificate-authority is not this server's"
)


def _tls_reason(error: ssl.SSLError, connection: Connection) -> str:
    name = connection.tls_server_name or urlsplit(connection.server).hostname or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _VERIFY_REASONS.get(error.verify_code, _UNKNOWN_AUTHORITY).format(name=name)
        return f"tls: failed to verify certificate: {reason}"
    word = (error.reason or "").lower().replace("_", " ")
    if word in ("wrong version number", "http request", "record layer failure", "packet length too long"):
        return "http: server gave HTTP response to HTTPS client: is it http:// rather than https://?"
    if "certificate" in word or "unknown ca" in word:
        return f"remote error: tls: {word}: the server does not accept the client certificate"
    return f"tls: {word or 'handshake failed'}"
