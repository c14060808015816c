"""What a user reads when the server, or something before it, does not behave; and what is silently tried again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_memdoctor.cluster import api
from kubectl_memdoctor.cluster.api import ApiServer, go_duration
from kubectl_memdoctor.cluster.connection import Connection
from kubectl_memdoctor.cluster.source import AccessError, NotFound, Unreadable
from kubectl_memdoctor.cluster.transport import Answer
from kubectl_memdoctor.objects import DEPLOYMENTS, EVENTS, NODES, POD_METRICS, PODS

from .faulty_server import HANG_UP, Asked, Reply, Script, faulty_server, json_reply, pod, pod_list, status

EXPIRED = "The provided continue parameter is too old to display a consistent list result."


@dataclass(slots=True)
class Session:
    """An ApiServer against a scripted server; `waits` are the seconds it would have slept."""

    api: ApiServer
    connection: Connection
    script: Script
    waits: list[float] = field(default_factory=list)

    @property
    def asked(self) -> list[Asked]:
        return self.script.asked

    def names(self, **selectors: str) -> list[str]:
        return [item.metadata.name for page in self.api.list(PODS, "default", **selectors) for item in page.items]

    def error(self) -> str:
        with pytest.raises(AccessError) as caught:
            self.names()
        text = str(caught.value)
        assert "\n" not in text
        return text


@contextlib.contextmanager
def session(*replies: Reply, chunk_size: int = 500, **connection: float | bool) -> Iterator[Session]:
    with served(Script(list(replies)), chunk_size, **connection) as opened:
        yield opened


@contextlib.contextmanager
def served(script: Script, chunk_size: int = 500, **connection: float | bool) -> Iterator[Session]:
    with faulty_server(script) as plain:
        waits: list[float] = []
        reached = replace(plain, **connection)  # type: ignore[arg-type]
        api = ApiServer(reached, chunk_size=chunk_size, sleep=waits.append)
        yield Session(api, reached, script, waits)


def test_pages_are_followed_to_the_end() -> None:
    with session(pod_list("a", "b", token="t1", remaining=3), pod_list("c", token="t2"), pod_list("d")) as to:
        pages = list(to.api.list(PODS, "default"))
        assert [[item.metadata.name for item in page.items] for page in pages] == [["a", "b"], ["c"], ["d"]]
        assert [page.remaining for page in pages] == [3, None, None]
        assert [asked.query for asked in to.asked] == [
            {"limit": "500"},
            {"limit": "500", "continue": "t1"},
            {"limit": "500", "continue": "t2"},
        ]
        assert {asked.path for asked in to.asked} == {"/api/v1/namespaces/default/pods"}


@pytest.mark.parametrize(
    ("answer", "asked", "reason"),
    [
        (status(503, "ServiceUnavailable", "it is down"), 1, "failed: "),
        (Reply(b"service unavailable", 503), 1, "failed: "),
        (status(404, "NotFound", "the server could not find it"), 1, "not served: "),
        (replace(json_reply({}), delay_seconds=0.5), 1, "timed out: no answer within 0.1s"),
    ],
)
def test_a_server_behind_the_api_server_is_asked_once_and_not_for_long(
    answer: Reply, asked: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "AGGREGATED_SECONDS", 0.1 if answer.delay_seconds else 10.0)
    with session(answer) as to:
        with pytest.raises(Unreadable) as caught:
            list(to.api.list(POD_METRICS, "default"))
        assert caught.value.reason.startswith(reason)
        assert (len(to.asked), to.waits) == (asked, [])


def test_chunk_size_zero_asks_for_all_at_once() -> None:
    with session(pod_list("a"), chunk_size=0) as to:
        assert to.names() == ["a"]
        assert to.asked[0].query == {}


def test_an_expired_token_is_exchanged_for_the_one_that_the_server_offers() -> None:
    gone = status(410, "Expired", EXPIRED, metadata={"continue": "now"})
    with session(pod_list("a", token="old"), gone, pod_list("b")) as to:
        assert to.names() == ["a", "b"]
        assert [asked.query.get("continue") for asked in to.asked] == [None, "old", "now"]


def test_a_list_that_starts_again_counts_nothing_twice() -> None:
    gone = status(410, "Expired", EXPIRED)
    replies = (pod_list("a", "b", token="old"), gone, pod_list("a", "b2", token="new"), pod_list("b", "c"))
    with session(*replies) as to:
        assert to.names() == ["a", "b", "b2", "c"]
        assert [asked.query.get("continue") for asked in to.asked] == [None, "old", None, "new"]


def test_a_token_that_expires_for_ever_ends_in_the_servers_words() -> None:
    with session(pod_list("a", token="t"), status(410, "Expired", EXPIRED, metadata={"continue": "t"})) as to:
        assert to.error() == f"Error from server (Expired): {EXPIRED}"
        assert len(to.asked) == 7


@pytest.mark.parametrize(
    "passing",
    [
        status(429, "TooManyRequests", "later"),
        status(500, "InternalError", "etcdserver: leader changed"),
        Reply(b"<html>bad gateway</html>", 502),
        status(503, "ServiceUnavailable", "starting"),
        status(504, "Timeout", "slow"),
        HANG_UP,
        replace(pod_list("a", "b"), cut=30),
        replace(pod_list("a", "b"), cut=30, framing="chunked"),
        replace(pod_list("a", "b"), cut=30, framing="close"),
        replace(pod_list("a", "b").gzipped(), cut=30),
        replace(pod_list("a", "b").gzipped(), body=pod_list("a", "b").gzipped().body[:-9]),
        replace(pod_list("a", "b").gzipped(), body=b"not gzip"),
    ],
    ids=lambda reply: f"{reply.status}-{reply.framing}-{reply.cut}",
)
def test_what_may_pass_is_tried_again(passing: Reply) -> None:
    with session(pod_list("a", token="t"), passing, passing, pod_list("b")) as to:
        assert to.names() == ["a", "b"]
        assert [asked.query.get("continue") for asked in to.asked] == [None, "t", "t", "t"]
        assert len(to.waits) == 2
        assert 0 < to.waits[0] < to.waits[1] * 3 < 3


def test_retry_after_is_waited_for() -> None:
    busy = status(429, "TooManyRequests", "busy").with_header("Retry-After", "2")
    with session(busy, busy, pod_list("a")) as to:
        assert to.names() == ["a"]
        assert all(2 <= wait < 3 for wait in to.waits)
        assert to.waits[0] != to.waits[1]


def test_retry_after_ends_with_ten_retries() -> None:
    busy = status(503, "ServiceUnavailable", "busy").with_header("Retry-After", "0")
    with session(busy) as to:
        assert to.error() == "Error from server (ServiceUnavailable): busy"
        assert len(to.asked) == 11


def test_retry_after_beyond_the_deadline_is_not_waited_for() -> None:
    with session(status(429, "TooManyRequests", "busy").with_header("Retry-After", "3600")) as to:
        assert to.error() == "Error from server (TooManyRequests): busy"
        assert to.waits == []


@pytest.mark.parametrize(
    ("reply", "line", "requests"),
    [
        (status(503, "ServiceUnavailable", "down"), "Error from server (ServiceUnavailable): down", 5),
        (
            Reply(b"<html>\n<body>502</body>", 502, (("Content-Type", "text/html"),)),
            (
                'Error from server (InternalError): an error on the server ("an HTML page") has prevented the request'
                " from succeeding (get pods)"
            ),
            5,
        ),
        (
            Reply(b"boom\x1b[31m\nat line 3", 500, (("Content-Type", "text/plain"),)),
            (
                'Error from server (InternalError): an error on the server ("boom [31m at line 3") has prevented the'
                " request from succeeding (get pods)"
            ),
            5,
        ),
        (
            HANG_UP,
            "Unable to connect to the server: EOF: the connection was cut before the answer was complete",
            5,
        ),
        (
            replace(pod_list("a"), cut=30),
            "Unable to connect to the server: EOF: the connection was cut before the answer was complete",
            5,
        ),
        (
            replace(pod_list("a"), cut=30, framing="close"),
            "Unable to connect to the server: unexpected end of JSON input: the answer is cut",
            5,
        ),
        (
            replace(pod_list("a").gzipped(), body=b"not gzip"),
            "Unable to connect to the server: gzip: the compressed answer is cut or garbled",
            5,
        ),
        (
            status(401, "Unauthorized", "Unauthorized"),
            "error: You must be logged in to the server (Unauthorized)",
            1,
        ),
        (
            Reply(b"", 401, ()),
            (
                "error: You must be logged in to the server (the server has asked for the client to provide credentials"
                " (get pods))"
            ),
            1,
        ),
        (
            status(400, "BadRequest", "unable to parse"),
            'Error from server (BadRequest): Unable to list "/v1, Resource=pods": unable to parse',
            1,
        ),
        (status(410, "Expired", EXPIRED), f"Error from server (Expired): {EXPIRED}", 1),
        (status(418, "", "I am\na teapot"), "Error from server: I am a teapot", 1),
        (
            Reply(b"", 409, ()),
            (
                "Error from server: the server responded with the status code 409 but did not return more information"
                " (get pods)"
            ),
            1,
        ),
    ],
)
def test_what_lasts_ends_in_one_line(reply: Reply, line: str, requests: int) -> None:
    with session(reply) as to:
        assert to.error() == line
        assert len(to.asked) == requests


PROXY = "a proxy or a login page stands before the API server, or the server's address is wrong"


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (Reply(b"<!doctype html><html>", 200, (("Content-Type", "text/html"),)), "answered with HTML instead of JSON"),
        (Reply(b"  <html>", 200), "answered with HTML instead of JSON"),
        (Reply(b"hello", 200, (("Content-Type", "text/plain"),)), "(text/plain)"),
        (Reply(b"", 200), "(application/json)"),
        (Reply(b"\xff\xfe{}", 200), "(application/json)"),
        (json_reply({"hello": 1}), "(application/json)"),
        (json_reply([1, 2]), "(application/json)"),
        (json_reply(None), "(application/json)"),
        (json_reply({"kind": "PodList", "items": 5}), "(application/json)"),
        (json_reply({"kind": "Pod"}), "(application/json)"),
        (Reply(b'{"items":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "(application/json)"),
        (
            Reply(b"", 302, (("Location", "https://login.example/sso?token=abc"),)),
            "redirects to https://login.example/sso instead of answering",
        ),
    ],
)
def test_what_no_api_server_sends_is_named(reply: Reply, line: str) -> None:
    with session(reply) as to:
        text = to.error()
        assert text.startswith(f"error: {to.connection.server} ")
        assert line in text
        assert text.endswith(PROXY)
        assert len(to.asked) == 1


def test_a_forbidden_resource_is_unreadable_with_its_reason() -> None:
    message = 'nodes is forbidden: User "eve" cannot list resource "nodes" in API group "" at the cluster scope'
    with session(status(403, "Forbidden", message)) as to:
        with pytest.raises(Unreadable) as caught:
            list(to.api.list(NODES))
        assert str(caught.value) == f"Error from server (Forbidden): {message}"
        assert (caught.value.resource, caught.value.reason) == ("nodes", f"forbidden: {message}")


def test_a_resource_that_is_not_served_is_unreadable() -> None:
    with session(Reply(b"404 page not found\n", 404, (("Content-Type", "text/plain"),))) as to:
        with pytest.raises(Unreadable) as caught:
            list(to.api.list(DEPLOYMENTS, "default"))
        assert caught.value.resource == "deployments.apps"
        reason = "the server could not find the requested resource (get deployments.apps)"
        assert caught.value.reason == f"not served: {reason}"
        assert str(caught.value) == (
            f'Error from server (NotFound): Unable to list "apps/v1, Resource=deployments": {reason}'
        )


def test_an_object_that_does_not_exist_is_not_found() -> None:
    missing = status(404, "NotFound", 'pods "web" not found', details={"name": "web", "kind": "pods"})
    with (
        session(missing) as to,
        pytest.raises(NotFound, match=r'^Error from server \(NotFound\): pods "web" not found$'),
    ):
        to.api.get(PODS, "default", "web")


def test_a_named_object_of_a_resource_that_is_not_served_is_unreadable() -> None:
    unserved = status(404, "NotFound", "the server could not find the requested resource", details={})
    with session(unserved) as to, pytest.raises(Unreadable):
        to.api.get(DEPLOYMENTS, "default", "web")


def test_a_bad_selector_is_answered_in_kubectls_words() -> None:
    with session(status(400, "BadRequest", "unable to parse requirement")) as to:
        with pytest.raises(AccessError) as caught:
            to.names(label_selector="a=(", field_selector="x")
        assert str(caught.value) == (
            'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label selector "a=(",'
            ' field selector "x": unable to parse requirement'
        )
        assert to.asked[0].query == {"labelSelector": "a=(", "fieldSelector": "x", "limit": "500"}


@pytest.mark.parametrize(
    "reply",
    [replace(pod_list("a"), delay_seconds=1.0), replace(pod_list("a"), drip_seconds=0.02)],
    ids=["late", "dripping"],
)
def test_the_request_timeout_holds_for_the_whole_answer(reply: Reply) -> None:
    with session(reply, request_timeout=0.3) as to:
        host = to.connection.server.removeprefix("http://")
        assert to.error() == (
            f"Unable to connect to the server: context deadline exceeded: no whole answer from {host} within 0.3s"
            " (--request-timeout)"
        )
        assert to.asked[0].query["timeout"] == "300ms"
        assert len(to.asked) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.3, "300ms"), (1, "1s"), (1.5, "1.5s"), (90, "1m30s"), (3600, "1h0m0s"), (7325.25, "2h2m5.25s"), (60, "1m0s")],
)
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


def test_odd_objects_lose_nothing_and_cost_the_others_nothing() -> None:
    odd = {"metadata": {"name": "odd", "labels": {"a": 5}, "uid": None}, "spec": None, "status": {"conditions": None}}
    items = [pod("a"), odd, {"metadata": {"name": "b"}, "new": [1]}]
    with session(json_reply({"kind": "PodList", "metadata": {}, "items": items})) as to:
        assert to.names() == ["a", "odd", "b"]


def test_a_list_without_items_is_empty() -> None:
    with session(json_reply({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": None})) as to:
        assert to.names() == []


def test_messages_of_a_megabyte_come_whole() -> None:
    event = {"metadata": {"name": "e", "uid": "1"}, "message": "x" * (1 << 20)}
    reply = json_reply({"kind": "EventList", "metadata": {}, "items": [event]})
    with session(reply.gzipped()) as to:
        (page,) = to.api.list(EVENTS)
        assert len(page.items[0].message) == 1 << 20


def test_what_is_sent() -> None:
    with session(pod_list()) as to:
        to.names()
        headers = to.asked[0].headers
        assert headers["User-Agent"].startswith("kubectl-memdoctor/")
        assert headers["Accept"] == "application/json"
        assert headers["Accept-Encoding"] == "gzip"
    with session(pod_list(), disable_compression=True) as to:
        to.names()
        assert to.asked[0].headers["Accept-Encoding"] == "identity"


def test_now_is_the_servers_time() -> None:
    dated = pod_list("a").with_header("Date", "Tue, 01 Jan 2030 10:00:00 GMT")
    with session(dated) as to:
        to.names()
        # http.server writes its own Date as well; the API server writes one.
        assert to.api.now().tzinfo is not None
    answer = Answer(200, {"Date": "Tue, 01 Jan 2030 10:00:00 GMT"}, pod_list("a").body)
    api = stubbed(answer)
    list(api.list(PODS))
    assert api.now() == datetime(2030, 1, 1, 10, tzinfo=UTC)


def test_origin_tells_server_version_and_context() -> None:
    with session(json_reply({"gitVersion": "v1.34.2"})) as to:
        assert (to.api.origin().version, to.api.origin().context) == ("v1.34.2", "c")
        assert to.asked[0].path == "/version"
        assert len(to.asked) == 1
    with session(status(403, "Forbidden", "no")) as to:
        assert to.api.origin().version is None
    with session(status(401, "Unauthorized", "Unauthorized")) as to, pytest.raises(AccessError, match="logged in"):
        to.api.origin()


@pytest.mark.parametrize(
    ("namespace", "name", "line"),
    [
        ("a/b", "web", "error: invalid namespace \"a/b\": [may not contain '/']"),
        ("default", "..", "error: invalid resource name \"..\": [may not be '..']"),
        ("default", "100%", "error: invalid resource name \"100%\": [may not contain '%']"),
    ],
)
def test_a_name_cannot_leave_its_place_in_the_path(namespace: str, name: str, line: str) -> None:
    with session(pod_list()) as to:
        with pytest.raises(AccessError) as caught:
            to.api.get(PODS, namespace, name)
        assert str(caught.value) == line
        assert to.asked == []


def test_an_object_of_another_kind_is_not_taken_for_a_pod() -> None:
    with session(json_reply({"kind": "Table"})) as to, pytest.raises(AccessError, match="did not answer with"):
        to.api.get(PODS, "default", "web")


def test_lists_can_be_fetched_side_by_side() -> None:
    def by_path(path: str) -> Reply:
        return pod_list(*(f"{path.split('/')[4]}-{number}" for number in range(50)))

    with served(Script(by_path)) as to, ThreadPoolExecutor(8) as threads:
        fetch: Callable[[int], list[str]] = lambda number: [  # noqa: E731
            item.metadata.name for page in to.api.list(PODS, f"ns{number}") for item in page.items
        ]
        for number, names in enumerate(threads.map(fetch, range(40))):
            assert names == [f"ns{number}-{index}" for index in range(50)]


class _Stub:
    """A transport that always gives one answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def get(self, target: str, deadline: float | None, accept: str) -> Answer:
        return self.answer


def stubbed(answer: Answer) -> ApiServer:
    api = ApiServer(Connection(server="http://x", namespace="default", context=""), sleep=lambda seconds: None)
    api._transport = _Stub(answer)  # type: ignore[assignment]
    return api


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["kind", "items", "metadata", "uid", "x"]), inner),
)
BODIES = (
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps({"kind": "PodList", "items": [value], "metadata": {}}).encode())
)


@settings(max_examples=60, deadline=None)
@given(code=st.sampled_from([200, 204, 301, 400, 401, 403, 404, 410, 429, 500]), body=BODIES)
def test_any_answer_is_a_list_or_one_line(code: int, body: bytes) -> None:
    api = stubbed(Answer(code, {"Content-Type": "application/json"}, body))
    line = "one line"
    try:
        pages = list(api.list(PODS))
    except AccessError as error:
        line, pages = str(error), []
    assert line
    assert "\n" not in line
    assert code == 200 or not pages
