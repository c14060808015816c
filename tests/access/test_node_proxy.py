"""What comes back of a kubelet through the API server, and how it is said that nothing does."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from kubectl_memdoctor.cluster.api import ApiServer
from kubectl_memdoctor.cluster.connection import Connection
from kubectl_memdoctor.cluster.node_proxy import THREAD
from kubectl_memdoctor.cluster.source import Kubelets, TimedOut, Unreadable

from .faulty_server import HANG_UP, Reply, Script, faulty_server, status

LONG_SECONDS = 60.0
"""For what must not depend on time."""
SHORT_SECONDS = 0.3
TEXT = (("Content-Type", "text/plain; version=0.0.4"),)
LINES = b"".join(b"container_oom_events_total{id=%d} 1\n" % number for number in range(20_000))
FORBIDDEN = 'nodes "worker-1" is forbidden: User "jane" cannot get resource "nodes/proxy" in API group ""'
UNREACHABLE = "error trying to reach service: dial tcp 10.0.0.7:10250: connect: connection refused"


@contextlib.contextmanager
def kubelets(script: Script) -> Iterator[Kubelets]:
    with faulty_server(script) as connection:
        found = ApiServer(connection).kubelets
        assert found is not None
        yield found


def read(reply: Reply, seconds: float = LONG_SECONDS) -> bytes:
    with kubelets(Script([reply])) as them, them.ask("worker-1", "metrics/cadvisor", seconds=seconds) as answer:
        return b"".join(answer.chunks)


def refusal(reply: Reply) -> str:
    with pytest.raises(Unreadable) as caught:
        read(reply)
    assert caught.value.resource == "nodes/proxy"
    assert "\n" not in caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("packed", [False, True])
def test_the_whole_body_comes_whatever_its_form(framing: str, packed: bool) -> None:
    reply = Reply(LINES, headers=TEXT, framing=framing)
    assert read(reply.gzipped() if packed else reply) == LINES


def test_gzip_in_several_members() -> None:
    body = gzip.compress(LINES) + gzip.compress(b"end\n")
    assert read(Reply(body, headers=(*TEXT, ("Content-Encoding", "gzip")))) == LINES + b"end\n"


def test_what_is_asked() -> None:
    script = Script([Reply(b"", headers=TEXT)])
    with kubelets(script) as them:
        with them.ask("worker-1", "logs/", {"query": ["kubelet", "crio"], "pattern": "a|b c"}, seconds=LONG_SECONDS):
            pass
        with them.ask("worker-1", "logs/kern.log", seconds=LONG_SECONDS, tail_bytes=1000):
            pass
    (query, tail) = script.asked
    assert query.path == "/api/v1/nodes/worker-1/proxy/logs/"
    assert query.query == {"query": "kubelet", "pattern": "a|b c"}
    assert query.headers["Accept-Encoding"] == "gzip"
    assert "Range" not in query.headers
    assert "timeout" not in query.query
    assert tail.path == "/api/v1/nodes/worker-1/proxy/logs/kern.log"
    assert (tail.headers["Range"], tail.headers["Accept-Encoding"]) == ("bytes=-1000", "identity")


@pytest.mark.parametrize(
    ("code", "content_range", "is_tail"),
    [(206, "bytes 500-1499/1500", True), (206, "bytes 0-999/1000", False), (200, "", False)],
)
def test_the_end_of_a_file(code: int, content_range: str, is_tail: bool) -> None:
    headers = (*TEXT, ("Content-Range", content_range)) if content_range else TEXT
    script = Script([Reply(b"a\nb\n", code, headers)])
    with kubelets(script) as them, them.ask("worker-1", "logs/x", seconds=LONG_SECONDS, tail_bytes=1000) as answer:
        assert (b"".join(answer.chunks), answer.is_tail) == (b"a\nb\n", is_tail)


@pytest.mark.parametrize(("kind", "is_html"), [("text/html; charset=utf-8", True), ("text/plain", False)])
def test_a_listing_is_known_by_its_type(kind: str, is_html: bool) -> None:
    script = Script([Reply(b"<pre>\n</pre>\n", headers=(("Content-Type", kind),))])
    with kubelets(script) as them, them.ask("worker-1", "logs/", seconds=LONG_SECONDS) as answer:
        assert answer.is_html is is_html


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (status(403, "Forbidden", FORBIDDEN), f"forbidden: {FORBIDDEN}"),
        (
            Reply(b"Forbidden (user=kube-apiserver, verb=get, resource=nodes, subresource=log)", 403, TEXT),
            "forbidden: Forbidden (user=kube-apiserver, verb=get, resource=nodes, subresource=log)",
        ),
        (Reply(b"404 page not found\n", 404, TEXT), "not served: 404 page not found"),
        (Reply(b"logs endpoint is disabled.\n", 405, TEXT), "not served: logs endpoint is disabled."),
        (
            status(404, "NotFound", 'nodes "worker-1" not found', details={"name": "worker-1", "kind": "nodes"}),
            'failed: nodes "worker-1" not found',
        ),
        (Reply(b"Unauthorized", 401, TEXT), "failed: Unauthorized"),
        (status(429, "TooManyRequests", "later"), "failed: later"),
        (status(500, "InternalError", "no"), "failed: no"),
        (Reply(b"", 502, TEXT), "failed: HTTP status 502"),
        (status(503, "ServiceUnavailable", UNREACHABLE), f"failed: {UNREACHABLE}"),
        (Reply(b"a\x1b[31mb\nc", 500, TEXT).gzipped(), "failed: a [31mb c"),
        (Reply(b"", 302, (("Location", "https://login.example.com/"),)), "failed: HTTP status 302"),
        (replace(status(500, "InternalError", "no"), cut=5), 'failed: {"kin'),
    ],
)
def test_why_there_is_nothing(reply: Reply, reason: str) -> None:
    assert refusal(reply) == reason


def test_an_endless_error_is_quoted_in_part() -> None:
    assert len(refusal(Reply(b"x" * 10_000_000, 500, TEXT))) < 5000


@pytest.mark.parametrize(
    "reply",
    [
        HANG_UP,
        replace(Reply(LINES, headers=TEXT), cut=1000),
        replace(Reply(LINES, headers=TEXT, framing="chunked"), cut=1000),
        replace(Reply(LINES, headers=TEXT).gzipped(), cut=1000),
        replace(Reply(LINES, headers=TEXT, framing="close").gzipped(), cut=1000),
        Reply(b"not gzip", headers=(*TEXT, ("Content-Encoding", "gzip"))),
    ],
)
def test_a_broken_connection(reply: Reply) -> None:
    assert refusal(reply).startswith("failed: Unable to connect to the server: ")


def test_what_came_before_the_cut_has_been_read() -> None:
    script = Script([replace(Reply(LINES, headers=TEXT), cut=1000)])
    with kubelets(script) as them, them.ask("worker-1", "metrics/cadvisor", seconds=LONG_SECONDS) as answer:
        came = b""
        with contextlib.suppress(Unreadable):
            for chunk in answer.chunks:
                came += chunk
    assert came == LINES[:1000]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(LINES, delay_seconds=2),
        Reply(LINES, headers=TEXT, drip_seconds=0.01),
        Reply(LINES, headers=TEXT, drip_seconds=0.01).gzipped(),
    ],
)
def test_nobody_waits_beyond_the_time_given(reply: Reply) -> None:
    with pytest.raises(TimedOut) as caught:
        read(reply, SHORT_SECONDS)
    assert re.fullmatch(r"timed out: no( whole)? answer within 0\.3s", caught.value.reason)


def test_an_error_that_drips_is_not_waited_for() -> None:
    with pytest.raises(Unreadable):
        read(Reply(LINES, 500, headers=TEXT, drip_seconds=0.01), SHORT_SECONDS)


def test_a_body_that_comes_faster_than_it_is_read_ends_in_time() -> None:
    def read_slowly() -> None:
        script = Script([Reply(LINES * 10, headers=TEXT)])
        with kubelets(script) as them, them.ask("worker-1", "metrics", seconds=SHORT_SECONDS) as answer:
            for _ in answer.chunks:
                time.sleep(SHORT_SECONDS)

    with pytest.raises(TimedOut):
        read_slowly()


@contextlib.contextmanager
def dripping_head() -> Iterator[Connection]:
    """A server that never gets to the end of its first header."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            client.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not ended.wait(0.02):
                client.sendall(b"x")
            client.close()

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        yield Connection(server=f"http://127.0.0.1:{listener.getsockname()[1]}", namespace="default", context="c")
    finally:
        ended.set()
        listener.close()
        thread.join()


def test_headers_that_drip_are_not_waited_for() -> None:
    with dripping_head() as connection:
        them = ApiServer(connection).kubelets
        assert them is not None
        with pytest.raises(TimedOut), them.ask("worker-1", "metrics", seconds=SHORT_SECONDS):
            pass


@pytest.mark.parametrize("packed", [False, True])
def test_a_huge_body_takes_little_memory(packed: bool) -> None:
    """Packed, its 60 MB are 60 kB."""
    size = 60_000_000
    reply = Reply(bytes(size), headers=TEXT)
    reply = reply.gzipped() if packed else reply
    with kubelets(Script([reply])) as them, them.ask("worker-1", "logs/syslog", seconds=LONG_SECONDS) as answer:
        tracemalloc.start()
        try:
            came = sum(map(len, answer.chunks))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert came == size
    assert peak < 8_000_000


def test_the_rest_of_an_answer_need_not_be_read() -> None:
    """Nor does it keep a thread, or get mixed up with the next answer."""
    script = Script([Reply(LINES * 50, headers=TEXT), Reply(b"second", headers=TEXT)])
    with kubelets(script) as them:
        with them.ask("worker-1", "logs/syslog", seconds=LONG_SECONDS) as answer:
            assert LINES.startswith(next(answer.chunks)[:1000])
        with them.ask("worker-1", "logs/kern.log", seconds=LONG_SECONDS) as answer:
            assert b"".join(answer.chunks) == b"second"
    deadline = time.monotonic() + LONG_SECONDS
    while any(thread.name == THREAD for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_whatever_a_node_is_called_it_stays_in_its_place() -> None:
    script = Script([Reply(b"", headers=TEXT)])
    with kubelets(script) as them, them.ask("a/b?c", "metrics", seconds=LONG_SECONDS):
        pass
    assert script.asked[0].path == "/api/v1/nodes/a%2Fb%3Fc/proxy/metrics"
