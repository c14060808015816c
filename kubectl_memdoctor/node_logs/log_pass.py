"""One pass over one log: its lines of interest to the readers, and how far it reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from kubectl_memdoctor.evidence.kernel_log import KernelLogReader
from kubectl_memdoctor.evidence.kubelet_log import KubeletLogReader
from kubectl_memdoctor.evidence.log_formats import JOURNAL_ENTRIES, Framing, shortened
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import LogSpan
from kubectl_memdoctor.evidence.runtime_log import RuntimeLogReader
from kubectl_memdoctor.node_logs.prefilter import Block, Hits, Sieve
from kubectl_memdoctor.node_logs.recognition import Recognised

TAIL_BYTES = 64 << 10
MOST_AT_THE_END = 200
"""Entries of the tail, in which a last time is looked for."""
BOOT = "Linux version "
"""How the kernel's first line begins."""
BYTES_FOR_TEXT = (b'"MESSAGE":[', b'"MESSAGE" : [')
"""journalctl's JSON writes so what does not print: no needle is to be seen in it."""
OUT_OF_ORDER = "its lines are not in the order of time"


class Readers:
    """Of one log, or of its rotated parts one after the other."""

    NEEDLES = (*KernelLogReader.NEEDLES, *KubeletLogReader.NEEDLES, *RuntimeLogReader.NEEDLES)

    def __init__(self, node: str) -> None:
        self.kernel = KernelLogReader(node)
        self.kubelet = KubeletLogReader(node)
        self.runtime = RuntimeLogReader(node)

    def read(self, line: LogLine) -> None:
        """Each of them leaves out what others wrote."""
        self.kernel.read(line)
        self.kubelet.read(line)
        self.runtime.read(line)

    def finish(self) -> None:
        self.kernel.finish()
        self.kubelet.finish()
        self.runtime.finish()


class _Entry(Struct, frozen=True):
    """Where it is in its block, and the number of its first line in the log."""

    start: int
    end: int
    number: int


class LogPass:
    """Takes a log's blocks in order; `finish` ends it."""

    def __init__(self, name: str, recognised: Recognised, readers: Readers) -> None:
        self.lines = 0
        self.bytes = 0
        self.host = ""
        self.writers: dict[Writer, None] = {}
        self.boot: datetime | None = None
        """When the node started, by the newest of the kernel's lines that have both time and uptime."""
        self._name = name
        self._of = recognised
        self._readers = readers
        self._recent: tuple[Block, ...] = ()
        self._reach = _Reach()
        for line in recognised.sample:
            self._note(line)
        self._sieve = Sieve(_needles(recognised, self._reach))
        self._kernel_is_named = recognised.names_programs
        self._place = self._lines_before = 0

    def read(self, block: Block) -> None:
        hits = self._sieve.hits(block)
        self._place, self._lines_before = 0, self.lines
        self._recent = (*self._recent[-1:], block)
        while (entry := self._next(block, hits)) is not None:
            self._take(block, entry)
        self.lines += hits.lines + block.left_out
        self.bytes += block.end

    def finish(self) -> None:
        """Does not finish the readers: a rotated log goes on in its next part."""
        *_, last = self._recent or (Block(b"", 0),)
        if last.end and not last.data.endswith(b"\n", 0, last.end):
            self.lines += 1
        for line in self._backwards(self._tail(last.end)):
            if line.writer is Writer.KERNEL and self.boot is None:
                self._note_boot(line)
            if self._reach.ends_with(line):
                break

    @property
    def first(self) -> datetime | None:
        return self._reach.first

    @property
    def last(self) -> datetime | None:
        return self._reach.last

    @property
    def zone_known(self) -> bool:
        return self._reach.zone_known

    def spans(self, node: str, gaps: Iterable[str]) -> Iterator[LogSpan]:
        """One for each writer that was seen; of a log without times of day one for each start of the node. `gaps` are
        of the kernel's part."""
        for writer in self.writers:
            if self._reach.first is not None:
                yield self._timed_span(writer, node, (*gaps,) if writer is Writer.KERNEL else ())
            elif writer is Writer.KERNEL:
                yield from self._boots(node, (*gaps,))

    def _timed_span(self, writer: Writer, node: str, gaps: tuple[str, ...]) -> LogSpan:
        reach = self._reach
        if reach.first and reach.last and reach.first > reach.last:
            gaps = (*gaps, OUT_OF_ORDER)
        return LogSpan(writer, self._name, node, reach.first, reach.last, reach.zone_known, gaps=gaps)

    def _boots(self, node: str, gaps: tuple[str, ...]) -> Iterator[LogSpan]:
        for first, last in self._reach.uptimes():
            yield LogSpan(
                Writer.KERNEL,
                self._name,
                node,
                first_uptime_seconds=first,
                last_uptime_seconds=last,
                gaps=gaps,
            )

    # Which entries are decoded

    def _next(self, block: Block, hits: Hits) -> _Entry | None:
        if self._place >= block.end:
            return None
        place = hits.after(self._place)
        mark = self._kernel_mark()
        if mark is not None:
            other = block.data.find(mark, self._place, block.end)
            place = other if other >= 0 and (place < 0 or other < place) else place
        if place < 0:
            return None
        start, end = _bounds(block, self._of.framing, self._place, place)
        return _Entry(start, end, self._lines_before + block.data.count(b"\n", self._place, start) + 1)

    def _kernel_mark(self) -> bytes | None:
        """What to look for besides needles: all of the kernel's lines (b"": every line) while a report is open and at a
        log's beginning, which may be in the middle of one; else one of them, until it is known that they are there."""
        if self._readers.kernel.is_open or self.lines == 0:
            return b"kernel" if self._kernel_is_named else b""
        if self._kernel_is_named and Writer.KERNEL not in self.writers:
            return _kernel_line(self._of)
        return None

    def _take(self, block: Block, entry: _Entry) -> None:
        self._place = entry.end
        self._lines_before = entry.number - 1 + block.data.count(b"\n", entry.start, entry.end)
        data = shortened(block.data[entry.start : entry.end])
        for line in self._of.decoder.lines(data, entry.number, self._of.framing):
            if line.writer is Writer.KERNEL:
                self._kernel_is_named = self._of.decoder.names_programs
                if line.text.startswith(BOOT) and entry.number > 1:
                    self._note_start(line, entry.start)
            self._note(line)
            self._readers.read(line)

    # What the log tells of itself

    def _note(self, line: LogLine) -> None:
        if line.writer not in (Writer.OTHER, Writer.UNKNOWN):
            self.writers.setdefault(line.writer)
        self.host = self.host or line.host
        self._reach.begins_with(line)
        if line.writer is Writer.KERNEL:
            self._note_boot(line)

    def _note_boot(self, line: LogLine) -> None:
        if line.uptime_seconds is not None and line.time is not None and line.zone_known:
            self.boot = line.time - timedelta(seconds=line.uptime_seconds)

    def _note_start(self, line: LogLine, place: int) -> None:
        """The node started anew: before it, another count of seconds ended."""
        if self._reach.first is None and line.uptime_seconds is not None:
            before = next((one for one in self._backwards(self._tail(place)) if one.uptime_seconds is not None), None)
            self._reach.starts_anew(before.uptime_seconds if before else None, line.uptime_seconds)

    def _tail(self, end: int) -> bytes:
        """What stands before `end` of the block at hand."""
        if not self._recent:
            return b""
        *before, last = self._recent
        data = b"".join(block.data[: block.end] for block in before) + last.data[:end]
        return data[-TAIL_BYTES:]

    def _backwards(self, data: bytes) -> Iterator[LogLine]:
        framing, end = self._of.framing, len(data)
        for _ in range(MOST_AT_THE_END):
            if end <= 0:
                return
            found = data.rfind(framing.separator, 0, end - framing.ours + len(framing.separator) - 1)
            start = found + framing.ours if found >= 0 else 0
            yield from reversed(self._of.decoder.lines(shortened(data[start:end]), 0, framing))
            end = start


def _kernel_line(recognised: Recognised) -> bytes:
    """What hardly any line has but the kernel's, in a log that names programs."""
    if recognised.framing is Framing.EXPORT:
        return b"=kernel\n"
    return b'"kernel"' if recognised.format == JOURNAL_ENTRIES else b"kernel: "


def _needles(recognised: Recognised, reach: _Reach) -> Iterator[bytes]:
    yield from Readers.NEEDLES
    if recognised.format == JOURNAL_ENTRIES and recognised.framing is not Framing.EXPORT:
        yield from BYTES_FOR_TEXT
    if reach.first is None:
        yield BOOT.encode()


def _bounds(block: Block, framing: Framing, least: int, place: int) -> tuple[int, int]:
    """Of the entry around `place`, which begins at `least` or behind it."""
    separator, ours = framing.separator, framing.ours
    before = block.data.rfind(separator, least, place + len(separator) - ours)
    behind = block.data.find(separator, max(least, place - ours + 1), block.end)
    return before + ours if before >= 0 else least, behind + ours if behind >= 0 else block.end


class _Reach:
    """From when to when. A log whose first line has no time of day is measured by the node's uptime instead."""

    def __init__(self) -> None:
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.zone_known = True
        self._uptimes: list[tuple[float, float | None]] = []

    def begins_with(self, line: LogLine) -> None:
        """The first line that tells anything counts."""
        if self.first is not None or self._uptimes:
            return
        if line.time is not None:
            self.first, self.zone_known = line.time, line.zone_known
        elif line.uptime_seconds is not None and line.writer is Writer.KERNEL:
            self._uptimes.append((line.uptime_seconds, None))

    def starts_anew(self, last: float | None, first: float) -> None:
        if self._uptimes:
            self._uptimes[-1] = (self._uptimes[-1][0], last)
        self._uptimes.append((first, None))

    def ends_with(self, line: LogLine) -> bool:
        """Whether the line can be compared with the first."""
        if self._uptimes:
            if line.uptime_seconds is not None:
                self._uptimes[-1] = (self._uptimes[-1][0], line.uptime_seconds)
            return line.uptime_seconds is not None
        if line.time is not None and line.zone_known is self.zone_known:
            self.last = line.time
        return self.last is not None

    def uptimes(self) -> Sequence[tuple[float, float | None]]:
        """Seconds, of each start of the node."""
        return self._uptimes
