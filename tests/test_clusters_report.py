"""Reports of several clusters made one."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from command_line.made import NOW, diagnosis, finding, of_node

from kubectl_memdoctor.clusters_report import Look, in_context, merged, of_context
from kubectl_memdoctor.exit_code import CouldNotLook
from kubectl_memdoctor.finding import Cluster, ClustersReport, Diagnosis, Finding, NotChecked, Report, clock

MISSING = 'Error from server (NotFound): namespaces "{}" not found'


def look(
    context: str,
    *findings: Finding,
    ahead: timedelta = timedelta(0),
    not_checked: tuple[NotChecked, ...] = (),
    missing: tuple[str, ...] = (),
    is_interrupted: bool = False,
) -> Look:
    """`ahead`: of NOW by the cluster's clock."""
    found = diagnosis(*findings, not_checked=not_checked, errors=missing)
    assert isinstance(found.report, Report)
    report = msgspec.structs.replace(
        found.report, cluster=Cluster(server=f"https://{context}", version="v1.34.2"), taken_at=NOW + ahead
    )
    whole = msgspec.structs.replace(found, report=report, is_interrupted=is_interrupted)
    return of_context(context, whole, (in_context(entry, context) for entry in findings))


def report_of(found: Diagnosis) -> ClustersReport:
    assert isinstance(found.report, ClustersReport)
    return found.report


def test_findings_come_worst_first_whichever_cluster_they_are_in() -> None:
    found = merged([look("a", of_node("worker-1")), look("b", finding("web-1")), look("c", finding("web-0"))])
    assert [(entry.context, entry.involved_object.name) for entry in found.report.findings] == [
        ("c", "web-0"), ("b", "web-1"), ("a", "worker-1"),
    ]  # fmt: skip


def test_the_same_finding_in_two_clusters_is_two() -> None:
    found = merged([look("b", finding()), look("a", finding())])
    assert [entry.context for entry in found.report.findings] == ["b", "a"]


def test_counts_are_summed_and_kept() -> None:
    report = report_of(merged([look("a", finding("x"), finding("y")), look("b", of_node("n")), look("c")]))
    assert (report.summary.pods, report.summary.nodes) == (4, 3)
    assert report.summary.findings == {"critical": 2, "warning": 1, "info": 0}
    assert [(entry.cluster.context, entry.summary.pods) for entry in report.clusters] == [("a", 2), ("b", 1), ("c", 1)]
    assert report.clusters[0].cluster == Cluster(server="https://a", version="v1.34.2", context="a")


def test_each_cluster_goes_by_its_own_clock() -> None:
    report = report_of(merged([look("a", ahead=timedelta(hours=1)), look("b")]))
    now = clock(report)
    assert (now("a"), now("b")) == (NOW + timedelta(hours=1), NOW)
    assert report.taken_at == NOW + timedelta(hours=1)


def test_a_cluster_that_could_not_be_looked_at_is_not_checked() -> None:
    beside = NotChecked(resource="nodes", reason="forbidden: no", rule="node-oom-killed")
    found = merged([look("a", not_checked=(beside,)), Look("b", reason="it is down")])
    assert [entry.cluster.context for entry in report_of(found).clusters] == ["a"]
    assert found.report.not_checked == (
        NotChecked(context="a", resource="nodes", reason="forbidden: no", rule="node-oom-killed"),
        NotChecked(context="b", resource="cluster", reason="it is down"),
    )
    assert (found.errors, found.is_interrupted) == ((), False)


def test_what_was_shown_of_a_cluster_before_it_went_away_counts() -> None:
    shown = in_context(finding(), "b")
    found = merged([look("a"), Look("b", reason="it is down", told=(shown,))])
    assert found.report.findings == (shown,)
    assert found.report.summary.findings["critical"] == 1
    assert [entry.cluster.context for entry in report_of(found).clusters] == ["a"]
    assert [entry.context for entry in found.report.not_checked] == ["b"]


def test_where_none_could_be_looked_at_there_is_no_report() -> None:
    with pytest.raises(CouldNotLook, match=r"^a: it is down\nb: no credentials$"):
        merged([Look("a", reason="it is down"), Look("b", reason="no credentials")])


def test_a_namespace_that_one_cluster_has_is_no_error() -> None:
    x, y = MISSING.format("x"), MISSING.format("y")
    found = merged([
        look("a", missing=(x, y)),
        look("b", missing=(x,)),
        Look("c", reason=f"{x}; {y}", missing=(x, y)),
        Look("d", reason="it is down"),
    ])  # fmt: skip
    assert found.errors == (x,)
    assert [(entry.context, entry.resource, entry.reason) for entry in found.report.not_checked] == [
        ("a", "namespaces", y), ("c", "namespaces", y), ("d", "cluster", "it is down"),
    ]  # fmt: skip


def test_what_ended_early_is_not_the_whole() -> None:
    found = merged([look("a"), look("b", is_interrupted=True)])
    assert found.is_interrupted
    assert [entry.complete for entry in report_of(found).clusters] == [True, False]
    assert merged([look("a")], is_interrupted=True).is_interrupted
