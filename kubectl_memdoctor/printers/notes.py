"""What nodes and their logs tell beside the findings, as parts of pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from kubectl_memdoctor.finding import LogFacts, NodeFacts, Note, PodNotes
from kubectl_memdoctor.printers import Layout
from kubectl_memdoctor.printers.ink import fold, strong
from kubectl_memdoctor.printers.wording import ago, heading, shortened

LONGEST_NOTE = 300
"""Letters of a text that a log repeats; both ends are shown."""
MOST_PODS = 20
MOST_LINES = 10
SOURCE_COLUMNS = 10
LABEL_COLUMNS = 12


def node_lines(node: NodeFacts, now: datetime, layout: Layout) -> Iterator[str]:
    """Everything about one node that is no finding, under its headline."""
    facts = (
        ("conditions", node.conditions),
        ("memory", node.capacity),
        ("requests", node.requests),
        ("limits", node.limits),
        ("in use", node.use),
        ("runs", node.versions),
        ("sandbox", node.minimum),
    )
    for label, text in facts:
        yield from fold(f"{label:{LABEL_COLUMNS}}{text}", layout.width, indent="  ", hanging=" " * LABEL_COLUMNS)
    yield from _few("EVENTS OF THE NODE", [f"{note.text}{_when(note, now)}" for note in node.events], layout)
    yield from _few("EVICTED FOR MEMORY", [f"{note.text}{_when(note, now)}" for note in node.evictions], layout)
    yield from pod_lines(node.pods, now, layout)
    yield from _few("LIMITS UNDER THE SANDBOX'S MINIMUM", node.small_limits, layout)


def log_lines(logs: LogFacts, layout: Layout) -> Iterator[str]:
    """What was killed and what failed, pod by pod, and which files that was read from."""
    yield from pod_lines(logs.pods, None, layout)
    if logs.files:
        yield heading("FILES", layout)
    for file in logs.files:
        yield from fold(f"{file.source}: {file.text}{_when(file, None)}", layout.width, indent="    ", hanging="  ")


def pod_lines(pods: Iterable[PodNotes], now: datetime | None, layout: Layout) -> Iterator[str]:
    """`now` None: times stand as they are in the logs."""
    everyone = list(pods)
    if everyone:
        yield heading("KILLS AND FAILED SANDBOXES", layout)
    for pod in everyone[:MOST_PODS]:
        remark = f" ({pod.remark})" if pod.remark else ""
        yield from fold(f"{strong(pod.title, color=layout.color)}{remark}", layout.width, indent="    ", hanging="  ")
        for note in pod.notes[:MOST_LINES]:
            text = f"{note.source:{SOURCE_COLUMNS}} {shortened(note.text, LONGEST_NOTE)}{_when(note, now)}"
            yield from fold(text, layout.width, indent="      ", hanging=" " * (SOURCE_COLUMNS + 1))
        if len(pod.notes) > MOST_LINES:
            yield f"      and {len(pod.notes) - MOST_LINES} more"
    if len(everyone) > MOST_PODS:
        yield f"    and {len(everyone) - MOST_PODS} more pods"


def _few(title: str, texts: Iterable[str], layout: Layout) -> Iterator[str]:
    everything = list(texts)
    if everything:
        yield heading(title, layout)
    for text in everything[:MOST_LINES]:
        yield from fold(shortened(text), layout.width, indent="    ", hanging="  ")
    if len(everything) > MOST_LINES:
        yield f"    and {len(everything) - MOST_LINES} more"


def _when(note: Note, now: datetime | None) -> str:
    """` x12, 3m ago (first 2h ago)`; as it is in the log where that names no zone, or where there is no now."""
    times = f" x{note.count}{' or more' if note.or_more else ''}" if note.count > 1 else ""
    if note.last is None:
        return times
    first = note.first if note.first != note.last else None
    if now is None or not note.zone_known:
        zone = "Z" if note.zone_known else " local time"
        return f"{times}, {_span(first, note.last)}{zone}"
    since = f" (first {ago(now - first)})" if first else ""
    return f"{times}, {ago(now - note.last)}{since}"


def _span(first: datetime | None, last: datetime) -> str:
    start, end = _clock(first or last), _clock(last)
    if start == end:
        return end
    same_day = start.partition(" ")[0] == end.partition(" ")[0]
    return f"{start} to {end.partition(' ')[2] if same_day else end}"


def _clock(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
