"""What no client can be faster than: bare loops that fetch all pods of an API server and drop them unread.

`python -m bench.floors LOOP SERVER CA` runs one loop as the admin of tests/cluster and prints, as one JSON line, the
bytes and the answers that came, in how many seconds, with how much processor time and memory of its own. What the
server spends, whoever starts the loop reads from the server's own accounting.
"""

from __future__ import annotations

import argparse
import json
import resource
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import urllib3
from cluster.control_plane import ADMIN, token

PAGE = 500
JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
WATCHED = "application/vnd.kubernetes.protobuf;stream=watch"
TABLE = "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io"
BLOCK_BYTES = 1 << 18
NAMESPACES_AT_ONCE = 8
HEAD_BYTES = 4096
"""The list's metadata stands before its items, in JSON as in protobuf."""


class Wire:
    """One admin's connections. `received` counts bytes as they were sent, `answers` the lists that came."""

    def __init__(self, server: str, authority_file: str, accept: str, *, gzip: bool = False) -> None:
        context = ssl.create_default_context(cafile=authority_file)
        # The tests' CA has no key identifiers, which newer Pythons refuse by default.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        self._pool = urllib3.PoolManager(maxsize=NAMESPACES_AT_ONCE, ssl_context=context)
        self._server = server
        self._headers = {
            "Authorization": f"Bearer {token(ADMIN)}",
            "Accept": accept,
            "Accept-Encoding": "gzip" if gzip else "identity",
            # The server prints JSON with line breaks for curl, wget and browsers.
            "User-Agent": "memdoctor-bench",
        }
        self.received = 0
        self.answers = 0

    def body(self, path: str, query: dict[str, str]) -> bytes:
        response = self._pool.request("GET", self._target(path, query), headers=self._headers, preload_content=False)
        body = b"".join(response.stream(BLOCK_BYTES, decode_content=False))
        response.release_conn()
        self.received += len(body)
        self.answers += 1
        if response.status != 200:
            raise SystemExit(f"{response.status}: {body[:300]!r}")
        return body

    def blocks(self, path: str, query: dict[str, str]) -> Iterator[bytes]:
        """A body that is never held as a whole."""
        response = self._pool.request("GET", self._target(path, query), headers=self._headers, preload_content=False)
        self.answers += 1
        try:
            for block in iter(lambda: response.read1(BLOCK_BYTES, decode_content=False), b""):
                self.received += len(block)
                yield block
        finally:
            response.close()

    def _target(self, path: str, query: dict[str, str]) -> str:
        return f"{self._server}{path}?{urlencode(query)}"


PODS = "/api/v1/pods"


def pages(wire: Wire, path: str = PODS, limit: int = PAGE, **query: str) -> None:
    next_page = ""
    while True:
        given = {"limit": str(limit), **query} | ({"continue": next_page} if next_page else {})
        next_page = continue_token(wire.body(path, given))
        if not next_page:
            return


def continue_token(body: bytes) -> str:
    """The token of the next page, found without decoding; empty on the last page."""
    if body[:2] == b"\x1f\x8b":
        import zlib

        body = zlib.decompressobj(wbits=31).decompress(body, HEAD_BYTES)
    head = body[:HEAD_BYTES]
    if head[:1] == b"{":
        return head.partition(b'"continue":"')[2].partition(b'"')[0].decode()
    # ListMeta: resourceVersion is field 2, continue is field 3; a token is base64 of a JSON text.
    start = head.find(b"eyJ")
    if start < 2:
        return ""
    length, shift = 0, 0
    first = start - 1
    while first > 0 and head[first - 1] & 0x80:
        first -= 1
    for byte in head[first:start]:
        length |= (byte & 0x7F) << shift
        shift += 7
    return head[start : start + length].decode()


def one_answer(wire: Wire) -> None:
    """Out of the server's cache, which then knows no pages."""
    for _ in wire.blocks(PODS, {"resourceVersion": "0"}):
        pass


def by_namespace(wire: Wire) -> None:
    names = json_names(wire)
    with ThreadPoolExecutor(NAMESPACES_AT_ONCE) as threads:
        list(threads.map(lambda name: pages(wire, f"/api/v1/namespaces/{name}/pods"), names))


def json_names(wire: Wire) -> list[str]:
    """The namespaces, which are few; as JSON, whatever the pods come as."""
    accept, wire._headers["Accept"] = wire._headers["Accept"], JSON
    listed = json.loads(wire.body("/api/v1/namespaces", {}))
    wire._headers["Accept"] = accept
    return [entry["metadata"]["name"] for entry in listed["items"]]


def watch_list(wire: Wire) -> None:
    """A watch that begins with all that there is, up to its bookmark:
    https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists"""
    query = {
        "watch": "1",
        "sendInitialEvents": "true",
        "allowWatchBookmarks": "true",
        "resourceVersionMatch": "NotOlderThan",
    }
    rest = b""
    for block in wire.blocks(PODS, query):
        if b"k8s.io/initial-events-end" in rest + block:
            return
        rest = block[-64:]


LOOPS: dict[str, tuple[Callable[[Wire], None], str, bool]] = {
    "json": (pages, JSON, False),
    "json-gzip": (pages, JSON, True),
    "protobuf": (pages, PROTOBUF, False),
    "protobuf-gzip": (pages, PROTOBUF, True),
    "protobuf-1000": (lambda wire: pages(wire, limit=1000), PROTOBUF, False),
    "protobuf-2000": (lambda wire: pages(wire, limit=2000), PROTOBUF, False),
    "protobuf-5000": (lambda wire: pages(wire, limit=5000), PROTOBUF, False),
    "protobuf-cached": (one_answer, PROTOBUF, False),
    "json-cached": (one_answer, JSON, False),
    "protobuf-by-namespace": (by_namespace, PROTOBUF, False),
    "protobuf-watch-list": (watch_list, WATCHED, False),
    "protobuf-table": (pages, TABLE, False),
}
"""Name -> loop, what it accepts, and whether compressed."""


def main() -> None:
    parser = argparse.ArgumentParser(description="one bare loop over all pods")
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("server")
    parser.add_argument("authority", type=Path)
    given = parser.parse_args()
    loop, accept, gzip = LOOPS[given.loop]
    wire = Wire(given.server, str(given.authority), accept, gzip=gzip)
    started = time.perf_counter()
    loop(wire)
    wall = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "loop": given.loop,
                "wall": round(wall, 3),
                "cpu": round(used.ru_utime + used.ru_stime, 3),
                "peakMb": used.ru_maxrss // 1024,
                "bytes": wire.received,
                "answers": wire.answers,
            }
        )
    )


if __name__ == "__main__":
    main()
