"""Who is asked how much is used, and when nobody is; and the flags that say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.cluster.prometheus_query import Sample, Vector
from kubectl_memdoctor.cluster.source import Page, Unreadable
from kubectl_memdoctor.diagnosis import FEW_NAMESPACES, NodeLook, UsageLook, diagnose_namespaces, diagnose_pods
from kubectl_memdoctor.evidence.node_evidence import ContainerCounters, ContainerUsage, NodeEvidence
from kubectl_memdoctor.finding import AnyReport
from kubectl_memdoctor.objects import Object, Resource
from kubectl_memdoctor.selection import Selection

from .fake_cluster import fake_cluster
from .memory_source import MemorySource

MEBIBYTE = 1 << 20
NEAR = "container-memory-near-limit"
CASE = Path(__file__).parents[1] / "cases" / NEAR / "fires-two-of-three-replicas.yaml"


class Watched(MemorySource):
    """Notes where the metrics API was asked, and whether the pods were listed before."""

    def __init__(self, items: list[dict[str, Any]], *, served: bool = True) -> None:
        super().__init__(items)
        self.metrics: list[str | None] = []
        self.before_pods = False
        self._served = served

    def list(
        self, resource: Resource[Object], namespace: str | None = None, **selectors: str
    ) -> Iterator[Page[Object]]:
        if resource.kind == "PodMetrics":
            self.metrics.append(namespace)
            self.before_pods = not any(entry[:2] == ("list", "pods") for entry in self.asked)
            if not self._served:
                raise Unreadable("no", resource=resource.group_resource, reason="not served: no such thing")
        return super().list(resource, namespace, **selectors)


class Prometheus:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def query(self, expression: str) -> Vector:
        self.asked.append(expression)
        return Vector(1000.0, (Sample({"container": "app", "figure": "max"}, 500.0 * MEBIBYTE),))


def pod(name: str, namespace: str = "shop", *, killed: bool = False) -> dict[str, Any]:
    end = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-23T09:59:00Z"}}
    status = {"name": "app", "lastState": end if killed else {}, "state": {"running": {}}, "ready": True}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "uid": f"{namespace}-{name}"},
        "spec": {
            "nodeName": "worker-1",
            "containers": [{"name": "app", "resources": {"limits": {"memory": "256Mi"}}}],
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "PodReadyToStartContainers", "status": "True"}],
            "containerStatuses": [status],
        },
    }


def metrics(name: str, mebibytes: int, namespace: str = "shop") -> dict[str, Any]:
    return {
        "kind": "PodMetrics",
        "metadata": {"name": name, "namespace": namespace},
        "containers": [{"name": "app", "usage": {"memory": f"{mebibytes}Mi"}}],
    }


def found(report: AnyReport) -> list[tuple[str, str]]:
    return [(entry.rule, entry.involved_object.name) for entry in report.findings]


def not_checked(report: AnyReport) -> dict[str, str]:
    return {entry.resource: entry.reason for entry in report.not_checked}


NAMED = Selection(namespaces=("shop",), names=("web",))


def test_where_nothing_was_killed_nobody_is_asked() -> None:
    source = Watched([pod("web"), metrics("web", 255)])
    assert diagnose_namespaces(source, Selection()).report.findings == ()
    diagnose_pods(source, NAMED)
    assert source.metrics == []


def test_of_what_was_killed_the_namespace_is_asked() -> None:
    source = Watched([pod("web", killed=True), pod("api", "mall"), metrics("web", 99), metrics("api", 99, "mall")])
    (finding,) = diagnose_namespaces(source, Selection()).report.findings
    assert source.metrics == ["shop"]
    assert "It uses 99Mi now (metrics API)." in finding.details
    assert [entry.value for entry in finding.evidence if entry.source == "metrics"] == ["99Mi (103809024 bytes)"]
    assert finding.remedy is not None
    assert "384Mi: the limit of 256Mi that was reached, and half on top" in finding.remedy.text


def test_many_namespaces_are_asked_at_once() -> None:
    names = [f"team-{number}" for number in range(FEW_NAMESPACES + 1)]
    source = Watched([pod("web", name, killed=True) for name in names])
    diagnose_namespaces(source, Selection())
    assert source.metrics == [None]
    source.metrics.clear()
    diagnose_namespaces(source, Selection(namespaces=tuple(names)))
    assert source.metrics == names


def test_a_named_pod_that_was_killed() -> None:
    source = Watched([pod("web", killed=True), metrics("web", 99)])
    (finding,) = diagnose_pods(source, NAMED).report.findings
    assert source.metrics == ["shop"]
    assert "It uses 99Mi now (metrics API)." in finding.details


def test_near_the_limit_is_known_before_the_pods_pass() -> None:
    source = Watched([pod("web"), pod("api"), metrics("web", 231), metrics("api", 230)])
    report = diagnose_namespaces(source, Selection(), usage_look=UsageLook(near_limit=0.9)).report
    assert found(report) == [(NEAR, "web")]
    assert (source.metrics, source.before_pods) == ([None], True)
    assert found(diagnose_pods(source, NAMED, usage_look=UsageLook(near_limit=0.9)).report) == [(NEAR, "web")]


def test_a_container_that_was_killed_is_not_listed_as_near_its_limit() -> None:
    source = Watched([pod("web", killed=True), metrics("web", 255)])
    report = diagnose_namespaces(source, Selection(), usage_look=UsageLook(near_limit=0.9)).report
    assert found(report) == [("container-oom-killed", "web")]


def test_without_a_metrics_api() -> None:
    source = Watched([pod("web", killed=True)], served=False)
    assert "pods.metrics.k8s.io" not in not_checked(diagnose_namespaces(source, Selection()).report)
    report = diagnose_namespaces(source, Selection(), usage_look=UsageLook(near_limit=0.9)).report
    assert not_checked(report)["pods.metrics.k8s.io"] == "not served: no such thing"


def test_kubelets_tell_instead() -> None:
    """Of a pod that the metrics API could not keep from being let go."""
    source = Watched([pod("web"), pod("api")], served=False)
    nodes = NodeEvidence(
        counters=(
            ContainerCounters("shop", "web", "app", None, working_set_bytes=250 * MEBIBYTE, limit_bytes=256 * MEBIBYTE),
        ),
        usages=(ContainerUsage("shop", "web", "app", 250 * MEBIBYTE, "kubelet"),),
    )
    look = UsageLook(near_limit=0.9)
    report = diagnose_namespaces(source, Selection(), nodes_look=NodeLook(nodes), usage_look=look).report
    assert found(report) == [(NEAR, "web")]
    assert "It uses 250Mi now (kubelet)." in report.findings[0].details
    assert "pods.metrics.k8s.io" not in not_checked(report)


def test_prometheus_is_asked_about_what_there_is_a_reason_for() -> None:
    prometheus = Prometheus()
    source = Watched([pod("web", killed=True), pod("db"), pod("api"), metrics("db", 250), metrics("api", 9)])
    report = diagnose_namespaces(source, Selection(), usage_look=UsageLook(0.9, prometheus)).report
    assert found(report) == [("container-oom-killed", "web"), (NEAR, "db")]
    assert sorted(expression.partition('pod=~"')[2].partition('"')[0] for expression in prometheus.asked) == [
        "db",
        "web",
    ]
    for finding in report.findings:
        assert finding.remedy is not None
        assert [change.limit for change in finding.remedy.changes] == ["768Mi"]
        assert "768Mi: the peak of 500Mi (Prometheus), and a quarter on top." in finding.remedy.text


def test_prometheus_is_asked_about_a_named_pod() -> None:
    prometheus = Prometheus()
    diagnose_pods(Watched([pod("web")]), NAMED, usage_look=UsageLook(prometheus=prometheus))
    assert len(prometheus.asked) == 1


PERCENTAGE = "flag: must be a percentage: 1% to 100%"
URL = 'invalid argument for "--prometheus" flag: must be a URL'


@pytest.mark.parametrize("command", [["ns"], ["pod", "web"]])
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        *(
            (["--near-limit", text], f'invalid argument "{text}" for "--near-limit" {PERCENTAGE}')
            for text in ("90", "0.9", "0%", "101%", "-5%", "9.5%", "%", "", "90 %", "٩٠%", "090%")
        ),
        (
            ["-f", str(CASE), "--prometheus", "auto"],
            "a recording is of another time: give -f or --prometheus, not both",
        ),
        (["-f", str(CASE), "--prometheus="], "a recording is of another time: give -f or --prometheus, not both"),
        (["--prometheus-token-file", "t"], "--prometheus-token-file goes with a URL in --prometheus"),
        (
            ["--prometheus=auto", "--prometheus-token-file=t"],
            "--prometheus-token-file goes with a URL in --prometheus",
        ),
    ],
)
def test_flags_that_cannot_be_meant(
    command: list[str], flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, *flags]) == 2
    assert capsys.readouterr().err.startswith(f"error: {words}")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", f"{URL} such as https://prometheus.example:9090, or auto"),
        ("monitoring/prometheus", f"{URL} such as https://prometheus.example:9090, or auto"),
        ("https://me:hidden@prometheus", f"{URL} without user, password, query and fragment, or auto"),
    ],
)
def test_what_is_no_url_is_refused_without_its_secrets(
    url: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_cluster() as cluster:
        assert main(["ns", "shop", f"--server={cluster.url}", f"--prometheus={url}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {words}")
    assert "hidden" not in said


def test_the_bar_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    main(["ns", "--all", "-f", str(CASE), "--near-limit=95%", "-o", "page", "--color=never"])
    out = capsys.readouterr().out
    assert "its container app uses 96% of its memory limit of 256Mi (confirmed, container-memory-near-limit)" in out
    assert "  [#########-] 96% of 256Mi (268435456 bytes)." in out
