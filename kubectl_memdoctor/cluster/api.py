"""A live cluster as a Source: pages, retries, deadlines, and what could not be read.

Bodies are decoded straight into the structs of `objects`, never into the official client's model classes, which take
200 times as long for 10,000 pods.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from kubectl_memdoctor.cluster import name_table, protobuf
from kubectl_memdoctor.cluster.connection import Connection
from kubectl_memdoctor.cluster.listing import HEAD_DECODER, UNDECODABLE, Listing
from kubectl_memdoctor.cluster.node_proxy import NodeProxy
from kubectl_memdoctor.cluster.retries import UNASKED_ATTEMPTS, answered
from kubectl_memdoctor.cluster.source import AccessError, Origin, Page, TimedOut
from kubectl_memdoctor.cluster.status import failure, foreign, one_line, read_status, unauthorized
from kubectl_memdoctor.cluster.transport import JSON, Answer, ConnectionCut, Transport
from kubectl_memdoctor.objects import Object, Resource, decode

CHUNK_SIZE = 500
"""kubectl's own --chunk-size: https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks"""
AGGREGATED_SECONDS = 10.0
"""For one request to a server behind the API server, which itself gives up after 60 s only."""


class _Version(Struct, frozen=True):
    git_version: str = msgspec.field(default="", name="gitVersion")


_VERSION_DECODER = msgspec.json.Decoder(_Version)


class ApiServer:
    """The Source of a live cluster; safe for several threads."""

    parallel = True

    def __init__(
        self,
        connection: Connection,
        *,
        chunk_size: int = CHUNK_SIZE,
        max_qps: int = 0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`chunk_size` is the most objects of one page, 0 for one page of all; `max_qps` the most requests a second, 0
        for no limit."""
        self.connection = connection
        self._transport = Transport(connection, max_qps=max_qps)
        self.kubelets = NodeProxy(self._transport)
        self._chunk_size = chunk_size
        self._sleep = sleep
        self._lock = threading.Lock()
        self._now: datetime | None = None
        self._origin: Origin | None = None

    @property
    def transport(self) -> Transport:
        """To what lies behind the API server, and is no object."""
        return self._transport

    def origin(self) -> Origin:
        if self._origin is None:
            self._origin = Origin(
                server=self.connection.server, version=self._version(), context=self.connection.context or None
            )
        return self._origin

    def now(self) -> datetime:
        if self._now is None:
            self.origin()
        return self._now or datetime.now(UTC)

    def get(self, resource: Resource[Object], namespace: str | None, name: str) -> Object:
        path = object_path(resource, namespace, name)
        answer = self._ask(path, {})
        if answer.status != 200:
            raise self._refusal(answer, resource, name=name)
        try:
            if HEAD_DECODER.decode(answer.body).kind != resource.kind:
                raise foreign(answer, self.connection.server)
            return decode(answer.body, resource.type)
        except UNDECODABLE:
            raise foreign(answer, self.connection.server) from None

    def list(
        self,
        resource: Resource[Object],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Iterator[Page[Object]]:
        path = object_path(resource, namespace, None)
        query = {"fieldSelector": field_selector, "labelSelector": label_selector}
        query |= {"limit": str(self._chunk_size)} if self._chunk_size > 0 else {}
        ask = self._ask_once if resource.aggregated else self._ask

        def refusal(answer: Answer) -> AccessError:
            return self._refusal(answer, resource, selectors=(label_selector, field_selector))

        listing = Listing(
            resource,
            self.connection.server,
            ask=lambda token, accept: ask(path, {**query, "continue": token}, accept),
            refusal=refusal,
        )
        yield from listing.pages()

    def names(self, resource: Resource[Any], namespace: str | None, seconds: float) -> tuple[str, ...]:
        """Of all objects, in the server's order: the names alone travel. It takes at most `seconds`, asked once.

        Raises AccessError.
        """
        path, token = object_path(resource, namespace, None), ""
        found: tuple[str, ...] = ()
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            query = {**name_table.WITHOUT_OBJECTS, "limit": str(self._chunk_size), "continue": token}
            answer = self._ask(path, query, name_table.ACCEPT, remaining, attempts=1)
            if answer.status != 200:
                raise self._refusal(answer, resource)
            try:
                names, token = name_table.read_names(answer.body)
            except UNDECODABLE:
                raise foreign(answer, self.connection.server) from None
            found += names
            if not token:
                return found
        raise AccessError(f"error: {self.connection.server} did not send all names within {seconds:g}s")

    def _refusal(
        self,
        answer: Answer,
        resource: Resource[Any],
        *,
        name: str | None = None,
        selectors: tuple[str, str] = ("", ""),
    ) -> AccessError:
        if answer.status < 400:
            return foreign(answer, self.connection.server)
        return failure(answer, resource, name, selectors)

    def _version(self) -> str | None:
        """The server's gitVersion; None where this user may not ask for it."""
        answer = self._ask("/version", {})
        if answer.status == 401:
            status = read_status(answer)
            raise AccessError(unauthorized(status.message if status else ""))
        if answer.status != 200:
            return None
        try:
            return _VERSION_DECODER.decode(answer.body).git_version or None
        except UNDECODABLE:
            raise foreign(answer, self.connection.server) from None

    def _ask_once(self, path: str, query: dict[str, str], accept: str = JSON) -> Answer:
        """One GET to a server behind the API server, which is not waited for as long. Raises TimedOut, AccessError."""
        limit = min(self.connection.request_timeout or AGGREGATED_SECONDS, AGGREGATED_SECONDS)
        started = time.monotonic()
        try:
            return self._ask(path, query, accept, limit, attempts=1)
        except AccessError as error:
            if time.monotonic() - started < limit:
                raise
            reason = f"timed out: no answer within {limit:g}s"
            raise TimedOut(str(error), resource=path, reason=reason) from None

    def _ask(
        self,
        path: str,
        query: dict[str, str],
        accept: str = JSON,
        limit: float | None = None,
        attempts: int = UNASKED_ATTEMPTS,
    ) -> Answer:
        """One GET, tried again while that may help. Raises AccessError when there is no answer at all."""
        limit = self.connection.request_timeout if limit is None else limit
        # The server gives up when the client does: https://github.com/kubernetes/client-go/blob/v0.37.0/rest/request.go
        given = {**query, "timeout": go_duration(limit) if limit else ""}
        encoded = urlencode(sorted((key, value) for key, value in given.items() if value))
        target = f"{path}?{encoded}" if encoded else path
        return answered(lambda deadline: self._attempt(target, deadline, accept), limit, self._sleep, attempts).answer

    def _attempt(self, target: str, deadline: float | None, accept: str) -> Answer:
        answer = self._transport.get(target, deadline, accept)
        self._note_time(answer)
        cut = _cut(answer.body) if answer.status == 200 else ""
        if cut:
            raise ConnectionCut(f"Unable to connect to the server: {cut}: the answer is cut")
        return answer

    def _note_time(self, answer: Answer) -> None:
        try:
            now = parsedate_to_datetime(answer.headers.get("Date", ""))
        except (TypeError, ValueError):
            return
        with self._lock:
            self._now = now if now.tzinfo else now.replace(tzinfo=UTC)


def _cut(body: bytes) -> str:
    """What a body without a length lacks, if it ends too early."""
    if body[:1] == b"{" and not body[-8:].rstrip().endswith(b"}"):
        return "unexpected end of JSON input"
    return "proto: unexpected EOF" if protobuf.is_cut(body) else ""


def go_duration(seconds: float) -> str:
    """As Go's Duration.String() writes it: `1m30s`, `5s`, `1.5s`, `300ms`."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    rest = f"{seconds - whole + whole % 60:.9f}".rstrip("0").rstrip(".")
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def object_path(resource: Resource[Any], namespace: str | None, name: str | None) -> str:
    """The quoted path. Raises AccessError for a name that would leave its place in it."""
    for what, segment in (("namespace", namespace), ("resource name", name)):
        if segment is None:
            continue
        fault = _segment_fault(segment)
        if fault:
            raise AccessError(f'error: invalid {what} "{one_line(segment)}": [{fault}]')
    return quote(resource.path(namespace, name))


def _segment_fault(segment: str) -> str:
    """https://github.com/kubernetes/apimachinery/blob/v0.37.0/pkg/api/validation/path/name.go"""
    if segment in (".", ".."):
        return f"may not be '{segment}'"
    return next((f"may not contain '{char}'" for char in "/%" if char in segment), "")
