"""What is asked of which node, what becomes of the answers, and how it is said that some are missing."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from access.faulty_server import Reply, Script, faulty_server
from command_line.memory_source import MemorySource

from kubectl_memdoctor import node_reading
from kubectl_memdoctor.cluster.api import ApiServer
from kubectl_memdoctor.cluster.source import KubeletAnswer, Kubelets, TimedOut, Unreadable
from kubectl_memdoctor.evidence.log_line import Writer
from kubectl_memdoctor.evidence.node_evidence import LogSpan, NodeEvidence
from kubectl_memdoctor.node_reading import AT_ONCE, FILTERED, NEWEST_BYTES, QUERY_OFF, THOROUGH_BYTES, read_nodes

LONG_SECONDS = 60.0
SHORT_SECONDS = 0.3
UID = "0b5c1b9e-7a54-4b43-9a0e-3f1c2d4e5f60"
LABELS = f'{{container="app",id="/kubepods/pod{UID}/{"c" * 64}",image="",name="",namespace="shop",pod="web-1"}}'
COUNTERS = f"container_memory_failcnt{LABELS} 7 1\ncontainer_oom_events_total{LABELS} 2 1\n".encode()
SUMMARY = json.dumps({"pods": [{"podRef": {"name": "web-1"}, "memory": {"workingSetBytes": 5}}]}).encode()
METRICS = b"kubelet_cgroup_version 2\n"
FILES = ("kern.log", "kern.log.1", "kern.log.2.gz", "syslog", "dmesg", "wtmp", "pods/")
LISTING = b"<pre>\n" + b"".join(f'<a href="{name}">{name}</a>\n'.encode() for name in FILES) + b"</pre>\n"
PACKED = gzip.compress(b"[ 0.1] one\n[ 0.2] two\n")
ALL = ("metrics/cadvisor", "stats/summary", "metrics", "logs/", "logs/?")

Content = bytes | Unreadable | Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Asked:
    node: str
    path: str
    query: Mapping[str, str | list[str]]
    tail_bytes: int


@dataclass
class Node:
    """What a kubelet answers, by path; `logs/?` is the log query. An error that comes last breaks off the answer."""

    answers: dict[str, list[Content]] = field(
        default_factory=lambda: {
            "metrics/cadvisor": [COUNTERS],
            "stats/summary": [SUMMARY],
            "metrics": [METRICS],
            "logs/": [LISTING],
            "logs/?": [b"Nov 28 kubelet\n"],
            **{f"logs/{name}": [b"old\nnew\n"] for name in FILES},
            "logs/kern.log.2.gz": [PACKED],
        }
    )
    html: set[str] = field(default_factory=lambda: {"logs/"})
    is_tail: bool = False

    def refusing(self, error: Unreadable, *paths: str) -> Node:
        return replace(self, answers={**self.answers, **{path: [error] for path in paths or ALL}})

    def answering(self, path: str, *content: Content) -> Node:
        return replace(self, answers={**self.answers, path: list(content)})


class FakeKubelets:
    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        self.asked: list[Asked] = []

    @contextlib.contextmanager
    def ask(
        self, node: str, path: str, query: Mapping[str, str | list[str]] = {}, *, seconds: float, tail_bytes: int = 0
    ) -> Iterator[KubeletAnswer]:
        self.asked.append(Asked(node, path, query, tail_bytes))
        known = self.nodes[node]
        place = f"{path}?" if query else path
        chunks = self._chunks(known.answers[place])
        first = next(chunks, b"")
        yield KubeletAnswer(
            _after(first, chunks), is_html=place in known.html, is_tail=known.is_tail and tail_bytes > 0
        )

    def _chunks(self, content: list[Content]) -> Iterator[bytes]:
        for part in content:
            if isinstance(part, Unreadable):
                raise part
            yield part() if callable(part) else part

    def paths(self, node: str = "a") -> list[str]:
        return [asked.path + "?" * bool(asked.query) for asked in self.asked if asked.node == node]


def _after(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from chunks


class NodeSource(MemorySource):
    def __init__(self, kubelets: Kubelets) -> None:
        super().__init__([])
        self._kubelets = kubelets

    @property
    def kubelets(self) -> Kubelets:  # type: ignore[override]
        return self._kubelets


@dataclass
class Told:
    evidence: NodeEvidence
    reasons: Mapping[str, str]
    kubelets: FakeKubelets


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What the reader of logs was given, by the log's name; it makes a span of each."""
    given: dict[str, bytes] = {}

    def read(chunks: Iterator[bytes], name: str, *, now: datetime, node: str, writer: Writer) -> NodeEvidence:
        assert now.tzinfo is not None
        given[name] = b"".join(chunks)
        return NodeEvidence(spans=(LogSpan(writer, name, node),)) if given[name] else NodeEvidence()

    monkeypatch.setattr(node_reading, "read_stream", read)
    return given


pytestmark = pytest.mark.usefixtures("logs")


def told(nodes: Mapping[str, Node], *, thorough: bool = True, seconds: float = LONG_SECONDS, **more: datetime) -> Told:
    kubelets = FakeKubelets(nodes)
    found, reasons = read_nodes(
        NodeSource(kubelets), nodes, deadline_seconds=seconds, thorough=thorough, since=more.get("since")
    )
    return Told(found, reasons, kubelets)


def unreadable(reason: str) -> Unreadable:
    kind = TimedOut if reason.startswith("timed out") else Unreadable
    return kind(reason, resource="nodes/proxy", reason=reason)


def test_all_that_a_node_says() -> None:
    found = told({"a": Node()})
    assert found.reasons == {}
    (counters,) = found.evidence.counters
    assert (counters.pod, counters.oom_events, counters.node) == ("web-1", 2, "a")
    assert [(usage.working_set_bytes, usage.node) for usage in found.evidence.usages] == [(5, "a")]
    assert found.evidence.cgroup_versions == {"a": 2}
    assert {(span.file, span.writer, span.node) for span in found.evidence.spans} == {
        ("kern.log", Writer.KERNEL, "a"),
        ("kern.log.1", Writer.KERNEL, "a"),
        ("kern.log.2.gz", Writer.KERNEL, "a"),
        ("dmesg", Writer.KERNEL, "a"),
        ("syslog", Writer.UNKNOWN, "a"),
        ("journal", Writer.UNKNOWN, "a"),
    }


def test_a_thorough_reading_asks_for_whole_logs_and_one_query() -> None:
    asked = told({"a": Node()}, since=datetime(2026, 11, 28, 8, tzinfo=UTC)).kubelets.asked
    assert {each.path: each.tail_bytes for each in asked if each.path.startswith("logs/k")} == {
        "logs/kern.log": THOROUGH_BYTES,
        "logs/kern.log.1": THOROUGH_BYTES,
        "logs/kern.log.2.gz": 0,
    }
    (query,) = (each.query for each in asked if each.query)
    assert query["query"] == ["kubelet", "containerd", "crio", "docker"]
    assert query["sinceTime"] == "2026-11-27T20:00:00Z"
    assert "oom" in query["pattern"]


def test_a_quick_reading_asks_for_the_newest_of_few_logs() -> None:
    asked = told({"a": Node()}, thorough=False).kubelets.asked
    assert {each.path: each.tail_bytes for each in asked if each.path.startswith("logs/") and each.path != "logs/"} == {
        "logs/kern.log": NEWEST_BYTES,
        "logs/syslog": NEWEST_BYTES,
    }
    (query,) = (each.query for each in asked if each.query)
    assert query == {"query": "kubelet", "tailLines": "2000"}


def test_only_what_is_asked_whole_can_be_whole() -> None:
    spans = {thorough: told({"a": Node()}, thorough=thorough).evidence.spans for thorough in (True, False)}
    gaps = {thorough: {span.file: span.gaps for span in found} for thorough, found in spans.items()}
    assert gaps[True]["journal"] == (FILTERED,)
    assert gaps[True]["kern.log"] == gaps[False]["journal"] == ()


def test_the_end_of_a_log_begins_with_a_whole_line(logs: dict[str, bytes]) -> None:
    node = replace(Node(), is_tail=True).answering("logs/kern.log", b"half a ", b"line\nwh", b"ole\n")
    told({"a": node})
    assert logs["kern.log"] == b"whole\n"
    assert logs["syslog"] == b"new\n"
    assert logs["kern.log.2.gz"] == PACKED


def test_a_log_without_a_line(logs: dict[str, bytes]) -> None:
    told({"a": replace(Node(), is_tail=True).answering("logs/kern.log", b"no end", b" at all")})
    assert logs["kern.log"] == b""


FORBIDDEN = 'forbidden: nodes "a" is forbidden: User "jane" cannot get resource "nodes/proxy"'


def test_who_may_not_ask_is_told_once() -> None:
    nodes = {name: Node().refusing(unreadable(FORBIDDEN.replace('"a"', f'"{name}"'))) for name in "abcdefghij"}
    found = told(nodes)
    assert not found.evidence
    assert found.reasons == {"nodes/proxy": FORBIDDEN}


def test_some_nodes_of_many() -> None:
    down = Node().refusing(unreadable("failed: dial tcp: connection refused"))
    silent = Node().refusing(unreadable("timed out: no answer within 10s"))
    nodes = {**{f"n{number}": Node() for number in range(6)}, "x": down, **dict.fromkeys("pqrs", silent), "y": down}
    found = told(nodes)
    assert found.reasons == {
        "nodes/proxy": "failed on 2 of 12 nodes (x, y): dial tcp: connection refused;"
        " timed out on 4 of 12 nodes (p, q, r, ...): no answer within 10s"
    }
    assert {counters.node for counters in found.evidence.counters} == {f"n{number}" for number in range(6)}


def test_one_question_of_all() -> None:
    nodes = {"a": Node(), "b": Node().refusing(unreadable("not served: 404 page not found"), "metrics/cadvisor")}
    assert told(nodes).reasons == {"nodes/proxy/metrics/cadvisor": "not served on 1 of 2 nodes (b): 404 page not found"}


def test_a_silent_node_among_others_is_asked_once() -> None:
    silent = Node().refusing(unreadable("timed out: no answer within 10s"))
    found = told({"a": silent, "b": silent})
    assert set(found.kubelets.paths()) == {"metrics"}


def test_a_node_alone_is_asked_everything_though_its_numbers_do_not_come() -> None:
    node = Node().refusing(unreadable("timed out: no answer within 10s"), "metrics/cadvisor")
    found = told({"a": node})
    assert {"logs/?", "logs/syslog", "stats/summary"} <= set(found.kubelets.paths())
    assert found.reasons == {"nodes/proxy/metrics/cadvisor": "timed out: no answer within 10s"}


def test_a_node_that_answers_late_is_asked_on() -> None:
    node = Node().answering("metrics/cadvisor", COUNTERS, unreadable("timed out: no whole answer within 10s"))
    found = told({"a": node})
    assert found.reasons == {"nodes/proxy/metrics/cadvisor": "timed out: no whole answer within 10s"}
    assert "stats/summary" in found.kubelets.paths()


@pytest.mark.parametrize("thorough", [True, False])
def test_what_came_before_an_answer_broke_off_is_kept(thorough: bool, logs: dict[str, bytes]) -> None:
    cut = unreadable("failed: EOF")
    node = Node().answering("metrics/cadvisor", COUNTERS, b"container_oom_events_total{", cut)
    node = node.answering("logs/syslog", b"one\n", cut).answering("logs/?", b"Nov 28\n", cut)
    node = node.answering("stats/summary", SUMMARY, cut)
    found = told({"a": node}, thorough=thorough)
    assert [counters.oom_events for counters in found.evidence.counters] == [2]
    assert (logs["syslog"], logs["journal"]) == (b"one\n", b"Nov 28\n")
    assert found.evidence.usages == ()
    asked = ("logs", "logs?query", "metrics/cadvisor", "stats/summary")
    assert found.reasons == {f"nodes/proxy/{name}": "failed: EOF" for name in asked}


def test_a_log_that_may_not_be_read_costs_no_other(logs: dict[str, bytes]) -> None:
    found = told({"a": Node().refusing(unreadable("not served: 404 page not found"), "logs/kern.log")})
    assert found.reasons == {"nodes/proxy/logs": "not served: 404 page not found"}
    assert logs["syslog"] == b"old\nnew\n"


def test_log_query_that_is_off_answers_with_a_listing(logs: dict[str, bytes]) -> None:
    node = Node().answering("logs/?", LISTING)
    found = told({"a": replace(node, html={"logs/", "logs/?"})})
    assert found.reasons == {"nodes/proxy/logs?query": QUERY_OFF}
    assert "journal" not in logs


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            b"\noptions present and query resolved to log files for [kubelet]\ntry without specifying options\n",
            "not served: options present and query resolved to log files for [kubelet]",
        ),
        (b"\nlog not found for kubelet\n", "not served: log not found for kubelet"),
        (b"\nerror: journal output not available\n", "not served: error: journal output not available"),
        (b"Compiled without pattern matching support\n", "not served: Compiled without pattern matching support"),
        (b"journalctl: unrecognized option '--grep'\n", "not served: journalctl: unrecognized option '--grep'"),
    ],
)
def test_a_journal_that_cannot_be_asked(said: bytes, reason: str, logs: dict[str, bytes]) -> None:
    for chunks in ([said], [b"\n", said.lstrip()]):
        assert told({"a": Node().answering("logs/?", *chunks)}).reasons == {"nodes/proxy/logs?query": reason}
        assert logs["journal"] == b""


def test_a_journal_with_nothing_in_it() -> None:
    assert told({"a": Node().answering("logs/?", b"-- No entries --\n")}).reasons == {}


@pytest.mark.parametrize(
    ("path", "content", "question", "reason"),
    [
        ("stats/summary", b"[]x", "stats/summary", "failed: it answers with something else than a summary"),
        ("stats/summary", b"x" * (33 << 20), "stats/summary", "failed: it answers with more than 32 MiB"),
        ("logs/", b"x" * (2 << 20), "logs", "failed: it answers with more than 1 MiB"),
        ("logs/", b"<pre>\n</pre>\n", "logs", "not served: the node keeps no kern.log, messages or syslog in /var/log"),
    ],
)
def test_answers_of_no_use(path: str, content: bytes, question: str, reason: str) -> None:
    found = told({"a": Node().answering(path, content)})
    assert found.reasons == {f"nodes/proxy/{question}": reason}
    assert found.evidence.counters


@pytest.mark.parametrize("path", ["metrics/cadvisor", "stats/summary", "metrics"])
def test_a_page_is_no_number(path: str) -> None:
    found = told({"a": replace(Node(), html={"logs/", path})})
    assert found.reasons == {f"nodes/proxy/{path}": "failed: it answers with HTML"}


@pytest.mark.parametrize("thorough", [True, False])
def test_it_ends_in_time_though_nobody_answers(thorough: bool) -> None:
    """Not even the thread that asks comes back."""
    released = threading.Event()

    def hang() -> bytes:
        released.wait(LONG_SECONDS)
        return b""

    hanging = replace(Node(), answers={path: [hang] for path in Node().answers})
    nodes = {"a": Node(), **{f"h{number}": hanging for number in range(AT_ONCE)}}
    try:
        found = told(nodes, thorough=thorough, seconds=1.0)
    finally:
        released.set()
    where = f"timed out on {AT_ONCE} of {AT_ONCE + 1} nodes (h0, h1, h2, ...): no answer within 1s"
    assert found.reasons["nodes/proxy"] == where


def test_what_comes_after_the_time_is_not_asked_for() -> None:
    found = told({"a": Node()}, seconds=0)
    assert found.kubelets.asked == []
    assert found.reasons == {"nodes/proxy": "timed out: no answer within 0s"}


def test_progress_counts_nodes() -> None:
    seen: list[tuple[int, int | None]] = []
    source = NodeSource(FakeKubelets({name: Node() for name in "abc"}))
    read_nodes(source, "abca", deadline_seconds=LONG_SECONDS, thorough=True, progress=lambda *count: seen.append(count))
    assert seen == [(1, 2), (2, 1), (3, 0)]


def test_no_nodes() -> None:
    assert told({}).reasons == {}


def test_a_recording_has_none() -> None:
    evidence, reasons = read_nodes(MemorySource([]), ["a"], deadline_seconds=LONG_SECONDS, thorough=True)
    assert (evidence, reasons) == (NodeEvidence(), {"nodes/proxy": "not in the recording"})


def test_a_mistake_of_our_own_is_not_taken_for_an_answer() -> None:
    with pytest.raises(KeyError):
        told({"a": replace(Node(), answers={})})


def over_the_wire(reply: Reply, seconds: float) -> tuple[NodeEvidence, Mapping[str, str]]:
    with faulty_server(Script([reply])) as connection:
        return read_nodes(ApiServer(connection), ["a", "b"], deadline_seconds=seconds, thorough=False)


def test_over_the_wire() -> None:
    found, reasons = over_the_wire(Reply(COUNTERS, headers=(("Content-Type", "text/plain"),)).gzipped(), LONG_SECONDS)
    assert [(each.node, each.oom_events) for each in found.counters] in ([("a", 2), ("b", 2)], [("b", 2), ("a", 2)])
    assert reasons["nodes/proxy/stats/summary"] == "failed: it answers with something else than a summary"


@pytest.mark.parametrize("drip_seconds", [0.01, 1000.0])
def test_a_server_that_drips_is_left(drip_seconds: float) -> None:
    reply = Reply(COUNTERS * 100, headers=(("Content-Type", "text/plain"),), drip_seconds=drip_seconds)
    _, reasons = over_the_wire(reply, SHORT_SECONDS)
    assert all(reason.startswith("timed out: no ") for reason in reasons.values())
    assert reasons
