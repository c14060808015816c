"""What a file is, by its first bytes: a log in some format, a list of sandboxes, counters, or nothing of use."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from enum import Enum, auto

from msgspec import Struct

from kubectl_memdoctor.evidence.container_listing import read_listing
from kubectl_memdoctor.evidence.log_formats import Framing, LineDecoder, framing_of, shortened, writer_of_file
from kubectl_memdoctor.evidence.log_line import LogLine, Writer

HEAD_BYTES = 64 << 10
MOST_SAMPLED = 60
"""Entries with a head of their own: enough to tell a format from what looks like one by chance."""


class Kind(Enum):
    LOG = auto()
    """In a format that is known."""
    METRICS = auto()
    """A kubelet's counters, cAdvisor's or its own."""
    DOCUMENT = auto()
    """To be read as a whole: a list of sandboxes, or a kubelet's summary."""
    TEXT = auto()
    """Of no known format: perhaps a log's words with nothing around them."""
    EMPTY = auto()
    BINARY = auto()
    JOURNAL = auto()
    """systemd's own binary file."""
    ARCHIVE = auto()


class Recognised(Struct, frozen=True):
    """`format` is a log's, in words; `sample` are its first lines, and `decoder` is for the rest."""

    kind: Kind
    framing: Framing
    decoder: LineDecoder
    format: str = ""
    sample: tuple[LogLine, ...] = ()
    names_programs: bool = False
    """Whether its lines say who wrote them, so that it may be a log of several programs."""
    is_of_nodes: bool = False
    """Whether it is of use without doubt, so that nobody need name it."""


def recognise(head: bytes, name: str, *, now: datetime, writer: Writer = Writer.UNKNOWN) -> Recognised:
    """`head` is HEAD_BYTES of the beginning, or all of less; `now` and `writer` are as for LineDecoder."""
    decoder = LineDecoder(name, now=now, writer=writer or writer_of_file(name))
    kind = _by_magic(head)
    if kind is not None:
        return Recognised(kind, Framing.LINES, decoder)
    framing = framing_of(head)
    sampled = [*_sampled(head, framing, decoder)]
    formats = Counter(entry.format for entry in sampled if entry.format)
    if sampled and sum(formats.values()) * 2 >= len(sampled):
        lines = tuple(entry.line for entry in sampled)
        names = any(entry.names_program for entry in sampled)
        is_of_nodes = names or any(line.writer for line in lines)
        return Recognised(Kind.LOG, framing, decoder, formats.most_common(1)[0][0], lines, names, is_of_nodes)
    kind, is_of_nodes = _by_words(head)
    return Recognised(kind, Framing.LINES, decoder, is_of_nodes=is_of_nodes)


_MAGICS = ((0, b"LPKSHHRH", Kind.JOURNAL), (257, b"ustar", Kind.ARCHIVE), (0, b"PK\x03\x04", Kind.ARCHIVE))


def _by_magic(head: bytes) -> Kind | None:
    if not head.strip():
        return Kind.EMPTY
    return next((kind for at, magic, kind in _MAGICS if head.startswith(magic, at)), None)


class _Sampled(Struct, frozen=True):
    line: LogLine
    format: str
    names_program: bool


def _sampled(head: bytes, framing: Framing, decoder: LineDecoder) -> Iterator[_Sampled]:
    """What goes on without a head of its own, as the dump of a configuration does, says nothing of the format."""
    taken = 0
    for number, entry in enumerate(_entries(head, framing), 1):
        line, *_ = decoder.lines(shortened(entry), number, framing)
        if taken < MOST_SAMPLED and line.text and (decoder.layers or not entry[:1].isspace()):
            taken += 1
            yield _Sampled(line, decoder.layers[0] if decoder.layers else "", decoder.names_programs)
        if taken == MOST_SAMPLED:
            return


def _entries(head: bytes, framing: Framing) -> Iterator[bytes]:
    """Whole ones, unless the only one is not."""
    start = 0
    while (end := head.find(framing.separator, start)) >= 0:
        yield head[start : end + framing.ours]
        start = end + framing.ours
    if start == 0 or len(head) < HEAD_BYTES:
        yield head[start:]


_METRICS = re.compile(rb"\s{0,16}# (?:HELP|TYPE) [a-z]|(?:.{0,2000}\n){0,4}container_[a-z_]{1,100}\{")
_DOCUMENT = re.compile(rb"\s{0,16}(?:[{\[]|items:|containers:)")
_OF_NODES = (b'"podRef"', b"SANDBOX_", b"podSandboxId", b"k8s_", b"io.kubernetes.")
"""In a kubelet's summary; in what crictl and docker print as JSON or YAML."""
_CONTROLS = bytes({*range(32)} - {*b"\t\n\r\f\x1b"})
_MOST_CONTROLS = 0.05


def _by_words(head: bytes) -> tuple[Kind, bool]:
    """And whether it is of nodes."""
    if len(head) - len(head.translate(None, _CONTROLS)) > len(head) * _MOST_CONTROLS:
        return Kind.BINARY, False
    if _METRICS.match(head):
        return Kind.METRICS, True
    if _DOCUMENT.match(head):
        return Kind.DOCUMENT, any(mark in head for mark in _OF_NODES)
    if read_listing(head.decode("utf-8", "replace")) is not None:
        return Kind.DOCUMENT, True
    return Kind.TEXT, False
