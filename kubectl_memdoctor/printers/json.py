"""`-o json`: the report as one JSON document, described by docs/report.schema.json."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from kubectl_memdoctor.finding import Diagnosis
from kubectl_memdoctor.printers import Layout

INDENT = 4
"""Spaces, as kubectl's."""

_OBEYED = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""What terminals obey beyond what JSON escapes anyway: C1 control characters and marks of reading direction."""


def lines(diagnosis: Diagnosis, layout: Layout) -> Iterator[str]:
    text = msgspec.json.format(msgspec.json.encode(diagnosis.report), indent=INDENT).decode()
    yield _OBEYED.sub(lambda char: f"\\u{ord(char[0]):04x}", text)
