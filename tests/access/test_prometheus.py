"""Queries to a Prometheus that answers well, badly, too much or not at all; and which services may be one."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed import convert

from kubectl_memdoctor.cluster import prometheus
from kubectl_memdoctor.cluster.api import ApiServer
from kubectl_memdoctor.cluster.prometheus import (
    AddressError,
    PrometheusServer,
    Service,
    ServiceSearch,
    at_url,
    behind_service,
    candidates,
)
from kubectl_memdoctor.cluster.prometheus_query import Sample
from kubectl_memdoctor.cluster.source import Unreadable
from kubectl_memdoctor.cluster.transport import Transport

from .faulty_server import HANG_UP, Reply, Script, faulty_server, json_reply, status

pytestmark = pytest.mark.usefixtures("bare_environ")
EXPRESSION = 'max(up{job="a b"})'


def vector(*values: str, warnings: tuple[str, ...] = (), **labels: str) -> Reply:
    result = [{"metric": labels, "value": [1795428000.25, value]} for value in values]
    data = {"resultType": "vector", "result": result}
    return json_reply({"status": "success", "data": data, "warnings": [*warnings]})


@contextlib.contextmanager
def asking(*replies: Reply, path: str = "", token_file: str = "") -> Iterator[tuple[PrometheusServer, Script]]:
    script = Script(list(replies))
    with faulty_server(script) as connection:
        yield at_url(connection.server + path, token_file), script


def reason(*replies: Reply, path: str = "") -> str:
    with asking(*replies, path=path) as (server, _), pytest.raises(Unreadable) as caught:
        server.query(EXPRESSION)
    text = caught.value.reason
    assert text.isprintable()
    kind, name, said = text.split(": ", 2)
    assert name.startswith("127.0.0.1:")
    return f"{kind}: {said}"


def test_a_vector_comes_with_its_labels_and_its_time() -> None:
    with asking(vector("4.194304e+08", "12", container="app")) as (server, script):
        found = server.query(EXPRESSION)
    assert found.samples == (Sample({"container": "app"}, 419430400.0), Sample({"container": "app"}, 12.0))
    assert found.time == 1795428000.25
    (asked,) = script.asked
    assert (asked.path, asked.query) == ("/api/v1/query", {"query": EXPRESSION, "timeout": "10s"})
    assert "Authorization" not in asked.headers


def test_the_path_of_its_address_goes_before() -> None:
    with asking(vector("1"), path="/tools/prometheus/") as (server, script):
        server.query(EXPRESSION)
    assert script.asked[0].path == "/tools/prometheus/api/v1/query"


def test_nothing_found_is_no_error() -> None:
    with asking(vector()) as (server, _):
        assert server.query(EXPRESSION).samples == ()


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "", "much", "0x10", "1e999"])
def test_what_is_no_number_is_no_sample(value: str) -> None:
    with asking(vector(value, "7")) as (server, _):
        assert [sample.value for sample in server.query(EXPRESSION).samples] == [7.0]


def test_warnings_are_kept_to_a_line() -> None:
    with asking(vector("1", warnings=("remote read\n\x1b[31m failed", "x" * 9000))) as (server, _):
        first, second = server.query(EXPRESSION).warnings
    assert first == "remote read [31m failed"
    assert len(second) < 250


ERROR = {"status": "error", "errorType": "execution", "error": "query processing would load too many samples"}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (json_reply(ERROR, 422), "failed: query processing would load too many samples"),
        (json_reply(ERROR), "failed: query processing would load too many samples"),
        (json_reply({"status": "error", "error": "no\n\x1b[2Jtoken"}, 401), "forbidden: no [2Jtoken"),
        (Reply(b"Unauthorized", 401), "forbidden: HTTP status 401"),
        (status(403, "Forbidden", 'services "p" is forbidden'), 'forbidden: services "p" is forbidden'),
        (status(503, "ServiceUnavailable", "no endpoints available"), "failed: no endpoints available"),
        (Reply(b"404 page not found", 404), "not served: HTTP status 404"),
        (
            Reply(b"", 302, (("Location", "https://elsewhere.example/login"),)),
            "failed: it redirects instead of answering: is the path of its address right?",
        ),
        (Reply(b"<html>log in</html>"), "failed: what it answers is not Prometheus'"),
        (json_reply({"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}), None),
        (json_reply({"status": "success", "data": {"resultType": "vector", "result": None}}), None),
        (json_reply([]), None),
        (Reply(b"[" * 100_000), None),
        (Reply(b"\xff\xfe"), None),
        (vector("1" * (prometheus.MOST_BYTES + 1)), "failed: its answer is larger than 1 MiB"),
        (vector("1" * (8 << 20)).gzipped(), "failed: its answer is larger than 1 MiB"),
        (
            replace(vector("1").gzipped(), body=gzip.compress(b"{}")[:-4]),
            "failed: Unable to connect to the server: gzip: the compressed answer is cut or garbled",
        ),
        (
            replace(vector("1"), cut=20),
            "failed: Unable to connect to the server: EOF: the connection was cut before the answer was complete",
        ),
        (
            HANG_UP,
            "failed: Unable to connect to the server: EOF: the connection was cut before the answer was complete",
        ),
    ],
)
def test_what_goes_wrong_is_one_line(reply: Reply, said: str | None) -> None:
    assert reason(reply) == (said or "failed: what it answers is not Prometheus'")


def test_it_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "QUERY_SECONDS", 0.05)
    assert reason(replace(vector("1"), drip_seconds=0.02)) == "failed: no whole answer within 0s"
    assert reason(replace(vector("1"), delay_seconds=0.2)) == "failed: no whole answer within 0s"


def test_a_redirect_is_never_followed() -> None:
    script = Script([vector("1")])
    with faulty_server(script) as elsewhere:
        away = Reply(b"", 307, (("Location", f"{elsewhere.server}/api/v1/query"),))
        assert reason(away).startswith("failed: it redirects")
    assert script.asked == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
ANSWERS = st.fixed_dictionaries(
    {"status": st.sampled_from(("success", "error")) | JSON},
    optional={
        "data": JSON
        | st.fixed_dictionaries(
            {"resultType": st.just("vector") | JSON},
            optional={
                "result": JSON
                | st.lists(
                    st.fixed_dictionaries(
                        {}, optional={"metric": JSON, "value": JSON | st.tuples(st.floats(allow_nan=False), st.text())}
                    ),
                    max_size=3,
                )
            },
        ),
        "error": JSON,
        "warnings": JSON,
    },
)


@settings(max_examples=30, deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=20))
def test_no_answer_breaks_it(answers: list[dict[str, Any]]) -> None:
    with asking(*(Reply(json.dumps(answer).encode()) for answer in answers)) as (server, _):
        for _answer in answers:
            with contextlib.suppress(Unreadable):
                assert all(abs(sample.value) < float("inf") for sample in server.query(EXPRESSION).samples)


def test_the_token_of_the_file_goes_with_it_and_into_no_words(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("not-to-be-told\n")
    with asking(vector("1"), Reply(b"no", 403), token_file=str(token)) as (server, script):
        server.query(EXPRESSION)
        with pytest.raises(Unreadable) as caught:
            server.query(EXPRESSION)
    assert script.asked[0].headers["Authorization"] == "Bearer not-to-be-told"
    assert "not-to-be-told" not in f"{caught.value} {caught.value.reason} {server!r}"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("prometheus:9090", "must be a URL such as https://prometheus.example:9090"),
        ("ftp://prometheus", "must be a URL such as https://prometheus.example:9090"),
        ("http://", "must be a URL such as https://prometheus.example:9090"),
        ("http://host:port", "must be a URL such as https://prometheus.example:9090"),
        ("http://[::1", "must be a URL such as https://prometheus.example:9090"),
        ("https://me:hidden@host", "must be a URL without user, password, query and fragment"),
        ("https://host/?token=hidden", "must be a URL without user, password, query and fragment"),
        ("https://host/#graph", "must be a URL without user, password, query and fragment"),
    ],
)
def test_what_is_no_address(url: str, said: str) -> None:
    with pytest.raises(AddressError) as caught:
        at_url(url)
    assert str(caught.value) == said


def test_a_token_is_sent_over_tls_or_to_this_machine_only(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    for url in ("http://prometheus.example", "http://10.0.0.1:9090"):
        with pytest.raises(AddressError, match="must begin with https"):
            at_url(url, str(token))
    for url in ("https://prometheus.example", "http://127.0.0.1:9090", "http://[::1]:9090", "http://localhost:9090"):
        at_url(url, str(token))
    with pytest.raises(AddressError, match="cannot be read"):
        at_url("https://prometheus.example", str(tmp_path / "none"))


def service(
    name: str, *ports: dict[str, Any], namespace: str = "monitoring", type_: str = "ClusterIP", **labels: str
) -> Service:
    named = {key.replace("__", "/").replace("_", "."): value for key, value in labels.items()}
    metadata = {"name": name, "namespace": namespace, "labels": named}
    return convert({"metadata": metadata, "spec": {"type": type_, "ports": [*ports]}}, Service)


WEB = {"name": "web", "port": 9090}


@pytest.mark.parametrize(
    ("found", "port"),
    [
        (service("prometheus-operated", WEB, {"name": "grpc", "port": 10901}), "web"),
        (service("prometheus-k8s", {"name": "reloader-web", "port": 8080}, WEB), "web"),
        (service("stack-prometheus", {"name": "reloader-web", "port": 8080}, {"name": "http-web", "port": 9090}), None),
        (service("prometheus-server", {"name": "http", "port": 80}, component="server"), "http"),
        (service("prometheus", {"port": 9090}), "9090"),
        (service("prometheus", {"name": "api", "port": 8080}), "api"),
        (service("prometheus", {"name": "api", "port": 8080}, {"port": 9090}), "9090"),
        (service("prometheus", {"name": "https-web", "port": 9091}), "https:https-web"),
        (service("prometheus", {"name": "web", "port": 443}), "https:web"),
        (service("prometheus", {"name": "web", "port": 9090, "appProtocol": "HTTPS"}), "https:web"),
    ],
)
def test_the_port_of_the_web_interface(found: Service, port: str | None) -> None:
    assert candidates([found]) == [(found, port or "http-web")]


@pytest.mark.parametrize(
    "found",
    [
        service("prometheus-alertmanager", {"name": "http", "port": 80}, component="alertmanager"),
        service("prometheus-node-exporter", WEB, app_kubernetes_io__component="metrics"),
        service("prometheus", WEB, type_="ExternalName"),
        service("prometheus", {"name": "grpc", "port": 1}, {"name": "metrics", "port": 2}),
        service("prometheus"),
    ],
)
def test_services_that_are_none(found: Service) -> None:
    assert candidates([found]) == []


def test_a_service_found_by_two_labels_is_asked_once() -> None:
    one, same, other = service("a", WEB), service("a", WEB), service("a", WEB, namespace="shop")
    assert candidates([one, same, other]) == [(one, "web"), (other, "web")]


@pytest.mark.parametrize(
    ("port", "segment"), [("web", "prometheus:web"), ("https:web", "https:prometheus:web"), ("9090", "prometheus:9090")]
)
def test_behind_a_service_the_api_server_is_asked(port: str, segment: str) -> None:
    script = Script([vector("3")])
    with faulty_server(script) as connection:
        server = behind_service(Transport(replace(connection, token="for-the-api-server")), service("prometheus"), port)
        assert [sample.value for sample in server.query(EXPRESSION).samples] == [3.0]
    (asked,) = script.asked
    assert asked.path == f"/api/v1/namespaces/monitoring/services/{segment}/proxy/api/v1/query"
    assert asked.headers["Authorization"] == "Bearer for-the-api-server"


@pytest.mark.parametrize("name", ["../../secrets", "a/b", "a?b=c", "a%2fb"])
def test_a_services_name_does_not_leave_its_place(name: str) -> None:
    script = Script([vector("3")])
    with faulty_server(script) as connection:
        behind_service(Transport(connection), service(name), "web").query(EXPRESSION)
    (asked,) = script.asked
    assert asked.path.count("/") == 10
    assert "?" not in asked.path


def service_list(*names: str) -> Reply:
    items = [
        {"metadata": {"name": name, "namespace": "monitoring"}, "spec": {"ports": [{"name": "web", "port": 9090}]}}
        for name in names
    ]
    return json_reply({"kind": "ServiceList", "apiVersion": "v1", "items": items})


@contextlib.contextmanager
def searching(services: Reply, **answers: Reply) -> Iterator[tuple[ServiceSearch, Script]]:
    """A cluster with these services, of which each answers as told."""

    def reply(path: str) -> Reply:
        if path == "/api/v1/services":
            return services
        return answers[path.split("/")[6].partition(":")[0]]

    script = Script(reply)
    with faulty_server(script) as connection:
        api = ApiServer(connection, sleep=lambda seconds: None)
        yield ServiceSearch(api, Transport(connection)), script


def test_the_first_service_with_cadvisors_metrics_is_asked() -> None:
    answers = {"broken": status(503, "ServiceUnavailable", "no endpoints"), "other": vector(), "right": vector("7")}
    with searching(service_list("broken", "other", "right", "unasked"), **answers) as (search, script):
        assert [search.query(EXPRESSION).samples[0].value for _ in range(2)] == [7.0, 7.0]
    asked = [asked.query.get("labelSelector") or asked.query["query"] for asked in script.asked]
    assert asked == [*prometheus.SELECTORS, *["count(container_memory_working_set_bytes)"] * 3, EXPRESSION, EXPRESSION]


@pytest.mark.parametrize(
    ("services", "answer", "said"),
    [
        (service_list(), vector(), "not served: no service is labelled as a Prometheus' usually is: give its URL"),
        (service_list("a", "b"), vector(), "not served: monitoring/a, monitoring/b: has no " + prometheus.PROBE),
        (
            service_list("a"),
            status(403, "Forbidden", "services/proxy is forbidden"),
            "forbidden: service monitoring/a: services/proxy is forbidden",
        ),
        (status(403, "Forbidden", "services is forbidden"), vector(), "forbidden: services is forbidden"),
        (Reply(b"<html>"), vector(), None),
    ],
)
def test_where_none_is_found_it_is_said_why_and_not_tried_again(
    services: Reply, answer: Reply, said: str | None
) -> None:
    with searching(services, a=answer, b=answer) as (search, script):
        reasons = set()
        for _ in range(2):
            with pytest.raises(Unreadable) as caught:
                search.query(EXPRESSION)
            reasons.add(caught.value.reason)
        queries = len(script.asked)
    (reason,) = reasons
    assert reason == said if said else reason.startswith("failed: error: ")
    assert queries <= len(prometheus.SELECTORS) + 2
