"""Lists that come in pages, with the server's own continue tokens, and with a compaction between two pages."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from .api import Json
from .control_plane import ControlPlane
from .memdoctor import Ran, Shell
from .stand_ins import StandIns, container

PODS = 90
PAGE = 20
PAGES = 5
EXPIRY_SECONDS = 60.0
"""The API server's own cache forgets old lists up to 15 seconds after etcd has:
https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/apiserver/pkg/storage/cacher/compactor.go"""

_serial = itertools.count(1)


def pod_name(number: int) -> str:
    return f"crowd-{number:03}"


@pytest.fixture
def crowd(stand_ins: StandIns) -> str:
    """A namespace of pods that each have one finding."""
    namespace = f"crowd-{next(_serial)}"
    stand_ins.namespace(namespace)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: add(stand_ins, namespace, pod_name(number)), range(PODS)))
    return namespace


def add(stand_ins: StandIns, namespace: str, name: str) -> Json:
    return stand_ins.pod(namespace, name, {"containers": [container("1Ki")]})


def found(ran: Ran) -> list[str]:
    """The names of the pods with findings; a pod that was seen twice would be there twice."""
    return sorted(finding["involvedObject"]["name"] for finding in ran.report()["findings"])


def page_requests(plane: ControlPlane, namespace: str) -> list[dict[str, list[str]]]:
    """The queries of memdoctor's lists of the namespace's pods, in turn."""
    uris = (urlsplit(event["requestURI"]) for event in plane.audited("kubectl-memdoctor/"))
    return [parse_qs(uri.query) for uri in uris if uri.path == f"/api/v1/namespaces/{namespace}/pods"]


def test_every_page_is_asked_for_with_the_token_of_the_one_before(shell: Shell, crowd: str) -> None:
    ran = shell.memdoctor("ns", crowd, "--chunk-size", str(PAGE), "-o", "json")
    assert ran.code == 1
    assert found(ran) == [pod_name(number) for number in range(PODS)]
    assert ran.report()["summary"]["pods"] == PODS
    queries = page_requests(shell.plane, crowd)
    assert [query["limit"] for query in queries] == [[str(PAGE)]] * PAGES
    tokens = [query.get("continue", [""])[0] for query in queries]
    assert tokens[0] == ""
    assert len(set(tokens)) == PAGES


def test_a_chunk_size_of_nothing_is_one_page(shell: Shell, crowd: str) -> None:
    ran = shell.memdoctor("ns", crowd, "--chunk-size=0", "-o", "json")
    assert found(ran) == [pod_name(number) for number in range(PODS)]
    assert [query.get("limit") for query in page_requests(shell.plane, crowd)] == [None]


def test_a_compaction_between_two_pages_loses_and_doubles_nothing(
    shell: Shell, stand_ins: StandIns, crowd: str
) -> None:
    plane = shell.plane

    def compact_before(target: str) -> None:
        plane.api().call("DELETE", f"/api/v1/namespaces/{crowd}/pods/{pod_name(5)}", {"gracePeriodSeconds": 0})
        plane.api().call("DELETE", f"/api/v1/namespaces/{crowd}/pods/{pod_name(70)}", {"gracePeriodSeconds": 0})
        add(stand_ins, crowd, f"{pod_name(70)}-new")
        compact(plane)
        wait_until_gone(plane, target)

    with front(plane, crowd, compact_before, page=3) as (server, statuses):
        ran = shell.memdoctor("ns", crowd, "--chunk-size", str(PAGE), "-o", "json", "--server", server)
    assert ran.code == 1, ran.err
    assert statuses == [200, 200, 410, 200, 200, 200]
    expected = {pod_name(number) for number in range(PODS)} - {pod_name(70)} | {f"{pod_name(70)}-new"}
    assert found(ran) == sorted(expected)
    assert ran.report()["summary"]["pods"] == PODS


def compact(plane: ControlPlane) -> None:
    """What the API server's own compactor does every five minutes, for everything up to now."""
    status = etcd(plane, "maintenance/status", {})
    revision = status["header"]["revision"]
    text = {"key": b"compact_rev_key", "value": revision.encode()}
    etcd(plane, "kv/put", {name: base64.b64encode(value).decode() for name, value in text.items()})
    etcd(plane, "kv/compaction", {"revision": revision, "physical": True})


def etcd(plane: ControlPlane, call: str, body: Json) -> Json:
    response = urllib3.request("POST", f"{plane.etcd}/v3/{call}", body=json.dumps(body))
    assert response.status == 200, response.data
    answer: Json = response.json()
    return answer


def wait_until_gone(plane: ControlPlane, target: str) -> None:
    deadline = time.monotonic() + EXPIRY_SECONDS
    while plane.api().raw(target).status != 410:
        assert time.monotonic() < deadline, "the continue token never expired"
        time.sleep(0.5)


@contextlib.contextmanager
def front(
    plane: ControlPlane, namespace: str, before: Callable[[str], None], page: int
) -> Iterator[tuple[str, list[int]]]:
    """A loopback server that hands requests on as admin, and calls `before` ahead of the given page of pods.

    Gives its address and the list of the status codes that the pages are answered with.
    """
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_page = urlsplit(self.path).path == f"/api/v1/namespaces/{namespace}/pods"
            if is_page and len(statuses) == page - 1:
                before(self.path)
            answer = plane.api().raw(self.path, {"User-Agent": self.headers["User-Agent"]})
            if is_page:
                statuses.append(answer.status)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            self.wfile.write(answer.data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", statuses
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
