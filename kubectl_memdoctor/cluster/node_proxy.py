"""What the kubelets of nodes answer through the API server: GET /api/v1/nodes/NAME/proxy/PATH, as it comes.

It takes the right to get nodes/proxy. A request has a thread of its own, which is left behind when time is up: so
neither a name that is looked up for ever nor a server that drips its headers is waited for.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlencode

from msgspec import Struct

from kubectl_memdoctor.cluster.source import AccessError, KubeletAnswer, TimedOut, Unreadable
from kubectl_memdoctor.cluster.status import one_line, read_status
from kubectl_memdoctor.cluster.transport import Answer, Stream, Transport

RESOURCE = "nodes/proxy"
"""As RBAC has it."""
THREAD = "kubelet answer"
"""What each of its threads is called."""
WAITING_CHUNKS = 2
"""Received before they are wanted; each has at most unpacking.CHUNK_BYTES."""
QUOTED_BYTES = 4096
"""How much of an answer that is an error is read."""
LEFT_BEHIND_SECONDS = 1.0
"""How much longer than the caller a thread waits for the server."""


class _Head(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]


_Part = _Head | bytes | Exception | None
"""What comes one after the other: the head, chunks, None at the end; or what was raised."""


class NodeProxy:
    """The Kubelets of a live cluster; safe for several threads."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @contextlib.contextmanager
    def ask(
        self, node: str, path: str, query: Mapping[str, str | list[str]] = {}, *, seconds: float, tail_bytes: int = 0
    ) -> Iterator[KubeletAnswer]:
        """See Kubelets."""
        target = f"/api/v1/nodes/{quote(node, safe='')}/proxy/{quote(path)}"
        encoded = f"?{urlencode(query, doseq=True)}" if query else ""
        # Bytes of a file are counted as they lie on the disk.
        headers = {"Range": f"bytes=-{tail_bytes}", "Accept-Encoding": "identity"} if tail_bytes else {}
        reception = _Reception(self._transport, target + encoded, headers, seconds)
        try:
            head = reception.head()
            if head.status not in (200, 206):
                raise _refusal(Answer(head.status, head.headers, reception.beginning(QUOTED_BYTES)), node)
            yield KubeletAnswer(
                chunks=reception.chunks(),
                is_html="html" in head.headers.get("Content-Type", "").lower(),
                is_tail=_is_tail(head),
            )
        finally:
            reception.leave()


class _Reception:
    """One answer on its way from a thread that receives it."""

    def __init__(self, transport: Transport, target: str, headers: Mapping[str, str], seconds: float) -> None:
        self._transport = transport
        self._target = target
        self._headers = headers
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._parts: queue.Queue[_Part] = queue.Queue(WAITING_CHUNKS)
        self._left = threading.Event()
        # The program does not wait for it when it ends.
        threading.Thread(target=self._receive, name=THREAD, daemon=True).start()

    def head(self) -> _Head:
        """Raises Unreadable."""
        part = self._next("no answer")
        assert isinstance(part, _Head)
        return part

    def chunks(self) -> Iterator[bytes]:
        """Raises Unreadable."""
        while part := self._next("no whole answer"):
            assert isinstance(part, bytes)
            yield part

    def beginning(self, most_bytes: int) -> bytes:
        """Of the body, as far as it comes."""
        begun = b""
        with contextlib.suppress(Unreadable):
            for chunk in self.chunks():
                begun += chunk
                if len(begun) >= most_bytes:
                    break
        return begun[:most_bytes]

    def leave(self) -> None:
        """The thread ends as soon as it hears from the server."""
        self._left.set()
        with contextlib.suppress(queue.Empty):
            while True:
                # It may wait for room.
                self._parts.get_nowait()

    def _next(self, missing: str) -> _Part:
        part = self._awaited(missing)
        if isinstance(part, AccessError):
            raise _unreadable(f"failed: {one_line(str(part))}")
        if isinstance(part, Exception):
            raise part
        return part

    def _awaited(self, missing: str) -> _Part:
        left = self._deadline - time.monotonic()
        with contextlib.suppress(queue.Empty):
            # Also where parts come faster than they are taken, it ends in time.
            if left > 0:
                return self._parts.get(timeout=left)
        raise _timed_out(f"{missing} within {self._seconds:.2g}s")

    def _receive(self) -> None:
        try:
            stream = self._transport.stream(self._target, self._deadline + LEFT_BEHIND_SECONDS, self._headers)
            with contextlib.closing(stream):
                for part in _parts(stream):
                    if self._left.is_set():
                        return
                    self._parts.put(part)
        except Exception as error:
            self._parts.put(error)


def _parts(stream: Stream) -> Iterator[_Part]:
    yield _Head(stream.status, stream.headers)
    yield from stream.chunks()
    yield None


def _is_tail(head: _Head) -> bool:
    """https://www.rfc-editor.org/rfc/rfc9110#name-content-range: `bytes 100-199/200`"""
    first = head.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return head.status == 206 and first != "0"


NO_ADDRESS = "no preferred addresses found"
"""Of a node that no kubelet has ever told the API server where to find.
https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/util/node/node.go (NoMatchError)"""


def _refusal(answer: Answer, node: str) -> Unreadable:
    """The API server's own errors are Status objects; what the kubelet says is handed on as plain text."""
    status = read_status(answer)
    said = one_line(status.message if status else answer.body.decode(errors="replace"))
    said = said or f"HTTP status {answer.status}"
    if answer.status == 403:
        return _unreadable(f"forbidden: {said}")
    if NO_ADDRESS in said:
        return _unreadable(f"not served: {said}")
    is_gone = status is not None and status.details is not None and status.details.name == node
    # 405: "logs endpoint is disabled.", https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/kubelet/server/server.go
    if answer.status in (404, 405) and not is_gone:
        return _unreadable(f"not served: {said}")
    return _unreadable(f"failed: {said}")


def _unreadable(reason: str) -> Unreadable:
    return Unreadable(f"Error from server: {reason}", resource=RESOURCE, reason=reason)


def _timed_out(words: str) -> TimedOut:
    return TimedOut(f"Error from server: {words}", resource=RESOURCE, reason=f"timed out: {words}")
