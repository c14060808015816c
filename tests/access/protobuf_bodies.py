"""Structs as an API server writes them in protobuf: what is not a pointer in Go is there also when it is empty."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from kubectl_memdoctor.cluster.protobuf import MAGIC
from kubectl_memdoctor.cluster.protobuf_fields import FIELDS, Inside
from kubectl_memdoctor.objects import Quantities

from .faulty_server import Reply

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CONTENT_TYPE = (("Content-Type", "application/vnd.kubernetes.protobuf"),)


def list_reply(kind: str, items: Iterable[Struct], token: str = "", remaining: int | None = None) -> Reply:
    return Reply(list_body(kind, items, token, remaining), headers=CONTENT_TYPE)


def list_body(kind: str, items: Iterable[Struct], token: str = "", remaining: int | None = None) -> bytes:
    meta = field(2, b"7") + field(3, token.encode()) + (number(4, remaining) if remaining is not None else b"")
    return enveloped(f"{kind}List", field(1, meta) + b"".join(field(2, message(item)) for item in items))


def enveloped(kind: str, content: bytes) -> bytes:
    return MAGIC + field(1, field(1, b"v1") + field(2, kind.encode())) + field(2, content) + field(3, b"")


def message(struct: Struct) -> bytes:
    hints = get_type_hints(type(struct), include_extras=True)
    numbers = FIELDS[type(struct)]
    outer: dict[int, bytes] = {}
    written = b""
    for name in (entry.name for entry in msgspec.structs.fields(struct)):
        place, value = numbers.get(name), getattr(struct, name)
        if place is None:
            continue
        if isinstance(place, int):
            written += _value(place, value, hints[name])
        elif isinstance(value, tuple):
            written += b"".join(field(place.message, field(place.field, message(item))) for item in value)
        else:
            outer[place.message] = outer.get(place.message, b"") + _value(place.field, value, hints[name])
    assert all(isinstance(place, int | Inside) for place in numbers.values())
    return written + b"".join(field(place, content) for place, content in outer.items())


def _value(place: int, value: Any, hint: Any) -> bytes:
    if get_origin(hint) in (Union, types.UnionType):
        inner = next(arg for arg in get_args(hint) if arg is not type(None))
        is_time = get_args(inner)[:1] == (datetime,)
        if value is None:
            # Go's zero time is no pointer.
            return field(place, b"") if is_time else b""
        return _value(place, value, inner)
    if isinstance(value, Mapping):
        entries = ((key.encode(), text.encode()) for key, text in value.items())
        wrapped = ((key, field(1, text) if hint == Quantities else text) for key, text in entries)
        return b"".join(field(place, field(1, key) + field(2, text)) for key, text in wrapped)
    if isinstance(value, tuple):
        return b"".join(_value(place, item, get_args(hint)[0]) for item in value)
    if isinstance(value, str):
        return field(place, value.encode())
    if isinstance(value, int):
        return number(place, value)
    if isinstance(value, datetime):
        since = value - EPOCH
        return field(place, number(1, since.days * 86400 + since.seconds) + number(2, since.microseconds * 1000))
    return field(place, message(value))


def field(place: int, content: bytes) -> bytes:
    return _varint(place << 3 | 2) + _varint(len(content)) + content


def number(place: int, value: int) -> bytes:
    return _varint(place << 3) + _varint(value % 2**64)


def _varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])
