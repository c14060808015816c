"""Logs and listings beside the tests, as a reader gets their lines: without the one that says where they are from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from kubectl_memdoctor.evidence.log_formats import LineDecoder
from kubectl_memdoctor.evidence.log_line import LogLine, Writer

HERE = Path(__file__).parent
PROVENANCE = "# provenance: "

POD = "cart-5d9c7b6f4-x2x9k"
NAMESPACE = "shop"
UID = "0b6f7c1e-5a4d-4f3e-9c8b-7a6d5e4f3c2b"
FIRST_SANDBOX = "5f1b7a3c9d2e4f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8"
SECOND_SANDBOX = "8e7d6c5b4a392817f6e5d4c3b2a1908f7e6d5c4b3a29180f7e6d5c4b3a291807"
OTHER_CONTAINER = "c0ffee00" * 8
"""The names and ids in the files that are not recorded."""

REAL_PODS = [(f"memdoctor-svmpt-{number}", 1, 1) for number in ("002", "003", "006", "007")]
"""The pods that failed on the recorded node, how often, and with how many sandboxes."""


class Reader(Protocol):
    NEEDLES: tuple[bytes, ...]

    def read(self, line: LogLine) -> None: ...
    def finish(self) -> None: ...


def recorded(path: str) -> str:
    first, _, rest = (HERE / path).read_text().partition("\n")
    assert first.startswith(PROVENANCE), path
    return rest


def recorded_lines(path: str, writer: Writer = Writer.UNKNOWN) -> Iterator[LogLine]:
    decoder = LineDecoder(path, now=datetime(2026, 11, 28, 12, tzinfo=UTC), writer=writer)
    for number, text in enumerate(recorded(path).encode().splitlines(), 1):
        yield from decoder.lines(text, number)


def feed(reader: Reader, path: str, writer: Writer = Writer.UNKNOWN) -> None:
    """Only what has one of the reader's needles, as the prefilter lets it through."""
    for line in recorded_lines(path, writer):
        if any(needle in line.text.encode() for needle in reader.NEEDLES):
            reader.read(line)
    reader.finish()
