"""The table of texts from the field, and what may stand in the places of their ids, names and numbers."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TABLE = Path(__file__).with_name("field_texts.yaml")

NAMES: Mapping[str, str] = {
    "cid": "88060715b1f1e5f8b4a2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718",
    "uid": "968128e3-5456-11e9-8874-000c29721372",
    "uid_": "968128e3_5456_11e9_8874_000c29721372",
    "pod": "busybox-deploy-b9b6d4ff9-vwfnq",
    "ns": "default",
    "ctr": "busybox",
    "ip": "10.0.0.7",
    "n": "12764",
}


@dataclass(frozen=True, slots=True, eq=False)
class FieldText:
    """`expected` holds RuntimeFailure's fields; those that the table does not hold to are missing from it."""

    source: str
    composed: bool
    template: str
    expected: Mapping[str, object]

    def text(self, names: Mapping[str, str] = NAMES) -> str:
        return fill(self.template, {**NAMES, **names})


def fill(template: str, names: Mapping[str, str]) -> str:
    return re.sub("\u2039(\\w+)\u203a", lambda place: names[place[1]], template)


_FIELDS = {
    "cause": "cause",
    "proof": "proof",
    "runtime": "runtime",
    "engine": "engine",
    "minimum": "stated_minimum_bytes",
    "scope": "stated_scope",
}
_HELD_TO_WHERE_GIVEN = {"grpc": "grpc_code", "since": "runtime_since", "before": "runtime_before"}


def _field_text(row: Mapping[str, Any]) -> FieldText:
    expected = {field: row.get(name) for name, field in _FIELDS.items()}
    expected |= {field: row[name] for name, field in _HELD_TO_WHERE_GIVEN.items() if name in row}
    if "innermost" in row:
        expected["innermost"] = fill(row["innermost"], NAMES)
    return FieldText(row["from"], row.get("composed", False), row["text"], expected)


@functools.cache
def field_texts() -> tuple[FieldText, ...]:
    return tuple(_field_text(row) for row in yaml.load(TABLE.read_bytes(), Loader=yaml.CSafeLoader))
