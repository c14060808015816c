"""How much memory a container uses and used, over all pods of its workload, and who says so.

Three sources that mean different things. The metrics API and the kubelet know the working set now. cAdvisor remembers
the most that a container used since it started, with the page cache in it, and never more than its limit. Prometheus
has what was scraped of the past days, also of pods that are gone. A container that is killed leaves no peak: whatever
lies below its limit then is only what was seen.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import islice
from typing import Generic, TypeVar

from msgspec import Struct, field

from kubectl_memdoctor import quantity
from kubectl_memdoctor.duration import human_duration
from kubectl_memdoctor.evidence.node_evidence import ContainerCounters, ContainerUsage
from kubectl_memdoctor.finding import Evidence
from kubectl_memdoctor.objects import Pod
from kubectl_memdoctor.workload_pods import WorkloadPods, workload_pods

ContainerKey = tuple[str, str, str]
"""Namespace, pod, container."""

PERIOD = timedelta(days=7)
"""How far back Prometheus is asked."""
WHOLE = timedelta(hours=1)
"""Samples that begin this soon after the period does reach back all of it."""
AT_LIMIT = 0.99
"""A maximum of so much of the limit is the limit: the kernel charges in batches of up to 64 pages.
https://github.com/torvalds/linux/blob/v6.1/include/linux/memcontrol.h (MEMCG_CHARGE_BATCH)"""
SOURCES = {"metrics": "metrics API", "kubelet": "kubelet"}
"""Evidence's word for a source of working sets -> its name in a sentence."""
_MEBIBYTE, _GIBIBYTE = 1 << 20, 1 << 30
_CELLS = 10


class History(Struct, frozen=True):
    """What Prometheus has of one container of a workload: bytes, and how many pods there are samples of. `reach` is how
    long ago the first sample was, at most PERIOD; None where that is not known."""

    max_bytes: int | None = None
    p99_bytes: int | None = None
    oom_count: int | None = None
    """Processes killed for memory. A lower bound: a counter goes with its cgroup, often before it is scraped again."""
    pods: int = 1
    reach: timedelta | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the samples reach back all the period."""
        return self.reach is not None and self.reach >= PERIOD - WHOLE

    @property
    def period(self) -> str:
        """Completes "the peak ...": ` in the last 7d`."""
        if self.reach is None:
            return ""
        return f" in the last {human_duration(PERIOD if self.is_whole else self.reach)}"


class Observed(Struct, frozen=True):
    """The most that a container of the workload was seen to use, and the words for it: `the peak of 400Mi over 3 pods
    in the last 7d (Prometheus)`."""

    bytes: int
    words: str


def together(containers: Mapping[str, Observed]) -> Observed | None:
    """Of all containers of a pod at once; None of none. Each had its peak when it had it, so their sum may never have
    been in use at one time."""
    if len(containers) <= 1:
        return next(iter(containers.values()), None)
    parts = ", ".join(f"{name} {in_words(seen.bytes)}" for name, seen in containers.items())
    total = sum(seen.bytes for seen in containers.values())
    return Observed(total, f"the {in_words(total)} of its containers together ({parts})")


class Usage(Struct, frozen=True):
    """What is known of one container of one pod and of its like in the workload's other pods. Sizes are bytes."""

    now_bytes: int | None = None
    """The working set of this very container."""
    most_now_bytes: int | None = None
    """The largest working set of the workload's `now_pods` pods."""
    now_pods: int = 0
    now_source: str = ""
    """metrics or kubelet."""
    peak_bytes: int | None = None
    """The most that one of the workload's `peak_pods` pods used since its container started, page cache included."""
    peak_pods: int = 0
    peak_at_limit: bool = False
    """The peak is the limit itself: then it only says that it would have been no less."""
    history: History | None = None
    evidence: tuple[Evidence, ...] = ()

    def observed(self) -> Observed | None:
        """The most that was seen; None where nothing was, or only what the limit had cut off.

        cAdvisor's peak counts only where Prometheus says nothing: page cache makes it larger than the need.
        """
        # Of two that are the same in words, the one that looks back says more.
        seen = [*self._observed_past(), *self._observed_now()]
        return max(seen, key=lambda entry: entry.bytes // _MEBIBYTE, default=None)

    def _observed_now(self) -> Iterator[Observed]:
        if self.most_now_bytes is None:
            return
        whose = "in use now" if self.now_pods <= 1 else f"that the largest of {self.now_pods} pods uses now"
        words = f"the {in_words(self.most_now_bytes)} {whose} ({SOURCES.get(self.now_source, self.now_source)})"
        yield Observed(self.most_now_bytes, words)

    def _observed_past(self) -> Iterator[Observed]:
        history = self.history
        if history is not None and history.max_bytes is not None:
            words = f"the peak of {in_words(history.max_bytes)}{_over(history.pods)}{history.period} (Prometheus)"
            yield Observed(history.max_bytes, words)
        elif self.peak_bytes is not None and not self.peak_at_limit:
            words = f"the peak of {in_words(self.peak_bytes)}{_over(self.peak_pods)} since the last start"
            yield Observed(self.peak_bytes, f"{words}, page cache included (cAdvisor)")

    def sentences(self) -> Iterator[str]:
        """Each source's figures, in the order now, this run, the past days."""
        yield from self._now_sentence()
        yield from self._peak_sentence()
        if self.history is not None:
            yield from _history_sentences(self.history)

    def _now_sentence(self) -> Iterator[str]:
        source = SOURCES.get(self.now_source, self.now_source)
        largest = "" if self.most_now_bytes is None else in_words(self.most_now_bytes)
        if self.now_bytes is None:
            if largest:
                yield f"In other pods of the workload up to {largest} is in use now ({source})."
            return
        others = f", and the largest of {self.now_pods} pods {largest}"
        if self.now_bytes == self.most_now_bytes:
            others = f", the most of {self.now_pods} pods"
        yield f"It uses {in_words(self.now_bytes)} now{others if self.now_pods > 1 else ''} ({source})."

    def _peak_sentence(self) -> Iterator[str]:
        if self.peak_bytes is None:
            return
        since = f"since the last start{_over(self.peak_pods)}"
        if self.peak_at_limit:
            yield f"cAdvisor saw the limit reached {since}: page cache does that too, and is given back."
        else:
            yield f"cAdvisor saw at most {in_words(self.peak_bytes)} in use {since}, page cache included."


def _history_sentences(history: History) -> Iterator[str]:
    when = f"{_over(history.pods)}{history.period or ' as far as its samples reach'}"
    if history.max_bytes is not None:
        usual = f", and {in_words(history.p99_bytes)} or less in 99% of the time" if history.p99_bytes else ""
        yield f"Prometheus saw at most {in_words(history.max_bytes)} in use{when}{usual}."
    if history.oom_count:
        yield f"Prometheus saw OOM kills{when}: at least {history.oom_count}."
    if history.reach is not None and not history.is_whole:
        yield f"Prometheus has nothing of it from before {human_duration(history.reach)} ago."


def _over(pods: int) -> str:
    return f" over {pods} pods" if pods > 1 else ""


def in_words(count: int) -> str:
    """Bytes as a quantity, rounded down, since no more than that was seen: `400Mi`, `12.5Gi`."""
    if count < _MEBIBYTE:
        return f"{count // 1024}Ki" if count >= 1024 else str(count)
    if count < 10 * _GIBIBYTE:
        return quantity.format_bytes(count // _MEBIBYTE * _MEBIBYTE)
    whole, tenth = divmod(count * 10 // _GIBIBYTE, 10)
    return f"{whole}.{tenth}Gi" if tenth else f"{whole}Gi"


def percent(part: int, whole: int) -> int:
    """Rounded down. `whole` is more than 0."""
    return part * 100 // whole


def bar(part: int, whole: int) -> str:
    """`[#########-] 92%`: how much of `whole` is full."""
    full = min(part * _CELLS // whole, _CELLS)
    return f"[{'#' * full}{'-' * (_CELLS - full)}] {percent(part, whole)}%"


class NearLimit(Struct, frozen=True):
    """The pods of which a container uses at least `share` of its limit. `working_sets`: (namespace, pod) -> container
    -> bytes."""

    share: float
    working_sets: Mapping[tuple[str, str], Mapping[str, int]]

    def shows(self, pod: Pod) -> bool:
        used = self.working_sets.get((pod.metadata.namespace, pod.metadata.name))
        return used is not None and is_near_limit(pod, self.share, used)


def is_near_limit(pod: Pod, share: float, working_sets: Mapping[str, int]) -> bool:
    """A glance at all containers (name -> bytes), by the smaller of the limits that spec and status give each."""
    status = pod.status
    statuses = (*status.container_statuses, *status.init_container_statuses)
    reported = {entry.name: entry.resources for entry in statuses if entry.resources is not None}
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        used = working_sets.get(container.name)
        if used is None:
            continue
        given = (container.resources, reported.get(container.name))
        texts = (resources.limits.get("memory") for resources in given if resources is not None)
        limits = [limit for text in texts if text and (limit := _bytes(text)) > 0]
        if limits and used >= share * min(limits):
            return True
    return False


def near_by_counters(counters: Iterable[ContainerCounters], share: float) -> set[str]:
    """The pods, as `namespace/name`, of which a kubelet says that a container uses as much of its limit."""
    return {
        f"{entry.namespace}/{entry.pod}"
        for entry in counters
        if entry.limit_bytes and entry.working_set_bytes is not None and _is_container(entry)
        if entry.working_set_bytes >= share * entry.limit_bytes
    }


def _is_container(counters: ContainerCounters) -> bool:
    """Rather than the pod as a whole, or its sandbox."""
    return counters.container not in ("", "POD")


def _bytes(text: str) -> int:
    """0 for what is no quantity."""
    try:
        return quantity.value(text)
    except quantity.QuantityError:
        return 0


class Measured(Struct, frozen=True):
    """Everything that was asked for: working sets of now, counters of the kubelets, and Prometheus' answers."""

    now: tuple[ContainerUsage, ...] = ()
    """Where two sources know a container, the one that comes first counts."""
    counters: tuple[ContainerCounters, ...] = ()
    histories: Mapping[tuple[WorkloadPods, str], History] = field(default_factory=dict)
    """By workload and container."""


def usages(pods: Iterable[Pod], measured: Measured) -> dict[ContainerKey, Usage]:
    """What is known of the pods' containers; those of which nothing is are left out."""
    # A container that was started anew is there twice for a while.
    largest_first = sorted(measured.counters, key=lambda entry: -(entry.max_usage_bytes or 0))
    now, counters = _ByPod(measured.now), _ByPod(largest_first)
    found: dict[ContainerKey, Usage] = {}
    for pod in pods:
        workload = workload_pods(pod)
        for name in _container_names(pod):
            usage = _usage(
                pod,
                tuple(now.of_container(workload, name)),
                tuple(counters.of_container(workload, name)),
                measured.histories.get((workload, name)),
            )
            if usage != Usage():
                found[pod.metadata.namespace, pod.metadata.name, name] = usage
    return found


def _container_names(pod: Pod) -> Iterator[str]:
    spec = pod.spec
    return (entry.name for entry in (*spec.containers, *spec.init_containers, *spec.ephemeral_containers))


Entry = TypeVar("Entry", ContainerUsage, ContainerCounters)


class _ByPod(Generic[Entry]):
    """Entries to be found by the beginning of a pod's name."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: dict[tuple[str, str], dict[str, Entry]] = {}
        for entry in entries:
            self._entries.setdefault((entry.namespace, entry.pod), {}).setdefault(entry.container, entry)
        self._names = sorted(self._entries)

    def of_container(self, workload: WorkloadPods, container: str) -> Iterator[Entry]:
        """One for each pod of the workload that has it."""
        start = bisect_left(self._names, (workload.namespace, workload.prefix))
        for namespace, name in islice(self._names, start, None):
            if namespace != workload.namespace or not name.startswith(workload.prefix):
                return
            if workload.match(name) and container in self._entries[namespace, name]:
                yield self._entries[namespace, name][container]


def _usage(
    pod: Pod, now: tuple[ContainerUsage, ...], counters: tuple[ContainerCounters, ...], history: History | None
) -> Usage:
    """Of one container of `pod`; `now` and `counters` are those of all pods of its workload."""
    own = next((entry for entry in now if _is_of(pod, entry)), None)
    largest = max(now, key=lambda entry: entry.working_set_bytes, default=None)
    peaks = [entry for entry in counters if entry.max_usage_bytes]
    peak = max(peaks, key=lambda entry: entry.max_usage_bytes or 0, default=None)
    if peak is not None and largest is not None and (peak.max_usage_bytes or 0) < largest.working_set_bytes:
        # It was counted before: cAdvisor looks every ten seconds or so.
        peak, peaks = None, []
    evidence = (
        *(_now_evidence(entry) for entry in dict.fromkeys((own, largest)) if entry is not None),
        *(_peak_evidence(entry) for entry in (peak,) if entry is not None),
        *(_history_evidence(history) if history is not None else ()),
    )
    return Usage(
        now_bytes=own.working_set_bytes if own else None,
        most_now_bytes=largest.working_set_bytes if largest else None,
        now_pods=len(now),
        now_source=largest.source if largest else "",
        peak_bytes=peak.max_usage_bytes if peak else None,
        peak_pods=len(peaks),
        peak_at_limit=peak is not None and _is_at_limit(peak),
        history=history,
        evidence=evidence,
    )


def _is_of(pod: Pod, entry: ContainerUsage) -> bool:
    """A pod that was made anew under its old name has another uid."""
    metadata = pod.metadata
    return entry.pod == metadata.name and (not entry.pod_uid or not metadata.uid or entry.pod_uid == metadata.uid)


def _is_at_limit(counters: ContainerCounters) -> bool:
    limit, peak = counters.limit_bytes, counters.max_usage_bytes
    return bool(limit) and peak is not None and peak >= AT_LIMIT * (limit or 0)


def _now_evidence(entry: ContainerUsage) -> Evidence:
    field_name = "usage.memory" if entry.source == "metrics" else "memory.workingSetBytes"
    return Evidence(
        source=entry.source,
        object=f"pod/{entry.pod}",
        field=f"containers{{{entry.container}}}.{field_name}",
        value=_amount(entry.working_set_bytes),
        time=entry.time,
    )


def _peak_evidence(entry: ContainerCounters) -> Evidence:
    return Evidence(
        source="cadvisor",
        object=f"pod/{entry.pod}",
        field=f"containers{{{entry.container}}} container_memory_max_usage_bytes",
        value=_amount(entry.max_usage_bytes or 0),
    )


def _history_evidence(history: History) -> Iterator[Evidence]:
    figures = (
        ("max_over_time(container_memory_working_set_bytes[7d])", history.max_bytes),
        ("quantile_over_time(0.99, container_memory_working_set_bytes[7d])", history.p99_bytes),
    )
    for field_name, count in figures:
        if count is not None:
            yield Evidence(source="metrics", object="prometheus", field=field_name, value=_amount(count))
    if history.oom_count:
        # That none was seen says nothing.
        field_name = "increase(container_oom_events_total[7d])"
        yield Evidence(source="metrics", object="prometheus", field=field_name, value=str(history.oom_count))


def _amount(count: int) -> str:
    return f"{in_words(count)} ({count} bytes)"
