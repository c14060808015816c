"""One line of a node's log, freed from what its writers and carriers put around it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Writer(StrEnum):
    """Whose words a line holds."""

    KERNEL = "kernel"
    KUBELET = "kubelet"
    CONTAINERD = "containerd"
    CRIO = "cri-o"
    DOCKER = "docker"
    OTHER = "other"
    """Some other program; UNKNOWN lines have no writer that the format names."""
    UNKNOWN = ""


class LogLine(Struct, frozen=True):
    """`text` is the writer's own message, without time, host, program and printk prefixes.

    `time` is aware; where the log names no zone it is the node's local time written down as UTC, and `zone_known` is
    False. A raw dmesg has no time of day, only `uptime_seconds` since the node's start.
    """

    text: str
    writer: Writer = Writer.UNKNOWN
    file: str = ""
    """The log's name as the user gave it, or its path under the node's /logs/."""
    number: int = 0
    """From 1; 0 where lines are not counted."""
    time: datetime | None = None
    zone_known: bool = True
    uptime_seconds: float | None = None
    host: str = ""
    """The node's own name in the line, if any."""
