"""Logs, listings and counters of nodes -> NodeEvidence, in one pass and in memory that does not grow with a log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import zip_longest

from msgspec import Struct
from msgspec.structs import replace

from kubectl_memdoctor.evidence.cadvisor import CadvisorReader
from kubectl_memdoctor.evidence.container_listing import SANDBOX, ListedContainer, listed_ids, read_listing
from kubectl_memdoctor.evidence.kubelet_metrics import KubeletMetricsReader
from kubectl_memdoctor.evidence.log_line import Writer
from kubectl_memdoctor.evidence.metric_lines import metric_lines
from kubectl_memdoctor.evidence.node_evidence import AllocationFailures, LogSpan, NodeEvidence, merged
from kubectl_memdoctor.evidence.pod_join import ID_LETTERS
from kubectl_memdoctor.evidence.stats_summary import read_summary
from kubectl_memdoctor.node_logs.files import LogSource, NotRead
from kubectl_memdoctor.node_logs.log_pass import LogPass, Readers
from kubectl_memdoctor.node_logs.prefilter import blocks
from kubectl_memdoctor.node_logs.recognition import HEAD_BYTES, Kind, Recognised, recognise
from kubectl_memdoctor.node_logs.unpacking import BrokenOffError, peeked, plain

MOST_DOCUMENT_BYTES = 128 << 20
"""A list of a hundred thousand sandboxes takes some 40 MB."""

_USELESS = {
    Kind.EMPTY: "is empty",
    Kind.BINARY: "is not a text file",
    Kind.JOURNAL: "is a journal in systemd's own form: give what `journalctl --file=... -o export` prints of it",
    Kind.ARCHIVE: "is an archive: unpack it and give its folder",
}


class FileRead(Struct, frozen=True):
    """What one file was. `lines` and `size_bytes` are of its text, unpacked; times as in LogSpan."""

    name: str
    format: str
    writers: tuple[Writer, ...] = ()
    lines: int = 0
    size_bytes: int = 0
    node: str = ""
    first: datetime | None = None
    last: datetime | None = None
    zone_known: bool = True


class NodeLogs(Struct, frozen=True):
    """`problems`: a line for each file, or part of one, that could not be read. `passed_over`: how many files of the
    folders are no logs of nodes."""

    evidence: NodeEvidence
    problems: tuple[str, ...] = ()
    files: tuple[FileRead, ...] = ()
    passed_over: int = 0


def read_node_logs(sources: Iterable[LogSource | NotRead], *, now: datetime, node: str = "") -> NodeLogs:
    """`now` (aware) settles years that logs leave out; `node` is whose the logs are that do not say it themselves."""
    reading = _Reading(now, node)
    for source in sources:
        if isinstance(source, NotRead):
            reading.leave_out(source)
        else:
            reading.read(source)
    return reading.finished()


def read_stream(
    chunks: Iterable[bytes], name: str, *, now: datetime, node: str = "", writer: Writer = Writer.UNKNOWN
) -> NodeEvidence:
    """One log, as it comes from a node; `writer` is whose it is where its lines do not say. Raises what `chunks`
    raises."""
    reading = _Reading(now, node)
    reading.read(LogSource(name, lambda: iter(chunks)), writer)
    return reading.finished().evidence


class _Log(Struct, frozen=True):
    """One log, in one part or several: rotated ones go on where the one before them ended."""

    series: str
    node: str
    readers: Readers
    parts: list[LogPass]
    gaps: list[str]

    @property
    def host(self) -> str:
        return self.node or next((part.host for part in self.parts if part.host), "")

    def evidence(self, listed: Mapping[str, ListedContainer]) -> NodeEvidence:
        """`listed`: whose the containers are that docker, or a cgroup, calls by their ids."""
        readers = self.readers
        boots = [part.boot for part in self.parts if part.boot]
        own = NodeEvidence(
            kills=readers.kernel.kills,
            allocation_failures=tuple(_of_sandbox(entry, listed) for entry in readers.kernel.allocation_failures),
            spans=tuple(self._spans()),
            boots={self.host: boots[-1]} if boots and self.host else {},
        )
        return merged((own, readers.kubelet.evidence(), readers.runtime.evidence(listed)))

    def _spans(self) -> Iterator[LogSpan]:
        """A part reaches to the beginning of the next one: what would have come in between had been in one of them."""
        gaps = (*self.readers.kernel.gaps, *self.gaps)
        for part, follower in zip_longest(self.parts, self.parts[1:]):
            for span in part.spans(self.host, gaps):
                yield replace(span, last=_later(span.last, follower.first)) if follower else span


def _of_sandbox(entry: AllocationFailures, listed: Mapping[str, ListedContainer]) -> AllocationFailures:
    """With its pod, where it is in a sandbox that is listed."""
    owner = listed.get(entry.cgroup.container_id[:ID_LETTERS])
    if owner is None or owner.container not in ("", SANDBOX):
        return entry
    return replace(entry, owner_uid=owner.pod_uid)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one


class _Reading:
    def __init__(self, now: datetime, node: str) -> None:
        self._now = now
        self._node = node
        self._logs: list[_Log] = []
        self._listed: dict[str, ListedContainer] = {}
        self._found: list[NodeEvidence] = []
        self._files: list[FileRead] = []
        self._problems: list[str] = []
        self._passed_over = 0

    def leave_out(self, source: NotRead) -> None:
        self._passed_over += source.passed_over
        if source.problem:
            self._problems.append(source.problem)

    def read(self, source: LogSource, writer: Writer = Writer.UNKNOWN) -> None:
        broken: list[str] = []
        now = min(self._now, source.changed) if source.changed else self._now
        head, chunks = peeked(_until_broken(source, broken), HEAD_BYTES)
        recognised = recognise(head, source.name, now=now, writer=writer)
        if recognised.kind in (Kind.LOG, Kind.TEXT):
            self._read_log(source, recognised, chunks, broken)
        elif recognised.kind is Kind.METRICS:
            self._read_metrics(source, chunks)
        elif recognised.kind is Kind.DOCUMENT:
            self._read_document(source, chunks)
        elif not broken:
            self._problems.append(f"{source.name}: {_USELESS[recognised.kind]}")
        self._problems += [f"{source.name}: {reason}" for reason in broken]

    def finished(self) -> NodeLogs:
        listed = dict(self._listed)
        for log in self._logs:
            log.readers.finish()
            listed |= log.readers.kubelet.died()
        evidence = merged((*self._found, *(log.evidence(listed) for log in self._logs)))
        return NodeLogs(evidence, tuple(self._problems), tuple(self._files), self._passed_over)

    def _read_log(self, source: LogSource, recognised: Recognised, chunks: Iterator[bytes], broken: list[str]) -> None:
        log = self._log(source)
        part = LogPass(source.name, recognised, log.readers)
        for block in blocks(chunks, recognised.framing):
            part.read(block)
        part.finish()
        log.parts.append(part)
        log.gaps.extend(f"{source.name} ends too early: {reason}" for reason in broken)
        if recognised.kind is Kind.TEXT and not part.writers:
            self._problems.append(f"{source.name}: none of its lines is in a format that is known")
        self._files.append(
            FileRead(
                source.name,
                recognised.format or "plain text",
                tuple(part.writers),
                part.lines,
                part.bytes,
                log.host,
                part.first,
                part.last,
                part.zone_known,
            )
        )

    def _log(self, source: LogSource) -> _Log:
        if not self._logs or not source.series or source.series != self._logs[-1].series:
            node = source.node or self._node
            self._logs.append(_Log(source.series, node, Readers(node), [], []))
        return self._logs[-1]

    def _read_metrics(self, source: LogSource, chunks: Iterator[bytes]) -> None:
        node = source.node or self._node
        counters, kubelet = CadvisorReader(node), KubeletMetricsReader(node)
        lines = size = 0

        def counted() -> Iterator[bytes]:
            nonlocal lines, size
            for chunk in chunks:
                lines, size = lines + chunk.count(b"\n"), size + len(chunk)
                yield chunk
            yield b"\n"

        for line in metric_lines(counted()):
            counters.read_line(line)
            kubelet.read_line(line)
        self._found += [counters.evidence(), kubelet.evidence()]
        self._files.append(FileRead(source.name, "metrics", (), lines, size, node))

    def _read_document(self, source: LogSource, chunks: Iterator[bytes]) -> None:
        node = source.node or self._node
        data = bytearray()
        for chunk in chunks:
            data += chunk
            if len(data) > MOST_DOCUMENT_BYTES:
                self._problems.append(f"{source.name}: has more than {MOST_DOCUMENT_BYTES >> 20} MiB")
                return
        read = _read_document(bytes(data), source.name, node)
        if read is None:
            self._problems.append(f"{source.name}: is neither a log nor a list of sandboxes")
            return
        name, evidence, listed = read
        self._found.append(evidence)
        self._listed |= listed
        self._files.append(FileRead(source.name, name, (), data.count(b"\n"), len(data), node))


def _read_document(data: bytes, name: str, node: str) -> tuple[str, NodeEvidence, Mapping[str, ListedContainer]] | None:
    """What it is, what it says, and whose the containers are in it."""
    if b'"podRef"' in data:
        try:
            return "a kubelet's summary", read_summary(data, node), {}
        except ValueError:
            return None
    text = data.decode("utf-8", "replace")
    listings = read_listing(text, name, node)
    return None if listings is None else ("list of sandboxes", NodeEvidence(listings=listings), listed_ids(text))


def _until_broken(source: LogSource, broken: list[str]) -> Iterator[bytes]:
    """All that could be had; why there is no more is added to `broken`."""
    try:
        yield from plain(source.open())
    except BrokenOffError as error:
        broken.append(str(error))
