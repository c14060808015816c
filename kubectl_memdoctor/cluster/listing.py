"""One list, page after page. The next page is on its way while one is looked at: the server and this machine work at
the same time, on one list at a time.

The first page comes as JSON, which is all that most lists need; the rest of a long one comes as protobuf where that is
worth it, and as JSON where a server or a proxy does not do that.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Generic

import msgspec
from msgspec import Struct

from kubectl_memdoctor.cluster import protobuf
from kubectl_memdoctor.cluster.protobuf_fields import GLANCED
from kubectl_memdoctor.cluster.source import AccessError, Page
from kubectl_memdoctor.cluster.status import foreign, is_expired, read_status
from kubectl_memdoctor.cluster.transport import JSON, Answer
from kubectl_memdoctor.objects import ApiObject, ListMeta, Object, ObjectMeta, Resource, decode_list

PROTOBUF = f"{protobuf.CONTENT_TYPE}, {JSON}"
RESTARTS = 5
"""Of one list whose continue token expires again and again."""
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NOT_IN_THAT_FORM = frozenset({406, 415})
"""Not Acceptable, Unsupported Media Type."""


class Head(Struct, frozen=True):
    kind: str = ""


HEAD_DECODER = msgspec.json.Decoder(Head)

Ask = Callable[[str, str], Answer]
"""One page: by its continue token (none for the first), and in which form (an Accept header)."""


class Listing(Generic[Object]):
    """Not safe for several threads."""

    def __init__(
        self, resource: Resource[Object], server: str, *, ask: Ask, refusal: Callable[[Answer], AccessError]
    ) -> None:
        """`refusal` makes the error of an answer that is no list."""
        self._resource = resource
        self._server = server
        self._ask_page = ask
        self._refusal = refusal
        self._as_json = False
        self._seen = array("q")
        self._last_key = ""
        self._known: set[int] | None = None

    def pages(self) -> Iterator[Page[Object]]:
        """Raises AccessError."""
        token, restarts = "", 0
        answer = self._ask(token)
        while True:
            if is_expired(answer) and token and restarts < RESTARTS:
                restarts += 1
                token = _next_token(answer)
                answer = self._ask(token)
                continue
            if answer.status in NOT_IN_THAT_FORM and token and not self._as_json:
                self._as_json = True
                answer = self._ask(token)
                continue
            if answer.status != 200:
                raise self._refusal(answer)
            following: _Coming | None = None
            try:
                if answer.body.startswith(protobuf.MAGIC):
                    body = protobuf.open_list(answer.body, self._resource)
                    meta = body.meta
                    following = self._following(token, meta)
                    page = self._from_protobuf(body)
                else:
                    meta, items = self._from_json(answer)
                    page = Page(items, meta.remaining_item_count)
                    following = self._following(token, meta)
            except protobuf.DecodeError:
                if self._as_json:
                    raise foreign(answer, self._server) from None
                self._as_json = True
                answer = self._ask(token)
                continue
            yield self._new(page)
            if following is None:
                return
            token, answer = meta.continue_, following.answer()

    def _ask(self, token: str) -> Answer:
        in_protobuf = bool(token) and not self._as_json and protobuf.reads(self._resource)
        return self._ask_page(token, PROTOBUF if in_protobuf else JSON)

    def _following(self, token: str, meta: ListMeta) -> _Coming | None:
        """The page after the one that `token` led to."""
        if not meta.continue_:
            return None
        if meta.continue_ == token:
            raise AccessError(
                f"error: {self._server} answers each page of a list with the same one: a proxy that keeps answers may"
                " stand before the API server"
            )
        return _Coming(lambda: self._ask(meta.continue_))

    def _from_protobuf(self, body: protobuf.ListBody[Object]) -> Page[Object]:
        remaining = body.meta.remaining_item_count
        if self._resource.type not in GLANCED:
            return Page(body.items(), remaining)
        items = body.one_by_one()
        return Page(items, remaining, items.glances())

    def _from_json(self, answer: Answer) -> tuple[ListMeta, tuple[Object, ...]]:
        try:
            meta, items = decode_list(answer.body, self._resource.type)
            is_list = bool(items or meta.continue_) or HEAD_DECODER.decode(answer.body).kind.endswith("List")
        except UNDECODABLE:
            is_list = False
        if not is_list:
            raise foreign(answer, self._server)
        return meta, items

    def _new(self, page: Page[Object]) -> Page[Object]:
        """What of it has not come yet. Lists are in the order of etcd's keys, and eight bytes for each object are kept
        for the case that a page does not begin after the one before: a list that had to start again, a repeated page.
        """
        seen = page.at_a_glance()
        if not len(seen):
            return page
        if self._known is None and _key(seen[0]) <= self._last_key:
            self._known = set(self._seen)
        self._last_key = _key(seen[-1])
        if self._known is None:
            self._seen.extend(map(_identity, seen))
            return page
        new = tuple(item for item in page.items if _identity(item) not in self._known)
        self._known.update(map(_identity, new))
        return Page(new, page.remaining)


class _Coming:
    """An answer that is on its way. Its thread does not keep the program from ending."""

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._future: Future[Answer] = Future()
        self._ask = ask
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._future.set_result(self._ask())
        except BaseException as error:
            self._future.set_exception(error)

    def answer(self) -> Answer:
        """Waits for it. Raises what asking raised."""
        return self._future.result()


def _next_token(answer: Answer) -> str:
    """Where to go on after a continue token has expired: at the same key in the list as it is now, or, where the server
    offers no such token, at the start.
    https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
    """
    status = read_status(answer)
    return status.metadata.continue_ if status is not None else ""


def _key(item: ApiObject) -> str:
    """https://github.com/kubernetes/apiserver/blob/v0.37.2/pkg/registry/generic/registry/store.go, NamespaceKeyFunc"""
    metadata = _metadata(item)
    return f"{metadata.namespace}/{metadata.name}"


def _identity(item: ApiObject) -> int:
    metadata = _metadata(item)
    return hash(metadata.uid or (metadata.namespace, metadata.name))


def _metadata(item: ApiObject) -> ObjectMeta:
    metadata: ObjectMeta = getattr(item, "metadata", ObjectMeta())
    return metadata
