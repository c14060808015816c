"""What a Prometheus is asked, and what it answers, wherever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

RESOURCE = "prometheus"
"""What a report says could not be read."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of an instant vector; `value` is finite."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Vector:
    """`time` is the moment for which it was worked out, in seconds since 1970 by Prometheus' own clock. `warnings` say
    why some of it may be missing."""

    time: float | None
    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()


class Prometheus(Protocol):
    """Something that answers queries; safe for several threads."""

    def query(self, expression: str) -> Vector:
        """Raises Unreadable, whatever fails."""
