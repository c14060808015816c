"""What is asked about use, of whom, and what becomes of the answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typed import convert

from kubectl_memdoctor.cluster.prometheus_query import RESOURCE as PROMETHEUS
from kubectl_memdoctor.cluster.prometheus_query import Sample, Vector
from kubectl_memdoctor.cluster.source import AccessError, Kubelets, Origin, Page, Unreadable
from kubectl_memdoctor.evidence.node_evidence import ContainerUsage, NodeEvidence
from kubectl_memdoctor.objects import Object, Pod, PodMetrics, Resource
from kubectl_memdoctor.reading import Reading
from kubectl_memdoctor.usage import History, Measured
from kubectl_memdoctor.usage_reading import (
    METRICS,
    MOST_WORKLOADS,
    UsageReading,
    history_expression,
    read_histories,
)
from kubectl_memdoctor.workload_pods import WorkloadPods, workload_pods

MEBIBYTE = 1 << 20
BETA, STABLE = "metrics.k8s.io/v1beta1", "metrics.k8s.io/v1"
NOT_SERVED = Unreadable("Error from server", resource=METRICS, reason="not served: the server could not find it")
FORBIDDEN = Unreadable("Error from server", resource=METRICS, reason='forbidden: pods.metrics.k8s.io is forbidden: "a"')


def pod_metrics(name: str = "web-1", memory: str = "240Mi", container: str = "app") -> PodMetrics:
    return convert(
        {
            "metadata": {"name": name, "namespace": "shop"},
            "timestamp": "2026-11-23T09:59:40Z",
            "containers": [{"name": container, "usage": {"cpu": "1m", "memory": memory}}],
        },
        PodMetrics,
    )


def pod(name: str = "web-1") -> Pod:
    return convert({"metadata": {"name": name, "namespace": "shop"}}, Pod)


class Metrics:
    """A source that has only a metrics API: for each of its versions what it lists, or what is wrong with it."""

    parallel = False
    kubelets: Kubelets | None = None

    def __init__(self, **versions: Sequence[PodMetrics] | AccessError) -> None:
        self._versions = {f"metrics.k8s.io/{name}": answer for name, answer in versions.items()}
        self.asked: list[tuple[str, str | None]] = []

    def origin(self) -> Origin:
        return Origin()

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 10, tzinfo=UTC)

    def get(self, resource: Resource[Object], namespace: str | None, name: str) -> Object:
        raise AssertionError("by list only")

    def list(
        self,
        resource: Resource[Object],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Iterator[Page[Any]]:
        self.asked.append((resource.api_version, namespace))
        answer = self._versions.get(resource.api_version, NOT_SERVED)
        if isinstance(answer, AccessError):
            raise answer
        yield Page(tuple(answer))


class Answering:
    """A Prometheus that has one answer for everything."""

    def __init__(self, answer: Vector | Unreadable) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def query(self, expression: str) -> Vector:
        self.asked.append(expression)
        if isinstance(self.answer, Unreadable):
            raise self.answer
        return self.answer


def measured(
    source: Metrics, *, wanted: bool = False, prometheus: Answering | None = None, nodes: NodeEvidence | None = None
) -> tuple[Measured, dict[str, str]]:
    with Reading(source) as reading:
        usage = UsageReading(reading, prometheus, wanted=wanted)
        usage.ask_now(["shop"])
        usage.ask_past([pod()])
        return usage.measured(nodes or NodeEvidence()), reading.unreadable


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        (Metrics(v1beta1=[pod_metrics()]), [BETA]),
        (Metrics(v1=[pod_metrics()]), [BETA, STABLE]),
    ],
)
def test_either_version_of_the_metrics_api(source: Metrics, asked: list[str]) -> None:
    found, unreadable = measured(source)
    (usage,) = found.now
    assert usage == ContainerUsage(
        "shop",
        "web-1",
        "app",
        240 * MEBIBYTE,
        "metrics",
        time=datetime(2026, 11, 23, 9, 59, 40, tzinfo=UTC),
    )
    assert [version for version, *_ in source.asked] == asked
    assert unreadable == {}


@pytest.mark.parametrize("memory", ["", "much", "-1Mi"])
def test_what_is_no_amount_is_left_out(memory: str) -> None:
    found, _ = measured(Metrics(v1beta1=[pod_metrics(memory=memory), pod_metrics("web-2", "1Ki")]))
    assert [(usage.pod, usage.working_set_bytes) for usage in found.now] == [("web-2", 1024)]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (Metrics(), NOT_SERVED.reason),
        (Metrics(v1beta1=FORBIDDEN), FORBIDDEN.reason),
        (Metrics(v1beta1=AccessError("error: HTML instead of JSON")), "failed: error: HTML instead of JSON"),
    ],
)
def test_without_a_metrics_api_something_is_missing_only_where_it_was_asked_for(source: Metrics, reason: str) -> None:
    assert measured(source) == (Measured(), {})
    assert measured(source, wanted=True) == (Measured(), {METRICS: reason})
    assert measured(source, prometheus=Answering(Vector(None, ()))) == (Measured(), {METRICS: reason})


def test_kubelets_stand_in_for_the_metrics_api() -> None:
    of_kubelet = ContainerUsage("shop", "web-1", "app", MEBIBYTE, "kubelet")
    found, unreadable = measured(Metrics(), wanted=True, nodes=NodeEvidence(usages=(of_kubelet,)))
    assert (found.now, unreadable) == ((of_kubelet,), {})


def test_the_metrics_api_comes_before_kubelets() -> None:
    of_kubelet = ContainerUsage("shop", "web-1", "app", MEBIBYTE, "kubelet")
    found, _ = measured(Metrics(v1beta1=[pod_metrics()]), nodes=NodeEvidence(usages=(of_kubelet,)))
    assert [usage.source for usage in found.now] == ["metrics", "kubelet"]


def test_nothing_is_asked_twice() -> None:
    source, prometheus = Metrics(v1beta1=[pod_metrics()]), Answering(Vector(None, ()))
    with Reading(source) as reading:
        usage = UsageReading(reading, prometheus)
        for _ in range(2):
            usage.ask_now(["shop", "mall"])
            usage.ask_past([pod("web-1"), pod("web-1")])
        assert usage.working_sets() == {("shop", "web-1"): {"app": 240 * MEBIBYTE}}
        usage.measured(NodeEvidence())
    assert source.asked == [(BETA, "shop"), (BETA, "mall")]
    assert len(prometheus.asked) == 1


def test_all_namespaces_hold_every_one() -> None:
    source = Metrics(v1beta1=[])
    with Reading(source) as reading:
        usage = UsageReading(reading)
        usage.ask_now([None])
        usage.ask_now(["shop"])
        usage.measured(NodeEvidence())
    assert source.asked == [(BETA, None)]


def test_without_prometheus_nobody_is_asked_about_the_past() -> None:
    found, _ = measured(Metrics(v1beta1=[]))
    assert found.histories == {}


def test_prometheus_answers_for_the_workload() -> None:
    answer = Vector(1000.0, (Sample({"container": "app", "figure": "max"}, 5e8),))
    found, unreadable = measured(Metrics(v1beta1=[]), prometheus=Answering(answer))
    assert found.histories == {(workload_pods(pod()), "app"): History(max_bytes=500_000_000)}
    assert unreadable == {}


def test_what_prometheus_refuses_or_leaves_out_is_told() -> None:
    refused = Unreadable("error", resource=PROMETHEUS, reason="failed: prom: too many samples")
    assert measured(Metrics(v1beta1=[]), prometheus=Answering(refused))[1] == {PROMETHEUS: refused.reason}
    partial = Vector(1000.0, (), ("one store did not answer",))
    _, unreadable = measured(Metrics(v1beta1=[]), prometheus=Answering(partial))
    assert unreadable == {PROMETHEUS: "partial: one store did not answer"}


def test_only_so_many_workloads_are_asked_about() -> None:
    prometheus = Answering(Vector(None, ()))
    with Reading(Metrics()) as reading:
        usage = UsageReading(reading, prometheus)
        usage.ask_past(pod(f"web-{number}") for number in range(MOST_WORKLOADS + 5))
        usage.measured(NodeEvidence())
        assert reading.unreadable[PROMETHEUS] == "partial: asked about 100 workloads, and not about 5 more"
    assert len(prometheus.asked) == MOST_WORKLOADS


def test_the_question_names_the_workloads_pods_and_nothing_else() -> None:
    expression = history_expression(WorkloadPods("shop", "web.v2-", "[0-9]+"))
    chosen = r'{namespace="shop",pod=~"web\\.v2-[0-9]+",container!="",container!="POD"}'
    assert f"max_over_time(container_memory_working_set_bytes{chosen}[7d])" in expression
    assert f"quantile_over_time(0.99, container_memory_working_set_bytes{chosen}[7d])" in expression
    assert f"increase(container_oom_events_total{chosen}[7d])" in expression


@given(st.text(), st.text())
def test_a_name_never_ends_its_literal(namespace: str, name: str) -> None:
    expression = history_expression(WorkloadPods(namespace, name))
    # What is left without the literals is the same for every name.
    literals = re.compile(r'"(?:[^"\\]|\\.)*"')
    assert literals.sub('""', expression) == literals.sub('""', history_expression(WorkloadPods("shop", "web")))


NOW = 1_795_428_000.0


def figures(container: str = "app", **values: float) -> Vector:
    samples = (Sample({"container": container, "figure": figure}, value) for figure, value in values.items())
    return Vector(NOW, tuple(samples))


@pytest.mark.parametrize(
    ("answer", "history"),
    [
        (
            figures(max=4.2e8, p99=4e8, pods=3, first=NOW - 7 * 86400 + 60, oom=4.98),
            History(420_000_000, 400_000_000, 5, 3, timedelta(days=7, seconds=-60)),
        ),
        (figures(max=1.0, first=NOW - 3600), History(1, pods=1, reach=timedelta(hours=1))),
        (figures(max=1.0, first=NOW + 99), History(1, reach=timedelta())),
        (figures(max=1.0, first=0), History(1, reach=timedelta(days=7))),
        (figures(oom=2.0), History(oom_count=2)),
        (figures(max=-5.0, pods=0, oom=-1), History(0, None, 0, 1)),
        (figures(max=1e300), History(1 << 63)),
        (Vector(None, (Sample({"container": "app", "figure": "first"}, 1.0),)), None),
        (Vector(NOW, (Sample({"container": "app"}, 1.0), Sample({}, 2.0))), None),
        (Vector(NOW, ()), None),
    ],
)
def test_prometheus_figures(answer: Vector, history: History | None) -> None:
    assert read_histories(answer) == ({"app": history} if history else {})


def test_containers_are_kept_apart() -> None:
    both = Vector(NOW, (*figures("app", max=1.0).samples, *figures("mesh", max=2.0).samples))
    assert read_histories(both) == {"app": History(1), "mesh": History(2)}
