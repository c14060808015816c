"""Objects for tests, written as Python data."""

from __future__ import annotations

import msgspec

from kubectl_memdoctor.objects import Object, decode


def convert(value: object, type_: type[Object]) -> Object:
    """`value` as it would come from the API."""
    return decode(msgspec.json.encode(value), type_)
