"""What a debug pod printed, as evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from tempfile import SpooledTemporaryFile

from msgspec import Struct, field
from msgspec.structs import replace

from kubectl_memdoctor.debugging.script import Section, sections
from kubectl_memdoctor.debugging.session import PodRun
from kubectl_memdoctor.evidence.container_listing import read_listing
from kubectl_memdoctor.evidence.log_line import Writer
from kubectl_memdoctor.evidence.node_evidence import NodeEvidence, SandboxListing, merged, read_whole
from kubectl_memdoctor.node_logs.reading import read_stream
from kubectl_memdoctor.temporary.container_states import short

CHUNK_BYTES = 1 << 18
SHORT_BYTES = 4096
"""Of a section that is a line or three."""
MOST_LISTING_BYTES = 32 << 20
"""Of the list of sandboxes, of which crictl's JSON takes some 1,500 bytes each."""
MISSED = "journald lost messages of the kernel"


class NodeReading(Struct, frozen=True):
    """What one node's pod told; `reasons` are for what it did not."""

    evidence: NodeEvidence = field(default_factory=NodeEvidence)
    reasons: tuple[str, ...] = ()


def read_run(run: PodRun, now: datetime) -> NodeReading:
    """`now` is the server's time."""
    if run.output is None:
        return NodeReading(reasons=(run.reason,))
    found = [*sections(run.output, run.pod.serial)]
    if not found:
        return NodeReading(reasons=(_foreign(run.output),))
    printed = _Printed(run, run.output, found, now)
    listings = printed.listings()
    evidence = merged([*printed.kernel(), NodeEvidence(listings=listings or ()), *printed.boots()])
    return NodeReading(evidence, tuple(printed.reasons(is_listed=listings is not None)))


def _foreign(output: SpooledTemporaryFile[bytes]) -> str:
    output.seek(0)
    words = short(output.read(SHORT_BYTES).decode(errors="replace"))
    return f"the pod did not print what it was to print: {words}"


class _Printed(Struct, frozen=True):
    run: PodRun
    output: SpooledTemporaryFile[bytes]
    sections: Sequence[Section]
    now: datetime

    def kernel(self) -> Iterator[NodeEvidence]:
        for section in self._of("kernel"):
            name, node = f"{section.source} (debug pod)", self.run.pod.node
            found = read_stream(self._chunks(section), name, now=self.now, node=node, writer=Writer.KERNEL)
            gaps = tuple(self._gaps(section))
            # What it lacks stands among the gaps.
            found = read_whole(found, self.now)
            yield replace(found, spans=tuple(replace(span, gaps=(*span.gaps, *gaps)) for span in found.spans))

    def reasons(self, *, is_listed: bool) -> Iterator[str]:
        if not self._is_whole:
            yield self._broke_off
        if not any(entry.end > entry.start for entry in self._of("kernel")):
            yield f"the kernel's log could not be read{self._errors('kernel')}"
        if self._is_whole and not is_listed:
            yield f"the runtime's sandboxes could not be listed{self._errors('sandboxes')}"

    def _gaps(self, section: Section) -> Iterator[str]:
        if any(self._text(entry).strip() for entry in self._of("missed")):
            yield MISSED
        if not self._is_whole and section == self.sections[-1]:
            yield self._broke_off

    def listings(self) -> tuple[SandboxListing, ...] | None:
        """None where there is no list of sandboxes."""
        for section in self._of("sandboxes"):
            text = self._text(section, MOST_LISTING_BYTES)
            return read_listing(text, f"{section.source} (debug pod)", self.run.pod.node)
        return None

    def boots(self) -> Iterator[NodeEvidence]:
        """When the node started: `uptime now`, both in seconds."""
        for section in self._of("clock"):
            words = self._text(section).split()
            try:
                uptime, now = float(words[0]), float(words[1])
                boot = datetime.fromtimestamp(now, UTC) - timedelta(seconds=uptime)
            except (IndexError, ValueError, OverflowError, OSError):
                continue
            yield NodeEvidence(boots={self.run.pod.node: boot})

    @property
    def _is_whole(self) -> bool:
        return bool(self._of("end"))

    @property
    def _broke_off(self) -> str:
        return f"what the pod printed is not whole: {self.run.broke_off or 'it ended early'}"

    def _errors(self, of: str) -> str:
        text = "; ".join(
            line for entry in self._of("errors") if entry.source == of for line in self._text(entry).splitlines()
        )
        return f": {short(text)}" if text else ""

    def _of(self, kind: str) -> list[Section]:
        return [entry for entry in self.sections if entry.kind == kind]

    def _text(self, section: Section, most_bytes: int = SHORT_BYTES) -> str:
        self.output.seek(section.start)
        return self.output.read(min(section.end - section.start, most_bytes)).decode(errors="replace")

    def _chunks(self, section: Section) -> Iterator[bytes]:
        self.output.seek(section.start)
        left = section.end - section.start
        while left > 0 and (chunk := self.output.read(min(left, CHUNK_BYTES))):
            left -= len(chunk)
            yield chunk
