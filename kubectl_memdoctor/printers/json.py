"""`-o json`: the report as one JSON document, described by docs/report.schema.json."""

from __future__ import annotations

import re
from collections.abc import Iterator
from json import dumps

import msgspec
from msgspec import Struct

from kubectl_memdoctor.clean import is_hidden
from kubectl_memdoctor.finding import Diagnosis
from kubectl_memdoctor.printers import Layout

INDENT = 4
"""Spaces, as kubectl's."""

_BEYOND = re.compile("[^\x00-\x7e]")
"""What msgspec writes as it is; of the rest JSON itself escapes what a terminal obeys."""


def lines(diagnosis: Diagnosis, layout: Layout) -> Iterator[str]:
    yield _printable(msgspec.json.format(msgspec.json.encode(diagnosis.report), indent=INDENT))


def one_line(entry: Struct) -> str:
    """A part of the report as one line of JSON."""
    return _printable(msgspec.json.encode(entry))


def _printable(document: bytes) -> str:
    return _BEYOND.sub(_escaped, document.decode())


def _escaped(found: re.Match[str]) -> str:
    return dumps(found[0])[1:-1] if is_hidden(found[0]) else found[0]
