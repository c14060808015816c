"""The matrix of limits: every limit on every kind of node, with and without a token volume."""

from __future__ import annotations

from collections.abc import Iterator

from .case import Case, Made, Place
from .manifests import container, spec

LIMITS = {
    "1": 1,
    "300m": 1,
    "1500m": 2,
    "4095": 4095,
    "4096": 4096,
    "8Ki": 8 << 10,
    "12Ki": 12 << 10,
    "16Ki": 16 << 10,
    "64Ki": 64 << 10,
    "256Ki": 256 << 10,
    "512Ki": 512 << 10,
    "1Mi": 1 << 20,
    "2Mi": 2 << 20,
    "3Mi": 3 << 20,
    "4Mi": 4 << 20,
    "6Mi": 6 << 20,
    "8Mi": 8 << 20,
    "12Mi": 12 << 20,
    "14Mi": 14 << 20,
    "16Mi": 16 << 20,
    "32Mi": 32 << 20,
}
"""Quantity -> bytes that the kubelet makes of it (it rounds up)."""

_REPRESENTATIVE = {("300m", True), ("300m", False), ("4096", False), ("64Ki", True), ("1Mi", False), ("32Mi", True)}


def limit_cases(place: Place) -> Iterator[Case]:
    for token in (False, True):
        for quantity, in_bytes in LIMITS.items():
            yield Case(
                name=f"{_slug(quantity)}{'-with-token' if token else ''}",
                words=quantity,
                place=place,
                spec=spec(container("app", quantity), token=token),
                made=Made.LIMIT,
                silent_rule="sandbox-memory-limit-too-small",
                limit_bytes=in_bytes,
                token=token,
                representative=(quantity, token) in _REPRESENTATIVE,
            )


def _slug(quantity: str) -> str:
    return f"{quantity}-byte{'' if quantity == '1' else 's'}" if quantity.isdigit() else quantity.lower()
