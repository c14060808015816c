"""What a Prometheus is asked, and what it answers, wherever it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

RESOURCE = "prometheus"
"""What a report says could not be read."""


class Sample(Struct, frozen=True):
    """One element of an instant vector; `value` is finite."""

    labels: Mapping[str, str]
    value: float


class Vector(Struct, frozen=True):
    """`time` is the moment for which it was worked out, in seconds since 1970 by Prometheus' own clock. `warnings` say
    why some of it may be missing."""

    time: float | None
    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()


class Prometheus(Protocol):
    """Something that answers queries; safe for several threads."""

    def query(self, expression: str) -> Vector:
        """Raises Unreadable, whatever fails."""
