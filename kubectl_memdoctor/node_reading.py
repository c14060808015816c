"""Asks nodes what their kubelets know of memory: counters, use, cgroup version, logs; many at once, and in time.

Nothing that comes is lost: what was read until the time was up, or until an answer broke off, is evidence like any
other, and a reason says what is missing.
"""

from __future__ import annotations

import contextlib
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from kubectl_memdoctor.cluster.source import AccessError, KubeletAnswer, Kubelets, Source, TimedOut, Unreadable
from kubectl_memdoctor.evidence.cadvisor import CadvisorReader
from kubectl_memdoctor.evidence.kubelet_metrics import KubeletMetricsReader
from kubectl_memdoctor.evidence.log_line import Writer
from kubectl_memdoctor.evidence.log_listing import GROWING, LogFile, log_files
from kubectl_memdoctor.evidence.metric_lines import metric_lines
from kubectl_memdoctor.evidence.node_evidence import NodeEvidence, merged, read_whole
from kubectl_memdoctor.evidence.stats_summary import read_summary
from kubectl_memdoctor.node_logs.reading import read_stream

Progress = Callable[[int, int | None], None]
"""Called with the nodes that are read, and how many are still to come."""

NODES_PROXY = "nodes/proxy"
"""Stands for all questions to a node; those below for one. Names of what could not be read."""
COUNTERS = f"{NODES_PROXY}/metrics/cadvisor"
SUMMARY = f"{NODES_PROXY}/stats/summary"
KUBELET_METRICS = f"{NODES_PROXY}/metrics"
LOG_FILES = f"{NODES_PROXY}/logs"
LOG_QUERY = f"{NODES_PROXY}/logs?query"

AT_ONCE = 8
"""Nodes, or questions to one node: as many as connections are kept open."""
NUMBER_SECONDS = 15.0
"""For numbers, where there are other nodes: one that is silent must not take their time."""
LOG_SECONDS = 35.0
"""For a log: a kubelet itself ends a query after 30 s.
https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/kubelet/kubelet_server_journal.go"""
GRACE_SECONDS = 0.2
"""After the deadline, to take in what came before it."""
MOST_SUMMARY_BYTES = 32 << 20
"""Some 1,500 bytes for each container."""
MOST_LISTING_BYTES = 1 << 20
NEWEST_BYTES = 1 << 20
"""Of a log, where there is little time."""
THOROUGH_BYTES = 64 << 20
"""Of a log, where there is time; nodes without number send it through one API server."""
NEWEST_LINES = "2000"
MOST_NAMED = 3
"""Nodes that a reason names."""

QUERIED = ("kubelet", "containerd", "crio", "docker")
"""systemd's units; a kubelet takes at most four."""
JOURNAL = "journal"
"""What its lines are said to be from."""
QUERY_PATTERN = "oom|memory|sandbox|oci runtime"
"""In small letters, which journalctl finds in capitals too: https://man7.org/linux/man-pages/man1/journalctl.1.html"""
QUERY_DAYS = timedelta(days=1)
"""How far back a query looks, where it is not said otherwise: events are gone after an hour."""
ZONE_MARGIN = timedelta(hours=12)
"""A kubelet drops the zone of sinceTime, and journalctl takes it as the node's own, which may be behind UTC."""
FILTERED = "only lines that match a pattern were asked for"
QUERY_OFF = "not served: node log query is off (feature gate NodeLogQuery, enableSystemLogQuery)"
_QUERY_COMPLAINTS = re.compile(
    rb"options present and query resolved|log not found for|error|failed to|journalctl: |compiled without",
    re.IGNORECASE,
)
"""How the first line begins where there is no journal, or none with these units, or no journalctl that can filter."""


def read_nodes(
    source: Source,
    names: Iterable[str],
    *,
    deadline_seconds: float,
    thorough: bool,
    since: datetime | None = None,
    progress: Progress = lambda nodes, remaining: None,
) -> tuple[NodeEvidence, Mapping[str, str]]:
    """What the nodes say, and the reasons for what is missing, by NODES_PROXY or the question's name.

    It takes no longer than `deadline_seconds`, whatever the server does. Not `thorough`: numbers, and the newest part
    of logs. `since`: the oldest time that matters, for the queries of a thorough reading.
    """
    wanted = tuple(dict.fromkeys(names))
    if source.kubelets is None:
        return NodeEvidence(), {NODES_PROXY: "not in the recording"}
    alone = len(wanted) == 1
    run = _Run(
        source=source,
        kubelets=source.kubelets,
        deadline=time.monotonic() + deadline_seconds,
        deadline_seconds=deadline_seconds,
        number_seconds=deadline_seconds if alone else NUMBER_SECONDS,
        thorough=thorough,
        since=since,
    )
    # Of many nodes each one's questions wait for each other: those to a silent node need not be asked.
    tasks = [[(node, question) for question in _QUESTIONS] for node in wanted]
    if alone or not thorough:
        tasks = [[each] for task in tasks for each in task]
    found = _Found(wanted, run.late())
    for outcome in _outcomes(run, tasks):
        if found.add(outcome):
            progress(found.nodes_read, len(wanted) - found.nodes_read)
    return merged(found.evidence), found.reasons()


class _Run(Struct, frozen=True):
    """What holds for all questions. `deadline` is a time.monotonic() moment."""

    source: Source
    kubelets: Kubelets
    deadline: float
    deadline_seconds: float
    number_seconds: float
    """For a question that is no log."""
    thorough: bool
    since: datetime | None

    def late(self, missing: str = "no answer") -> str:
        return f"timed out: {missing} within {self.deadline_seconds:g}s"


class _Outcome(Struct, frozen=True):
    """What one question to one node brought; `reason` says why it is not all, or nothing."""

    node: str
    question: str
    evidence: NodeEvidence
    reason: str = ""


class _Asking:
    """One question on its way to one node. `problems` fills while its answers are read."""

    def __init__(self, run: _Run, node: str) -> None:
        self.run = run
        self.node = node
        self.problems: list[Unreadable] = []

    @contextlib.contextmanager
    def answer(
        self, path: str, query: Mapping[str, str | list[str]] = {}, *, most_seconds: float, tail_bytes: int = 0
    ) -> Iterator[KubeletAnswer]:
        seconds = min(most_seconds, self.run.deadline - time.monotonic())
        if seconds <= 0:
            raise TimedOut(self.run.late(), resource=NODES_PROXY, reason=self.run.late())
        with self.run.kubelets.ask(self.node, path, query, seconds=seconds, tail_bytes=tail_bytes) as answer:
            yield answer

    def numbers(self, path: str) -> Iterator[bytes]:
        """Chunks of an answer that is no page. It ends where the answer breaks off, which is noted."""
        with self.noting(), self.answer(path, most_seconds=self.run.number_seconds) as answer:
            if answer.is_html:
                raise _unreadable("failed: it answers with HTML")
            yield from answer.chunks

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        try:
            yield
        except Unreadable as problem:
            self.problems.append(problem)
        except AccessError as error:
            self.problems.append(_unreadable(f"failed: {error}"))

    def read_log(self, chunks: Iterator[bytes], name: str, writer: Writer) -> NodeEvidence:
        """As far as it comes; that it breaks off is noted."""

        def noted() -> Iterator[bytes]:
            with self.noting():
                yield from chunks

        return read_stream(noted(), name, now=self.run.source.now(), node=self.node, writer=writer)


def _counters(asking: _Asking) -> NodeEvidence:
    reader = CadvisorReader(asking.node)
    for line in metric_lines(asking.numbers("metrics/cadvisor")):
        reader.read_line(line)
    return reader.evidence()


def _kubelet_metrics(asking: _Asking) -> NodeEvidence:
    reader = KubeletMetricsReader(asking.node)
    for line in metric_lines(asking.numbers("metrics")):
        reader.read_line(line)
    return reader.evidence()


def _summary(asking: _Asking) -> NodeEvidence:
    with asking.noting():
        data = _at_most(asking.numbers("stats/summary"), MOST_SUMMARY_BYTES)
        if not asking.problems:
            return _read_summary(data, asking.node)
    return NodeEvidence()


def _read_summary(data: bytes, node: str) -> NodeEvidence:
    try:
        return read_summary(data, node)
    except ValueError:
        raise _unreadable("failed: it answers with something else than a summary") from None


def _log_files(asking: _Asking) -> NodeEvidence:
    files: list[LogFile] = []
    with asking.noting():
        with asking.answer("logs/", most_seconds=asking.run.number_seconds) as answer:
            listed = log_files(_at_most(answer.chunks, MOST_LISTING_BYTES))
        files = [file for file in listed if asking.run.thorough or file.name in GROWING]
        if not files:
            raise _unreadable("not served: the node keeps no kern.log, messages or syslog in /var/log")
    return merged(_log_file(asking, file) for file in files)


def _log_file(asking: _Asking, file: LogFile) -> NodeEvidence:
    newest = THOROUGH_BYTES if asking.run.thorough else NEWEST_BYTES
    # The end of what is packed cannot be unpacked.
    tail_bytes = 0 if file.is_packed else newest
    with asking.noting(), asking.answer(f"logs/{file.name}", most_seconds=LOG_SECONDS, tail_bytes=tail_bytes) as answer:
        chunks = _from_first_whole_line(answer.chunks) if answer.is_tail else answer.chunks
        asked, noted = asking.run.source.now(), len(asking.problems)
        found = asking.read_log(chunks, file.name, file.writer)
        is_whole = file.name in GROWING and len(asking.problems) == noted
        return read_whole(found, asked) if is_whole else found
    return NodeEvidence()


def _log_query(asking: _Asking) -> NodeEvidence:
    with asking.noting(), asking.answer("logs/", _query(asking.run), most_seconds=LOG_SECONDS) as answer:
        if answer.is_html:
            raise _unreadable(QUERY_OFF)
        found = asking.read_log(_unless_complaint(answer.chunks), JOURNAL, Writer.UNKNOWN)
        gaps = (FILTERED,) if asking.run.thorough else ()
        return replace(found, spans=tuple(replace(span, gaps=(*span.gaps, *gaps)) for span in found.spans))
    return NodeEvidence()


def _query(run: _Run) -> Mapping[str, str | list[str]]:
    """https://kubernetes.io/docs/concepts/cluster-administration/system-logs/#log-query"""
    if not run.thorough:
        return {"query": "kubelet", "tailLines": NEWEST_LINES}
    return {"query": [*QUERIED], "pattern": QUERY_PATTERN, "sinceTime": _query_since(run)}


def _query_since(run: _Run) -> str:
    """RFC 3339."""
    since = run.since or run.source.now() - QUERY_DAYS
    return (since.astimezone(UTC) - ZONE_MARGIN).strftime("%Y-%m-%dT%H:%M:%SZ")


_QUESTIONS: Mapping[str, Callable[[_Asking], NodeEvidence]] = {
    KUBELET_METRICS: _kubelet_metrics,
    COUNTERS: _counters,
    SUMMARY: _summary,
    LOG_FILES: _log_files,
    LOG_QUERY: _log_query,
}
"""What costs a kubelet least comes first."""
_Task = Sequence[tuple[str, str]]
"""Nodes and questions, one after the other."""


def _outcomes(run: _Run, tasks: Iterable[_Task]) -> Iterator[_Outcome]:
    """As they come, in any order. In time it ends, whatever is still on its way."""
    waiting: queue.SimpleQueue[_Task] = queue.SimpleQueue()
    outcomes: queue.SimpleQueue[_Outcome | Exception] = queue.SimpleQueue()
    expected = 0
    for task in tasks:
        waiting.put(task)
        expected += len(task)
    for _ in range(min(AT_ONCE, waiting.qsize())):
        # The program does not wait for them when it ends.
        threading.Thread(target=_work, args=(run, waiting, outcomes), daemon=True).start()
    for _ in range(expected):
        try:
            outcome = outcomes.get(timeout=max(run.deadline + GRACE_SECONDS - time.monotonic(), 0))
        except queue.Empty:
            return
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome


def _work(run: _Run, waiting: queue.SimpleQueue[_Task], outcomes: queue.SimpleQueue[_Outcome | Exception]) -> None:
    try:
        while True:
            for outcome in _done(run, waiting.get_nowait()):
                outcomes.put(outcome)
    except queue.Empty:
        return
    except Exception as error:
        outcomes.put(error)


def _done(run: _Run, task: _Task) -> Iterator[_Outcome]:
    silent: _Outcome | None = None
    for node, question in task:
        if silent is not None:
            yield replace(silent, question=question)
            continue
        asking = _Asking(run, node)
        evidence = _QUESTIONS[question](asking)
        outcome = _Outcome(node, question, evidence, _reason(asking, evidence))
        yield outcome
        if not evidence and asking.problems and isinstance(asking.problems[0], TimedOut):
            silent = outcome


def _reason(asking: _Asking, evidence: NodeEvidence) -> str:
    if not asking.problems:
        return ""
    if isinstance(asking.problems[0], TimedOut) and time.monotonic() >= asking.run.deadline:
        return asking.run.late("no whole answer" if evidence else "no answer")
    return asking.problems[0].reason


class _Found:
    """What came so far, and what is missing of it."""

    def __init__(self, nodes: Sequence[str], late: str) -> None:
        """`late`: the reason for whatever does not come."""
        self.evidence: list[NodeEvidence] = []
        self.nodes_read = 0
        self._reasons: dict[str, dict[str, str]] = {node: dict.fromkeys(_QUESTIONS, late) for node in nodes}
        self._missing = dict.fromkeys(nodes, len(_QUESTIONS))

    def add(self, outcome: _Outcome) -> bool:
        """Whether it was the last of its node."""
        self.evidence.append(outcome.evidence)
        self._reasons[outcome.node][outcome.question] = outcome.reason
        self._missing[outcome.node] -= 1
        is_last = self._missing[outcome.node] == 0
        self.nodes_read += is_last
        return is_last

    def reasons(self) -> dict[str, str]:
        """By the question; where a node answers all of them alike, it is said once."""
        told: dict[str, dict[str, str]] = {}
        for node, reasons in self._reasons.items():
            alike = len(set(reasons.values())) == 1
            for question, reason in [(NODES_PROXY, reasons[COUNTERS])] if alike else reasons.items():
                if reason:
                    told.setdefault(question, {})[node] = reason
        return {question: _aggregated(reasons, len(self._reasons)) for question, reasons in sorted(told.items())}


def _aggregated(reasons: Mapping[str, str], nodes: int) -> str:
    """`reasons` by node. Those that begin alike are one, in the words of the first."""
    kinds: dict[str, list[str]] = {}
    for node, reason in reasons.items():
        kinds.setdefault(reason.partition(":")[0], []).append(node)
    return "; ".join(_said(kind, reasons[named[0]], named, nodes) for kind, named in kinds.items())


def _said(kind: str, reason: str, named: Sequence[str], nodes: int) -> str:
    # Who may not ask one node may ask none.
    if len(named) == nodes or kind == "forbidden":
        return reason
    more = ", ..." if len(named) > MOST_NAMED else ""
    where = f"on {len(named)} of {nodes} nodes ({', '.join(named[:MOST_NAMED])}{more})"
    return f"{kind} {where}{reason.removeprefix(kind)}"


def _at_most(chunks: Iterator[bytes], most_bytes: int) -> bytes:
    """Raises Unreadable where there is more."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > most_bytes:
            raise _unreadable(f"failed: it answers with more than {most_bytes >> 20} MiB")
    return bytes(data)


def _from_first_whole_line(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        _, end, rest = chunk.partition(b"\n")
        if end:
            yield rest
            break
    yield from chunks


def _unless_complaint(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Raises Unreadable where it is not a log that begins."""
    for chunk in chunks:
        begun = chunk.lstrip()
        if not begun:
            continue
        if _QUERY_COMPLAINTS.match(begun):
            words = begun.partition(b"\n")[0][:200].decode(errors="replace")
            raise _unreadable(f"not served: {words}")
        yield chunk
        break
    yield from chunks


def _unreadable(reason: str) -> Unreadable:
    return Unreadable(reason, resource=NODES_PROXY, reason=reason)
