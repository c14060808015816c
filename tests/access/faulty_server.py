"""A loopback API server that answers as it is told: late, cut, garbled, refused, or right."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from kubectl_memdoctor.cluster.connection import Connection


@dataclass(frozen=True, slots=True)
class Reply:
    """`cut` is how many bytes of the body are sent before the connection is closed; `framing` how its end is told."""

    body: bytes = b"{}"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    cut: int | None = None
    framing: str = "length"
    delay_seconds: float = 0.0
    drip_seconds: float = 0.0

    def with_header(self, name: str, value: str) -> Reply:
        return replace(self, headers=(*self.headers, (name, value)))

    def gzipped(self) -> Reply:
        return replace(self.with_header("Content-Encoding", "gzip"), body=gzip.compress(self.body))


HANG_UP = Reply(framing="none")
"""The connection is closed without a word."""


def json_reply(content: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(content).encode(), status)


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"}}


def pod_list(*names: str, token: str = "", remaining: int | None = None) -> Reply:
    metadata = {"continue": token, "remainingItemCount": remaining, "resourceVersion": "7"}
    return json_reply({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": [*map(pod, names)]})


def status(code: int, reason: str, message: str, **more: Any) -> Reply:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason}
    return json_reply(body | {"code": code} | more, code)


@dataclass(slots=True)
class Asked:
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(slots=True)
class Script:
    """The replies in turn, the last one again and again; or one reply for each path."""

    replies: list[Reply] | Callable[[str], Reply]
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, asked: Asked) -> Reply:
        with self.lock:
            self.asked.append(asked)
            if callable(self.replies):
                return self.replies(asked.path)
            return self.replies[min(len(self.asked), len(self.replies)) - 1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        given = {name: values[0] for name, values in parse_qs(query).items()}
        reply = self.server.script.next(Asked(path, given, dict(self.headers.items())))
        time.sleep(reply.delay_seconds)
        self.close_connection = reply.cut is not None or reply.framing in ("none", "close")
        with contextlib.suppress(OSError):
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        if reply.framing == "none":
            return
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        body = reply.body if reply.cut is None else reply.body[: reply.cut]
        if reply.framing == "length":
            self.send_header("Content-Length", str(len(reply.body)))
        elif reply.framing == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            end = b"0\r\n\r\n" if reply.cut is None else b""
            body = f"{len(reply.body):x}\r\n".encode() + body + (b"\r\n" if end else b"") + end
        self.end_headers()
        if not reply.drip_seconds:
            self.wfile.write(body)
            return
        for byte in body:
            self.wfile.write(bytes([byte]))
            time.sleep(reply.drip_seconds)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    script: Script


@contextlib.contextmanager
def faulty_server(script: Script) -> Iterator[Connection]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.script = script
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Connection(server=f"http://127.0.0.1:{server.server_address[1]}", namespace="default", context="c")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
