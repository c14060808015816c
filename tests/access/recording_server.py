"""Loopback servers that write down what reaches them: an API server (TLS or plain) and two kinds of proxy."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

POD = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web", "namespace": "default", "uid": "u-1"}}
_RESOURCES = [
    {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"]},
]


@dataclass(frozen=True, slots=True)
class Request:
    """One GET as it arrived. `subject` is the client certificate's common name, `sni` the name asked for in TLS."""

    path: str
    query: str
    headers: dict[str, list[str]]
    subject: str
    sni: str

    def one(self, name: str) -> str:
        return ", ".join(self.headers.get(name.lower(), []))


@dataclass(slots=True)
class Recorder:
    requests: list[Request] = field(default_factory=list)
    proxied: list[tuple[str, str]] = field(default_factory=list)
    """What the proxies were asked for, with the Proxy-Authorization."""

    def clear(self) -> None:
        self.requests.clear()
        self.proxied.clear()

    def for_pods(self) -> list[Request]:
        return [request for request in self.requests if "/pods" in request.path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    recorder: Recorder

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that refuses the certificate is part of the tests."""


class _ApiHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    default_request_version = "HTTP/1.1"
    """Also for what is no HTTP at all, so that the 400 has a status line, as Go's server writes it."""
    server: _Server

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.server.recorder.requests.append(self._request(path, query))
        refused = "refused" in self.headers.get("Authorization", "")
        status, body = (401, _unauthorized()) if refused else _answer(path)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _request(self, path: str, query: str) -> Request:
        headers: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        subject, sni = "", ""
        if isinstance(self.connection, ssl.SSLSocket):
            certificate: Any = self.connection.getpeercert() or {}
            subject = next((part[0][1] for part in certificate.get("subject", ())), "")
            sni = getattr(self.connection, "asked_name", None) or ""
        return Request(path, query, headers, subject, sni)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _unauthorized() -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


def _answer(path: str) -> tuple[int, dict[str, Any]]:
    if path.endswith("/api"):
        return 200, {"kind": "APIVersions", "versions": ["v1"]}
    if path.endswith("/apis"):
        return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": []}
    if path.endswith("/api/v1"):
        return 200, {"kind": "APIResourceList", "groupVersion": "v1", "resources": _RESOURCES}
    if path.endswith("/pods"):
        return 200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [POD]}
    if path.endswith("/pods/web"):
        return 200, POD
    if path.endswith("/version"):
        return 200, {"major": "1", "minor": "37", "gitVersion": "v1.37.0"}
    return 404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "not here", "code": 404}


@contextlib.contextmanager
def api_server(recorder: Recorder, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a running API server on 127.0.0.1."""
    server = _Server(("127.0.0.1", 0), _ApiHandler)
    server.recorder = recorder
    if tls is not None:
        tls.sni_callback = _note_name
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with _running(server):
        yield server.server_address[1]


def tls_context(certificate: Path, client_authority: Path | None = None) -> ssl.SSLContext:
    """`certificate` holds certificate and key; with an authority, client certificates are asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if client_authority is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(client_authority)
    return context


def _note_name(connection: Any, name: str | None, context: ssl.SSLContext) -> None:
    connection.asked_name = name


class _ProxyHandler(BaseHTTPRequestHandler):
    server: _ProxyServer

    def do_CONNECT(self) -> None:
        self.server.recorder.proxied.append((self.path, self.headers.get("Proxy-Authorization", "")))
        with socket.create_connection(("127.0.0.1", self.server.target)) as upstream:
            self.send_response(200)
            self.end_headers()
            _pipe(self.connection, upstream)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _ProxyServer(_Server):
    target: int


@contextlib.contextmanager
def connect_proxy(recorder: Recorder, target: int, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A proxy that tunnels every CONNECT to one local port, whatever name was asked for."""
    server = _ProxyServer(("127.0.0.1", 0), _ProxyHandler)
    server.recorder, server.target = recorder, target
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with _running(server):
        yield server.server_address[1]


@contextlib.contextmanager
def socks_proxy(recorder: Recorder, target: int) -> Iterator[int]:
    """A SOCKS5 proxy (no authentication) that tunnels every CONNECT to one local port."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve_socks, args=(listener, recorder, target), daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def _serve_socks(listener: socket.socket, recorder: Recorder, target: int) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_tunnel_socks, args=(client, recorder, target), daemon=True).start()


def _tunnel_socks(client: socket.socket, recorder: Recorder, target: int) -> None:
    """https://www.rfc-editor.org/rfc/rfc1928, CONNECT by name or IPv4 address."""
    with client, client.makefile("rb") as reader, socket.create_connection(("127.0.0.1", target)) as upstream:
        reader.read(reader.read(2)[1])
        client.sendall(b"\x05\x00")
        kind = reader.read(4)[3]
        host = reader.read(reader.read(1)[0]).decode() if kind == 3 else socket.inet_ntoa(reader.read(4))
        port = int.from_bytes(reader.read(2), "big")
        recorder.proxied.append((f"{host}:{port}", ""))
        client.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        _pipe(client, upstream)


def _pipe(one: socket.socket, other: socket.socket) -> None:
    back = threading.Thread(target=_copy, args=(other, one), daemon=True)
    back.start()
    _copy(one, other)
    back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(1 << 16):
            sink.sendall(content)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
