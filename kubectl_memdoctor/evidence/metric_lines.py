"""Metrics as kubelets print them: lines out of a stream, a sample out of a line.

Prometheus' text format and OpenMetrics, which differ in what may follow the value:
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

LONGEST_LINE = 1 << 16
"""Bytes. A container's labels take a few hundred; longer lines are left out, so that memory does not depend on them."""

_SAMPLE = re.compile(rb'([A-Za-z_:][\w:]*+)(?:\{((?:[^"}]++|"(?:[^"\\]++|\\.)*+")*+)\})?+[ \t]+(\S++)')
_LABEL = re.compile(r'(?<!\w)(\w++)\s*+=\s*+"((?:[^"\\]++|\\.)*+)"')
_ESCAPED = re.compile(r"\\(.)")
_MEANT = {"n": "\n"}


class Sample(NamedTuple):
    """One number; a timestamp or an exemplar after it is left out."""

    name: str
    label_text: bytes
    """As it stands between the braces: the same for all samples of a container, so that it need be read once only."""
    value: float

    def labels(self) -> Mapping[str, str]:
        pairs = _LABEL.findall(self.label_text.decode(errors="replace"))
        return {label: _unescaped(text) for label, text in pairs}


def metric_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Without their ends. What the last chunk leaves unfinished is none: the number may be cut."""
    begun = b""
    too_long = False
    for chunk in chunks:
        *whole, begun = (begun + chunk).split(b"\n")
        if whole and too_long:
            del whole[0]
            too_long = False
        yield from whole
        if len(begun) > LONGEST_LINE:
            begun, too_long = b"", True


def read_sample(line: bytes) -> Sample | None:
    """None for comments, and for what is no sample."""
    found = _SAMPLE.match(line)
    if found is None:
        return None
    name, labels, number = found.groups()
    try:
        value = float(number)
    except ValueError:
        return None
    return Sample(name.decode(), labels or b"", value)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), text) if "\\" in text else text
