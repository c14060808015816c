"""Asks how much memory containers use and used: the metrics API of now, a Prometheus of the past days.

The metrics API is asked only about pods with something to explain, since on most clusters nothing is missing without
it: it becomes a not-checked entry only where the user asked for what needs it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from kubectl_memdoctor import quantity
from kubectl_memdoctor.cluster.prometheus_query import RESOURCE as PROMETHEUS
from kubectl_memdoctor.cluster.prometheus_query import Prometheus, Sample, Vector
from kubectl_memdoctor.cluster.source import AccessError, Source, Unreadable
from kubectl_memdoctor.evidence.node_evidence import ContainerUsage, NodeEvidence
from kubectl_memdoctor.objects import POD_METRICS, POD_METRICS_V1, Pod, PodMetrics, Resource
from kubectl_memdoctor.reading import Asked, Reading
from kubectl_memdoctor.usage import PERIOD, History, Measured
from kubectl_memdoctor.workload_pods import WorkloadPods, workload_pods

METRICS = POD_METRICS.group_resource
MOST_WORKLOADS = 100
"""So many are asked about at Prometheus in one run; it may take a second for each."""
MOST_BYTES = (1 << 63) - 1


class UsageReading:
    """One run's questions about use, and what became of them."""

    def __init__(self, reading: Reading, prometheus: Prometheus | None = None, *, wanted: bool = False) -> None:
        """`wanted`: the user asked for what the metrics API knows, and is told where it knows nothing."""
        self._reading = reading
        self._prometheus = prometheus
        self._wanted = wanted or prometheus is not None
        self._metrics: dict[str | None, Asked[_Metrics]] = {}
        self._histories: dict[WorkloadPods, Asked[dict[str, History]]] = {}
        self._left_out = 0

    def ask_now(self, namespaces: Iterable[str | None]) -> None:
        """Starts asking for working sets, each namespace (None: all) once."""
        for namespace in namespaces:
            if namespace not in self._metrics and None not in self._metrics:
                self._metrics[namespace] = self._reading.start(self._now_in(namespace))

    def _now_in(self, namespace: str | None) -> Callable[[], _Metrics]:
        return lambda: _metrics(self._reading.source, namespace)

    def ask_past(self, pods: Iterable[Pod]) -> None:
        """Starts asking Prometheus, if there is one, about the workloads that the pods are of."""
        if self._prometheus is None:
            return
        for workload in dict.fromkeys(map(workload_pods, pods)):
            if len(self._histories) >= MOST_WORKLOADS and workload not in self._histories:
                self._left_out += 1
            elif workload not in self._histories:
                self._histories[workload] = self._reading.start(self._past(self._prometheus, workload))

    def _past(self, prometheus: Prometheus, workload: WorkloadPods) -> Callable[[], dict[str, History]]:
        def ask() -> dict[str, History]:
            try:
                answer = prometheus.query(history_expression(workload))
            except Unreadable as unreadable:
                self._reading.unreadable[PROMETHEUS] = unreadable.reason
                return {}
            if answer.warnings:
                self._reading.unreadable.setdefault(PROMETHEUS, f"partial: {answer.warnings[0]}")
            return read_histories(answer)

        return ask

    def working_sets(self) -> dict[tuple[str, str], dict[str, int]]:
        """Of all that was asked for now, (namespace, pod) -> container -> bytes. Waits for it."""
        found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for entry in self._now():
            found[entry.namespace, entry.pod][entry.container] = entry.working_set_bytes
        return dict(found)

    def measured(self, nodes: NodeEvidence) -> Measured:
        """All answers, with what nodes said themselves. Waits for them, and notes what is missing."""
        now = tuple(self._now())
        refused = [answer.refused for asked in self._metrics.values() if (answer := asked.answer()).refused]
        if refused and self._wanted and not nodes.usages:
            self._reading.unreadable[METRICS] = refused[0]
        histories = {
            (workload, container): history
            for workload, asked in self._histories.items()
            for container, history in asked.answer().items()
        }
        if self._left_out:
            reason = f"partial: asked about {MOST_WORKLOADS} workloads, and not about {self._left_out} more"
            self._reading.unreadable.setdefault(PROMETHEUS, reason)
        return Measured((*now, *nodes.usages), nodes.counters, histories)

    def _now(self) -> Iterator[ContainerUsage]:
        return (entry for asked in self._metrics.values() for entry in asked.answer().usages)


class _Metrics:
    """The metrics API's answer, or why there is none."""

    def __init__(self, usages: tuple[ContainerUsage, ...] = (), refused: str = "") -> None:
        self.usages = usages
        self.refused = refused


def _metrics(source: Source, namespace: str | None) -> _Metrics:
    """By v1beta1, which every metrics-server serves, else by v1. What is wrong with that server, which is not the API
    server, never ends the run."""
    try:
        try:
            return _Metrics(tuple(_listed(source, POD_METRICS, namespace)))
        except Unreadable as unreadable:
            if not unreadable.reason.startswith("not served"):
                raise
            return _Metrics(tuple(_listed(source, POD_METRICS_V1, namespace)))
    except Unreadable as unreadable:
        return _Metrics(refused=unreadable.reason)
    except AccessError as error:
        return _Metrics(refused=f"failed: {error}")


def _listed(source: Source, resource: Resource[PodMetrics], namespace: str | None) -> Iterator[ContainerUsage]:
    for page in source.list(resource, namespace):
        for entry in page.items:
            yield from _usages(entry)


def _usages(metrics: PodMetrics) -> Iterator[ContainerUsage]:
    metadata = metrics.metadata
    for container in metrics.containers:
        try:
            used = quantity.value(container.usage.get("memory", ""))
        except quantity.QuantityError:
            continue
        if used >= 0:
            yield ContainerUsage(
                metadata.namespace, metadata.name, container.name, used, "metrics", time=metrics.timestamp
            )


def history_expression(workload: WorkloadPods) -> str:
    """One question for all figures of all containers of a workload: a label `figure` tells them apart.

    https://prometheus.io/docs/prometheus/latest/querying/functions/
    """
    pods = f"namespace={_quoted(workload.namespace)},pod=~{_quoted(workload.pattern)}"
    chosen = f'{{{pods},container!="",container!="POD"}}'
    used, killed = f"container_memory_working_set_bytes{chosen}", f"container_oom_events_total{chosen}"
    days = f"{PERIOD.days}d"
    times = f"timestamp({used})"
    first_seen = (f"min_over_time({times}[{days}:5m])", f"min_over_time({times}[10m:15s])", times)
    figures = {
        "max": f"max by (container) (max_over_time({used}[{days}]))",
        "p99": f"max by (container) (quantile_over_time(0.99, {used}[{days}]))",
        "pods": f"count by (container) (count by (container, pod) (count_over_time({used}[{days}])))",
        # A sample counts for five minutes: no step may be wider. What is younger than a step may lie between two.
        "first": f"min by (container) ({' or '.join(first_seen)})",
        "oom": f"sum by (container) (increase({killed}[{days}]))",
    }
    return " or ".join(f'label_replace({text}, "figure", "{name}", "", "")' for name, text in figures.items())


def _quoted(text: str) -> str:
    """A string literal of PromQL, which are Go's."""
    return json.dumps(text)


def read_histories(answer: Vector) -> dict[str, History]:
    """By container."""
    figures: dict[str, dict[str, float]] = defaultdict(dict)
    for sample in answer.samples:
        figures[sample.labels.get("container", "")][sample.labels.get("figure", "")] = _amount(sample)
    found = {container: _history(named, answer.time) for container, named in figures.items() if container}
    return {container: history for container, history in found.items() if history != History()}


def _amount(sample: Sample) -> float:
    return min(max(sample.value, 0.0), float(MOST_BYTES))


def _history(figures: dict[str, float], now: float | None) -> History:
    most, usual, kills = figures.get("max"), figures.get("p99"), figures.get("oom")
    first = figures.get("first")
    return History(
        max_bytes=None if most is None else int(most),
        p99_bytes=None if usual is None else int(usual),
        oom_count=None if kills is None else round(kills),
        pods=max(int(figures.get("pods", 1)), 1),
        reach=None if first is None or now is None else _reach(now - first),
    )


def _reach(seconds: float) -> timedelta:
    return timedelta(seconds=min(max(seconds, 0.0), PERIOD.total_seconds()))
