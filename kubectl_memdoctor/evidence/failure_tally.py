"""Counts the failing sandboxes of one pod while a log passes, in memory that does not grow with the log.

One failure leaves several kinds of line: the kubelet's every layer logs it. So each kind is counted for itself, and the
kind that was seen most often is the count: it is right as well where a log holds only some of the kinds, or begins or
ends in the middle of a failure.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Iterator
from datetime import datetime
from typing import Generic, TypeVar

from msgspec import Struct, structs

from kubectl_memdoctor.evidence.error_layers import readable_part
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import SandboxFailures

MOST_KINDS = 8
MOST_PODS = 10_000
"""A node runs some hundred pods at a time; more than this come from no node."""
RECENT_IDS = 1000
"""All lines about one sandbox stand close together: an id that is not among the recent ones is a new one."""


class PodName(Struct, frozen=True):
    """What a log calls a pod; any part may be missing."""

    namespace: str = ""
    name: str = ""
    uid: str = ""

    @property
    def without_uid(self) -> PodName:
        return PodName(self.namespace, self.name)


class RecentIds:
    """Counts different ids, and remembers the newest RECENT_IDS of them."""

    __slots__ = ("_recent", "count")

    def __init__(self) -> None:
        self._recent: OrderedDict[str, None] = OrderedDict()
        self.count = 0

    def add(self, entry: str) -> None:
        if entry in self._recent:
            return
        self.count += 1
        self._recent[entry] = None
        if len(self._recent) > RECENT_IDS:
            self._recent.popitem(last=False)

    def absorb(self, other: RecentIds) -> None:
        self.count += other.count - len(other._recent)
        for entry in other._recent:
            self.add(entry)


class FailureTally:
    """One pod's failures. `message` and the newest time are those of the newest line."""

    __slots__ = ("_first", "_first_line", "_kinds", "_last", "_newest_lines", "host", "ids", "message", "zone_known")

    def __init__(self) -> None:
        self._kinds: dict[str, int] = {}
        self._newest_lines: dict[str, LogLine] = {}
        self._first_line: LogLine | None = None
        self._first: datetime | None = None
        self._last: datetime | None = None
        self.zone_known = True
        self.message = ""
        self.host = ""
        self.ids = RecentIds()

    def add(self, kind: str, line: LogLine, message: str) -> None:
        if kind in self._kinds or len(self._kinds) < MOST_KINDS:
            self._kinds[kind] = self._kinds.get(kind, 0) + 1
            self._newest_lines.pop(kind, None)
            self._newest_lines[kind] = kept = shortened(line)
            self._first_line = self._first_line or kept
        self.host = self.host or line.host
        self._add_message(message, line.time)
        self._add_time(line.time, line.zone_known)
        for entry in sandbox_ids(message):
            self.ids.add(entry)

    def absorb(self, other: FailureTally) -> None:
        """Takes over what was counted for itself of the same pod."""
        for kind, count in other._kinds.items():
            self._kinds[kind] = self._kinds.get(kind, 0) + count
        older, newer = (self, other) if self._ends_before(other) else (other, self)
        self._first_line = older._first_line or newer._first_line
        self._newest_lines = {**older._newest_lines, **newer._newest_lines}
        self._add_message(other.message, other._last)
        for time in (other._first, other._last):
            self._add_time(time, other.zone_known)
        self.host = self.host or other.host
        self.ids.absorb(other.ids)

    def _ends_before(self, other: FailureTally) -> bool:
        return self._last is None or (other._last is not None and self._last <= other._last)

    def _add_message(self, message: str, time: datetime | None) -> None:
        is_old = time is not None and self._last is not None and time < self._last
        if message and not (self.message and is_old):
            self.message = readable_part(message)

    def _add_time(self, time: datetime | None, zone_known: bool) -> None:
        if time is None:
            return
        self.zone_known = self.zone_known and zone_known
        self._first = time if self._first is None else min(self._first, time)
        self._last = time if self._last is None else max(self._last, time)

    @property
    def count(self) -> int:
        return max(self._kinds.values(), default=0)

    def failures(self, writer: Writer, pod: PodName, node: str) -> SandboxFailures:
        lines = dict.fromkeys(line for line in (self._first_line, *self._newest_lines.values()) if line)
        return SandboxFailures(
            writer=writer,
            namespace=pod.namespace,
            name=pod.name,
            pod_uid=pod.uid,
            count=self.count,
            sandboxes=min(self.ids.count, self.count),
            first=self._first,
            last=self._last,
            zone_known=self.zone_known,
            message=self.message,
            node=node or self.host,
            lines=tuple(lines),
        )


def shortened(line: LogLine) -> LogLine:
    """The line as it stands; of one of hostile length, both ends."""
    text = readable_part(line.text)
    return line if text == line.text else structs.replace(line, text=text)


_SANDBOX_ID = re.compile(r'(?:\bsandbox (?:container )?(?:task )?\\{0,4}"|/)([0-9a-f]{64})(?![0-9a-f])')


def sandbox_ids(message: str) -> Iterator[str]:
    """The ids of sandboxes that an error names, quoted (containerd) or as the end of a cgroup's path (runc)."""
    for found in _SANDBOX_ID.finditer(readable_part(message)):
        yield found[1]


Entry = TypeVar("Entry")


class NewestOfEach(Generic[Entry]):
    """The newest entries of each key, and the newest keys."""

    def __init__(self, most_keys: int, most_of_one: int) -> None:
        self._most_keys = most_keys
        self._most_of_one = most_of_one
        self._entries: OrderedDict[str, deque[Entry]] = OrderedDict()

    def of(self, key: str) -> deque[Entry]:
        """What is held of the key, oldest first; the key becomes the newest."""
        entries = self._entries.setdefault(key, deque(maxlen=self._most_of_one))
        self._entries.move_to_end(key)
        if len(self._entries) > self._most_keys:
            self._entries.popitem(last=False)
        return entries

    def __iter__(self) -> Iterator[Entry]:
        for entries in self._entries.values():
            yield from entries
