"""One time line of a pod across its sources: events, container states, and what its node's logs say.

All but the API server's own times are written by the node's clock, so they are ordered by it; how far that clock is off
the server's is worked out from events, which carry both.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median

from msgspec import Struct

from kubectl_memdoctor.context import PodContext
from kubectl_memdoctor.evidence.node_evidence import KernelKill
from kubectl_memdoctor.evidence.pod_join import bare_id, container_ids
from kubectl_memdoctor.finding import TimeLine, TimeLineEntry
from kubectl_memdoctor.kernel_verdict import UNALLOCATED, level_words
from kubectl_memdoctor.objects import Event

NOTABLE_SKEW = timedelta(seconds=5)
"""Events carry whole seconds twice; less than this is no finding."""
QUARTER = timedelta(minutes=15)
"""Time zones differ by whole quarters of an hour."""


class _Moment(Struct, frozen=True):
    time: datetime
    source: str
    text: str
    count: int = 1
    until: datetime | None = None


def time_line(pod: PodContext) -> TimeLine | None:
    """Oldest first; None where the node said nothing, since events and status stand on the page anyway."""
    evidence = pod.node_evidence
    of_kernel = evidence.kills or evidence.allocation_failures
    if not (of_kernel or evidence.kubelet_ooms or evidence.sandbox_failures or evidence.runtime_ooms):
        return None
    shift = _zone_shift(pod)
    moments = [*_of_events(pod), *_of_states(pod), *_of_kernel(pod, shift), *_unallocated(pod), *_of_logs(pod)]
    entries = tuple(
        TimeLineEntry(time=moment.time, source=moment.source, text=moment.text, count=moment.count, until=moment.until)
        for moment in sorted(moments, key=lambda moment: (moment.time, moment.source, moment.text))
    )
    skew = _skew(pod)
    return TimeLine(entries=entries, skew_seconds=int(skew.total_seconds()) if abs(skew) >= NOTABLE_SKEW else 0)


def _of_events(pod: PodContext) -> Iterator[_Moment]:
    for group in pod.events:
        if group.first is not None:
            yield _Moment(group.first, "event", f"{group.reason}: {group.message}", group.count, group.last)


def _of_states(pod: PodContext) -> Iterator[_Moment]:
    for end in pod.ends:
        terminated = end.terminated
        if terminated.started_at is not None:
            yield _Moment(terminated.started_at, "status", f"{end.container} started")
        if terminated.finished_at is not None:
            reason = terminated.reason or "no reason"
            yield _Moment(
                terminated.finished_at, "status", f"{end.container} ended: {reason}, exit code {terminated.exit_code}"
            )
    for status in pod.statuses():
        if status.state.running is not None and status.state.running.started_at is not None:
            yield _Moment(status.state.running.started_at, "status", f"{status.name} started, and runs")


def _of_kernel(pod: PodContext, shift: timedelta | None) -> Iterator[_Moment]:
    names = container_ids(pod.pod)
    for kill in pod.node_evidence.kills:
        if kill.time is None or (not kill.zone_known and shift is None):
            continue
        victims = ", ".join(dict.fromkeys(task.name for task in kill.victims)) or "nothing that could be killed"
        where = names.get(kill.container_id)
        inside = f" in {where}" if where else ""
        moment = kill.time if kill.zone_known or shift is None else kill.time + shift
        yield _Moment(moment, "kernel", f"killed {victims}{inside} at {level_words(kill)}")


def _unallocated(pod: PodContext) -> Iterator[_Moment]:
    """One entry for all cgroups: each try of a sandbox is another. Where something was killed they say nothing more."""
    timed = [entry for entry in pod.node_evidence.allocation_failures if entry.zone_known]
    times = [time for entry in timed for time in (entry.first, entry.last) if time is not None]
    if times and not pod.node_evidence.kills:
        count = sum(entry.count for entry in timed)
        yield _Moment(min(times), "kernel", f"{UNALLOCATED} the pod's cgroup", count, max(times))


def _of_logs(pod: PodContext) -> Iterator[_Moment]:
    evidence = pod.node_evidence
    names = container_ids(pod.pod)
    for oom in evidence.kubelet_ooms:
        if oom.time is not None and (oom.line is None or oom.line.zone_known):
            yield _Moment(oom.time, "kubelet", "saw an OOM kill in the pod's cgroup")
    for runtime in evidence.runtime_ooms:
        if runtime.time is not None and (runtime.line is None or runtime.line.zone_known):
            name = names.get(runtime.container_id, runtime.container_id)
            yield _Moment(runtime.time, runtime.writer.value, f"heard of an OOM kill in {name}")
    for failures in evidence.sandbox_failures:
        if failures.first is not None and failures.zone_known:
            text = f"sandbox failed: {failures.message}"
            yield _Moment(failures.first, failures.writer.value, text, failures.count, failures.last)


def _skew(pod: PodContext) -> timedelta:
    """How far the node's clock is ahead of the API server's: an event that happened once has the time at which the
    kubelet wrote it and the one at which the server stored it."""
    apart = [found for event in pod.own_events if (found := _apart(event)) is not None]
    return timedelta(seconds=median(apart)) if apart else timedelta()


def _apart(event: Event) -> float | None:
    made, seen = event.metadata.creation_timestamp, event.first_timestamp
    if event.source.component != "kubelet" or made is None or seen is None:
        return None
    return (seen - made).total_seconds()


def _zone_shift(pod: PodContext) -> timedelta | None:
    """What to add to times without a zone: a kill and the end of the run that it ended are at the same moment."""
    ends = {bare_id(end.terminated.container_id): end.terminated.finished_at for end in pod.ends}
    return next(
        (found for kill in reversed(pod.node_evidence.kills) if (found := _shift(kill, ends)) is not None), None
    )


def _shift(kill: KernelKill, ends: dict[str, datetime | None]) -> timedelta | None:
    finished = ends.get(kill.container_id)
    if kill.zone_known or kill.time is None or finished is None:
        return None
    quarters = round((finished - kill.time) / QUARTER)
    return quarters * QUARTER if abs(finished - kill.time - quarters * QUARTER) <= timedelta(minutes=2) else None
