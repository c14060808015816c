"""Instant queries to a Prometheus: at a URL of its own, or behind a service of the cluster, through the API server.

At its own URL it gets the token from the file that the user named for it, or none: never one that is meant for the API
server. Behind a service the API server keeps the user's credentials to itself. Whatever answers may be anything, so an
answer is read up to a size, decoded strictly, and its words are kept to one short line.
https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import os
import threading
import time
from collections.abc import Iterable, Iterator
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from kubectl_memdoctor.cluster.connection import Connection
from kubectl_memdoctor.cluster.prometheus_query import RESOURCE, Sample, Vector
from kubectl_memdoctor.cluster.source import AccessError, Source, Unreadable
from kubectl_memdoctor.cluster.status import one_line, read_status
from kubectl_memdoctor.cluster.transport import Answer, Transport
from kubectl_memdoctor.objects import ApiObject, ObjectMeta, Resource

MOST_BYTES = 1 << 20
"""Of one answer: some thousand samples."""
MOST_LETTERS = 200
"""Of what a server says is wrong."""
QUERY_SECONDS = 10.0

SELECTORS = ("operated-prometheus=true", "app.kubernetes.io/name=prometheus", "app=prometheus")
"""Labels of a Prometheus' services: those that the Prometheus operator makes, those of most manifests and charts, and
those of older ones."""
COMPONENTS = frozenset({"", "prometheus", "server"})
"""What else such a service may be labelled with; others are Alertmanager's, the exporters' ..."""
PORT_NAMES = ("web", "http-web", "http", "https")
PORT_NUMBER = 9090
MOST_CANDIDATES = 5
PROBE = "container_memory_working_set_bytes"
"""A Prometheus that has this of any container has it of all: not every one in a cluster scrapes kubelets."""


class ServicePort(ApiObject, frozen=True, gc=False):
    name: str = ""
    port: int = 0
    app_protocol: str = ""


class ServiceSpec(ApiObject, frozen=True, gc=False):
    type: str = ""
    ports: tuple[ServicePort, ...] = ()


class Service(ApiObject, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec = ServiceSpec()


SERVICES = Resource("services", "Service", "v1", True, Service)


class PrometheusServer:
    """A Prometheus at one address."""

    def __init__(self, transport: Transport, root: str, name: str) -> None:
        """`root` is the path before `/api/v1/query`, quoted; `name` is what the user may be told."""
        self._transport = transport
        self._target = f"{root}/api/v1/query"
        self._name = name

    def query(self, expression: str) -> Vector:
        """See Prometheus."""
        query = urlencode({"query": expression, "timeout": f"{QUERY_SECONDS:.0f}s"})
        deadline = time.monotonic() + QUERY_SECONDS
        try:
            answer = self._asked(f"{self._target}?{query}", deadline)
        except AccessError as error:
            late = time.monotonic() > deadline
            said = f"no whole answer within {QUERY_SECONDS:.0f}s" if late else _short(str(error))
            raise self._unreadable(f"failed: {said}") from None
        return self._read(answer)

    def _asked(self, target: str, deadline: float) -> Answer:
        """One byte too many tells that the body is larger than MOST_BYTES."""
        with contextlib.closing(self._transport.stream(target, deadline, {"Accept": "application/json"})) as stream:
            body = bytearray()
            for chunk in stream.chunks():
                body += chunk[: MOST_BYTES + 1 - len(body)]
                if len(body) > MOST_BYTES:
                    break
            return Answer(stream.status, stream.headers, bytes(body))

    def _read(self, answer: Answer) -> Vector:
        if len(answer.body) > MOST_BYTES:
            raise self._unreadable(f"failed: its answer is larger than {MOST_BYTES >> 20} MiB")
        try:
            body = _BODY_DECODER.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            body = _Body()
        if answer.status != 200 or body.status != "success":
            raise self._unreadable(_refusal(answer, body))
        series = body.data.result if body.data.result_type == "vector" else ()
        times = [entry.value[0] for entry in series if math.isfinite(entry.value[0])]
        return Vector(
            time=max(times, default=None),
            samples=tuple(_samples(series)),
            warnings=tuple(map(_short, body.warnings)),
        )

    def _unreadable(self, reason: str) -> Unreadable:
        line = f"error: {RESOURCE} ({self._name}): {reason}"
        kind, _, said = reason.partition(": ")
        return Unreadable(line, resource=RESOURCE, reason=f"{kind}: {self._name}: {said}")


class _Series(Struct, frozen=True):
    metric: dict[str, str] = {}
    value: tuple[float, str] = (math.nan, "")


class _Data(Struct, frozen=True):
    result_type: str = msgspec.field(default="", name="resultType")
    result: tuple[_Series, ...] = ()


class _Body(Struct, frozen=True):
    status: str = ""
    data: _Data = _Data()
    error: str = ""
    warnings: tuple[str, ...] = ()


_BODY_DECODER = msgspec.json.Decoder(_Body)
"""Built here, not by the threads that need it: msgspec does not build the same one in two threads at once."""


def _samples(series: Iterable[_Series]) -> Iterator[Sample]:
    """Without those that are not a number, or infinite: of nothing, 0/0 and more."""
    for entry in series:
        with contextlib.suppress(ValueError):
            value = float(entry.value[1])
            if math.isfinite(value):
                yield Sample(entry.metric, value)


def _refusal(answer: Answer, body: _Body) -> str:
    """In Prometheus' words, the API server's, or those of whatever stands before them."""
    status = read_status(answer)
    said = body.error or (status.message if status else "")
    if 300 <= answer.status < 400:
        return "failed: it redirects instead of answering: is the path of its address right?"
    if answer.status in (401, 403):
        return f"forbidden: {_short(said) or f'HTTP status {answer.status}'}"
    if answer.status == 404:
        return f"not served: {_short(said) or 'HTTP status 404'}"
    if answer.status == 200 and not said:
        return "failed: what it answers is not Prometheus'"
    return f"failed: {_short(said) or f'HTTP status {answer.status}'}"


def _short(text: str) -> str:
    line = one_line(text[: 4 * MOST_LETTERS])
    return line if len(line) <= MOST_LETTERS else f"{line[:MOST_LETTERS]}..."


class AddressError(ValueError):
    """No address of a Prometheus; the text says what one looks like, and holds nothing secret."""


def at_url(url: str, token_file: str = "") -> PrometheusServer:
    """The Prometheus at `url`; the bearer token is read from `token_file` as it changes. Raises AddressError."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise AddressError("must be a URL such as https://prometheus.example:9090") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressError("must be a URL such as https://prometheus.example:9090")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise AddressError("must be a URL without user, password, query and fragment")
    if token_file and parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise AddressError("must begin with https:// where a token is sent")
    if token_file and not os.access(token_file, os.R_OK):
        raise AddressError(f"needs a token, and {token_file} cannot be read")
    server = f"{parts.scheme}://{parts.netloc}"
    # Gzip saves little here, and hides how much comes.
    connection = Connection(server, namespace="", context="", token_file=token_file, disable_compression=True)
    return PrometheusServer(Transport(connection), quote(parts.path.rstrip("/"), safe="/%"), parts.netloc)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def behind_service(transport: Transport, service: Service, port: str) -> PrometheusServer:
    """The Prometheus behind a port (`web`, `https:9090`) of a service, through the API server that `transport`
    reaches."""
    scheme, _, name_of_port = port.rpartition(":")
    metadata = service.metadata
    segment = f"{scheme}:{metadata.name}:{name_of_port}" if scheme else f"{metadata.name}:{name_of_port}"
    root = f"/api/v1/namespaces/{quote(metadata.namespace, safe='')}/services/{quote(segment, safe=':')}/proxy"
    return PrometheusServer(transport, root, f"service {metadata.namespace}/{metadata.name}")


def candidates(services: Iterable[Service]) -> list[tuple[Service, str]]:
    """Services (each once) that may be a Prometheus', in the order in which they were found, and the port to ask."""
    found: dict[tuple[str, str], tuple[Service, str]] = {}
    for service in services:
        port = _port(service)
        if port and _may_be_prometheus(service):
            found.setdefault((service.metadata.namespace, service.metadata.name), (service, port))
    return list(found.values())


def _may_be_prometheus(service: Service) -> bool:
    labels = service.metadata.labels
    if service.spec.type == "ExternalName":
        # The API server forwards to pods only.
        return False
    return all(labels.get(name, "") in COMPONENTS for name in ("app.kubernetes.io/component", "component"))


def _port(service: Service) -> str:
    """As the API server's proxy takes it; empty where no port looks like the web interface."""
    ports = service.spec.ports
    chosen = next((port for name in PORT_NAMES for port in ports if port.name == name), None)
    chosen = chosen or next((port for port in ports if port.port == PORT_NUMBER), None)
    if chosen is None and len(ports) == 1:
        chosen = ports[0]
    if chosen is None:
        return ""
    secure = chosen.name.startswith("https") or chosen.app_protocol.lower() == "https" or chosen.port == 443
    return ("https:" if secure else "") + (chosen.name or str(chosen.port))


class ServiceSearch:
    """The cluster's own Prometheus: the first of its services that has what cAdvisor measures, found when it is first
    asked."""

    def __init__(self, source: Source, transport: Transport) -> None:
        """`transport` reaches the API server of `source`."""
        self._source = source
        self._transport = transport
        self._lock = threading.Lock()
        self._found: PrometheusServer | Unreadable | None = None

    def query(self, expression: str) -> Vector:
        """See Prometheus."""
        with self._lock:
            if self._found is None:
                self._found = self._search()
            found = self._found
        if isinstance(found, Unreadable):
            raise found
        return found.query(expression)

    def _search(self) -> PrometheusServer | Unreadable:
        try:
            services = [service for selector in SELECTORS for service in self._labelled(selector)]
        except Unreadable as unreadable:
            return _not_found(unreadable.reason)
        except AccessError as error:
            return _not_found(f"failed: {_short(str(error))}")
        possible = candidates(services)[:MOST_CANDIDATES]
        if not possible:
            return _not_found("not served: no service is labelled as a Prometheus' usually is: give its URL")
        refusals = []
        for service, port in possible:
            server = behind_service(self._transport, service, port)
            try:
                if server.query(f"count({PROBE})").samples:
                    return server
            except Unreadable as unreadable:
                refusals.append(unreadable)
        if len(refusals) == len(possible):
            return refusals[0]
        names = ", ".join(f"{service.metadata.namespace}/{service.metadata.name}" for service, _ in possible)
        return _not_found(f"not served: {_short(names)}: has no {PROBE}")

    def _labelled(self, selector: str) -> Iterator[Service]:
        for page in self._source.list(SERVICES, label_selector=selector):
            yield from page.items


def _not_found(reason: str) -> Unreadable:
    return Unreadable(f"error: {RESOURCE}: {reason}", resource=RESOURCE, reason=reason)
