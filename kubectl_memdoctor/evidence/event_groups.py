"""Events that say the same, as one: the recorder writes a new event for every new id, a reader wants one line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct

from kubectl_memdoctor.evidence.runtime_errors import normalise
from kubectl_memdoctor.finding import Evidence
from kubectl_memdoctor.objects import Event

_NEVER = datetime.min.replace(tzinfo=UTC)


class EventGroup(Struct, frozen=True):
    """Events of one reason whose messages differ only in ids. `message` is the newest one's."""

    type: str
    reason: str
    message: str
    field_path: str
    count: int
    first: datetime | None
    last: datetime | None

    def evidence(self) -> Evidence:
        return Evidence(
            source="event",
            field=self.reason,
            value=self.message,
            count=self.count if self.count > 1 else None,
            first_time=self.first if self.count > 1 else None,
            time=self.last,
        )


def newest_first(event: Event) -> tuple[datetime, str]:
    """To sort by, reversed. Of equally new ones the name decides: the order they came in must not."""
    return event.last_seen() or _NEVER, event.metadata.name


def group_events(events: Iterable[Event]) -> tuple[EventGroup, ...]:
    """Newest group first."""
    groups: dict[tuple[str, str, str], list[Event]] = {}
    for event in sorted(events, key=newest_first, reverse=True):
        key = (event.reason, event.involved_object.field_path, normalise(event.message))
        groups.setdefault(key, []).append(event)
    return tuple(_group(members) for members in groups.values())


def _group(members: list[Event]) -> EventGroup:
    newest = members[0]
    firsts = [first for event in members if (first := event.first_seen())]
    return EventGroup(
        type=newest.type,
        reason=newest.reason,
        message=newest.message,
        field_path=newest.involved_object.field_path,
        count=sum(event.times() for event in members),
        first=min(firsts, default=None),
        last=newest.last_seen(),
    )
